"""The shared traces, replayed under policies and yardsticks, and the table of goals that what came of it fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from warmer.cli.traces import read_trace
from warmer.core.backtest.outcome import Row, row
from warmer.core.backtest.policies import Settings, policy
from warmer.core.backtest.trace import DAY, SECOND, Trace
from warmer.core.backtest.world import World
from warmer.core.backtest.yardsticks import best_fixed_stop, keep_only

SETS = ("sessions", "pushes", "scenarios")
DENSE = "azure_llm_2023"
LONG = World(idle_timeout=300 * SECOND)
LONG_INTERVAL = 280 * SECOND  # what is known where the idle time-out is that long
OCTAVES = (0.0, 16.0)  # of the worths that are searched
HALVINGS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One line of the table."""

    name: str
    bound: str
    measured: str
    holds: bool
    stretch: bool = False

    @property
    def verdict(self) -> str:
        return "yes" if self.holds else "no, stretch" if self.stretch else "NO"


class Lab:
    """The traces, each replayed once under each policy and setting."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cache  # noqa: B019 - one lab a process
    def trace(self, name: str) -> Trace:
        return read_trace(self.folder / f"{name}.csv.gz")

    @cache  # noqa: B019
    def row(self, name: str, chosen: str, settings: Settings | None = None, world: World | None = None) -> Row:
        trace, world, settings = self.trace(name), world or World(), settings or Settings()
        match chosen:
            case "keep-only-optimum":
                replays = [keep_only(one, trace.end, world, settings) for one in trace.models]
            case "best-fixed-stop":
                replays = [best_fixed_stop(one, trace.end, world, settings) for one in trace.models]
            case _:
                replays = list(policy(chosen, settings).on(trace, world))
        return row(trace, chosen, {}, replays, world)

    def share(self, name: str, found: Row) -> float:
        """Heartbeats as a share of the cron job's, day and night."""
        return found.heartbeats / self.row(name, "cron-30s").heartbeats

    def cost(self, name: str, chosen: str, worth: float, *, firsts: bool = True) -> float:
        """The priced cost J(K); without `firsts` the models' first requests, cold for all, are left out."""
        found = self.row(name, chosen, Settings(cold_start_worth=worth))
        return found.cost_in_heartbeats(worth) - (0.0 if firsts else worth * found.cold_first_requests)

    def calls_a_day(self, name: str) -> float:
        """Requests a day and model."""
        trace = self.trace(name)
        return len(trace) / len(trace.models) / (trace.end / DAY)

    def cheapest(self, name: str, share: float, interval: int, world: World) -> Row | None:
        """`adaptive` with the least worth, one for all models, that leaves at most `share` cold. Found in hindsight."""
        found, (low, high) = None, OCTAVES
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            tried = self.row(name, "adaptive", Settings(interval=interval, cold_start_worth=2.0**middle), world)
            if (tried.cold_share or 0.0) <= share:
                found, high = tried, middle
            else:
                low = middle
        return found


def by_set(figures: dict[str, float], digits: int = 2) -> str:
    return ", ".join(f"{name} {figure:.{digits}f}" for name, figure in figures.items())


def show(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for cells in (headers, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    print()

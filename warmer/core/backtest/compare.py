"""One trace through several policies, beside what could have been done by who knew the future."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from warmer.core.backtest.outcome import Row, row
from warmer.core.backtest.policies import Policy, Settings, policy
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import DAY, Trace
from warmer.core.backtest.world import World
from warmer.core.backtest.yardsticks import best_fixed_stop, keep_only

SWEPT = ("adaptive", "ski")
"""The policies that make a curve: all they heed, besides the interval, is what a cold start is worth."""
WORTHS = (10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0)
"""Heartbeats that a cold start is worth, along a curve."""
_YARDSTICKS = {"keep-only-optimum": keep_only, "best-fixed-stop": best_fixed_stop}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One policy, a row for each of WORTHS: what it can be set to."""

    policy: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What policies did to one trace."""

    trace: str
    days: float
    rows: tuple[Row, ...]  # one for each policy, in the order asked for
    yardsticks: tuple[Row, ...]
    curves: tuple[Curve, ...]


def steps(trace: Trace, policies: int, curves: int) -> int:
    """How often `compare` calls `done`."""
    return len(trace.models) * (policies + len(_YARDSTICKS) + curves * len(WORTHS))


def compare(
    trace: Trace,
    chosen: Sequence[Policy],
    settings: Settings,
    world: World,
    *,
    curves: Sequence[str] = (),
    per_second: Decimal | None = None,
    done: Callable[[], None] = lambda: None,
) -> Comparison:
    """`trace` through each of `chosen`, the yardsticks, and for `curves`, some of SWEPT, every worth of a cold start.

    `per_second`: USD for a second of a heartbeat's run. `done` is called after each model's replay.
    """

    def played(one: Policy) -> Row:
        replays = list(_counted(one.on(trace, world), done))
        return row(trace, one.name, one.parameters, replays, world, per_second=per_second)

    def bound(name: str) -> Row:
        best = _YARDSTICKS[name]
        replays = list(_counted((best(one, trace.end, world, settings) for one in trace.models), done))
        parameters = {"cold_start_worth": settings.cold_start_worth}
        return row(trace, name, parameters, replays, world, per_second=per_second)

    return Comparison(
        trace=trace.name,
        days=trace.end / DAY,
        rows=tuple(map(played, chosen)),
        yardsticks=tuple(map(bound, _YARDSTICKS)),
        curves=tuple(Curve(policy=name, rows=tuple(map(played, _along(name, settings)))) for name in curves),
    )


def _along(name: str, settings: Settings) -> Iterator[Policy]:
    """The policy of that name at each of WORTHS, whatever share it may have been told to hold."""
    for worth in WORTHS:
        yield policy(name, replace(settings, cold_start_worth=worth, cold_target=None))


def _counted(replays: Iterator[Replay], done: Callable[[], None]) -> Iterator[Replay]:
    for replay in replays:
        yield replay
        done()

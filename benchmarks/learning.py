"""How fast a model's idle time-out is learned, and at what cost to whom: `python benchmarks/learning.py [--runs 200]`.

A host draws a time-out for each idle stretch; customers call six times an hour; one verdict in fifty is wrong. The
learner starts with no knowledge. A run is settled from the heartbeat on of whose next 50 at least 90 % leave between
0.75 and 1.05 of the largest gap that loses no more than 2 % of instances.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp
from statistics import fmean, median

import numpy as np

from warmer.core.idle_timeout import Find, IdleTimeout

CALLS_PER_S = 6 / 3600
MISREADS = 0.02
LATE_S = 0.5  # mean lateness of a heartbeat
WATCHED = 250  # heartbeats a run
WINDOW = 50
YEAR_S = 365 * 12 * 3600.0

Draw = Callable[[np.random.Generator], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    name: str
    draw: Draw
    time_out_s: float  # its median, or its early one
    best_s: float  # the largest gap that loses at most 2 %
    goal_beats: float | None = None  # what is asked of it; None: shown, not asked


@dataclass(slots=True)
class Run:
    """What was seen of one learner."""

    belief: IdleTimeout
    gaps: list[float] = field(default_factory=list)  # left before each heartbeat
    intervals: list[float] = field(default_factory=list)  # in force at each
    guesses: list[float] = field(default_factory=list)  # the median after each
    cold: list[bool] = field(default_factory=list)
    elapsed_s: float = 0.0
    hurt: int = 0  # customers who met a boot that probing caused

    def go_on(self, host: Host, rng: np.random.Generator, beats: int) -> None:
        """Send that many more heartbeats."""
        until = len(self.gaps) + beats
        gap_s, probes = self.belief.next_gap_s(risk_per_s=CALLS_PER_S)
        while len(self.gaps) < until:
            kept_s, call_s = host.draw(rng), rng.exponential(1 / CALLS_PER_S)
            idle_s = min(call_s, gap_s + rng.exponential(LATE_S))
            cold, ours = idle_s > kept_s, idle_s < call_s
            if ours:
                self.gaps.append(gap_s)
                self.intervals.append(self.belief.interval_s)
                self.cold.append(cold)
            else:
                self.hurt += cold and probes
            self.elapsed_s += idle_s
            seen = cold != (rng.random() < MISREADS)
            self.belief = self.belief.after(Find(gap_s=idle_s, cold=seen))
            if ours:
                self.guesses.append(self.belief.median_s)
            gap_s, probes = self.belief.next_gap_s(risk_per_s=CALLS_PER_S)

    def settled_at(self, best_s: float) -> int | None:
        """How many heartbeats it took; None where it never did."""
        good = [0.75 * best_s <= gap <= 1.05 * best_s for gap in self.gaps]
        starts = range(len(good) - WINDOW + 1)
        return next((at for at in starts if sum(good[at : at + WINDOW]) >= 0.9 * WINDOW), None)


def fixed(time_out_s: float, goal: float | None = 25) -> Host:
    return Host(
        name=f"{time_out_s:g} fixed",
        draw=lambda rng: time_out_s,
        time_out_s=time_out_s,
        best_s=time_out_s,
        goal_beats=goal,
    )


def spread(time_out_s: float, sigma: float, goal: float | None = 25) -> Host:
    return Host(
        name=f"log-normal {time_out_s:g}, sigma {sigma:g}",
        draw=lambda rng: time_out_s * exp(sigma * rng.standard_normal()),
        time_out_s=time_out_s,
        best_s=time_out_s * exp(-2.0537 * sigma),
        goal_beats=goal,
    )


MIXED = Host(
    name="20 % at 60, 80 % at 600",
    draw=lambda rng: 60.0 if rng.random() < 0.2 else 600.0,
    time_out_s=60,
    best_s=60,
    goal_beats=40,
)
HOSTS = (
    fixed(60),
    fixed(300),
    fixed(900),
    spread(45, 0.1),
    spread(60, 0.1),
    spread(130, 0.1),
    spread(300, 0.1),
    spread(900, 0.1),
    spread(1200, 0.1),
    spread(300, 0.3, None),
    MIXED,
)
ASKED = (fixed(60), fixed(300), fixed(900), spread(60, 0.1), spread(300, 0.1), MIXED)
"""The hosts on which a policy's goals are asked."""
STEPS = ((300, 60), (300, 150), (900, 300), (60, 300))


@dataclass(frozen=True, slots=True)
class Row:
    goal: str
    measured: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What all runs on one host came to."""

    host: Host
    beats: float  # heartbeats to settle, median
    slow: float  # the same, 90th percentile
    cold: float  # cold heartbeats by then, median
    near: float  # share of runs whose guess is within a tenth after 40 heartbeats
    hurt: float  # customers hurt by probing in a run, mean
    ratio: float  # of the interval once settled to the best one
    saved: float  # share of a cron job's heartbeats

    @property
    def line(self) -> list[str]:
        line = [f"{self.beats:g}", f"{self.slow:g}", f"{self.cold:g}", f"{self.near:.0%}"]
        return [self.host.name, *line, f"{self.hurt:.2f}", f"{self.ratio:.2f}", f"{self.saved:.0%}"]

    @property
    def rows(self) -> list[Row]:
        """The goals that this answers."""
        name, goal = self.host.name, self.host.goal_beats
        rows = []
        if goal is not None:
            rows.append(_at_most(f"{name}: heartbeats to settle, median", self.beats, goal))
        if goal == 25:
            rows.append(_at_most(f"{name}: cold heartbeats by then, median", self.cold, 5))
            rows.append(_at_most(f"{name}: customers hurt by probing, mean", self.hurt, 0.6))
            rows.append(Row(f"{name}: interval / best, >= 0.85", f"{self.ratio:.2f}", self.ratio >= 0.85))
        return rows


def learn(host: Host, runs: int) -> Learned:
    beats, cold, near, hurts, ratio, saved = [], [], [], [], [], []
    for seed in range(runs):
        run = Run(belief=IdleTimeout.unknown())
        run.go_on(host, np.random.default_rng(seed), WATCHED)
        at = run.settled_at(host.best_s)
        beats.append(WATCHED if at is None else at)
        cold.append(sum(run.cold[: beats[-1]]))
        near.append(abs(run.guesses[39] / host.time_out_s - 1) <= 0.1)
        hurts.append(run.hurt)
        ratio.append(fmean(run.intervals[min(beats[-1], WATCHED - WINDOW) :]) / host.best_s)
        saved.append(1 - WATCHED / (run.elapsed_s / 30))
    return Learned(
        host=host,
        beats=median(beats),
        slow=sorted(beats)[int(0.9 * runs)],
        cold=median(cold),
        near=fmean(near),
        hurt=fmean(hurts),
        ratio=fmean(ratio),
        saved=fmean(saved),
    )


def step(before_s: float, after_s: float, runs: int) -> tuple[list[str], Row | None]:
    """How many heartbeats pass until a changed time-out shows in the interval."""
    found = []
    for seed in range(runs):
        run, rng = Run(belief=IdleTimeout.unknown()), np.random.default_rng(seed)
        run.go_on(fixed(before_s), rng, 100)
        run.go_on(fixed(after_s), rng, 30 if after_s < before_s else 300)
        intervals = [*run.intervals[101:], run.belief.interval_s]
        safe = (value <= after_s if after_s < before_s else value >= 0.75 * after_s for value in intervals)
        found.append(next((beat for beat, is_safe in enumerate(safe, 1) if is_safe), len(intervals)))
    line = [f"{before_s} to {after_s}", f"{median(found):g}", f"{max(found)}"]
    goal = f"{before_s} to {after_s} s: heartbeats to notice, most"
    return line, _at_most(goal, max(found), 12) if (before_s, after_s) == (300, 60) else None


def year(host: Host) -> tuple[list[str], Row]:
    """A year of twelve-hour days without a change."""
    run, rng = Run(belief=IdleTimeout.unknown()), np.random.default_rng(0)
    while run.elapsed_s < YEAR_S:
        run.go_on(host, rng, 1000)
    low = [value < 0.6 * host.best_s for value in run.intervals[WATCHED:]]
    alarms = sum(now and not before for before, now in pairwise(low))
    probes = sum(gap > value for gap, value in zip(run.gaps, run.intervals, strict=True))
    line = [host.name, f"{len(run.gaps)}", f"{probes}", f"{run.hurt}", f"{alarms}"]
    return line, Row(f"{host.name}: false alarms in a year, < 1", f"{alarms}", alarms < 1)


def _at_most(goal: str, value: float, bound: float) -> Row:
    return Row(f"{goal}, <= {bound:g}", f"{value:.3g}", value <= bound)


def _table(header: list[str], lines: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    for line in (header, *lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="runs a host (default 200)")
    parser.add_argument("--no-year", action="store_true", help="leave out the year of false alarms")
    options = parser.parse_args()
    began, rows, lines = time.perf_counter(), [], []
    for host in HOSTS:
        learned = learn(host, options.runs)
        lines.append(learned.line)
        rows += learned.rows
    _table(["idle time-out", "beats", "p90", "cold", "near at 40", "hurt", "interval/best", "saved"], lines)
    lines = []
    for before_s, after_s in STEPS:
        line, row = step(before_s, after_s, max(options.runs // 4, 10))
        lines.append(line)
        rows += [row] if row else []
    _table(["step", "beats to notice", "most"], lines)
    if not options.no_year:
        line, row = year(spread(300, 0.1))
        _table(["a year", "heartbeats", "probes", "hurt", "false alarms"], [line])
        rows.append(row)
    _table(["goal", "measured", "holds"], [[row.goal, row.measured, "yes" if row.holds else "NO"] for row in rows])
    print(f"{time.perf_counter() - began:.0f} s")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())

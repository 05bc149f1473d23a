"""What could have been done by who knew the future: bounds to compare policies with, none that can be run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from warmer.core.backtest import stops
from warmer.core.backtest.learned_stop import NEVER
from warmer.core.backtest.policies import Settings, stopped
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.simulate import simulate
from warmer.core.backtest.trace import SECOND, Arrivals, Times, microseconds
from warmer.core.backtest.world import Chance, World

LONGEST_STOP = 4096
"""The longest fixed stop that is tried, besides never stopping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Foresight:
    """Each gap is either kept warm with as few heartbeats as can be, each at the last instant, or let go at once."""

    world: World
    worth: float

    def beats(self, length: Times) -> Times:
        """As many as a gap needs, if that is no more than a cold start is worth. The last one has no end: none."""
        needed = np.maximum(0, -((self.world.idle_timeout - length) // self._each))
        needed[-1] = 0
        return np.where(needed <= self.worth, needed, 0)

    def last_end(self, beats: Times) -> Times:
        """One time-out and one run for each."""
        return beats * self._each

    @property
    def _each(self) -> int:
        return self.world.idle_timeout + self.world.beat


class Clairvoyant:
    """The same step by step, for traces on which the closed form takes too many rounds."""

    def __init__(self, arrivals: Arrivals, world: World, *, worth: float) -> None:
        self._requests = iter([*arrivals.at.tolist(), None])
        self._next: int | None = next(self._requests)
        self._timeout, self._each, self._worth = world.idle_timeout, world.idle_timeout + world.beat, worth
        self._beats = 0

    def seen(self, at_s: float) -> None:
        """The next gap, whose end is known."""
        self._next = next(self._requests)
        self._beats = 0

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        """The last instant at which the instance is up, in gaps that are worth it."""
        if self._next is None or last_activity_s is None:
            return inf
        idle = microseconds(last_activity_s)
        needed = max(0, -((self._timeout - (self._next - idle)) // self._each))
        if needed == 0 or self._beats + needed > self._worth:
            return inf
        return (idle + self._timeout) / SECOND

    def send(self, now_s: float, *, warm: bool) -> bool:
        """Each look is for a heartbeat."""
        return True

    def sent(self, now_s: float) -> None:
        """One more in this gap."""
        self._beats += 1


def keep_only(arrivals: Arrivals, end: int, world: World, settings: Settings) -> Replay:
    """The cheapest way to keep warm or let go, gap by gap, for who knows how long each gap is.

    A gap costs min(ceil((gap - T) / (T + run of a heartbeat)), what a cold start is worth): the least there can be
    without pre-warming. Heartbeats are never late.
    """
    if not len(arrivals):
        return stopped(arrivals, end, world, settings, 0)
    chance, each = Chance.of(world, arrivals.model), world.idle_timeout + world.beat
    settled = stops.settle(arrivals, end, _Foresight(world=world, worth=settings.cold_start_worth), world, chance)
    if settled is None:
        decider = Clairvoyant(arrivals, world, worth=settings.cold_start_worth)
        return simulate(arrivals, end, decider, replace(world, late_mean=0), interval=world.idle_timeout)
    number = np.arange(settled.beats.sum()) - np.repeat(np.cumsum(settled.beats) - settled.beats, settled.beats)
    sent = np.repeat(settled.begins, settled.beats) + world.idle_timeout + number * each
    return stops.outcome(arrivals, end, settled, sent, world, chance)


def best_fixed_stop(arrivals: Arrivals, end: int, world: World, settings: Settings) -> Replay:
    """What the one stopping point, of 0 … 4,096 and never, that costs least on this very traffic would have done."""
    return stopped(arrivals, end, world, settings, best_stopping_point(arrivals, end, world, settings))


def best_stopping_point(arrivals: Arrivals, end: int, world: World, settings: Settings) -> int:
    """Which it is. What each gap needs is read from a replay that never stops; every point is a sum over that."""
    sent = stopped(arrivals, end, world, settings, NEVER).sent
    beats = np.bincount(np.searchsorted(arrivals.at, sent, side="right") - 1, minlength=len(arrivals))
    closed, last = beats[:-1], np.append(sent, 0)[np.cumsum(beats)[:-1] - 1]
    # Its last heartbeat may have been one more than it took: the instance outlives the interval.
    in_vain = (closed > 0) & (arrivals.at[1:] <= last - settings.interval + world.idle_timeout)
    points = LONGEST_STOP + 1
    counted = np.cumsum(_more_than(beats, points))
    heartbeats = np.append(0, counted[:-1])
    cost = heartbeats + settings.cold_start_worth * _more_than(closed - in_vain, points)
    best = int(np.argmin(cost))
    return best if cost[best] <= beats.sum() else NEVER


def _more_than(values: Times, points: int) -> Times:
    """For each of 0 … points - 1, how many values are greater."""
    return len(values) - np.cumsum(np.bincount(np.minimum(values, points), minlength=points)[:points])

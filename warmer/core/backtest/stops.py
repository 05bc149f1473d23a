"""Policies that keep warm for a while after each request and then let go, without a loop over events.

A heartbeat goes out whenever the interval has passed since the last activity, until the gap has had as many as its
limit. Where no heartbeat can find the instance gone, what happens in a gap depends on nothing but when its activity
ended. Only that end hangs on the gap before: a boot or a late heartbeat puts it off. So all gaps are worked out at
once as if nothing were put off, then again with what that led to, until nothing changes: a few rounds, since most gaps
are far from any edge. The first gaps are right after as many rounds, hence what it settles on is what the loop finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import Arrivals, Times
from warmer.core.backtest.world import Chance, World, places

_ROUNDS = 100
"""Past this a trace has a chain of near misses that a loop follows faster."""


def holds(world: World, chance: Chance, interval: int) -> bool:
    """Whether no heartbeat sent in time can find the instance gone."""
    return interval + chance.longest_delay <= world.idle_timeout


class Gaps(Protocol):
    """What is sent in gaps: the one thing in which these policies differ."""

    def beats(self, length: Times) -> Times:
        """How many heartbeats go out in each gap, given how long it is from the end of its last activity."""

    def last_end(self, beats: Times) -> Times:
        """How long after the gap's beginning the last of that many heartbeats is back; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settled:
    """All gaps of one model. Gap number i is the one after request i; the last one ends with the trace."""

    begins: Times  # end of the last activity before anything is sent
    beats: Times
    idle: Times  # end of the last activity before the next request
    boots: NDArray[np.bool_]  # for each request: whether it found no instance
    ready: Times  # for each request: when the latest instance came up


def settle(arrivals: Arrivals, end: int, gaps: Gaps, world: World, chance: Chance) -> Settled | None:
    """What happens in each gap. None where it does not settle in a few rounds. `arrivals` must not be empty."""
    at = arrivals.at
    until = np.append(at[1:], end)
    would_be_ready = at + chance.boots[places(np.arange(len(at)), 0)]
    boots = np.ones(len(at), dtype=np.bool_)
    boots[1:] = at[1:] > at[:-1] + world.run + world.idle_timeout
    begins = at + world.run
    put_off = np.zeros(len(at), dtype=np.int64)  # by a heartbeat that was out when the request came
    for _ in range(_ROUNDS):
        ready = np.maximum.accumulate(np.where(boots, would_be_ready, 0))
        now_begins = np.maximum.accumulate(np.maximum(np.maximum(at, ready) + world.run, put_off))
        beats = gaps.beats(until - now_begins)
        idle = now_begins + gaps.last_end(beats)
        now_boots = np.append(True, at[1:] > idle[:-1] + world.idle_timeout)
        now_put_off = np.append(0, np.where(beats > 0, idle, 0)[:-1])
        before, now = (boots, begins, put_off), (now_boots, now_begins, now_put_off)
        settled = all(np.array_equal(old, new) for old, new in zip(before, now, strict=True))
        boots, begins, put_off = now_boots, now_begins, now_put_off
        if settled:
            return Settled(begins=begins, beats=beats, idle=idle, boots=boots, ready=ready)
    return None


def replay(arrivals: Arrivals, end: int, most: Times | int, world: World, *, interval: int) -> Replay | None:
    """`arrivals` with at most `most` heartbeats in each gap, or in every one alike.

    The same, decision by decision, as the event loop under `deciders.Stop`. None where the closed form does not hold.
    """
    chance = Chance.of(world, arrivals.model)
    if not len(arrivals) or not holds(world, chance, interval):
        return None
    gaps = Ladder.of(arrivals, end, most, world, chance, interval)
    settled = settle(arrivals, end, gaps, world, chance)
    if settled is None:
        return None
    return outcome(arrivals, end, settled, gaps.sent(settled), world, chance)


def outcome(arrivals: Arrivals, end: int, settled: Settled, sent: Times, world: World, chance: Chance) -> Replay:
    """What the requests met in `settled` gaps."""
    at, boots = arrivals.at, settled.boots
    cold = boots | (at < settled.ready)
    gone = settled.idle[:-1][boots[1:]] + world.idle_timeout
    last = min(int(settled.idle[-1]) + world.idle_timeout, end)
    return Replay(
        cold=cold,
        waits=(settled.ready - at)[cold],
        sent=sent,
        boots=int(chance.boots[places(np.flatnonzero(boots), 0)].sum()),
        online=int(gone.sum()) + last - int(at[boots].sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladder:
    """The heartbeats that each gap has room for, one rung each, as offsets from the gap's beginning.

    A rung's place within its gap does not depend on when the gap begins: only how many fit does.
    """

    soonest: Times  # for each gap: when it begins if nothing is put off
    first: Times  # for each gap: index of its first rung; one more for the end
    sent_after: Times  # for each rung: when it is sent, after the gap's beginning
    back_after: Times  # for each rung: when it is back
    _sent_soonest: Times  # for each rung: when it is sent if nothing is put off; in order over all gaps

    @classmethod
    def of(cls, arrivals: Arrivals, end: int, most: Times | int, world: World, chance: Chance, interval: int) -> Ladder:
        """All rungs up to `most` in each gap that there is time for."""
        soonest = arrivals.at + world.run
        until = np.append(arrivals.at[1:], end)
        # Delays are left out: there can be no more than that.
        room = np.minimum(most, np.maximum(0, (until - soonest + world.beat - 1) // (interval + world.beat)))
        first = np.append(0, np.cumsum(room))
        gap = np.repeat(np.arange(len(room)), room)
        number = np.arange(first[-1]) - first[gap]  # from 0 in each gap
        delays = chance.delays[places(gap + 1, number + 1)]
        before = np.append(0, np.cumsum(delays))
        sent_after = (number + 1) * interval + number * world.beat + before[:-1] - before[first[gap]]
        sent_soonest = soonest[gap] + sent_after
        fits = sent_soonest < until[gap]
        return cls(
            soonest=soonest,
            first=np.append(0, np.cumsum(np.bincount(gap[fits], minlength=len(room)))),
            sent_after=sent_after[fits],
            back_after=(sent_after + delays + world.beat)[fits],
            _sent_soonest=sent_soonest[fits],
        )

    def beats(self, length: Times) -> Times:
        """How many are sent before a gap of that length is over."""
        beats: Times = np.searchsorted(self._sent_soonest, self.soonest + length) - self.first[:-1]
        return np.maximum(0, beats)

    def last_end(self, beats: Times) -> Times:
        """When the last of that many is back."""
        return np.where(beats > 0, np.append(self.back_after, 0)[self.first[:-1] + beats - 1], 0)

    def sent(self, settled: Settled) -> Times:
        """When each heartbeat is sent."""
        gap = np.repeat(np.arange(len(self.soonest)), np.diff(self.first))
        goes = np.arange(len(gap)) - self.first[gap] < settled.beats[gap]
        return (settled.begins[gap] + self.sent_after)[goes]

"""Heartbeats that follow the clock alone, without a loop over events: a cron job, and `fixed`.

When they are sent does not hang on the traffic, so requests and heartbeats are one stream of activities, in which only
the boots must be found: all at once, then again with what they put off, until nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import DAY, HOUR, Arrivals, Times
from warmer.core.backtest.world import Chance, World, places

_ROUNDS = 100
"""Past this a trace has a chain of near misses that a loop follows faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A heartbeat every so often from midnight, in some hours of each day, whatever becomes of the last one."""

    every: int  # microseconds
    opens: int = 0  # hour of the day
    closes: int = 24  # end excluded

    def __post_init__(self) -> None:
        if self.every <= 0 or not 0 <= self.opens < self.closes <= 24:
            raise ValueError("a cron job needs an interval above 0 and hours within a day, such as 08-20")

    def times(self, end: int) -> Times:
        """Its heartbeats before `end`."""
        if (self.opens, self.closes) == (0, 24):
            return np.arange(0, end, self.every, dtype=np.int64)
        day = np.arange(self.opens * HOUR, self.closes * HOUR, self.every, dtype=np.int64)
        all_days = (np.arange(0, end, DAY, dtype=np.int64)[:, np.newaxis] + day).ravel()
        return all_days[all_days < end]


def cron(arrivals: Arrivals, end: int, job: Cron, world: World) -> Replay:
    """`arrivals` under a cron job."""
    return _merge(arrivals, job.times(end), world, end)[0]


def fixed(arrivals: Arrivals, end: int, world: World, *, interval: int) -> Replay | None:
    """`arrivals` under `fixed`: the same, decision by decision, as the event loop under `deciders.Fixed`.

    None where a heartbeat is still out when the next is due, so that the clock alone does not tell when it is sent.
    """
    sent = np.arange(0, end, interval, dtype=np.int64)
    replay, back = _merge(arrivals, sent, world, end)
    return None if np.any(back[:-1] > sent[1:]) else replay


def _merge(arrivals: Arrivals, sent: Times, world: World, end: int) -> tuple[Replay, Times]:
    """The replay of requests and heartbeats together, and when each heartbeat is back."""
    chance, at = Chance.of(world, arrivals.model), arrivals.at
    gap = np.searchsorted(at, sent, side="right")  # on one instant, the request is first
    number = np.arange(len(sent)) - np.searchsorted(gap, gap) + 1
    where = places(gap, number)
    touches = sent + chance.delays[where]
    order = np.argsort(np.concatenate((at, touches)), kind="stable")
    is_request = order < len(at)
    touch = np.concatenate((at, touches))[order]
    run = np.where(is_request, world.run, world.beat)
    boot = chance.boots[np.concatenate((places(np.arange(len(at)), 0), where))[order]]
    boots = _boots(touch, run, boot, world.idle_timeout)
    ready = np.maximum.accumulate(np.where(boots, touch + boot, 0))
    ends = np.maximum(touch, ready) + run
    idle = np.maximum.accumulate(ends)
    cold = (boots | (touch < ready))[is_request]
    gone = np.append(idle[:-1][boots[1:]], idle[-1:]) + world.idle_timeout
    back = np.empty_like(sent)
    back[order[~is_request] - len(at)] = ends[~is_request]
    replay = Replay(
        cold=cold,
        waits=(ready - touch)[is_request][cold],
        sent=sent,
        boots=int(boot[boots].sum()),
        online=int(np.minimum(gone, end).sum() - np.minimum(touch[boots], end).sum()),
    )
    return replay, back


def _boots(touch: Times, run: Times, boot: Times, idle_timeout: int) -> NDArray[np.bool_]:
    """Which activities find no instance, given when each comes, how long it runs and how long it would boot."""
    boots = np.append(True, touch[1:] > touch[:-1] + run[:-1] + idle_timeout)[: len(touch)]
    for _ in range(_ROUNDS):
        ready = np.maximum.accumulate(np.where(boots, touch + boot, 0))
        idle = np.maximum.accumulate(np.maximum(touch, ready) + run)
        before, boots = boots, np.append(True, touch[1:] > idle[:-1] + idle_timeout)[: len(touch)]
        if np.array_equal(boots, before):
            return boots
    return _boots_in_turn(touch, run, boot, idle_timeout)


def _boots_in_turn(touch: Times, run: Times, boot: Times, idle_timeout: int) -> NDArray[np.bool_]:
    boots = np.zeros(len(touch), dtype=np.bool_)
    ready, gone = 0, -1
    for index, (at, runs, boot_time) in enumerate(zip(touch.tolist(), run.tolist(), boot.tolist(), strict=True)):
        if at > gone:
            boots[index] = True
            ready = at + boot_time
        gone = max(gone, max(at, ready) + runs + idle_timeout)
    return boots

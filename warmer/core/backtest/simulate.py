"""The event loop: one model's traffic under any decider, step by step in virtual time."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from heapq import heappop, heappush, heapreplace
from math import inf

import numpy as np

from warmer.core.backtest.decider import Decider, Learner
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import SECOND, Arrivals
from warmer.core.backtest.world import Chance, World, place

_NEVER = 1 << 62
Walk = Generator[int, None, Replay]
"""A simulation under way. It says what moment comes next, and lives it when it is asked again."""


def simulate(arrivals: Arrivals, end: int, decider: Decider, world: World, *, interval: int) -> Replay:
    """`arrivals` up to `end` under `decider`; `interval` is how long an instance is known to stay up.

    Where a request and a look fall on one instant the request is first. Raises ValueError where the decider's answers
    would keep time from passing.
    """
    steps = walk(arrivals, end, decider, world, interval=interval)
    while True:
        try:
            next(steps)
        except StopIteration as over:
            replay: Replay = over.value
            return replay


def side_by_side(walks: Iterable[Walk]) -> list[Replay]:
    """Several models through the same time, moment by moment, for deciders that share what they learn.

    On one instant the first of them is first.
    """
    replays: dict[int, Replay] = {}
    running = [(-1, index, steps) for index, steps in enumerate(walks)]
    while running:
        _, index, steps = running[0]
        try:
            heapreplace(running, (next(steps), index, steps))
        except StopIteration as over:
            heappop(running)
            replays[index] = over.value
    return [replays[index] for index in sorted(replays)]


def walk(arrivals: Arrivals, end: int, decider: Decider, world: World, *, interval: int) -> Walk:
    """What `simulate` does, step by step."""
    chance = Chance.of(world, arrivals.model)
    instance = _Instance(world, chance, end)
    serve, delays, beat, run = instance.serve, chance.delays.tolist(), world.beat, world.run
    seen, next_look, send, sent = decider.seen, decider.next_look, decider.send, decider.sent
    finds = _Finds(decider) if isinstance(decider, Learner) else None
    cold: list[int] = []
    waits: list[int] = []
    beats: list[int] = []

    def ask(now: int, since: int) -> int:
        """When to look next, asked at `now`; `since` or later."""
        if finds is not None:
            finds.tell(now)
        idle = instance.idle_since
        look_s = next_look(now / SECOND, None if idle is None else idle / SECOND)
        if look_s == inf:
            return _NEVER
        at = round(look_s * SECOND)
        if at < since:
            raise ValueError(f"the policy asks to look at {look_s} s, when it is {now / SECOND} s already")
        return at

    requests = len(arrivals)
    free = 0  # when the last heartbeat was back
    reaches, where = _NEVER, 0  # when the heartbeat that is out reaches the instance, and the place of its draws
    look = ask(0, 0)
    for gap, request in enumerate([*arrivals.at.tolist(), end]):
        number = 0  # of heartbeats in this gap
        while True:
            if look < request:
                yield look
                if finds is not None:
                    finds.tell(look)
                now_s, idle = look / SECOND, instance.idle_since
                if not send(now_s, warm=idle is not None and look <= idle + interval):
                    look = ask(look, look + 1)
                    continue
                sent(now_s)
                beats.append(look)
                number += 1
                where = place(gap, number)
                reaches, look = look + delays[where], _NEVER
            if reaches >= request:
                break
            idle, starts = instance.idle_since, serve(reaches, beat, where)
            free = starts + beat
            if finds is not None:
                finds.note(reaches, idle, starts, free, cold=starts > reaches or instance.booted)
            reaches = _NEVER
            look = ask(free, free)
        if gap == requests:
            break
        yield request
        idle, starts = instance.idle_since, serve(request, run, place(gap, 0))
        is_cold = starts > request or instance.booted
        if is_cold:
            cold.append(gap)
            waits.append(starts - request)
        if finds is not None:
            finds.note(request, idle, starts, starts + run, cold=is_cold)
        seen(request / SECOND)
        if reaches == _NEVER:
            now = request if request > free else free
            look = ask(now, now)
    if reaches != _NEVER:
        serve(reaches, beat, where)
    was_cold = np.zeros(len(arrivals), dtype=np.bool_)
    was_cold[cold] = True
    return Replay(
        cold=was_cold,
        waits=np.array(waits, dtype=np.int64),
        sent=np.array(beats, dtype=np.int64),
        boots=instance.boots,
        online=instance.online,
    )


class _Finds:
    """What requests and heartbeats met, held back until each has ended."""

    __slots__ = ("_found", "_noted", "_open")

    def __init__(self, learner: Learner) -> None:
        self._found = learner.found
        self._open: list[tuple[int, int, float | None, bool, float]] = []
        self._noted = 0

    def note(self, at: int, idle: int | None, starts: int, ends: int, *, cold: bool) -> None:
        """An activity came at `at`, when the last one before it had ended at `idle`."""
        gap_s = None if idle is None else max(0, at - idle) / SECOND
        self._noted += 1
        heappush(self._open, (ends, self._noted, gap_s, cold, (starts - at) / SECOND))

    def tell(self, now: int) -> None:
        """Pass on what has ended by `now`."""
        while self._open and self._open[0][0] <= now:
            ends, _, gap_s, cold, wait_s = heappop(self._open)
            self._found(ends / SECOND, gap_s, cold=cold, wait_s=wait_s)


class _Instance:
    """The one instance of a model, from activity to activity in the order of time."""

    __slots__ = ("_boot_draws", "_end", "_on", "_past", "_ready", "_timeout", "booted", "boots", "idle_since")

    def __init__(self, world: World, chance: Chance, end: int) -> None:
        self._timeout, self._boot_draws, self._end = world.idle_timeout, chance.boots, end
        self._on = self._ready = 0  # when the instance was last booted, and came up
        self._past = 0  # time online in the stays that are over
        self.booted = False  # for the last activity
        self.boots = 0
        self.idle_since: int | None = None  # end of the last activity

    def serve(self, at: int, run: int, where: int) -> int:
        """An activity that begins at `at` and runs for `run`. Returns when it starts to; `where` its draws stand."""
        idle = self.idle_since
        self.booted = idle is None or at > idle + self._timeout
        if self.booted:
            self._past = self.online
            boot = int(self._boot_draws[where])
            self.boots += boot
            self._on, self._ready = at, at + boot
        starts = at if at > self._ready else self._ready
        if idle is None or starts + run > idle:
            self.idle_since = starts + run
        return starts

    @property
    def online(self) -> int:
        """Time up or booting until the trace's end."""
        if self.idle_since is None:
            return 0
        return self._past + min(self.idle_since + self._timeout, self._end) - min(self._on, self._end)

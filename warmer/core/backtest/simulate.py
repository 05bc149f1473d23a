"""The event loop: one model's traffic under any decider, step by step in virtual time."""

from __future__ import annotations

from math import inf

import numpy as np

from warmer.core.backtest.decider import Decider
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import SECOND, Arrivals
from warmer.core.backtest.world import Chance, World, place

_NEVER = 1 << 62


def simulate(arrivals: Arrivals, end: int, decider: Decider, world: World, *, interval: int) -> Replay:
    """`arrivals` up to `end` under `decider`; `interval` is how long an instance is known to stay up.

    Where a request and a look fall on one instant the request is first. Raises ValueError where the decider's answers
    would keep time from passing.
    """
    chance = Chance.of(world, arrivals.model)
    instance = _Instance(world, chance, end)
    serve, delays, beat, run = instance.serve, chance.delays.tolist(), world.beat, world.run
    seen, next_look, send, sent = decider.seen, decider.next_look, decider.send, decider.sent
    cold: list[int] = []
    waits: list[int] = []
    beats: list[int] = []

    def ask(now: int, since: int) -> int:
        """When to look next, asked at `now`; `since` or later."""
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
            free = serve(reaches, beat, where) + beat
            reaches = _NEVER
            look = ask(free, free)
        if gap == requests:
            break
        starts = serve(request, run, place(gap, 0))
        if starts > request or instance.booted:
            cold.append(gap)
            waits.append(starts - request)
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

"""An instance that a floor holds up in windows: always there inside them, and booted by calls as ever outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import Arrivals
from warmer.core.backtest.world import Chance, World, place

Window = tuple[int, int]
"""When a floor is raised and put back, in microseconds of the trace."""


def held(arrivals: Arrivals, end: int, windows: Sequence[Window], world: World) -> Replay:
    """`arrivals` up to `end` with one instance held up in `windows`, in order and apart from one another.

    A floor that is put back lets go of an instance that nobody has used for the idle time-out, and of any other as
    soon as that has passed.
    """
    floor = _Floor(arrivals, end, windows, world)
    waits = [floor.serve(number, at) for number, at in enumerate(arrivals.at.tolist())]
    floor.pass_by(end)
    cold = np.array(waits, dtype=np.int64) > 0
    return Replay(
        cold=cold,
        waits=np.array(waits, dtype=np.int64)[cold],
        sent=np.array([], dtype=np.int64),
        boots=floor.boots,
        online=floor.online,
    )


class _Floor:
    """The one instance, from one call to the next."""

    def __init__(self, arrivals: Arrivals, end: int, windows: Sequence[Window], world: World) -> None:
        self._draws = Chance.of(world, arrivals.model).boots
        self._world, self._end = world, end
        self._windows = [window for window in windows if window[0] < end]
        self._next = 0  # of the windows
        self._on = self._ready = 0  # when the instance was last booted, and came up
        self._until = -1  # when it goes unless somebody uses it; nothing is up after that
        self._past = 0  # time online in the stays that are over
        self.boots = 0

    def serve(self, number: int, at: int) -> int:
        """Call `number` comes at `at`. Returns how long it waits."""
        self.pass_by(at)
        if at > self._until:
            self._boot(at, place(number, 0))
        starts = max(at, self._ready)
        self._until = max(self._until, starts + self._world.run + self._world.idle_timeout)
        return starts - at

    def pass_by(self, at: int) -> None:
        """Raise the floors that are due by `at`."""
        while self._next < len(self._windows) and self._windows[self._next][0] <= at:
            raised, put_back = self._windows[self._next]
            self._next += 1
            if raised > self._until:
                self._boot(raised, place(self._next, 1))
            self._until = max(self._until, put_back)

    def _boot(self, at: int, where: int) -> None:
        self._past = self.online
        boot = int(self._draws[where])
        self.boots += boot
        self._on, self._ready = at, at + boot
        self._until = self._ready + self._world.idle_timeout

    @property
    def online(self) -> int:
        """Time up or booting until the trace's end."""
        return self._past + max(0, min(self._until, self._end) - self._on)

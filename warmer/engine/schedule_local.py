"""The daemon's timers on APScheduler: one date job a model, re-armed by each decision."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from warmer.core.health import Member

_LOOK_S = 5.0
"""Between two looks at the wall clock."""
_STEP_S = 0.5
"""A difference between two looks that is no drift: somebody set the clock."""


class LocalSchedule:
    """Implements the `Schedule` port inside one process."""

    is_shared = False
    members: tuple[Member, ...] = ()

    def __init__(self, on_due: Callable[[str], object], *, speed: float = 1.0) -> None:
        self._on_due, self._speed = on_due, speed
        self._due = dict[str, float]()  # when each is to be called, by the loop's clock
        self._ahead_s = 0.0  # of the wall clock before the loop's
        self._look: asyncio.TimerHandle | None = None
        self._timers = AsyncIOScheduler(
            timezone=UTC,
            # By default a job that is one second late is dropped, and one that is due again while its last call is
            # about to return: a busy moment would lose a beat, and the model with it.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1_000_000},
        )

    def start(self) -> None:
        """Begin to call; needs the running loop."""
        self._timers.start()
        self._ahead_s = _ahead_s()
        self._look_soon()

    def arm(self, name: str, delay_s: float) -> None:
        """Call for `name` once, `delay_s` from now; replaces what was armed for it."""
        self._due[name] = asyncio.get_running_loop().time() + max(0.0, delay_s) / self._speed
        self._put(name)

    def disarm(self, name: str) -> None:
        """Forget `name`; harmless where nothing is armed."""
        self._due.pop(name, None)
        if self._timers.get_job(name) is not None:
            self._timers.remove_job(name)

    def stop(self) -> None:
        """No more calls. What was called for goes on: it does not run inside the scheduler."""
        if self._look is not None:
            self._look.cancel()
        self._timers.shutdown(wait=False)

    async def alone(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`: there is no other process."""
        await work()

    def heed(self, hear: Callable[[str], None]) -> None:
        """Nobody else speaks."""

    async def say(self, word: str) -> None:
        """Nobody else hears."""

    async def close(self) -> None:
        """Nothing is behind it."""

    async def _call(self, name: str) -> None:
        self._due.pop(name, None)
        self._on_due(name)

    def _put(self, name: str) -> None:
        # APScheduler reads the wall clock by itself: given a delay, it cannot differ from the caller's.
        left_s = self._due[name] - asyncio.get_running_loop().time()
        at = datetime.now(UTC) + timedelta(seconds=max(0.0, left_s))
        self._timers.add_job(self._call, "date", run_date=at, args=[name], id=name, replace_existing=True)

    def _look_soon(self) -> None:
        self._look = asyncio.get_running_loop().call_later(_LOOK_S, self._look_at_clock)

    def _look_at_clock(self) -> None:
        """Put every job where it was meant to be, if the clock that APScheduler goes by was set meanwhile."""
        ahead_s = _ahead_s()
        if abs(ahead_s - self._ahead_s) > _STEP_S:
            for name in self._due:
                self._put(name)
        self._ahead_s = ahead_s
        self._look_soon()


def _ahead_s() -> float:
    return datetime.now(UTC).timestamp() - asyncio.get_running_loop().time()

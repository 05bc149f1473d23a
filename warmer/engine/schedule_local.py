"""The daemon's timers on APScheduler: one date job a model, re-armed by each decision."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler


class LocalSchedule:
    """Implements the `Schedule` port inside one process."""

    def __init__(self, on_due: Callable[[str], None], *, speed: float = 1.0) -> None:
        self._on_due, self._speed = on_due, speed
        self._timers = AsyncIOScheduler(
            timezone=UTC,
            # By default a job that is one second late is dropped in silence: a busy moment would lose a beat.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        """Begin to call; needs the running loop."""
        self._timers.start()

    def arm(self, name: str, delay_s: float) -> None:
        """Call for `name` once, `delay_s` from now; replaces what was armed for it."""
        # APScheduler reads the wall clock by itself: given a delay, it cannot differ from the caller's.
        at = datetime.now(UTC) + timedelta(seconds=max(0.0, delay_s) / self._speed)
        self._timers.add_job(self._call, "date", run_date=at, args=[name], id=name, replace_existing=True)

    def disarm(self, name: str) -> None:
        """Forget `name`; harmless where nothing is armed."""
        if self._timers.get_job(name) is not None:
            self._timers.remove_job(name)

    def stop(self) -> None:
        """No more calls. What was called for goes on: it does not run inside the scheduler."""
        self._timers.shutdown(wait=False)

    async def _call(self, name: str) -> None:
        self._on_due(name)

"""The clocks that a running warmer reads. Nothing else calls `datetime.now`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """The wall clock, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed point, unmoved by a change of the wall clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return `seconds` later."""
        await asyncio.sleep(max(0.0, seconds))


class FastClock:
    """A clock that starts at `origin` and runs `speed` times as fast as the machine's: an hour within a minute."""

    def __init__(self, origin: datetime, speed: float) -> None:
        if speed <= 0:
            raise ValueError("speed must be above 0")
        self._origin, self._speed, self._start = origin, speed, time.monotonic()

    def now(self) -> datetime:
        """`origin` plus the time that has passed on this clock."""
        return self._origin + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Seconds of this clock since it was made."""
        return (time.monotonic() - self._start) * self._speed

    async def sleep(self, seconds: float) -> None:
        """Return `seconds` of this clock later."""
        await asyncio.sleep(max(0.0, seconds) / self._speed)

"""Knows the provider's time again soon after somebody set ours."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from warmer.errors import ModelRefused, ProviderError
from warmer.ports import Clock, Provider

_FUTURE = timedelta(seconds=5)
"""Activity further ahead than this means that our clock was set back, be it before we were started."""
STEP_S = 2.0
"""Wall and monotonic clock part by more than this when one is set, or stands still while the machine sleeps. They also
drift apart, by 2 s in an hour at the worst (adjtime(2) slews by 500 ppm), which is then looked at too."""
_FAILED_FOR_S = 5.0
"""For so long one failure is everybody's: a machine that wakes up has no network yet, and many models to decide on."""


def ahead_s(clock: Clock) -> float:
    """How far the wall clock is ahead of the monotonic one. Only a change of it means something."""
    return clock.now().timestamp() - clock.monotonic()


class HostTime:
    """Asks for the provider's time where its skew to our clock cannot be what it was at the last reply."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._provider, self._clock = provider, clock
        self._turn = asyncio.Lock()
        self._ahead_s = ahead_s(clock)
        self._failure: tuple[float, ProviderError] | None = None  # and when, by the monotonic clock

    async def make_sure(self, newest: datetime | None) -> None:
        """Return once the skew `holds`.

        Raises what the provider says instead. One asks; whoever else waits here has the answer, or the error, too.
        """
        if self.holds(newest):
            return
        async with self._turn:
            if self.holds(newest):
                return
            if self._failure is not None and self._clock.monotonic() - self._failure[0] < _FAILED_FOR_S:
                raise self._failure[1]
            ahead = ahead_s(self._clock)
            try:
                await self._provider.verify()  # any reply tells the provider's time
            except ModelRefused:
                pass  # this one too: a token need not be allowed to see the account
            except ProviderError as exc:
                self._failure = self._clock.monotonic(), exc
                raise
            self._ahead_s, self._failure = ahead, None

    def holds(self, newest: datetime | None) -> bool:
        """Whether the skew can be trusted. `newest`: the latest stamp of the provider's that is to be read by it."""
        if newest is None:  # there is nothing to read
            return True
        is_set = abs(ahead_s(self._clock) - self._ahead_s) > STEP_S
        return not is_set and newest - self._provider.skew <= self._clock.now() + _FUTURE

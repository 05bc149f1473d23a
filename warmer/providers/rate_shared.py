"""The account's rate budget where many processes draw on it: one pace, kept in a note of their ledger."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TypeVar

from warmer.errors import LedgerError
from warmer.ports import Clock, Notes
from warmer.providers.rate import Limit, Pace

T = TypeVar("T")

_JITTER_S = 0.01
"""All who wait, wait for the same moment: without it the same process could be first every time."""
_LOOK_AGAIN_S = 5.0
"""Longest wait before the pace is looked at again: another process may have learned a better one meanwhile."""


class SharedRate:
    """As `RateBudget`, over all processes, by the one clock of all.

    Where the note cannot be read, this process keeps to the pace as it was when last seen: no beat is sent then anyway,
    since none can be claimed, but those that are out have to be followed.
    """

    def __init__(
        self,
        clock: Clock,
        notes: Notes,
        name: str,
        per_minute: float,
        *,
        careful: bool = False,
        batch: int = 1,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`name`: of the note. `batch`: how many requests are taken at once, where to ask for each would cost more."""
        self._clock, self._notes, self._name, self._batch = clock, notes, name, batch
        self._pace = Pace(per_minute=per_minute, careful=careful)  # as last seen
        self._ahead_s = 0.0  # of the clock of all before our own
        self._jitter = jitter
        self._left = 0  # taken, and not used yet
        self._turn = asyncio.Lock()

    @property
    def held(self) -> timedelta:
        """How long the provider still wants nothing to be sent, as far as this process knows."""
        return timedelta(seconds=max(0.0, self._pace.held_until - self._now()))

    async def admit(self) -> None:
        """Return when one more request may be sent by any of the processes."""
        async with self._turn:
            while self._left <= 0 and (delay := await self._change(self._take)):
                await self._clock.sleep(min(delay, _LOOK_AGAIN_S) + self._jitter() * _JITTER_S)
            self._left -= 1

    def sent(self) -> float:
        """When a request goes out that goes out now, by the clock of all; for `refused`."""
        return self._now()

    async def accepted(self) -> None:
        """A request was not refused for its pace."""
        if self._pace.is_growing:
            await self._change(lambda pace, now: pace.accepted())

    async def refused(self, sent_at: float, wait: timedelta, stated: Limit | None = None) -> None:
        """The request of `sent_at` was one too many: all wait that long, and go on more slowly, or as `stated`."""
        self._left = 0
        await self._change(lambda pace, now: pace.refused(now, sent_at, wait.total_seconds(), stated))

    def _take(self, pace: Pace, now: float) -> float:
        delay = pace.take(now, self._batch)
        if not delay:
            pace.note_sent(now)
            self._left = min(self._batch, pace.burst)
        return delay

    async def _change(self, change: Callable[[Pace, float], T]) -> T:
        """What `change` returns, done to the pace of all."""
        done: list[T] = []

        def rewrite(text: str, now: float) -> str:
            at, pace = now, self._fresh()
            if text:
                known = json.loads(text)
                at, pace = known["at"], Pace(**known["pace"])
            if now < at:  # the clock was set back: nobody shall wait until it is there again
                pace.shift(now - at)
            done.append(change(pace, now))
            self._pace, self._ahead_s = pace, now - self._clock.monotonic()
            return json.dumps({"at": now, "pace": asdict(pace)})

        try:
            await asyncio.get_running_loop().run_in_executor(None, self._notes.change_note, self._name, rewrite)
        except LedgerError:
            done[:] = [change(self._pace, self._now())]  # said by whoever cannot go on without the ledger
        return done[0]

    def _fresh(self) -> Pace:
        return Pace(per_minute=self._pace.per_minute, careful=self._pace.careful)

    def _now(self) -> float:
        return self._clock.monotonic() + self._ahead_s

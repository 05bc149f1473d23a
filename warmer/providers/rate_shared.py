"""The account's rate budget where many processes draw on it: one pace, kept in a note of their ledger."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TypeVar

from warmer.core.note import read_note
from warmer.errors import LedgerError
from warmer.ports import Clock, Notes
from warmer.providers.rate import Limit, Pace, still

T = TypeVar("T")

AT_ONCE = 10
"""As many requests are taken together at most, where they are used up: to ask for each takes longer than to send it."""
_LEASE_S = 1.0
"""What was taken together is used by then, or given up: nobody sends it on top of what is taken later."""
_AHEAD_S = 0.1
"""For so long at most what one process takes ahead holds up the others."""
_JITTER_S = 0.01
"""All who wait, wait for the same moment: without it the same process could be first every time."""
_LOOK_AGAIN_S = 5.0
"""Longest wait before the pace is looked at again: another process may have learned a better one meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """The pace as it is kept."""

    at: float  # when it was written, by the clock of all
    pace: Pace


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
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`name`: of the note."""
        self._clock, self._notes, self._name = clock, notes, name
        self._pace = Pace(per_minute=per_minute, careful=careful)  # as last seen
        self._ahead_s = 0.0  # of the clock of all before our own
        self._jitter = jitter
        self._batch = 1  # taken together next
        self._left, self._until = 0, 0.0  # taken, and not used yet; by our own clock
        self._next, self._apart_s = 0.0, 0.0  # when the next of those may go out, and how long after it another one
        self._turn = asyncio.Lock()

    @property
    def held(self) -> timedelta:
        """How long the provider still wants nothing to be sent, as far as this process knows."""
        return timedelta(seconds=max(0.0, self._pace.held_until - self._now()))

    async def admit(self, apart_s: float = 0.0) -> None:
        """Return when one more request may be sent by any of the processes: as `RateBudget.admit`."""
        asked = self._clock.monotonic()

        def take(pace: Pace, now: float) -> float:
            return self._take(pace, now, still(apart_s, self._clock.monotonic() - asked))

        async with self._turn:
            if self._clock.monotonic() >= self._until:
                self._left, self._batch = 0, 1
            while self._left <= 0 and (delay := await self._change(take)):
                await self._clock.sleep(min(delay, _LOOK_AGAIN_S) + self._jitter() * _JITTER_S)
            self._left -= 1
            if (early_s := self._next - self._clock.monotonic()) > 0:
                await self._clock.sleep(early_s)
            self._next = max(self._next, self._clock.monotonic()) + self._apart_s

    def sent(self) -> float:
        """When a request goes out that goes out now, by the clock of all; for `refused`."""
        return self._now()

    async def accepted(self) -> None:
        """A request was not refused for its pace."""
        if self._pace.is_growing:
            await self._change(lambda pace, now: pace.accepted())

    async def refused(self, sent_at: float, wait: timedelta, stated: Limit | None = None) -> None:
        """The request of `sent_at` was one too many: all wait that long, and go on more slowly, or as `stated`."""
        self._left, self._batch = 0, 1
        await self._change(lambda pace, now: pace.refused(now, sent_at, wait.total_seconds(), stated))

    def _take(self, pace: Pace, now: float, apart_s: float) -> float:
        at_once, each_s = max(1, pace.burst // 2), max(pace.interval_s, apart_s)
        count = max(1, min(self._batch, max(at_once, int(_AHEAD_S / each_s))))
        delay = pace.take(now, count, apart_s=apart_s)
        if not delay:
            pace.note_sent(now)
            self._left, self._until = count, self._clock.monotonic() + _LEASE_S
            self._next, self._apart_s = self._clock.monotonic(), each_s if count > at_once else 0.0
            self._batch = min(2 * count, AT_ONCE)
        return delay

    async def _change(self, change: Callable[[Pace, float], T]) -> T:
        """What `change` returns, done to the pace of all."""

        def rewrite(text: str, now: float) -> tuple[str, T]:
            known = read_note(text, _Note)
            pace = known.pace if known is not None else self._fresh()
            if known is not None and now < known.at:  # set back: nobody shall wait until it is there again
                pace.shift(now - known.at)
            result = change(pace, now)
            self._pace, self._ahead_s = pace, now - self._clock.monotonic()
            return json.dumps(asdict(_Note(at=now, pace=pace))), result

        try:
            return await asyncio.get_running_loop().run_in_executor(
                None, lambda: self._notes.change_note(self._name, rewrite)
            )
        except LedgerError:
            return change(self._pace, self._now())  # said by whoever cannot go on without the ledger

    def _fresh(self) -> Pace:
        return Pace(per_minute=self._pace.per_minute, careful=self._pace.careful)

    def _now(self) -> float:
        return self._clock.monotonic() + self._ahead_s

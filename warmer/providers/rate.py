"""The account's rate budget: everything warmer sends draws on it, first come, first served."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from warmer.ports import Clock

HEADROOM = 0.9
"""The share of a limit that warmer uses: the account's real traffic draws on the same limit."""
FIRST_INTERVAL_S = 1.0
"""Spacing of the first creates. A refusal comes at once, so that the second one cannot follow it unawares."""
PROBE_AFTER_S = 600.0
"""Quiet time after which a pace that was learned from a refusal is doubled."""
LONGEST_PROBE_S = 3600.0
LONGEST_GUESS_S = 60.0
"""No spacing longer than this is concluded from one long wait: the strongest limit known is 6 a minute."""
LONGEST_INTERVAL_S = 600.0
_MARGIN_S = 1.0  # providers round the seconds they name
_TINY_S = 1e-6  # below the resolution of any clock here


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit as the provider words it."""

    per_minute: int
    burst: int


class RateBudget:
    """At most so many requests a minute, with short bursts, and none while the provider has asked to wait.

    With `careful` (creates) the limit is not believed: the pace doubles with every accepted request, up to it. And a
    refusal teaches the pace: what the provider states, or else the time between the last request it took and the moment
    it will take the next. What was learned is kept, and doubled after a quiet time that grows while doubling fails.
    """

    def __init__(self, clock: Clock, per_minute: float, *, careful: bool = False) -> None:
        self._clock = clock
        self._careful = careful
        self._full_s = 60.0 / (per_minute * HEADROOM)
        self._full_burst = max(1, int(per_minute * HEADROOM / 60))
        self._interval_s = max(self._full_s, FIRST_INTERVAL_S) if careful else self._full_s
        self._burst = 1 if careful else self._full_burst
        self._due = -math.inf  # when the next request is due at an even pace; bursts go ahead of it
        self._held_until = -math.inf
        self._refused_at: float | None = None  # None: the pace is the configured one, or on its way there
        self._changed_at = -math.inf
        self._is_raised = False  # since the last refusal
        self._probe_after_s = PROBE_AFTER_S
        self._sent: deque[float] = deque(maxlen=64)  # when the latest requests went out, refused ones left out
        self._turn = asyncio.Lock()  # wakes its waiters in the order they came

    @property
    def held(self) -> timedelta:
        """How long the provider still wants nothing to be sent; zero where it does not mind."""
        return timedelta(seconds=max(0.0, self._held_until - self._clock.monotonic()))

    async def admit(self) -> None:
        """Return when one more request may be sent."""
        async with self._turn:
            while (delay := self._ready_at() - self._clock.monotonic()) > _TINY_S:
                await self._clock.sleep(delay)
            self._probe()
            self._due = max(self._due, self._clock.monotonic()) + self._interval_s

    def sent(self) -> float:
        """Note that a request goes out now; returns when, for `accepted` and `refused`."""
        now = self._clock.monotonic()
        self._sent.append(now)
        return now

    def accepted(self) -> None:
        """A request was not refused for its pace."""
        if self._refused_at is None:
            self._quicken()

    def refused(self, sent_at: float, wait: timedelta, stated: Limit | None = None) -> None:
        """The request of `sent_at` was one too many: wait that long, and go on more slowly, or as `stated`."""
        now = self._clock.monotonic()
        reset = now + wait.total_seconds()
        if sent_at in self._sent:
            self._sent.remove(sent_at)
        self._held_until = max(self._held_until, reset + _MARGIN_S)
        was_learned = self._refused_at is not None
        if self._refused_at is None or sent_at > self._refused_at:  # else it was under way before the lesson
            self._learn(sent_at, reset, stated, was_learned=was_learned)
        self._refused_at = self._changed_at = now
        self._due = max(self._due, self._held_until)

    def _learn(self, sent_at: float, reset: float, stated: Limit | None, *, was_learned: bool) -> None:
        slower = 2 * self._interval_s if was_learned or not self._careful else self._interval_s
        is_probe = was_learned and self._is_raised  # then the pace before it was good
        burst = 1
        if stated is not None:
            burst = stated.burst
            slower = max(60.0 / (stated.per_minute * HEADROOM), self._full_s)
        elif self._careful and not is_probe:
            last = max((moment for moment in self._sent if moment < sent_at), default=sent_at)
            slower = max(slower, min(LONGEST_GUESS_S, (reset - last) / HEADROOM))
        if is_probe:
            self._probe_after_s = min(LONGEST_PROBE_S, 2 * self._probe_after_s)
        self._is_raised = False
        self._interval_s, self._burst = min(slower, LONGEST_INTERVAL_S), min(burst, self._full_burst)

    def _ready_at(self) -> float:
        return max(self._held_until, self._due - (self._burst - 1) * self._interval_s)

    def _probe(self) -> None:
        now = self._clock.monotonic()
        if self._refused_at is not None and now - self._changed_at >= self._probe_after_s:
            self._changed_at, self._is_raised = now, True
            self._quicken()

    def _quicken(self) -> None:
        self._interval_s = max(self._full_s, self._interval_s / 2)
        if self._interval_s <= self._full_s:
            # Bursts are earned from now on: those that queued while the pace grew would else all go at once.
            self._due += (self._full_burst - self._burst) * self._interval_s
            self._burst, self._refused_at, self._probe_after_s = self._full_burst, None, PROBE_AFTER_S

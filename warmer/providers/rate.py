"""The account's rate budget: everything warmer sends draws on it, first come, first served."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
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
LONGEST_SPREAD_S = 0.5
"""No create waits longer for others to go out before it evenly."""
_CAUGHT_UP = 2
"""Creates that may go at once: one that woke late holds up none of those behind it."""
_MARGIN_S = 1.0  # providers round the seconds they name
_SPACED_AT_MOST_S = 0.025
_HELD_BACK_AT_MOST_S = 1.0
_TINY_S = 1e-6  # below the resolution of any clock here
_REMEMBERED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit as the provider words it."""

    per_minute: int
    burst: int


@dataclass(slots=True, kw_only=True)
class Pace:
    """At most so many requests a minute, with short bursts, and none while the provider has asked to wait.

    With `careful` (creates) what a pause has held up goes out evenly, which keeps nobody waiting for more than a second
    longer. Nor is the limit believed: the pace doubles with every accepted request, up to it. And a refusal teaches the
    pace: what the provider states, or else the time between the last request it took and the moment it will take the
    next. What was learned is kept, and doubled after a quiet time that grows while doubling fails.

    All moments are seconds by one clock, whichever.
    """

    per_minute: float
    careful: bool = False
    interval_s: float = 0.0
    burst: int = 1
    due: float = -math.inf  # when the next request is due at an even pace; bursts go ahead of it
    held_until: float = -math.inf
    refused_at: float | None = None  # None: the pace is the configured one, or on its way there
    changed_at: float = -math.inf
    is_raised: bool = False  # since the last refusal
    probe_after_s: float = PROBE_AFTER_S
    sent: list[float] = field(default_factory=list)  # when the latest requests went out, refused ones left out

    def __post_init__(self) -> None:
        if not self.interval_s:
            self.interval_s = max(self.full_s, FIRST_INTERVAL_S) if self.careful else self.full_s
            self.burst = 1 if self.careful else self.full_burst

    @property
    def full_s(self) -> float:
        """Between two requests at the limit, less the headroom."""
        return 60.0 / (self.per_minute * HEADROOM)

    @property
    def full_burst(self) -> int:
        """How many may go at once at that limit."""
        second = max(1, int(self.per_minute * HEADROOM / 60))
        return min(second, _CAUGHT_UP) if self.careful else second

    def take(self, now: float, count: int = 1, *, apart_s: float = 0.0) -> float:
        """Take `count` requests. The seconds to wait first, where they are too many; 0: taken.

        Beyond half a burst they are taken ahead: the next one waits for longer, and who took them spaces them.
        `apart_s`: how far apart they are to be, if that is more than the pace asks for.
        """
        at_once = min(count, max(1, self.burst // 2))  # to wait for all of a burst would lose some of the rate
        delay = max(self.held_until, self.due - (self.burst - at_once) * self.interval_s) - now
        if delay > _TINY_S:
            return delay
        if self.refused_at is not None and now - self.changed_at >= self.probe_after_s:
            self.changed_at, self.is_raised = now, True
            self._quicken()
        self.due = max(self.due, now) + count * max(self.interval_s, apart_s)
        return 0.0

    def note_sent(self, now: float) -> None:
        """A request goes out."""
        self.sent = [*self.sent[1 - _REMEMBERED :], now]

    @property
    def is_growing(self) -> bool:
        """Whether a request that is accepted quickens the pace."""
        return self.refused_at is None and self.interval_s > self.full_s

    def accepted(self) -> None:
        """A request was not refused for its pace."""
        if self.refused_at is None:
            self._quicken()

    def refused(self, now: float, sent_at: float, wait_s: float, stated: Limit | None) -> None:
        """The request of `sent_at` was one too many: wait that long, and go on more slowly, or as `stated`."""
        reset = now + wait_s
        own = max((moment for moment in self.sent if moment <= sent_at), default=None)
        if own is not None:
            self.sent.remove(own)
        self.held_until = max(self.held_until, reset + _MARGIN_S)
        was_learned = self.refused_at is not None
        if self.refused_at is None or sent_at > self.refused_at:  # else it was under way before the lesson
            self._learn(sent_at, reset, stated, was_learned=was_learned)
        self.refused_at = self.changed_at = now
        self.due = max(self.due, self.held_until)

    def shift(self, by_s: float) -> None:
        """The clock was set by that much."""
        self.due, self.held_until, self.changed_at = self.due + by_s, self.held_until + by_s, self.changed_at + by_s
        self.refused_at = None if self.refused_at is None else self.refused_at + by_s
        self.sent = [moment + by_s for moment in self.sent]

    def _learn(self, sent_at: float, reset: float, stated: Limit | None, *, was_learned: bool) -> None:
        slower = 2 * self.interval_s if was_learned or not self.careful else self.interval_s
        is_probe = was_learned and self.is_raised  # then the pace before it was good
        burst = 1
        if stated is not None:
            burst = stated.burst
            slower = max(60.0 / (stated.per_minute * HEADROOM), self.full_s)
        elif self.careful and not is_probe:
            last = max((moment for moment in self.sent if moment < sent_at), default=sent_at)
            slower = max(slower, min(LONGEST_GUESS_S, (reset - last) / HEADROOM))
        if is_probe:
            self.probe_after_s = min(LONGEST_PROBE_S, 2 * self.probe_after_s)
        self.is_raised = False
        self.interval_s, self.burst = min(slower, LONGEST_INTERVAL_S), min(burst, self.full_burst)

    def _quicken(self) -> None:
        self.interval_s = max(self.full_s, self.interval_s / 2)
        if self.interval_s <= self.full_s:
            # Bursts are earned from now on: those that queued while the pace grew would else all go at once.
            self.due += (self.full_burst - self.burst) * self.interval_s
            self.burst, self.refused_at, self.probe_after_s = self.full_burst, None, PROBE_AFTER_S


def still(apart_s: float, waited_s: float) -> float:
    """How far apart requests are to go out of which one has waited so long: evenly, unless that keeps it too long."""
    return apart_s if waited_s < LONGEST_SPREAD_S else 0.0


class Spacing:
    """Spaces what was admitted one by one, and then held up together: a busy machine lets it go in one moment.

    A process keeps to the limit's own pace then, and holds nothing back for more than a second.
    """

    def __init__(self, clock: Clock, per_minute: float) -> None:
        self._clock = clock
        self._interval_s = min(60.0 / (per_minute * HEADROOM), _SPACED_AT_MOST_S)
        self._last = -math.inf

    async def turn(self) -> None:
        """Return when the next one may go out."""
        now = self._clock.monotonic()
        self._last = max(now, min(self._last + self._interval_s, now + _HELD_BACK_AT_MOST_S))
        if self._last > now:
            await self._clock.sleep(self._last - now)


class RateBudget:
    """A `Pace` of this process alone, by its own clock."""

    def __init__(self, clock: Clock, per_minute: float, *, careful: bool = False) -> None:
        self._clock = clock
        self._pace = Pace(per_minute=per_minute, careful=careful)
        self._turn = asyncio.Lock()  # wakes its waiters in the order they came

    @property
    def held(self) -> timedelta:
        """How long the provider still wants nothing to be sent; zero where it does not mind."""
        return timedelta(seconds=max(0.0, self._pace.held_until - self._clock.monotonic()))

    async def admit(self, apart_s: float = 0.0) -> None:
        """Return when one more request may be sent: `apart_s` after the last one, or within LONGEST_SPREAD_S."""
        asked = self._clock.monotonic()
        async with self._turn:
            while delay := self._pace.take((now := self._clock.monotonic()), apart_s=still(apart_s, now - asked)):
                await self._clock.sleep(delay)

    def sent(self) -> float:
        """Note that a request goes out now; returns when, for `refused`."""
        now = self._clock.monotonic()
        self._pace.note_sent(now)
        return now

    async def accepted(self) -> None:
        """A request was not refused for its pace."""
        self._pace.accepted()

    async def refused(self, sent_at: float, wait: timedelta, stated: Limit | None = None) -> None:
        """The request of `sent_at` was one too many: wait that long, and go on more slowly, or as `stated`."""
        self._pace.refused(self._clock.monotonic(), sent_at, wait.total_seconds(), stated)

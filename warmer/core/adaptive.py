"""When the forecast makes a heartbeat worth its price.

A heartbeat buys the seconds that follow it. It goes out when the chance of a request in them, times what one cold start
is worth, is at least one heartbeat; on a cold instance, at least one heartbeat and the boot. A cold start is worth what
each request is that waits for it: the one that meets it, and those that come during the boot. With boots for free every
window is a decision of its own, so no look-ahead could do better: all that counts is the forecast.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import merge

from warmer.core.forecast import Forecast
from warmer.core.worth import Goal, Price, Purse, Timeline

LOOK_AGAIN_S = 6 * 3600.0  # where the worth may move while this model is silent
JUDGED_FROM = 20  # gaps before a model may be found not worth warming
SAME_S = 1e-3  # a look this near to a planned one is that one, however its time was rounded
LEAST_AVOIDED = 0.1  # of its cold starts, by heartbeats that are worth their price
JUDGE_MEMORY = 0.99  # a gap
ALONE = 5.0  # boots that kept one request waiting each, taken for granted


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The figures behind a decision."""

    chance: float  # of a request in the seconds that a heartbeat would buy
    within_s: float  # those seconds
    break_even: float  # the chance from which on a heartbeat is worth it; above 1: never
    worth: float  # heartbeats for one cold start, all those who wait for it counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether heartbeats pay for a model at all, and the figures that say so: over its last hundred gaps or so."""

    worth_warming: bool
    cold_starts: float  # requests that found the model cold, or would have without heartbeats
    avoided: float  # of these, the ones that the worth of their moment would have kept warm


class Adaptive:
    """One model's decisions, from its own requests. A fold over `seen`: same requests, same decisions.

    `interval_s`: how long an instance is sure to stay warm. `boot_s`: how long a boot takes; a heartbeat on a cold
    instance buys the interval after it. One of `worth` (heartbeats for one cold request), `target` (share of requests
    that may be cold) or `purse` (shared by several models). `boot_price`: what a boot costs, in heartbeats; 0 where
    only active seconds are billed. Times are seconds from a local midnight.
    """

    def __init__(
        self,
        *,
        interval_s: float = 50.0,
        boot_s: float = 12.0,
        worth: float | None = None,
        target: float | None = None,
        purse: Purse | None = None,
        boot_price: float = 0.0,
    ) -> None:
        if sum(given is not None for given in (worth, target, purse)) != 1:
            raise ValueError("give one of worth, target and purse: what a cold start is worth, or how to find it")
        if not (boot_s >= 0 and boot_price >= 0 and (worth is None or worth >= 0)):
            raise ValueError(f"boot_s {boot_s}, boot_price {boot_price} and worth {worth} cannot be negative")
        self.interval_s, self.boot_s, self.boot_price = interval_s, boot_s, boot_price
        self.forecast = Forecast(beyond_s=interval_s)
        self.gap_s = interval_s
        if purse is None:
            purse = Goal(target) if target is not None else Price(worth or 0.0)
        self.purse: Purse = purse
        self._moving = worth is None
        self._gaps = self._avoided = 0.0
        self._waiting, self._waited = 1.0, 0.0  # requests that the last boot would have kept waiting; those before it
        self._crowd = 1.0  # the same, to be expected of the next boot
        self._pays = True
        self._needed, self._boots_until = 0.0, -math.inf  # the last request after a gap, and until when it would boot
        self._planned = math.inf  # a look found to be worth a boot
        self._refused = -math.inf  # the last look that sent nothing
        self._warm = True  # as of the last look
        self._each = self._worth = 0.0  # of one request, and of all that a boot keeps waiting
        self._least_warm = self._least_cold = math.inf
        self._set_worth(self.purse.worth_at(0.0))

    @property
    def gap_s(self) -> float:
        """Seconds left from an activity to the next heartbeat: the interval, unless the idle time-out is probed.

        What a heartbeat buys is the interval still. May be set at any time; ValueError where it is no time.
        """
        return self._gap_s

    @gap_s.setter
    def gap_s(self, gap_s: float) -> None:
        if not (math.isfinite(gap_s) and gap_s > 0):
            raise ValueError(f"gap_s is {gap_s}: give the seconds to leave before the next heartbeat")
        self._gap_s = gap_s

    @property
    def last_s(self) -> float | None:
        """The last request seen; None before the first."""
        return self.forecast.last

    # The decider

    def seen(self, at_s: float) -> None:
        """A request arrived."""
        forecast = self.forecast
        last = forecast.last
        if last is None:
            self._needed, self._boots_until = math.inf, at_s + self.boot_s
            self.purse.seen(at_s, math.inf)
        else:
            gap = at_s - last
            if gap > self.interval_s:
                due = at_s - (gap % self.interval_s or self.interval_s)  # of the last heartbeat before it
                self._learn(at_s, forecast.expected(due))
            elif at_s < self._boots_until:  # what comes while the one before it boots waits as well
                self._waiting += 1.0
                if self._moving:
                    self.purse.seen(at_s, self._needed)
            elif self._moving:
                self.purse.seen(at_s, 0.0)
        self._planned = math.inf
        forecast.seen(at_s)

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        """When the gap is over; past that, when a boot is next worth it. inf: not before the next request."""
        last = self.forecast.last
        if last is None or not self._pays:
            return math.inf
        due = (last if last_activity_s is None else last_activity_s) + self._gap_s
        if due >= now_s and due > self._refused + SAME_S:
            return due  # most requests come before, and then nothing needs to be weighed
        if self._moving:
            self._set_worth(self.purse.worth_at(now_s))
        # The window that was refused is over when one begins that a boot from here on buys.
        start = max(now_s, due + self.interval_s - self.boot_s)
        start = max(start, self._refused + 1.0)  # a look that sent nothing is not repeated
        at = self.forecast.next_above(self._least_cold, start + self.boot_s) - self.boot_s
        self._planned = at
        if self._moving and at > now_s + LOOK_AGAIN_S:
            return now_s + LOOK_AGAIN_S
        return at

    def send(self, now_s: float, *, warm: bool) -> bool:
        """Whether the seconds that a heartbeat would buy are worth it."""
        self._warm = warm
        if not self._pays:
            return False
        if abs(now_s - self._planned) < SAME_S:
            return True
        if self._moving:
            self._set_worth(self.purse.worth_at(now_s))
        least = self._least_warm if warm else self._least_cold
        if self.forecast.expected(now_s if warm else now_s + self.boot_s) >= least:
            return True
        self._refused = now_s
        return False

    def sent(self, now_s: float) -> None:
        """Heartbeats teach nothing about requests."""

    # What it can say of itself

    def explain(self, now_s: float) -> Explanation:
        """The figures behind a decision at `now_s`, on an instance as warm as the last look found it."""
        if self._moving:
            self._set_worth(self.purse.worth_at(now_s))
        due = self.forecast.expected(now_s if self._warm else now_s + self.boot_s)
        price = 1.0 if self._warm else 1.0 + self.boot_price
        return Explanation(
            chance=-math.expm1(-due),
            within_s=self.interval_s,
            break_even=price / self._worth if self._worth > 0 else math.inf,
            worth=self._worth,
        )

    @property
    def verdict(self) -> Verdict:
        """Whether heartbeats pay here; where not, a price sends none. Until enough was seen, they may."""
        return Verdict(worth_warming=self._worth_warming(), cold_starts=self._gaps, avoided=self._avoided)

    # How

    def _worth_warming(self) -> bool:
        return self._gaps < JUDGED_FROM or self._avoided >= LEAST_AVOIDED * self._gaps

    def _set_worth(self, each: float) -> None:
        if each != self._each:
            self._each = each
            self._weigh()

    def _weigh(self) -> None:
        """The number of requests to expect from which on a heartbeat is worth it: P = 1 - exp(-n)."""
        worth = self._worth = self._each * self._crowd
        self._least_warm = -math.log1p(-1.0 / worth) if worth > 1.0 else math.inf
        cold = 1.0 + self.boot_price
        self._least_cold = -math.log1p(-cold / worth) if worth > cold else math.inf

    def _learn(self, at_s: float, expected: float) -> None:
        needed = -1.0 / (self._crowd * math.expm1(-expected)) if expected > 0 else math.inf
        self._needed, self._boots_until = needed, at_s + self.boot_s
        self._gaps = self._gaps * JUDGE_MEMORY + 1.0
        self._avoided = self._avoided * JUDGE_MEMORY + (needed <= self.purse.worth_at(at_s))
        self._waited = self._waited * JUDGE_MEMORY + self._waiting
        self._waiting, self._crowd = 1.0, (self._waited + ALONE) / (self._gaps + ALONE)
        self._weigh()
        # A target is to be held at any price; a price says what is not worth it.
        self._pays = self._moving or self._worth_warming()
        self.purse.seen(at_s, needed)


@dataclass(slots=True)
class Notes:
    """A purse that only writes down what each request needed."""

    needs: list[tuple[float, float]] = field(default_factory=list)

    def worth_at(self, now_s: float) -> float:
        """Nothing: it is asked for nothing but its notes."""
        return 0.0

    def seen(self, at_s: float, needed: float) -> None:
        """Written down."""
        self.needs.append((at_s, needed))


def hold(goal: Goal, models: Iterable[Sequence[float]], *, interval_s: float, boot_s: float = 12.0) -> Timeline:
    """The worth that holds `goal` over several models together, moment by moment, each from its own past alone.

    `models`: request times, each in order. What a request needed does not depend on the heartbeats sent, so this can be
    known before any of the models is replayed. The same as one `goal` shared by all while time passes.
    """
    notes = []
    for times in models:
        note = Notes()
        decider = Adaptive(interval_s=interval_s, boot_s=boot_s, purse=note)
        for at in times:
            decider.seen(at)
        notes.append(note.needs)
    times, worths = [-math.inf], [goal.worth]
    for at, needed in merge(*notes, key=lambda need: need[0]):
        goal.seen(at, needed)
        if goal.worth != worths[-1]:
            times.append(at)
            worths.append(goal.worth)
    return Timeline(times, worths)

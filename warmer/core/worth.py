"""What one cold start is worth, in heartbeats: given as a price, or moved so that a share of requests is cold.

Each request is kept warm by any worth from `1 / chance` on, with the chance of it as it stood when the last heartbeat
before it would have been due. So every request tells what it needed, whether a heartbeat was sent or not, and the worth
that leaves a given share cold is a quantile of what was needed: nothing has to be tried out on users.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

DAY_S = 86_400.0
MOST_WORTH = 1e6  # heartbeats for one cold start; beyond it a target asks for a fixed schedule, not a forecast


class Purse(Protocol):
    """Says what one cold start is worth, in heartbeats, at a moment."""

    def worth_at(self, now_s: float) -> float:
        """Heartbeats that one cold start is worth at `now_s`."""

    def seen(self, at_s: float, needed: float) -> None:
        """A request arrived that any worth from `needed` on would have kept warm: 0 any, inf none."""


def worth_of(cold_start_usd: Decimal, beat_usd: Decimal | None) -> float | None:
    """How many heartbeats a cold start of that price is worth; None where nobody knows what a heartbeat costs."""
    if beat_usd is None:
        return None
    return min(float(cold_start_usd / beat_usd), MOST_WORTH) if beat_usd else MOST_WORTH


@dataclass(frozen=True, slots=True)
class Price:
    """A cold start is worth `worth` heartbeats, always."""

    worth: float

    def worth_at(self, now_s: float) -> float:
        """The same at any time."""
        return self.worth

    def seen(self, at_s: float, needed: float) -> None:
        """A price learns nothing."""


class Goal:
    """Moves the worth of a cold start so that a share `target` of requests is cold, over every model that tells it.

    One worth for all models is what holds a share over all of them together with the fewest heartbeats. What the past
    missed or saved is to be made good over as many requests again. Counts fade to half in a month.
    """

    FEWEST, MOST = 300.0, 2_000.0  # requests to make good in: fewer would swing with each, more would forgive too long
    MARGIN = 0.95  # aim below the target: to end just above it is to miss it
    STEPS = 8  # of the ladder of worths, in an octave
    FADE = 0.977  # a day
    PRIOR = 50.0  # requests that the first guess counts for

    def __init__(self, target: float, *, most_worth: float = MOST_WORTH) -> None:
        if not 0 < target < 1:
            raise ValueError(f"target is {target}: give the share of requests that may be cold, between 0 and 1")
        if not most_worth >= 2:
            raise ValueError(
                f"most_worth is {most_worth}: below two heartbeats no chance short of certainty is worth one"
            )
        self.target, self.most_worth = target, most_worth
        self.requests = self.cold = 0.0  # cold as counted at the worth of each moment
        self._top = math.floor(math.log2(most_worth) * self.STEPS)
        self._step = min(max(round(math.log2(1.0 / target) * self.STEPS), self.STEPS), self._top)
        self._needed = [0.0] * (self._top + 2)  # requests by the step that they needed; the last: above all
        self._needed[self._step] = self.PRIOR * target
        self._above = 0.0  # of those, above the step in force
        self._day = -math.inf
        self.worth = math.exp2(self._step / self.STEPS)

    def worth_at(self, now_s: float) -> float:
        """As it stands after the requests so far."""
        return self.worth

    def seen(self, at_s: float, needed: float) -> None:
        """One more request, and with it a new worth. In the order of time."""
        day = at_s // DAY_S
        if day > self._day:
            self._fade(day)
        self.requests += 1.0
        if needed <= 1.0:
            return
        if needed > self.worth:
            self.cold += 1.0
        if needed == math.inf:
            return  # a first request, or one after years: cold at any worth, so it teaches none
        step = min(math.ceil(math.log2(needed) * self.STEPS), self._top + 1)
        self._needed[step] += 1.0
        if step > self._step:
            self._above += 1.0
        self._settle()

    @property
    def share(self) -> float:
        """The share of requests that were cold, counting at what worth each would have been warm."""
        return self.cold / self.requests if self.requests else 0.0

    @property
    def out_of_reach(self) -> bool:
        """Whether the target is missed although a cold start is already worth all that it may be."""
        # Two more than allowed: a first request, and one by accident.
        return self._step >= self._top and self.cold > 2.0 + self.target * self.requests

    def _settle(self) -> None:
        ahead = min(max(self.requests, self.FEWEST), self.MOST)
        allowed = (self.MARGIN * self.target * (self.requests + ahead) - self.cold) / ahead
        allowed = min(max(allowed, 0.2 * self.target), 3.0 * self.target) * (self.requests + self.PRIOR)
        step, above, needed = self._step, self._above, self._needed
        while above > allowed and step < self._top:
            step += 1
            above -= needed[step]
        # Never below two heartbeats, one octave: what is more likely than not is always met.
        while step > self.STEPS and above + needed[step] <= allowed:
            above += needed[step]
            step -= 1
        if step != self._step:
            self._step, self.worth = step, math.exp2(step / self.STEPS)
        self._above = above

    def _fade(self, day: float) -> None:
        if self._day > -math.inf:
            fade = self.FADE ** (day - self._day)
            self.requests *= fade
            self.cold *= fade
            self._needed = [count * fade for count in self._needed]
            self._above = sum(self._needed[self._step + 1 :])
        self._day = day


@dataclass(frozen=True, slots=True)
class Timeline:
    """A worth that was found before, replayed: from each of `times` on the worth beside it."""

    times: Sequence[float]
    worths: Sequence[float]

    def worth_at(self, now_s: float) -> float:
        """As it stood then."""
        return self.worths[max(bisect_right(self.times, now_s) - 1, 0)]

    def seen(self, at_s: float, needed: float) -> None:
        """All is known."""


class Within:
    """A purse that hears only of calls that `counts`: those outside the active hours no worth could keep warm."""

    def __init__(self, purse: Purse, counts: Callable[[float], bool]) -> None:
        self._purse, self._counts = purse, counts
        self.worth_at = purse.worth_at

    def seen(self, at_s: float, needed: float) -> None:
        """Pass it on where it counts."""
        if self._counts(at_s):
            self._purse.seen(at_s, needed)


class Silent:
    """A purse that is asked but not told: it knows already."""

    def __init__(self, purse: Purse) -> None:
        self.worth_at = purse.worth_at

    def seen(self, at_s: float, needed: float) -> None:
        """Not again."""

"""What was done to keep models warm and what it cost: by model, day and reason, and how much a day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Self
from zoneinfo import ZoneInfo

from warmer.core.beat import Observation
from warmer.core.budget import Period, window
from warmer.core.floor import Spell, held_cost
from warmer.core.price import FREE, Cost
from warmer.core.units import from_micros, to_micros

FLOOR = "floor"
"""The reason of what a raised floor cost: no beat was sent."""
_LEAST_SEEN = timedelta(hours=1)
"""A pace is not told from less: the first beats of all meet boots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warming:
    """One beat, or a day of a raised floor."""

    model: str
    reason: str  # of the beat, or FLOOR
    begins: datetime
    ends: datetime
    cost: Cost

    @classmethod
    def of(cls, beat: Observation) -> Self:
        """A beat that ended."""
        return cls(
            model=beat.model,
            reason=beat.reason.value,
            begins=beat.created_at,
            ends=beat.completed_at or beat.created_at,
            cost=beat.cost,
        )

    @classmethod
    def of_floor(cls, spell: Spell, since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[Self]:
        """What `spell` held from `since` to `until`, day by day. `until` is now at the latest."""
        begins, end = max(spell.raised_at, since), min(spell.lowered_at or until, until)
        while begins < end:
            _, midnight = window(Period.DAILY, begins, zone)
            ends = min(midnight, end)
            cost = held_cost([spell], begins, ends)
            yield cls(model=spell.model, reason=FLOOR, begins=begins, ends=ends, cost=cost)
            begins = ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """On one model for one reason."""

    model: str
    day: date | None  # in the file's zone; None: the whole stretch
    reason: str
    count: int  # of beats, or of the days of a floor
    cost: Cost  # of all; unknown where one of them is
    known_usd: Decimal  # the part of it that is known
    unknown: int  # how many are not

    @property
    def beats(self) -> int:
        """How many were sent."""
        return 0 if self.reason == FLOOR else self.count


def spent_by_reason(
    warmings: Iterable[Warming], *, models: Sequence[str], zone: ZoneInfo, by_day: bool = False
) -> tuple[Spent, ...]:
    """A sum for each model and reason, in the order of `models`, then by day, the dearest reason first."""
    groups = defaultdict[tuple[str, date | None, str], list[Cost]](list)
    for one in warmings:
        groups[one.model, one.begins.astimezone(zone).date() if by_day else None, one.reason].append(one.cost)
    place = {model: index for index, model in enumerate(models)}
    found = [
        Spent(
            model=model,
            day=day,
            reason=reason,
            count=len(costs),
            cost=sum(costs, FREE),
            known_usd=sum((cost.usd for cost in costs if cost.usd is not None), Decimal(0)),
            unknown=sum(cost.usd is None for cost in costs),
        )
        for (model, day, reason), costs in groups.items()
    ]
    found.sort(
        key=lambda one: (
            place.get(one.model, len(place)),
            one.model,
            one.day or date.min,
            -one.known_usd,
            one.reason,
        )
    )
    return tuple(found)


def usd_a_day(warmings: Iterable[Warming], model: str | None, *, now: datetime) -> Decimal:
    """What the `warmings` of `model`, or of all, cost in 24 hours, in the mean of the time since the first of them.

    What nobody knows the cost of does not count.
    """
    own = [one for one in warmings if model in (None, one.model)]
    if not own:
        return Decimal(0)
    since = max(now - min(one.begins for one in own), _LEAST_SEEN)
    known = sum((one.cost.usd for one in own if one.cost.usd is not None), Decimal(0))
    return from_micros(to_micros(known / Decimal(since / timedelta(days=1))))

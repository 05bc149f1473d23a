"""What was done to keep models warm and what it cost: by model, day and reason, and how much a day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Self
from zoneinfo import ZoneInfo

from warmer.core.budget import Period, window
from warmer.core.floor import Spell, held_cost
from warmer.core.price import FREE, Cost
from warmer.core.rollup import BeatSums
from warmer.core.units import to_whole_micros

FLOOR = "floor"
"""The reason of what a raised floor cost: no beat was sent."""
_LEAST_SEEN = timedelta(hours=1)
"""A pace is not told from less: the first beats of all meet boots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warming:
    """The beats of an hour that had one reason, or a day of a raised floor."""

    model: str
    reason: str  # of the beats, or FLOOR
    begins: datetime
    ends: datetime
    cost: Cost  # of what of it is known; unknown where nothing is
    count: int = 1
    unknown: int = 0  # how many of them have no known cost; one that stands for itself is told by its cost

    @property
    def unknowns(self) -> int:
        """How many have no known cost."""
        return self.unknown or int(self.cost.usd is None)

    @property
    def known_usd(self) -> Decimal:
        """What the others cost."""
        return self.cost.usd or Decimal(0)

    @property
    def whole_cost(self) -> Cost:
        """Of all of them."""
        return replace(self.cost, usd=None) if self.unknowns else self.cost

    @classmethod
    def of(cls, beats: BeatSums) -> Self:
        """Beats that ended."""
        return cls(
            model=beats.model,
            reason=beats.reason.value,
            begins=beats.first_at,
            ends=beats.ends,
            cost=Cost(usd=beats.known_usd, is_estimated=beats.estimated > 0),
            count=beats.beats,
            unknown=beats.unknown,
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
    groups = defaultdict[tuple[str, date | None, str], list[Warming]](list)
    for one in warmings:
        groups[one.model, one.begins.astimezone(zone).date() if by_day else None, one.reason].append(one)
    place = {model: index for index, model in enumerate(models)}
    found = [
        Spent(
            model=model,
            day=day,
            reason=reason,
            count=sum(one.count for one in own),
            cost=sum((one.whole_cost for one in own), FREE),
            known_usd=sum((one.known_usd for one in own), Decimal(0)),
            unknown=sum(one.unknowns for one in own),
        )
        for (model, day, reason), own in groups.items()
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
    known = sum((one.known_usd for one in own), Decimal(0))
    return to_whole_micros(known / Decimal(since / timedelta(days=1)))

"""Caps on what beats and floors may cost: the calendar they go by, and whether one more fits under them.

A beat reserves the most that it may cost when it is claimed, and counts as that until its cost is known; a floor all
that it will hold. So what has been claimed never comes to more than a cap, whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

ALL_MODELS = "all models"
"""The scope of a cap that no single model has."""
_MOMENT = timedelta(microseconds=1)


class Period(StrEnum):
    """How long a cap counts before it begins anew."""

    DAILY = "daily"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The most that beats and floors may cost in one calendar day or month. Raises ValueError for what is no amount."""

    model: str | None  # None: over all models
    period: Period
    usd: Decimal

    def __post_init__(self) -> None:
        if not self.usd.is_finite() or self.usd <= 0:
            raise ValueError("a cap is a number of USD above 0")

    @property
    def scope(self) -> str:
        """Whose beats count: a model's name, or ALL_MODELS."""
        return ALL_MODELS if self.model is None else self.model

    def __str__(self) -> str:
        return f"{self.period} of {self.scope}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A cap in one window of its calendar: beats claimed from `start` and before `end` count, and what floors hold."""

    cap: Cap
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What counts against a limit."""

    limit: Limit
    settled_usd: Decimal  # of ended beats: their costs, and the reservation where a cost is unknown; of floors so far
    reserved_usd: Decimal  # the most that beats which are still out may cost, and floors for the rest of their hold
    floors_usd: Decimal = Decimal(0)  # the floors' part of that: it is spent, unless one is put back early
    unknown_beats: int = 0  # before the cap, without a price, floors among them: nobody knows what they cost at most

    def __add__(self, other: Spending) -> Spending:
        """Both together, against the same limit."""
        return Spending(
            limit=self.limit,
            settled_usd=self.settled_usd + other.settled_usd,
            reserved_usd=self.reserved_usd + other.reserved_usd,
            floors_usd=self.floors_usd + other.floors_usd,
            unknown_beats=self.unknown_beats + other.unknown_beats,
        )

    @property
    def left_usd(self) -> Decimal:
        """What one more beat may reserve, 0 at least: a cap that was lowered may be passed already, for all we know."""
        if self.unknown_beats:
            return Decimal(0)
        return max(Decimal(0), self.limit.cap.usd - self.settled_usd - self.reserved_usd)

    def stops(self, reserve_usd: Decimal) -> bool:
        """Whether a beat that reserves so much would pass the cap now."""
        return self.unknown_beats > 0 or self.settled_usd + self.reserved_usd + reserve_usd > self.limit.cap.usd

    def stops_for_good(self, reserve_usd: Decimal) -> bool:
        """Whether it would in this whole window, even if the beats that are out came to cost nothing."""
        return self.unknown_beats > 0 or self.settled_usd + self.floors_usd + reserve_usd > self.limit.cap.usd


def limits(caps: Iterable[Cap], now: datetime, zone: ZoneInfo) -> tuple[Limit, ...]:
    """The caps in the windows that `now` lies in, by the calendar of `zone`."""
    return tuple(_limit(cap, now, zone) for cap in caps)


def limits_until(caps: Iterable[Cap], now: datetime, until: datetime | None, zone: ZoneInfo) -> tuple[Limit, ...]:
    """The same in all windows from `now` to `until`; without an end, in those of `now` and in the next ones."""
    found = []
    for cap in caps:
        found.append(_limit(cap, now, zone))
        last = found[-1].end + _MOMENT if until is None else until
        while found[-1].end < last:
            found.append(_limit(cap, found[-1].end, zone))
    return tuple(found)


def window(period: Period, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end, UTC, of the local day or month that `now` lies in: 23 or 25 hours where the clock is changed.

    A day begins at its first midnight, or where the clock skips that one, when it is skipped.
    """
    today = now.astimezone(zone).date()
    if period is Period.DAILY:
        begins = [today + timedelta(days=days) for days in (-1, 0, 1, 2)]
    else:
        begins = [_first(today, months) for months in (-1, 0, 1, 2)]
    # A clock set back over midnight lives an hour of the day before twice: that hour belongs to the new day already.
    instants = [_midnight(day, zone) for day in begins]
    return max(at for at in instants if at <= now), min(at for at in instants if at > now)


def in_the_way(spendings: Sequence[Spending], reserve_usd: Decimal) -> Spending | None:
    """What stops a beat that reserves so much, or None: of several, the one that does so for the longest time."""
    stopping = [spending for spending in spendings if spending.stops(reserve_usd)]
    return max(stopping, key=lambda one: (one.stops_for_good(reserve_usd), one.limit.end), default=None)


def runs_out_at(spending: Spending, usd_a_day: Decimal, now: datetime) -> datetime | None:
    """When nothing will be left if beats go on to cost `usd_a_day`; None where it lasts until the window's end."""
    if not spending.left_usd:
        return now
    rest = spending.limit.end - now
    needed = usd_a_day * Decimal(rest / timedelta(days=1))
    return now + rest * float(spending.left_usd / needed) if needed > spending.left_usd else None


def _limit(cap: Cap, now: datetime, zone: ZoneInfo) -> Limit:
    start, end = window(cap.period, now, zone)
    return Limit(cap=cap, start=start, end=end)


def _first(day: date, months: int) -> date:
    """The first day of the month so many after that of `day`."""
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)

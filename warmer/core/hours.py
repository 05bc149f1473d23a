"""When a model shall be warm: weekly windows, holidays and exceptions, in one zone.

A line is written in OpenStreetMap's `opening_hours`; several lines are their union. They are read in wall time, and
each edge of a window is then turned into an instant by one rule:

    An edge happens once: the first time the wall clock reaches or passes it.

So in an hour that the clock repeats, a window opens and closes at the first pass; in an hour that the clock skips, an
edge happens at the jump, and a window which lies wholly in the skipped hour does not open. Windows which touch or
overlap are one. This is for any change of a clock: half an hour (Lord Howe), a whole day (Apia, 2011-12-30).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from warmer.core.hours_hidden import HiddenRule, hidden_rules
from warmer.core.hours_notation import ERA, MONTHS, WEEKDAYS, HoursError, Stretch, open_stretches, read, union

__all__ = ["HORIZON", "ActiveHours", "HiddenRule", "HoursError", "LocalDay", "hidden_rules", "week"]

HORIZON = timedelta(days=3653)
"""How far `next_open` and `next_close` look: ten years. The 29th of February may be eight years off (1896, 2096)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveHours:
    """The times at which a model shall be warm. Open when any of its lines is.

    Raises HoursError for lines that cannot be followed: what is wrong with the first such line, and what to write.
    A moment may be of any zone; a naive one is a ValueError. Answers are UTC.
    """

    lines: tuple[str, ...]
    zone: ZoneInfo
    country: str | None = None  # ISO 3166 alpha-2: gives `PH` its dates

    def __post_init__(self) -> None:
        if not self.lines:
            raise HoursError("the list of hours is empty", "write `24/7` for always, or as in `Mo-Fr 08:00-20:00`")
        for line in self.lines:
            read(line, self.country)

    @classmethod
    def always_open(cls) -> ActiveHours:
        """Open without end: the default of a model that names no hours."""
        return cls(lines=("24/7",), zone=ZoneInfo("UTC"))

    @property
    def always(self) -> bool:
        """Whether the hours are open without end."""
        return _always(self.lines, self.country)

    def contains(self, moment: datetime) -> bool:
        """Whether `moment` is in a window: its opening is, its closing is not."""
        moment = _utc(moment)
        open_before, edges = _month(self.lines, self.zone, self.country, _month_of(moment))
        return open_before ^ bool(bisect_right(edges, moment) & 1)

    def next_open(self, after: datetime) -> datetime | None:
        """The first opening strictly after `after`. None: not within HORIZON, or open without end."""
        return self._next(_utc(after), opening=True)

    def next_close(self, after: datetime) -> datetime | None:
        """The first closing strictly after `after`. None: not within HORIZON, or open without end."""
        return self._next(_utc(after), opening=False)

    def windows(self, start: datetime, end: datetime) -> tuple[Stretch, ...]:
        """The windows between two moments, in order, clipped to them."""
        start, end = _utc(start), _utc(end)
        if end <= start:
            return ()
        found: list[Stretch] = []
        opened = start if self.contains(start) else None
        for edge in self._edges(start, end):
            if opened is None:
                opened = edge
            else:
                found.append((opened, edge))
                opened = None
        if opened is not None:
            found.append((opened, end))
        return tuple(found)

    def _next(self, after: datetime, *, opening: bool) -> datetime | None:
        is_open = self.contains(after)
        if is_open and self.always:
            return None
        for edge in self._edges(after, after + HORIZON):
            is_open = not is_open
            if is_open is opening:
                return edge
        return None

    def _edges(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Openings and closings by turns, strictly between two moments."""
        for number in range(_month_of(start), _month_of(end) + 1):
            _, edges = _month(self.lines, self.zone, self.country, number)
            for at in range(bisect_right(edges, start), len(edges)):
                if edges[at] >= end:
                    return
                yield edges[at]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalDay:
    """One calendar day of a zone, and when it is open. As text: `Sa 28 Nov  22:00-24:00`."""

    date: date
    ends: datetime  # the first moment of the next day
    stretches: tuple[Stretch, ...]  # in local time, within the day

    def __str__(self) -> str:
        spans = (
            f"{since:%H:%M}-{'24:00' if until == self.ends else f'{until:%H:%M}'}" for since, until in self.stretches
        )
        label = f"{WEEKDAYS[self.date.weekday()]} {self.date.day:2} {MONTHS[self.date.month - 1]}"
        return f"{label}  {', '.join(spans) or 'closed'}"


def week(hours: ActiveHours, start: datetime) -> tuple[LocalDay, ...]:
    """The seven calendar days, in the zone of the hours, from the one that holds `start`."""
    zone = hours.zone
    first = _utc(start).astimezone(zone).date()
    dates = [first + timedelta(days=number) for number in range(8)]
    midnights = [_instant(datetime.combine(day, time()), zone) for day in dates]
    return tuple(
        LocalDay(
            date=day,
            ends=ends.astimezone(zone),
            stretches=tuple(
                (since.astimezone(zone), until.astimezone(zone)) for since, until in hours.windows(begins, ends)
            ),
        )
        for day, (begins, ends) in zip(dates, pairwise(midnights), strict=False)
    )


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} has no time zone: pass an aware datetime")
    return moment.astimezone(UTC)


def _month_of(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _month_starts(number: int) -> datetime:
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


# A hot call is two look-ups, this cache and a bisection. 4,096 months of a dozen kilobytes each at the very most.
@lru_cache(maxsize=4096)
def _month(
    lines: tuple[str, ...], zone: ZoneInfo, country: str | None, number: int
) -> tuple[bool, tuple[datetime, ...]]:
    """One month of UTC: whether the hours are open just before it, and its openings and closings by turns."""
    start, end = _month_starts(number), _month_starts(number + 1)
    # Two days more on both sides: no wall clock is further from UTC, a skipped day included.
    around = [moment.replace(tzinfo=None) for moment in (start - timedelta(days=2), end + timedelta(days=2))]
    windows = union(
        (_instant(since, zone), _instant(until, zone))
        for line in lines
        for since, until in open_stretches(line, country, *around)
    )
    open_before = any(since < start <= until for since, until in windows)
    return open_before, tuple(edge for window in windows for edge in window if start <= edge < end)


@lru_cache(maxsize=1024)
def _always(lines: tuple[str, ...], country: str | None) -> bool:
    begins, ends = ERA
    # A few weeks answer for nearly all hours; only what is open throughout is looked at to the end.
    for until in (begins + timedelta(weeks=5), ends):
        stretches = (stretch for line in lines for stretch in open_stretches(line, country, begins, until))
        if union(stretches) != [(begins, until)]:
            return False
    return True


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clock of `zone` reaches or passes the naive time `wall`, in UTC."""
    reached = wall.replace(tzinfo=zone).astimezone(UTC)  # fold is 0: the first pass of a repeated hour
    if _wall(reached, zone) == wall:
        return reached
    # The clock skips `wall`. It jumps after the one offset's answer and not after the other's.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), reached
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if _wall(middle, zone) < wall:
            before = middle
        else:
            after = middle
    return after


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)

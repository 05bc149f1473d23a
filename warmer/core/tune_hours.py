"""Active hours for the traffic that was seen: the fewest in a week that nearly all calls came in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from warmer.core.hours import ActiveHours

COVERED = (0.98, 0.95)
"""Shares of calls that suggested hours may cover; a replay finds which pays. What is left are strays."""
LONGEST = 0.8
"""Hours that are open for more of the week than this say no more than `24/7`."""
FINER = 0.95
"""Another group of days is told apart where that leaves at most this part of the open hours: short lines are read."""
_WEEK = 168  # hours
_GROUPS: tuple[tuple[tuple[str, range], ...], ...] = (
    (("Mo-Su", range(7)),),
    (("Mo-Fr", range(5)), ("Sa,Su", range(5, 7))),
    (("Mo-Fr", range(5)), ("Sa", range(5, 6)), ("Su", range(6, 7))),
)

_Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """One window a day, in whole hours; `until` past 24 is on the next day. Nothing where both are equal."""

    days: str
    length: int  # hours in a week
    calls: int
    since: int
    until: int

    def __str__(self) -> str:
        hours = f"{self.since:02}:00-{self.until % 24 or 24:02}:00"
        return hours if self.days == "Mo-Su" else f"{self.days} {hours}"


def suggest_hours(calls: Sequence[datetime], hours: ActiveHours, *, covered: float) -> ActiveHours | None:
    """The hours to put in the place of `hours`, in their zone, or None where `calls` come around the clock.

    They cover that share of the calls.

    Whole hours, one window a day, alike from Monday to Friday. Where the old ones are shut on public holidays, so are
    the new ones.
    """
    zone = hours.zone
    counts = np.bincount([_hour_of_week(call, zone) for call in calls], minlength=_WEEK)
    best: tuple[_Span, ...] | None = None
    for groups in _GROUPS:
        found = _fewest([list(_frontier(counts, days, label)) for label, days in groups], covered * len(calls))
        if found is not None and (best is None or _open(found) < FINER * _open(best)):
            best = found
    if best is None or not 0 < _open(best) <= LONGEST * _WEEK:
        return None
    suggested = ActiveHours(lines=tuple(_lines(best, hours)), zone=zone, country=hours.country)
    # Holidays and the ends of overnight windows count as the hours have them, not as the table did.
    return suggested if _covered(calls, suggested) >= covered or _shut_on_holidays(hours) else None


def _hour_of_week(call: datetime, zone: ZoneInfo) -> int:
    local = call.astimezone(zone)
    return local.weekday() * 24 + local.hour


def _frontier(counts: _Counts, days: range, label: str) -> Iterator[_Span]:
    """For each number of open hours a day, the window that covers the most calls; the earliest of those that do."""
    rolled = np.concatenate((counts, counts[:24]))
    by_hour = sum((rolled[day * 24 : day * 24 + 48] for day in days), np.zeros(48, dtype=np.int64))
    before = np.concatenate(([0], np.cumsum(by_hour)))
    for length in range(25):
        begins = range(1) if length in (0, 24) else range(24)
        covered = [int(before[since + length] - before[since]) for since in begins]
        since = int(np.argmax(covered))
        yield _Span(days=label, length=length * len(days), calls=covered[since], since=since, until=since + length)


def _fewest(frontiers: Sequence[Sequence[_Span]], calls: float) -> tuple[_Span, ...] | None:
    """One span from each, together open for the fewest hours that cover so many calls; the most calls for these."""
    enough = (spans for spans in product(*frontiers) if sum(span.calls for span in spans) >= calls)
    return min(enough, key=lambda spans: (_open(spans), -sum(span.calls for span in spans)), default=None)


def _open(spans: Iterable[_Span]) -> int:
    return sum(span.length for span in spans)


def _lines(spans: Sequence[_Span], hours: ActiveHours) -> Iterator[str]:
    """One line where it says the same, else one for each span: after a `;` a rule replaces whole days."""
    rules = [str(span) for span in spans if span.length]
    off = "; PH off" if _shut_on_holidays(hours) else ""
    if any(span.until > 24 for span in spans):
        yield from (rule + off for rule in rules)
    else:
        yield "; ".join(rules) + off


def _shut_on_holidays(hours: ActiveHours) -> bool:
    return hours.country is not None and any("PH off" in line for line in hours.lines)


def _covered(calls: Sequence[datetime], hours: ActiveHours) -> float:
    return sum(hours.contains(call) for call in calls) / len(calls)

"""The page of a report: the figures of `warmer report` in words, as charts by day, and as the tables that it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from warmer.charts.page import render
from warmer.core.insight import Summary

MOST_SERIES = 8
"""Models that have a colour of their own; the others are added up, or left to the table."""
Value = Callable[[Summary], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as it is printed."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1  # so many columns are text, the rest figures


def report_page(
    whole: Sequence[Summary],
    days: Sequence[Summary],
    tables: Sequence[Table],
    notes: Sequence[str],
    *,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
) -> str:
    """One page. `whole`: of each model; `days`: of each model and day."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    return render(
        "report.html.j2",
        start=f"{first:%a %d %b %Y %H:%M}",
        end=f"{last:%a %d %b %Y %H:%M}",
        zone=zone.key,
        words=list(words(whole)),
        charts=list(charts(days, first.date(), last.date())),
        tables=tables,
        notes=notes,
    )


def words(whole: Sequence[Summary]) -> Iterator[str]:
    """The result in sentences."""
    calls, told = sum(row.calls for row in whole), sum(row.calls - row.calls_unsure for row in whole)
    beats, unknown = sum(row.beats for row in whole), sum(row.cost_unknown for row in whole)
    cold = sum(row.calls_cold for row in whole)
    found = f", of which {cold / told * 100:.1f} % found their model cold" if told else ""
    yield f"{calls:,} call{'' if calls == 1 else 's'} of {len(whole)} model{'' if len(whole) == 1 else 's'}{found}."
    cost = sum((_usd(row) for row in whole), Decimal(0))
    rest = f", and {unknown:,} of them at a cost nobody knows" if unknown else ""
    floors = " and raised floors" if any(row.floor.usd != 0 for row in whole) else ""
    yield f"{beats:,} beat{'' if beats == 1 else 's'}{floors} cost ${cost:.4f}{rest}."


def charts(days: Sequence[Summary], first: date, last: date) -> Iterator[Mapping[str, Any]]:
    """What `assets/days.js` draws, those that have anything to show."""
    every = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    told: tuple[tuple[str, str, str, bool, Value], ...] = (
        ("Cost by day", "Of beats and raised floors, where it is known.", "usd", True, lambda row: float(_usd(row))),
        ("Calls found cold by day", "Share of customers' calls.", "share", False, lambda row: row.cold_share),
        ("Customers' wait by day, 95 %", "Queue and boot together.", "seconds", False, lambda row: row.waits.p95),
        ("Calls by day", "Customers' own.", "count", True, lambda row: float(row.calls)),
        ("Beats by day", "That were sent.", "count", True, lambda row: float(row.beats)),
    )
    for title, about, unit, stacked, value in told:
        series, left_out = _series(days, every, value, stacked=stacked)
        if series:
            names = ", ".join(one["name"] for one in series)
            yield {
                "title": title,
                "about": f"{about}{left_out}",
                "description": f"{title}, {first} to {last}, for {names}. {about} The tables have the figures.",
                "unit": unit,
                "stacked": stacked,
                "days": [f"{day:%a %d %b}" for day in every],
                "series": series,
            }


def _series(
    days: Sequence[Summary], every: Sequence[date], value: Value, *, stacked: bool
) -> tuple[list[dict[str, Any]], str]:
    """Each model's values by day, the largest first, and what is said of those that are not among them."""
    found: dict[str, dict[date, float]] = {}
    for row in days:
        if row.day is not None and (one := value(row)) is not None and (one or not stacked):
            found.setdefault(row.model, {})[row.day] = one
    names = sorted(found, key=lambda name: (-sum(found[name].values()), name))
    shown, others = names[:MOST_SERIES], names[MOST_SERIES:]
    series = [{"name": name, "values": [found[name].get(day) for day in every]} for name in shown]
    if not others:
        return series, ""
    if not stacked:
        return series, f" The {MOST_SERIES} highest of {len(names)} models; the table has all."
    rest = [sum(found[name].get(day, 0.0) for name in others) for day in every]
    return [*series, {"name": f"{len(others)} others", "values": rest}], ""


def _usd(row: Summary) -> Decimal:
    """What is known of it."""
    return row.cost_usd + (row.floor.usd or Decimal(0))

"""What it cost: by day and model or reason, against budgets, and where that leads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from warmer.charts.board_lines import course, path_of, spent_usd
from warmer.charts.words import NONE, number, share, usd, when
from warmer.core.beat import Reason
from warmer.core.board import MoneyView
from warmer.core.budget import Spending
from warmer.core.spent import Spent
from warmer.core.why import WHY

_NAMED = 7
"""Models that a chart of all of them names; the others are one."""


def money_tiles(view: MoneyView) -> Iterator[tuple[str, str]]:
    """Figures, each with what to hold it against."""
    today, yesterday = (
        sum((one.known_usd for one in view.spent if one.day == day), Decimal(0))
        for day in (view.days[-1], view.days[-2])
    )
    yield f"{usd(today)} today", f"{usd(yesterday)} in the whole of yesterday"
    yield f"{spent_usd(view.month)} this month", f"on course for {usd(course(view.month, view.at))}"
    yield f"{usd(view.usd_a_day)} a day", "in the mean of the last 7 days, or as long as there is a record"
    whole = sum((one.known_usd for one in view.spent), Decimal(0))
    unknown = sum(one.unknown for one in view.spent)
    also = f"and {number(unknown, 'beat')} of unknown cost" if unknown else "no beat of unknown cost"
    yield f"{usd(whole)} in 28 days", also


def forecast(runs_out: datetime | None, one: Spending, pace: Decimal, zone: ZoneInfo, now: datetime) -> str:
    """What is left under a cap, and for how long at `pace`, USD a day."""
    if one.unknown_beats:
        return (
            f"{number(one.unknown_beats, 'beat')} of unknown cost: nobody knows what is left, so that nothing is sent"
        )
    if not one.left_usd:
        return f"reached; nothing more is sent until {one.limit.end.astimezone(zone):%a %d %b %H:%M}"
    left = f"{usd(one.left_usd)} left; at {usd(pace)} a day"
    if runs_out is None:
        return f"{left} it lasts until {one.limit.end.astimezone(zone):%a %d %b %H:%M}"
    return f"{left} it runs out {when(runs_out, zone, now)}"


def money_rows(view: MoneyView) -> Iterator[dict[str, str]]:
    """The dearest models, and what for."""
    groups = defaultdict[str, list[Spent]](list)
    for one in view.spent:
        groups[one.model].append(one)
    totals = {model: sum((one.known_usd for one in own), Decimal(0)) for model, own in groups.items()}
    whole = sum(totals.values(), Decimal(0))
    for model in sorted(groups, key=lambda name: (-totals[name], name))[:100]:
        own = groups[model]
        reasons = defaultdict[str, Decimal](Decimal)
        for one in own:
            reasons[one.reason] += one.known_usd
        dearest = max(reasons, key=lambda reason: reasons[reason])
        unknown = sum(one.unknown for one in own)
        yield {
            "name": model,
            "path": path_of(model),
            "usd": usd(totals[model]) + (f" and {unknown:,} unknown" if unknown else ""),
            "part": share(float(totals[model] / whole)) if whole else NONE,
            "beats": f"{sum(one.beats for one in own):,}",
            "why": f"most of it {dearest}: {_why(dearest)}",
        }


def _why(reason: str) -> str:
    return WHY[Reason(reason)] if reason in set(Reason) else "its instances were held"


def spend_chart(spent: Sequence[Spent], days: Sequence[date], by: Any, word: str) -> dict[str, Any]:
    """Money by day, stacked by what `by` gives: the dearest by name, the others as one."""
    whole = defaultdict[str, Decimal](Decimal)
    for one in spent:
        whole[by(one)] += one.known_usd
    dearest = sorted(whole, key=lambda name: (-whole[name], name))
    named = dearest if len(dearest) <= _NAMED + 1 else dearest[:_NAMED]
    stacks = {name: [0.0] * len(days) for name in named}
    place = {day: index for index, day in enumerate(days)}
    for one in spent:
        name = by(one) if by(one) in stacks else "others"
        if one.day in place:
            stacks.setdefault(name, [0.0] * len(days))[place[one.day]] += float(one.known_usd)
    told = ", ".join(f"{name} {usd(whole[name])}" for name in named[:3])
    return {
        "told": f"in USD, by {word}" + (f": {told}" if told else ""),
        "key": (),
        "data": {
            "days": [f"{day:%d %b}" for day in days],
            "stacks": [{"name": name, "usd": [round(value, 6) for value in values]} for name, values in stacks.items()],
        },
    }

"""What would be better: advice with its reason and money, and policies compared on a model's own calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from warmer.charts.board_lines import path_of
from warmer.charts.words import clock, number, share, usd
from warmer.core.board import Compared, Counsel, Point

if TYPE_CHECKING:
    from warmer.core.advise import Advised

_WORKING = "It is being worked out, aside from the beats: a moment."


def counsel_told(counsel: Counsel | None, zone: ZoneInfo, now: datetime) -> str:
    """What the advice goes by, and how old it is."""
    if counsel is None:
        return _WORKING
    told = f"By the calls of 28 days, as of {clock(counsel.at, zone, now)}"
    left = f"; {counsel.why}" if counsel.why else ""
    of = f", of the {counsel.models} dearest models" if counsel.models > 1 else ""
    return f"{told}{of}{left}."


def counsel_rows(counsel: Counsel | None) -> Iterator[dict[str, Any]]:
    """What to do with each model: what changes something first, and what cannot be said yet last."""
    advised = () if counsel is None else counsel.advised
    for one in sorted(advised, key=lambda one: (one.advice.way is None, one.advice.way is one.advice.now)):
        yield {
            "name": one.advice.model,
            "path": path_of(one.advice.model),
            "way": _way(one),
            "is_change": one.advice.way not in (None, one.advice.now),
            "why": one.advice.why,
            "money": _money(one),
            "wastes": [f"{found.why}. Write: {found.write}" for found in one.findings],
        }


def _way(one: Advised) -> str:
    advice = one.advice
    if advice.way is None:
        return "no advice"
    return f"{advice.way}, as it is" if advice.way is advice.now else str(advice.way)


def _money(one: Advised) -> str:
    """What the advice comes to beside what is done now."""
    advice = one.advice
    now, then = advice.option(advice.now), None if advice.way is None else advice.option(advice.way)
    if then is None or now is None or then is now or now.cost.usd is None or then.cost.usd is None:
        return ""
    cold = "" if now.cold_share is None else f" with {share(now.cold_share)} of calls cold"
    return f"As it is: about {usd(now.cost.usd)} a month{cold}."


def comparison(compared: Compared | None, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    """The chart of policies: what beats cost a day against the share of calls found cold."""
    points = () if compared is None else compared.points
    in_usd = bool(points) and all(one.usd_a_day is not None for one in points)
    if compared is None:
        told = _WORKING
    else:
        by = f"{number(compared.calls, 'call')} of {number(compared.days, 'day')} replayed"
        told = f"{by if points else 'nothing to compare yet'}, as of {clock(compared.at, zone, now)}: {compared.why}"
    return {
        "id": "compared",
        "draws": "compared",
        "title": "Policies on its own calls",
        "told": told,
        "key": (("beat", "as it is"), ("cold", "suggested"), ("call", "others")) if points else (),
        "data": {
            "usd": in_usd,
            "points": [
                {
                    "name": _name(one),
                    "hours": one.hours,
                    "kind": _kind(one),
                    "x": float(one.usd_a_day or 0) if in_usd else round(one.beats_a_day, 1),
                    "cold": one.cold_share,
                    "told": [
                        ["cold", share(one.cold_share)],
                        ["beats a day", f"{one.beats_a_day:,.0f}"],
                        ["cost a day", usd(one.usd_a_day)],
                    ],
                }
                for one in points
            ],
        },
    }


def comparison_rows(compared: Compared | None) -> Sequence[dict[str, str]]:
    """The same in figures: as it is, as suggested, and without any beats."""
    marked = [] if compared is None else [one for one in compared.points if _kind(one) in ("now", "suggested", "none")]
    order = ("now", "suggested", "none")
    return [
        {
            "is": {"now": "as it is", "suggested": "suggested", "none": "no beats"}[_kind(one)],
            "policy": _name(one),
            "hours": one.hours,
            "beats": f"{one.beats_a_day:,.0f}",
            "usd": usd(one.usd_a_day),
            "cold": share(one.cold_share),
        }
        for one in sorted(marked, key=lambda one: order.index(_kind(one)))
    ]


def _kind(one: Point) -> str:
    if one.is_now:
        return "now"
    return "suggested" if one.is_suggested else "tried" if one.beats_a_day else "none"


def _name(one: Point) -> str:
    return "no beats" if _kind(one) == "none" else one.policy

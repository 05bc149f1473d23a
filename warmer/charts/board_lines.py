"""One model among others, as a row of the overview shows it, and what all of them come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from warmer.charts.words import NONE, clock, number, seconds, share, usd, when
from warmer.core.beat import Reason, Verdict
from warmer.core.board import MODELS_A_PAGE, Line, Met, Overview
from warmer.core.budget import Spending
from warmer.core.idle_timeout import IdleTimeout
from warmer.core.override import Kind
from warmer.core.why import WHY

_STRIP = 1440
"""The width of a day's strip in its own units: minutes, of most days."""
_MINUTE = timedelta(minutes=1)


def overview_tiles(view: Overview) -> Iterator[tuple[str, str]]:
    """Figures, each with what to hold it against."""
    tally = view.tally
    if tally is None:
        yield f"… of {view.models:,} warm", "they are being looked at: a moment"
    else:
        others = [
            f"{count} {word}"
            for count, word in (
                (tally.cold, "cold"),
                (view.models - tally.warm - tally.cold, "in doubt or not looked at yet"),
                (tally.paused, "paused"),
                (tally.closed, "outside the active hours"),
            )
            if count
        ]
        yield f"{tally.warm:,} of {view.models:,} warm", "; ".join(others) or "as they should be"
    if view.week is None or view.week_before is None:
        yield "… cold", "the calls of 7 days are being added up: a moment"
    else:
        yield _cold_tile(view.week.cold_share, view.week.calls, view.week_before.cold_share)
    cap = (
        f"of {usd(view.today.limit.cap.usd)} that may be spent"
        if view.is_capped_today
        else "no daily budget over all models"
    )
    yield f"{spent_usd(view.today)} today", cap
    month = f"of {usd(view.month.limit.cap.usd)}" if view.is_capped_month else "no monthly budget"
    yield f"{spent_usd(view.month)} this month", f"{month}, on course for {usd(course(view.month, view.at))}"


def _cold_tile(cold: float | None, calls: int, before: float | None) -> tuple[str, str]:
    if cold is None:
        return f"{NONE} cold", "no customer's call in 7 days that told"
    than = "no calls to compare with the week before" if before is None else f"{share(before)} in the week before"
    return f"{share(cold)} cold", f"of {number(calls, 'call')} in 7 days; {than}"


def line_of(one: Line, now: datetime) -> dict[str, Any]:
    """What a row of the table shows."""
    told = one.now.warmth
    verdict = told.verdict if told else None
    return {
        "name": one.now.model,
        "path": path_of(one.now.model),
        "policy": one.now.policy.value,
        "verdict": verdict.value if verdict else "unseen",
        "verdict_told": "not looked at yet"
        if told is None
        else f"{VERDICTS[told.verdict]}, {told.probability:.0%} likely up",
        "override": override_told(one, now),
        "last": _last_beat(one, now),
        "next": _next(one, now),
        "why": "not decided yet" if one.now.reason is None else WHY[one.now.reason],
        "today": spent_usd(one.today),
        "today_of": f"of {usd(one.today.limit.cap.usd)}" if one.is_capped else "no budget of its own",
        "cold": share(one.week.cold_share),
        "calls": number(one.week.calls, "call"),
        "p95": seconds(one.wait_p95_s),
        "p50": "" if one.wait_p50_s is None else f"median {seconds(one.wait_p50_s)}",
        "idle": band(one.idle_timeout),
        "gaps": ""
        if one.idle_timeout is None or not one.idle_timeout.gaps
        else number(one.idle_timeout.gaps, "gap") + " seen",
        "strip": _strip(one, now),
        "spark": _spark(one.waits),
    }


VERDICTS: Mapping[Verdict, str] = {Verdict.WARM: "warm", Verdict.COLD: "cold", Verdict.UNSURE: "in doubt"}


def override_told(one: Line, now: datetime) -> str:
    """Such as `paused until 14:00:00`; empty where nobody asked for anything."""
    override = one.now.override
    if override is None or override.kind is Kind.RESUME:
        return ""
    until = "until it is resumed" if override.until is None else f"until {clock(override.until, one.zone, now)}"
    return f"{'paused' if override.kind is Kind.PAUSE else 'kept warm'} {until}"


def _last_beat(one: Line, now: datetime) -> str:
    beat = one.last_beat
    if beat is None:
        return "no beat yet"
    found = "failed" if beat.error else f"found {beat.verdict.value}"
    return f"{when(beat.created_at, one.zone, now)}, {found}"


def _next(one: Line, now: datetime) -> str:
    """When the next beat may be due: the moment of the next decision."""
    reason, at = one.now.reason, one.now.next_at
    if at is None or reason in (Reason.OBSERVING, Reason.ALWAYS_ON):
        return "none"
    if reason is Reason.UNLIKELY or reason is Reason.NOT_WORTH_WARMING:
        return "not worth it now"
    return "due now" if at <= now else when(at, one.zone, now)


def band(belief: IdleTimeout | None) -> str:
    """Such as `280 – 310 s`."""
    if belief is None:
        return "not learned"
    if not belief.gaps:
        return UNSEEN
    low, high = belief.band_s
    return f"{low:,.0f} – {high:,.0f} s"


UNSEEN = "not known yet"


def _strip(one: Line, now: datetime) -> dict[str, Any]:
    """One day on one axis, in minutes from its beginning."""
    day, marks = one.day, one.day.marks
    length = (day.ends - day.begins) / _MINUTE

    def at(moment: datetime) -> float:
        return round((moment - day.begins) / _MINUTE * _STRIP / length, 1)

    def bars(moments: Iterable[datetime], top: int, height: int) -> str:
        return "".join(f"M{at(moment):g} {top}v{height}" for moment in moments)

    opened = [(at(begins), at(ends)) for begins, ends in day.windows]
    uses = f"{number(marks.beat_count, 'beat')}, {number(marks.call_count, 'call')}"
    cold = number(len(marks.cold), "time") + " found cold" if marks.cold else "nothing found cold"
    held = one.now.reason is Reason.FLOOR_HELD
    return {
        "windows": [(begins, round(ends - begins, 1)) for begins, ends in opened],
        "beats": bars(marks.beats, 6, 10),
        "calls": bars(marks.calls, 18, 10),
        "cold": bars(marks.cold, 3, 28),
        "now": at(now),
        "held": held,
        "told": f"today: {uses}, {cold}; active {_hours(one)}",
    }


def _hours(one: Line) -> str:
    day = one.day
    if not day.windows:
        return "at no time today"
    if day.windows == ((day.begins, day.ends),):
        return "all day"

    def at(moment: datetime) -> str:
        return "24:00" if moment == day.ends else f"{moment.astimezone(one.zone):%H:%M}"

    return ", ".join(f"{at(begins)} to {at(ends)}" for begins, ends in day.windows)


def _spark(met: Sequence[Met]) -> dict[str, Any]:
    """Waits one after the other, on a logarithmic axis from 10 ms to 100 s."""
    shown = [(one.wait_s, one.verdict is Verdict.COLD) for one in met if one.wait_s is not None]
    dots = [
        (round((index + 0.5) * 100 / len(shown), 1), _height(wait_s), is_cold)
        for index, (wait_s, is_cold) in enumerate(shown)
    ]
    cold = sum(is_cold for _, is_cold in shown)
    longest = seconds(max((wait_s for wait_s, _ in shown), default=None))
    return {
        "dots": dots,
        "told": f"the latest {number(len(shown), 'wait')}: {cold} found cold, the longest {longest}",
    }


def _height(wait_s: float) -> float:
    from math import log10

    return round(27 - 24 * (min(max(log10(max(wait_s, 1e-9)), -2.0), 2.0) + 2) / 4, 1)


def pages_of(view: Overview) -> dict[str, Any]:
    """Where the page is among others."""
    find = f"find={quote(view.find)}&" if view.find else ""
    first = (view.page - 1) * MODELS_A_PAGE + 1
    return {
        "count": view.pages,
        "told": f"{first:,} to {first + len(view.lines) - 1:,} of {view.found:,}",
        "before": f"/?{find}page={view.page - 1}" if view.page > 1 else None,
        "after": f"/?{find}page={view.page + 1}" if view.page < view.pages else None,
    }


def course(month: Spending, now: datetime) -> Decimal | None:
    """What a month comes to if it goes on as it went."""
    if month.unknown_beats:
        return None
    passed = max(now - month.limit.start, timedelta(days=1))
    return month.settled_usd * Decimal((month.limit.end - month.limit.start) / passed)


def spent_usd(one: Spending) -> str:
    """What counts so far: the most that it may have been, where a cost is not known."""
    if one.unknown_beats and not one.settled_usd:
        return "unknown"
    return usd(one.settled_usd) + (" and more" if one.unknown_beats else "")


def path_of(model: str) -> str:
    """The address of its page."""
    return f"/models/{quote(model, safe='/')}"

"""One model: its figures, what it does and why, and its charts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from warmer.charts.board_events import outcome
from warmer.charts.board_lines import VERDICTS, band, override_told, spent_usd
from warmer.charts.board_money import spend_chart
from warmer.charts.words import NONE, number, seconds, share, usd, when
from warmer.core.beat import Verdict
from warmer.core.board import WEEK, Line, Met, ModelView
from warmer.core.spec import PolicyName
from warmer.core.why import WHY

_STEPS_SHOWN = 300


def about(view: ModelView) -> str:
    """What the file and the provider say of it."""
    entry, beat = view.entry, view.detail.last_beat
    target = (
        ""
        if entry.policy is not PolicyName.ADAPTIVE or entry.cold_start_price
        else f", at most {entry.cold_share_target:.0%} cold"
    )
    parts = [
        f"{entry.policy.value}{target}",
        "" if str(entry.target) == entry.name else str(entry.target),
        beat.billing.value if beat and beat.billing else "",
        f"${beat.price}" if beat and beat.price else "",
        f"version {beat.version[:8]}" if beat and beat.version else "",
        f"active {'; '.join(entry.hours.lines)} {entry.hours.zone.key}",
    ]
    return " · ".join(part for part in parts if part)


def model_tiles(view: ModelView) -> Iterator[tuple[str, str]]:
    """Figures, each with what to hold it against."""
    line = view.line
    told = line.now.warmth
    yield (
        "not looked at yet" if told is None else VERDICTS[told.verdict],
        "" if told is None else f"{told.probability:.0%} likely up; a call would wait {seconds(told.expected_wait_s)}",
    )
    unwarmed = view.avoided
    if line.week.cold_share is None:
        yield f"{NONE} cold", "no customer's call in 7 days that told"
    else:
        than = ""
        if unwarmed is not None and unwarmed.calls and unwarmed.unwarmed_cold is not None:
            than = f"; unwarmed it would be {share(unwarmed.unwarmed_cold / unwarmed.calls)}"
        yield f"{share(line.week.cold_share)} cold", f"of {number(line.week.calls, 'call')} in 7 days{than}"
    yield (
        f"{spent_usd(line.today)} today",
        f"of {usd(line.today.limit.cap.usd)} that may be spent" if line.is_capped else "no daily budget of its own",
    )
    if unwarmed is not None and unwarmed.price_usd is not None:
        low, high = unwarmed.price_low_usd, unwarmed.price_high_usd
        bar = f"{_fine(low)} or more" if high is None else f"{_fine(low)} to {_fine(high)}"
        yield (
            _fine(unwarmed.price_usd),
            f"for each of {unwarmed.cold_starts or 0:,.0f} cold starts avoided in 7 days ({bar})",
        )
    else:
        why = (unwarmed.why or "") if unwarmed is not None else "see `warmer report`, or look again in a moment"
        yield NONE, f"for a cold start avoided: {why}"


def _fine(value: Decimal | None) -> str:
    return "?" if value is None else f"${float(value):.3g}"


def sentences(view: ModelView) -> Iterator[str]:
    """What it does now, and why."""
    line, now, zone = view.line, view.at, view.line.zone
    reason, at = line.now.reason, line.now.next_at
    if reason is not None:
        if reason.sends:
            yield f"Its last decision sent a beat: {WHY[reason]}."
        else:
            yield f"No beat goes out: {WHY[reason]}."
    if at is not None:
        yield f"It is decided anew {when(at, zone, now)}."
    if line.last_beat is not None:
        yield f"Last beat {_beat_told(_of_beat(line), zone, now)}."
    if view.detail.last_use is not None:
        yield f"Last used {when(view.detail.last_use, zone, now)}, by a beat or a customer."
    belief = line.idle_timeout
    if belief is not None and belief.gaps:
        known = "known" if belief.is_known else "still being narrowed down"
        yield (
            f"Its idle time-out is {known}: {band(belief)} after {number(belief.gaps, 'gap')}; "
            f"beats leave {seconds(belief.interval_s)} between uses."
        )
    if told := override_told(line, now):
        yield f"It is {told}, because somebody asked for it."


def _of_beat(line: Line) -> Met:
    beat = line.last_beat
    assert beat is not None  # noqa: S101 - asked for where there is one
    return Met(
        model=beat.model,
        at=beat.created_at,
        wait_s=beat.wait_s,
        gap_s=beat.gap_s,
        verdict=beat.verdict,
        reason=beat.reason,
        status=beat.status.value,
        error=beat.error,
        cost_usd=beat.cost_usd,
    )


def _beat_told(met: Met, zone: ZoneInfo, now: datetime) -> str:
    why = WHY[met.reason] if met.reason else ""
    return f"{when(met.at, zone, now)}, because {why}: {outcome(met)}"


def model_charts(view: ModelView) -> list[dict[str, Any]]:
    """What each is called, says and is drawn from."""
    zone, cold = view.line.zone, sum(one.verdict is Verdict.COLD for one in view.met)
    beats, calls = (sum(counts.values()) for counts in (view.beats_by_hour, view.calls_by_hour))
    charts: list[dict[str, Any]] = [
        {
            "id": "waits",
            "draws": "waits",
            "title": "Waits, 7 days",
            "told": f"each beat and call, the latest {len(view.met):,}: {cold:,} found cold",
            "key": (("beat", "beat"), ("call", "call"), ("cold", "found cold"), ("unsure", "in doubt")),
            "data": {
                "from": _ms(view.at - WEEK),
                "to": _ms(view.at),
                "points": [
                    [_ms(one.at), max(one.wait_s, 0.005), _kind(one), _local(one.at, zone)]
                    for one in view.met
                    if one.wait_s is not None
                ],
            },
        },
        {
            "id": "traffic",
            "draws": "traffic",
            "title": "Beats against calls, 7 days",
            "told": f"by the hour: {number(beats, 'beat')} above, {number(calls, 'call')} below",
            "key": (("beat", "beats"), ("call", "customers' calls")),
            "data": {"from": _ms(view.at - WEEK), "to": _ms(view.at), "hours": list(_hourly(view))},
        },
        {
            "id": "week",
            "draws": "week",
            "title": "When it is called",
            "told": f"calls an hour, the mean of 4 weeks; outlined: active hours, {zone.key}",
            "key": (),
            "data": {"calls": view.week_of_calls, "open": view.week_open},
        },
    ]
    charts.append(_timeout_chart(view))
    if view.spent:
        charts.append(
            {
                "id": "cost",
                "draws": "cost",
                "title": "Cost by day",
                **spend_chart(view.spent, view.days, lambda one: one.reason, "reason"),
            }
        )
    return charts


def _timeout_chart(view: ModelView) -> dict[str, Any]:
    steps = view.steps
    if steps is None:
        told = "being worked out: a moment"
    elif not steps:
        told = "nothing was found yet that tells"
    else:
        told = f"{steps[-1].low_s:,.0f} – {steps[-1].high_s:,.0f} s after {number(len(steps), 'gap')}, oldest first"
    every = max(1, len(steps or ()) // _STEPS_SHOWN)
    return {
        "id": "timeout",
        "draws": "timeout",
        "title": "Idle time-out, as it was learned",
        "told": told,
        "key": (("band", "80 % of what is thought of it"), ("beat", "found warm"), ("cold", "found cold")),
        "data": {
            "steps": [
                [
                    round(one.gap_s, 1),
                    int(one.cold),
                    round(one.low_s, 1),
                    round(one.median_s, 1),
                    round(one.high_s, 1),
                    at,
                ]
                for at, one in enumerate(steps or (), 1)
                if one.cold or at % every == 0 or at == len(steps or ())
            ]
        },
    }


def _hourly(view: ModelView) -> Iterator[list[Any]]:
    begins = sorted({*view.beats_by_hour, *view.calls_by_hour})
    for at in begins:
        yield [_ms(at), view.beats_by_hour.get(at, 0), view.calls_by_hour.get(at, 0), _local(at, view.line.zone)]


def _kind(one: Met) -> str:
    if one.verdict is Verdict.WARM:
        return "call" if one.reason is None else "beat"
    return one.verdict.value


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %d %b %H:%M}"

"""The money of `warmer report`: by reason, of an avoided cold start, and what the caps leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from warmer.cli.budgets import spending_facts, spendings_of
from warmer.core.beat import Request
from warmer.core.price import Known
from warmer.core.spec import Spec
from warmer.core.spent import Spent, Warming
from warmer.ports import Ledger

if TYPE_CHECKING:
    from warmer.core.avoided import Avoided

REASON_HEADERS = ("model", "reason", "beats", "cost")
UNLISTED = "the file has no such model any more"


def avoided_of(
    spec: Spec, ledger: Ledger, warmings: Sequence[Warming], calls: Sequence[Request], start: datetime, now: datetime
) -> dict[str, Avoided]:
    """For each entry what was spared its customers from `start` to `now`. `calls`: those before are of use too."""
    from warmer.core.avoided import avoided
    from warmer.engine.hosts import learned_of

    learned = learned_of(ledger, now)
    calls_of, warmings_of = defaultdict[str, list[Request]](list), defaultdict[str, list[Warming]](list)
    for call in calls:
        calls_of[call.model].append(call)
    for warming in warmings:
        warmings_of[warming.model].append(warming)
    return {
        entry.name: avoided(
            calls_of[entry.name],
            warmings_of[entry.name],
            learned(entry),
            start=start,
            end=now,
        )
        for entry in spec.models
    }


def avoided_facts(one: Avoided | None) -> dict[str, Any]:
    """For JSON."""
    return {
        "calls": one and one.calls,
        "unwarmed_cold": one and one.unwarmed_cold,
        "cold_starts": one and one.cold_starts,
        "low": one and one.low,
        "high": one and one.high,
        "price_usd": one and one.price_usd,
        "price_low_usd": one and one.price_low_usd,
        "price_high_usd": one and one.price_high_usd,
        "price_known": one.known if one else Known.UNKNOWN,
        "why": one.why if one else UNLISTED,
    }


def avoided_line(model: str, one: Avoided) -> str:
    """Such as `a/b: avoided 412 cold starts (380-450), $0.00401 each ($0.00365-$0.00438)`."""
    from warmer import report

    if one.cold_starts is None or one.low is None or one.high is None:
        return f"{model}: no word on avoided cold starts: {one.why}"
    number = f"{one.cold_starts:.0f}"
    told = f"{model}: avoided {number} cold start{'' if number == '1' else 's'} ({one.low:.0f}-{one.high:.0f})"
    low = report.figures(one.price_low_usd)
    if one.price_usd is None:
        least = "" if one.price_low_usd is None else f", {low} or more each"
        return f"{told}{least}; their price is unknown: {one.why}"
    bar = f"{low} or more" if one.price_high_usd is None else f"{low}-{report.figures(one.price_high_usd)}"
    return f"{told}, {report.figures(one.price_usd, is_estimated=one.is_estimated)} each ({bar})"


def spent_facts(one: Spent) -> dict[str, Any]:
    """For JSON."""
    return {
        "model": one.model,
        "day": one.day,
        "reason": one.reason,
        "beats": one.beats,
        "cost_usd": one.cost.usd,
        "cost_known": one.cost.known,
        "cost_known_usd": one.known_usd,
        "cost_unknown_beats": one.unknown,
    }


def spent_cells(one: Spent) -> tuple[str, ...]:
    """One row under `REASON_HEADERS`."""
    from warmer import report

    cost = report.partly(one.known_usd, one.unknown, one.count, is_estimated=one.cost.is_estimated)
    return one.model, one.reason, f"{one.beats:,}", cost


def budgets(spec: Spec, ledger: Ledger, warmings: Sequence[Warming], now: datetime) -> Iterator[dict[str, Any]]:
    """What is left under each cap of the file, and the day it runs out on at the pace of `warmings`."""
    from warmer.core.budget import runs_out_at
    from warmer.core.spent import usd_a_day

    for one in spendings_of(spec, ledger, now):
        pace = usd_a_day(warmings, one.limit.cap.model, now=now)
        runs_out = runs_out_at(one, pace, now)
        yield spending_facts(one) | {
            "usd_a_day": pace,
            "runs_out_on": None if runs_out is None else runs_out.astimezone(spec.zone).date(),
        }


def budget_line(budget: dict[str, Any], today: date) -> str:
    """Such as `monthly of all models: $12.3000 left of $40, runs out on Thu 26 Nov at $1.3200 a day`."""
    from warmer import report

    told = f"{budget['cap']}: {report.money(budget['left_usd'])} left of ${budget['cap_usd']}"
    if not budget["left_usd"]:
        return told
    day, pace = budget["runs_out_on"], f"at {report.money(budget['usd_a_day'])} a day"
    if day is None:
        return f"{told}, enough {pace}"
    return f"{told}, runs out {'today' if day == today else f'on {day:%a %d %b}'} {pace}"

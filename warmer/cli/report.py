"""`warmer report`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption, SinceOption
from warmer.core.beat import Request
from warmer.core.spec import Spec
from warmer.ports import Ledger

if TYPE_CHECKING:
    from warmer.charts.report import Table
    from warmer.core.insight import Summary
    from warmer.core.shadow import Score, Shadow

SHADOW_HEADERS = ("model", "how", "policy", "beats", "cold", "cost")


def report(
    config: ConfigOption = None,
    since: SinceOption = timedelta(days=7),
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on stdout.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also a page with charts, to look at or to mail.")
    ] = None,
) -> None:
    """What was found, how long it took and what it cost, by model, day and reason; what it was good for."""
    from warmer import report as form
    from warmer.charts.report import Table, report_page
    from warmer.cli import report_money as money
    from warmer.cli import wiring
    from warmer.cli.page_file import check_page, write_page
    from warmer.clock import SystemClock
    from warmer.core.avoided import BEFORE
    from warmer.core.insight import summarise
    from warmer.core.rollup import in_days
    from warmer.core.spent import FLOOR, Warming, spent_by_reason

    if html is not None:
        check_page(html)
    spec = wiring.load(config)
    ledger = wiring.ledger_of(spec)
    now = SystemClock().now()
    start = now - since
    hours, calls = ledger.beat_sums(start, spec.zone), ledger.call_sums(start, spec.zone)
    beats = in_days(hours, spec.zone)
    earlier = list(ledger.requests(since=start - BEFORE))
    held = [Warming.of_floor(spell, start, now, spec.zone) for spell in ledger.floor_spells(start)]
    floored = list(chain.from_iterable(held))
    warmings = [*map(Warming.of, beats), *floored]
    names = [model.name for model in spec.models]
    spent = spent_by_reason(warmings, models=names, zone=spec.zone)
    by_day = spent_by_reason(warmings, models=names, zone=spec.zone, by_day=True)
    floors = {(one.model, one.day): one.cost for one in (*spent, *by_day) if one.reason == FLOOR}
    whole = summarise(beats, calls, models=names, zone=spec.zone, ticks=ledger.ticks(start), floors=floors)
    days = summarise(beats, calls, models=names, zone=spec.zone, by_day=True, floors=floors)
    if as_csv and not as_json:
        _write_csv(days)
        if html is None:
            return
    avoided = money.avoided_of(spec, ledger, [*map(Warming.of, hours), *floored], earlier, start, now)
    budgets = list(money.budgets(spec, ledger, warmings, now))
    shadows = _shadows(spec, [call for call in earlier if call.created_at >= start], ledger, now)
    summary = Table(
        title="By model, and by day",
        headers=form.SUMMARY_HEADERS,
        rows=[form.summary_cells(row) for row in (*whole, *days)],
        left=2,
    )
    why = Table(
        title="What was spent for which reason",
        headers=money.REASON_HEADERS,
        rows=[money.spent_cells(one) for one in spent],
        left=2,
    )
    shadowed = Table(
        title="The same calls, as they went, and replayed through policy and shadow",
        headers=SHADOW_HEADERS,
        rows=[row for one in shadows for row in _shadow_rows(one, whole)],
        left=3,
    )
    reasons = [_reasons_line(row) for row in whole if row.reasons]
    notes = [money.avoided_line(model, one) for model, one in avoided.items()]
    notes += [money.budget_line(budget, now.astimezone(spec.zone).date()) for budget in budgets]
    if as_json:
        models = [
            form.summary_facts(row) | {"ticks": row.reasons, "avoided": money.avoided_facts(avoided.get(row.model))}
            for row in whole
        ]
        document = {
            "schema": 1,
            "from": start,
            "to": now,
            "models": models,
            "days": [form.summary_facts(row) for row in days],
            "reasons": [money.spent_facts(one) for one in (*spent, *by_day)],
            "budgets": budgets,
            "shadows": [_shadow_facts(one, whole) for one in shadows],
        }
        form.write_json(document, sys.stdout)
    elif not as_csv:
        _write_text(summary, reasons, why, notes, shadowed)
    if html is not None:
        tables = [table for table in (summary, why, shadowed) if table.rows]
        write_page(html, report_page(whole, days, tables, [*notes, *reasons], start=start, end=now, zone=spec.zone))
        if not as_json and not as_csv:
            typer.echo(f"The same with charts, to look at or to mail: {html}")


def _write_csv(days: Sequence[Summary]) -> None:
    from warmer import report as form
    from warmer.core.plain import plain

    writer = csv.writer(sys.stdout, lineterminator="\n")
    for index, row in enumerate(days):
        facts = _flat(plain(form.summary_facts(row)))
        if index == 0:
            writer.writerow(facts)
        writer.writerow(["" if value is None else value for value in facts.values()])


def _write_text(summary: Table, reasons: Sequence[str], why: Table, notes: Sequence[str], shadowed: Table) -> None:
    _write_table(summary)
    for line in reasons:
        typer.echo(line)
    if why.rows:
        typer.echo("")
        _write_table(why)
    for line in ("", *notes):
        typer.echo(line)
    if shadowed.rows:
        typer.echo(f"\n{shadowed.title}:")
        _write_table(shadowed)


def _write_table(table: Table) -> None:
    from warmer import report as form

    form.write_table(table.headers, table.rows, sys.stdout, left=table.left)


def _reasons_line(row: Summary) -> str:
    """Such as `a/b: idle 4, recent_activity 2`."""
    told = ", ".join(f"{reason} {count}" for reason, count in row.reasons.items())
    return f"{row.model}: {told}"


def _shadows(spec: Spec, calls: Sequence[Request], ledger: Ledger, now: datetime) -> list[Shadow]:
    """The scores of candidates, for entries that have one and were called."""
    from warmer.core.shadow import shadow_of

    shadowed = [entry for entry in spec.models if entry.shadow is not None]
    if not shadowed:
        return []
    from warmer.engine.hosts import hosts_of

    host_of = hosts_of(ledger, now)
    scores = (
        shadow_of(entry, [call.created_at for call in calls if call.model == entry.name], host_of(entry))
        for entry in shadowed
    )
    return [score for score in scores if score is not None]


def _shadow_facts(one: Shadow, whole: Sequence[Summary]) -> dict[str, object]:
    return {
        "model": one.model,
        "policy": one.policy,
        "shadow": one.shadow,
        "calls": one.calls,
        "host": {"idle_timeout_s": one.idle_timeout_s, "boot_s": one.boot_s},
        "interval_s": one.interval_s,
        "measured": _measured(one, whole),
        "replayed": one.entry,
        "shadowed": one.candidate,
    }


def _shadow_rows(one: Shadow, whole: Sequence[Summary]) -> Iterator[Sequence[str]]:
    """What was measured, the policy replayed and the shadow replayed, under SHADOW_HEADERS."""
    from warmer import report as form

    scores = (("measured", one.policy, _measured(one, whole)), ("replayed", one.policy, one.entry))
    for how, policy, score in (*scores, ("shadow", one.shadow, one.candidate)):
        yield one.model, how, policy, f"{score.beats:,}", form.share(score.cold_share), form.money(score.cost_usd)


def _measured(one: Shadow, whole: Sequence[Summary]) -> Score:
    """What the ledger says of the same model and time."""
    from warmer.core.shadow import Score

    row = next(row for row in whole if row.model == one.model)
    return Score(beats=row.beats, cold_share=row.cold_share, cost_usd=row.cost.usd)


def _flat(facts: dict[str, object]) -> dict[str, object]:
    flat = dict[str, object]()
    for key, value in facts.items():
        if isinstance(value, dict):
            flat |= {f"{key}_{inner}": item for inner, item in value.items()}
        else:
            flat[key] = value
    return flat

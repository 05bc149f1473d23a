"""`warmer report`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption, SinceOption
from warmer.core.beat import Request
from warmer.core.insight import Summary
from warmer.core.spec import Spec
from warmer.ports import Ledger

if TYPE_CHECKING:
    from warmer.core.shadow import Score, Shadow

SHADOW_HEADERS = ("model", "how", "policy", "beats", "cold", "cost")


def report(
    config: ConfigOption = None,
    since: SinceOption = timedelta(days=7),
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on stdout.")] = False,
) -> None:
    """What was found, how long it took and what it cost, by model, day and reason; what it was good for."""
    from warmer import report as form
    from warmer.cli import report_money as money
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.core.avoided import BEFORE
    from warmer.core.insight import summarise
    from warmer.core.plain import plain
    from warmer.core.spent import FLOOR, Warming, spent_by_reason

    spec = wiring.load(config)
    ledger = wiring.ledger_of(spec)
    now = SystemClock().now()
    start = now - since
    beats, earlier = list(ledger.beats(since=start)), list(ledger.requests(since=start - BEFORE))
    calls = [call for call in earlier if call.created_at >= start]
    sent = [Warming.of(beat) for beat in beats]
    held = (Warming.of_floor(spell, start, now, spec.zone) for spell in ledger.floor_spells(start))
    warmings = [*sent, *chain.from_iterable(held)]
    names = [model.name for model in spec.models]
    spent = spent_by_reason(warmings, models=names, zone=spec.zone)
    by_day = spent_by_reason(warmings, models=names, zone=spec.zone, by_day=True)
    floors = {(one.model, one.day): one.cost for one in (*spent, *by_day) if one.reason == FLOOR}
    whole = summarise(beats, calls, models=names, zone=spec.zone, ticks=ledger.ticks(start), floors=floors)
    days = summarise(beats, calls, models=names, zone=spec.zone, by_day=True, floors=floors)
    if as_csv and not as_json:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        for index, row in enumerate(days):
            facts = _flat(plain(form.summary_facts(row)))
            if index == 0:
                writer.writerow(facts)
            writer.writerow(["" if value is None else value for value in facts.values()])
        return
    avoided = money.avoided_of(spec, ledger, warmings, earlier, start, now)
    budgets = list(money.budgets(spec, ledger, warmings, now))
    shadows = _shadows(spec, calls, ledger, now)
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
    else:
        rows = [form.summary_cells(row) for row in (*whole, *days)]
        form.write_table(form.SUMMARY_HEADERS, rows, sys.stdout, left=2)
        for row in whole:
            if row.reasons:
                told = ", ".join(f"{reason} {count}" for reason, count in row.reasons.items())
                typer.echo(f"{row.model}: {told}")
        if spent:
            typer.echo("")
            form.write_table(money.REASON_HEADERS, [money.spent_cells(one) for one in spent], sys.stdout, left=2)
        typer.echo("")
        for model, one in avoided.items():
            typer.echo(money.avoided_line(model, one))
        for budget in budgets:
            typer.echo(money.budget_line(budget, now.astimezone(spec.zone).date()))
        if shadows:
            typer.echo("\nThe same calls, as they went, and replayed through policy and shadow:")
            form.write_table(
                SHADOW_HEADERS, [row for one in shadows for row in _shadow_rows(one, whole)], sys.stdout, left=3
            )


def _shadows(spec: Spec, calls: Sequence[Request], ledger: Ledger, now: datetime) -> list[Shadow]:
    """The scores of candidates, for entries that have one and were called."""
    from warmer.core.shadow import shadow_of

    shadowed = [entry for entry in spec.models if entry.shadow is not None]
    if not shadowed:
        return []
    from warmer.cli.hosts import hosts_of

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

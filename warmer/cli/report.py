"""`warmer report`."""

from __future__ import annotations

import csv
import sys
from datetime import timedelta
from typing import Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption, SinceOption


def report(
    config: ConfigOption = None,
    since: SinceOption = timedelta(days=7),
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on stdout.")] = False,
) -> None:
    """What was found, how long it took and what it cost, by model and day."""
    from warmer import report as form
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.core.insight import summarise
    from warmer.core.plain import plain

    spec = wiring.load(config)
    ledger = wiring.ledger_of(spec)
    now = SystemClock().now()
    start = now - since
    beats, calls = list(ledger.beats(since=start)), list(ledger.requests(since=start))
    names = [model.name for model in spec.models]
    whole = summarise(beats, calls, models=names, zone=spec.zone, ticks=ledger.ticks(start))
    days = summarise(beats, calls, models=names, zone=spec.zone, by_day=True)
    if as_json:
        models = [form.summary_facts(row) | {"ticks": row.reasons} for row in whole]
        document = {
            "schema": 1,
            "from": start,
            "to": now,
            "models": models,
            "days": [form.summary_facts(row) for row in days],
        }
        form.write_json(document, sys.stdout)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        for index, row in enumerate(days):
            facts = _flat(plain(form.summary_facts(row)))
            if index == 0:
                writer.writerow(facts)
            writer.writerow(["" if value is None else value for value in facts.values()])
    else:
        rows = [form.summary_cells(row) for row in (*whole, *days)]
        form.write_table(form.SUMMARY_HEADERS, rows, sys.stdout, left=2)
        for row in whole:
            if row.reasons:
                told = ", ".join(f"{reason} {count}" for reason, count in row.reasons.items())
                typer.echo(f"{row.model}: {told}")


def _flat(facts: dict[str, object]) -> dict[str, object]:
    flat = dict[str, object]()
    for key, value in facts.items():
        if isinstance(value, dict):
            flat |= {f"{key}_{inner}": item for inner, item in value.items()}
        else:
            flat[key] = value
    return flat

"""`warmer export`."""

from __future__ import annotations

import dataclasses
import sys
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption, duration
from warmer.core.beat import Observation, Request


class Facts(StrEnum):
    """What can be exported."""

    BEATS = "beats"
    REQUESTS = "requests"


class Format(StrEnum):
    """How."""

    JSONL = "jsonl"
    CSV = "csv"


WITHIN = ("version", "cost_is_estimated", "input_hash")
"""What warmer goes by, and is no column that programs rely on."""


def export(
    facts: Annotated[Facts, typer.Argument(help="What to print.")],
    config: ConfigOption = None,
    form: Annotated[Format, typer.Option("--format", help="One JSON object a line, or CSV.")] = Format.JSONL,
    since: Annotated[
        timedelta | None,
        typer.Option("--since", parser=duration, metavar="DURATION", help="How far to look back. Default: all."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only this model, by its name in the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the ledger's facts, oldest first: one row a beat, or one a customer's call."""
    from warmer import report
    from warmer.cli import wiring
    from warmer.clock import SystemClock

    ledger = wiring.ledger_of(wiring.load(config))
    start = SystemClock().now() - since if since else None
    source, kind = (ledger.beats, Observation) if facts is Facts.BEATS else (ledger.requests, Request)
    columns = [field.name for field in dataclasses.fields(kind) if field.name not in WITHIN]
    rows = source(since=start, model=model)
    if as_json:
        listed = [{name: getattr(row, name) for name in columns} for row in rows]
        report.write_json({"schema": 1, facts.value: listed}, sys.stdout)
        return
    report.write_rows(rows, columns, sys.stdout, as_csv=form is Format.CSV)

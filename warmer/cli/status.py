"""`warmer status`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import typer

from warmer.cli.options import ConfigOption, JsonOption
from warmer.core.beat import Observation
from warmer.core.spec import ModelSpec, Spec
from warmer.ports import Ledger


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Each model now, as the ledger has it: what the last beat found, when the next is due and why, spend today."""
    from warmer import report
    from warmer.cli import wiring
    from warmer.clock import SystemClock

    spec = wiring.load(config)
    ledger = wiring.ledger_of(spec)
    now = SystemClock().now()
    rows = [_row(model, spec, ledger, now) for model in spec.models]
    if as_json:
        report.write_json({"schema": 1, "at": now, "models": rows}, sys.stdout)
        return
    headers = ("model", "policy", "last found", "last beat", "waited", "next", "because", "spent today")
    report.write_table(headers, [_cells(row, spec, now) for row in rows], sys.stdout, left=4)
    if not any(row["last_beat_at"] for row in rows):
        typer.echo("no beat on record yet: start `warmer run`, or `warmer once`")


def _row(model: ModelSpec, spec: Spec, ledger: Ledger, now: datetime) -> dict[str, Any]:
    from warmer.core.policy import Rest, decide
    from warmer.core.state import fold

    history = ledger.history(model.name)
    action = decide(now, fold(history, now=now, skew=timedelta(0)), model)
    midnight = now.astimezone(spec.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    today = list(ledger.beats(since=midnight, model=model.name))
    last = ledger.latest_beat(model.name)
    spent, unknown = _spent(today)
    return {
        "model": model.name,
        "policy": model.policy,
        "verdict": last.verdict if last else None,
        "last_beat_at": last.created_at if last else None,
        "last_wait_s": last.wait_s if last else None,
        "last_error": last.error if last else None,
        "next_beat_at": action.until if isinstance(action, Rest) else now,
        "reason": action.reason,
        "spent_today_usd": None if unknown else spent,
        "spent_today_known_usd": spent,
        "cost_unknown_beats": unknown,
        "last_activity_at": history.last_activity,
    }


def _spent(beats: Sequence[Observation]) -> tuple[Decimal, int]:
    known = [beat.cost_usd for beat in beats if beat.cost_usd is not None]
    return sum(known, Decimal(0)), len(beats) - len(known)


def _cells(row: dict[str, Any], spec: Spec, now: datetime) -> tuple[str, ...]:
    from warmer import report

    due = row["next_beat_at"]
    return (
        row["model"],
        row["policy"].value,
        row["verdict"].value if row["verdict"] else "-",
        report.local(row["last_beat_at"], spec.zone),
        report.seconds(row["last_wait_s"]),
        "never" if due is None else "due now" if due <= now else report.local(due, spec.zone),
        row["reason"].value,
        report.money(row["spent_today_usd"]),
    )

"""`warmer plan`."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption
from warmer.cli.overrides import told
from warmer.core.price import FREE, Cost, Known


def plan(
    config: ConfigOption = None,
    days: Annotated[int, typer.Option(help="How many days to look ahead.", min=1, max=366)] = 7,
    as_json: JsonOption = False,
) -> None:
    """The coming beats and their cost, without network: as if customers called as in the last seven days."""
    from warmer import report
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.engine.planning import plan_file

    spec = wiring.load(config)
    ledger = wiring.ledger_of(spec)
    start = SystemClock().now()
    end = start + timedelta(days=days)
    models = plan_file(spec, ledger, start, end)
    costs = [Cost(usd=model.cost_usd, is_estimated=model.cost_known is Known.ESTIMATED) for model in models]
    beats, cost = sum(model.beats for model in models), sum(costs, FREE)
    if as_json:
        document = {"schema": 1, "from": start, "to": end, "beats": beats} | {
            "cost_usd": cost.usd,
            "cost_known": cost.known,
            "models": models,
        }
        report.write_json(document, sys.stdout)
        return
    rows = [
        (
            model.model,
            str(model.beats),
            report.money(one.usd, is_estimated=one.is_estimated),
            f"{_hours(model.windows):.0f} h",
            report.local(model.windows[0][0], spec.zone) if model.windows else "never",
        )
        for model, one in zip(models, costs, strict=True)
    ]
    rows.append(("all", str(beats), report.money(cost.usd, is_estimated=cost.is_estimated), "", ""))
    report.write_table(("model", "beats", "cost", "open", "opens"), rows, sys.stdout)
    for model in models:
        if model.override is not None:
            typer.echo(f"{model.model}: {told(model.override, spec)}")
        if model.note is not None:
            typer.echo(f"{model.model}: {model.note}")
        if model.stopped_from is not None:
            since = report.local(model.stopped_from, spec.zone)
            more = f", {model.stops} times in all" if model.stops > 1 else ""
            typer.echo(f"{model.model}: stopped by the budget from {since} ({model.stopped_by}){more}")


def _hours(windows: tuple[tuple[datetime, datetime], ...]) -> float:
    return sum((closes - opens).total_seconds() for opens, closes in windows) / 3600

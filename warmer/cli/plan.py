"""`warmer plan`."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption
from warmer.core.price import FREE, Cost, Known
from warmer.core.spec import ModelSpec, PolicyName, Spec
from warmer.ports import Ledger

if TYPE_CHECKING:
    from warmer.core.plan import ModelPlan, Outlook
    from warmer.engine.learning import Learning


def plan(
    config: ConfigOption = None,
    days: Annotated[int, typer.Option(help="How many days to look ahead.", min=1, max=366)] = 7,
    as_json: JsonOption = False,
) -> None:
    """The coming beats and their cost, without network: as if customers called as in the last seven days."""
    from warmer import report
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.engine.learning import Learning

    spec = wiring.load(config)
    ledger = wiring.ledger_of(spec)
    start = SystemClock().now()
    end = start + timedelta(days=days)
    learning = Learning(lambda: spec.models)
    models = _plan(spec, ledger, learning, start, end)
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
        if model.note is not None:
            typer.echo(f"{model.model}: {model.note}")
        if model.stopped_from is not None:
            since = report.local(model.stopped_from, spec.zone)
            more = f", {model.stops} times in all" if model.stops > 1 else ""
            typer.echo(f"{model.model}: stopped by the budget from {since} ({model.stopped_by}){more}")


def _plan(spec: Spec, ledger: Ledger, learning: Learning, start: datetime, end: datetime) -> list[ModelPlan]:
    from warmer.cli.official import is_left_alone
    from warmer.core.budget import limits
    from warmer.core.official import ALWAYS_ON
    from warmer.core.plan import Outlook, plan_models
    from warmer.core.state import ModelState

    alone = {model.name for model in spec.models if is_left_alone(model, ledger, start)}
    entries = [
        (replace(model, policy=PolicyName.OBSERVE), Outlook(state=ModelState()))
        if model.name in alone
        else _outlook(model, ledger, learning, start)
        for model in spec.models
    ]
    caps = {cap for model in spec.models for cap in model.caps}
    spent = ledger.spendings(limits(caps, start, spec.zone), start)
    planned = plan_models(entries, start, end, spent)
    return [replace(one, note=ALWAYS_ON) if one.model in alone else one for one in planned]


def _outlook(model: ModelSpec, ledger: Ledger, learning: Learning, now: datetime) -> tuple[ModelSpec, Outlook]:
    """What the plan of `model` goes by; without its caps where only the API can tell what they leave."""
    from warmer.core.afford import is_price_told, reserve_told
    from warmer.core.plan import WEEK, Outlook
    from warmer.core.state import fold

    knowledge = learning.knowledge(ledger, model, now)
    last = ledger.latest_beat(model.name)
    outlook = Outlook.of(
        fold(ledger.history(model.name), now=now, skew=timedelta(0), knowledge=knowledge),
        list(ledger.beats(since=now - WEEK, model=model.name)),
        list(ledger.requests(since=now - WEEK, model=model.name)),
        reserve_usd=reserve_told(model, last.billing if last else None, knowledge.learned),
    )
    if model.policy is PolicyName.FLOOR:
        known = ledger.floor(model.target.slug)
        outlook = replace(outlook, is_raised=known is not None and known.ended_at is None)
    return model if is_price_told(model) else replace(model, caps=()), outlook


def _hours(windows: tuple[tuple[datetime, datetime], ...]) -> float:
    return sum((closes - opens).total_seconds() for opens, closes in windows) / 3600

"""`warmer plan`."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption
from warmer.core.price import FREE, Cost, Known
from warmer.core.spec import ModelSpec, PolicyName
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
    models = [_plan(model, ledger, learning, start, end) for model in spec.models]
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


def _plan(model: ModelSpec, ledger: Ledger, learning: Learning, start: datetime, end: datetime) -> ModelPlan:
    from warmer.cli.official import is_left_alone
    from warmer.core.official import ALWAYS_ON
    from warmer.core.plan import Outlook, plan_model
    from warmer.core.state import ModelState

    if is_left_alone(model, ledger, start):
        nothing = replace(model, policy=PolicyName.OBSERVE)
        return replace(plan_model(nothing, Outlook(state=ModelState()), start, end), note=ALWAYS_ON)
    return plan_model(model, _outlook(model, ledger, learning, start), start, end)


def _outlook(model: ModelSpec, ledger: Ledger, learning: Learning, now: datetime) -> Outlook:
    from warmer.core.plan import WEEK, Outlook
    from warmer.core.state import fold

    knowledge = learning.knowledge(ledger, model, now)
    state = fold(ledger.history(model.name), now=now, skew=timedelta(0), knowledge=knowledge)
    return Outlook.of(
        state,
        list(ledger.beats(since=now - WEEK, model=model.name)),
        list(ledger.requests(since=now - WEEK, model=model.name)),
    )


def _hours(windows: tuple[tuple[datetime, datetime], ...]) -> float:
    return sum((closes - opens).total_seconds() for opens, closes in windows) / 3600

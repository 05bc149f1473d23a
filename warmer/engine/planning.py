"""What is to come of a file's models, by what the ledger has."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from warmer.core.afford import is_price_told, reserve_told
from warmer.core.budget import limits
from warmer.core.official import ALWAYS_ON
from warmer.core.override import Override
from warmer.core.plan import WEEK, ModelPlan, Outlook, plan_models
from warmer.core.spec import ModelSpec, PolicyName, Spec
from warmer.core.state import ModelState, fold
from warmer.engine.alone import left_alone
from warmer.engine.learning import Learning
from warmer.engine.overriding import read_overrides
from warmer.ports import Ledger


def plan_file(spec: Spec, ledger: Ledger, start: datetime, end: datetime) -> list[ModelPlan]:
    """The beats of each model from `start` and before `end`, as if customers called as in the week before."""
    learning = Learning(lambda: spec.models)
    alone, overrides = left_alone(spec, ledger, start), read_overrides(ledger)
    entries = [
        (replace(model, policy=PolicyName.OBSERVE), Outlook(state=ModelState()))
        if model.name in alone
        else _outlook(model, ledger, learning, start, overrides.of(model.name))
        for model in spec.models
    ]
    planned = plan_models(entries, start, end, ledger.spendings(limits(spec.caps, start, spec.zone), start))
    return [replace(one, note=ALWAYS_ON) if one.model in alone else one for one in planned]


def _outlook(
    model: ModelSpec, ledger: Ledger, learning: Learning, now: datetime, overrides: tuple[Override, ...]
) -> tuple[ModelSpec, Outlook]:
    """What the plan of `model` goes by; without its caps where only the API can tell what they leave."""
    seen = learning.glance(ledger, model, now)
    knowledge = learning.knowledge(ledger, model, now, seen)
    last = ledger.latest_beat(model.name)
    outlook = Outlook.of(
        fold(seen.history, now=now, skew=timedelta(0), knowledge=knowledge, overrides=overrides),
        list(ledger.beats(since=now - WEEK, model=model.name)),
        list(ledger.requests(since=now - WEEK, model=model.name)),
        reserve_usd=reserve_told(model, last.billing if last else None, knowledge.learned),
    )
    if model.policy is PolicyName.FLOOR:
        known = ledger.floor(model.target.slug)
        outlook = replace(outlook, is_raised=known is not None and known.ended_at is None)
    return model if is_price_told(model) else replace(model, caps=()), outlook

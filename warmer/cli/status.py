"""`warmer status`."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

import typer

from warmer.cli.budgets import spending_facts, spendings_of
from warmer.cli.options import ConfigOption, JsonOption
from warmer.cli.overrides import told
from warmer.core.price import FREE, Known
from warmer.core.spec import ModelSpec, PolicyName, Spec
from warmer.ports import Ledger

if TYPE_CHECKING:
    from warmer.core.idle_timeout import IdleTimeout
    from warmer.core.override import Override
    from warmer.core.prospect import Prospect
    from warmer.core.rollup import BeatSums
    from warmer.core.state import Hold
    from warmer.core.worth import Goal
    from warmer.engine.learning import Learning


HEADERS = ("model", "policy", "last found", "last beat", "waited", "next", "because", "idle time-out", "spent today")


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Each model now, as the ledger has it: what the last beat found, when the next is due and why, spend today."""
    from warmer import report
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.core.versions import hint
    from warmer.engine.alone import left_alone
    from warmer.engine.learning import Learning
    from warmer.engine.overriding import read_overrides
    from warmer.engine.versions import read_elsewhere

    spec = wiring.load(config)
    ledger = wiring.ledger_of(spec)
    now = SystemClock().now()
    learning = Learning(lambda: spec.models)
    alone = left_alone(spec, ledger, now)
    midnight = now.astimezone(spec.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    today: dict[str, list[BeatSums]] = defaultdict(list)
    for one in ledger.beat_sums(midnight, spec.zone):
        today[one.model].append(one)
    overrides = read_overrides(ledger)
    rows = [
        _row(
            model,
            spec,
            ledger,
            learning,
            now,
            overrides.of(model.name),
            today[model.name],
            is_alone=model.name in alone,
        )
        for model in spec.models
    ]
    others = {model.name: read_elsewhere(ledger, model, spec.models, now) for model in spec.models}
    for row in rows:
        found = others[row["model"]]
        row["customers_version"] = found and found.version
    budgets = [spending_facts(one) for one in spendings_of(spec, ledger, now)]
    if as_json:
        report.write_json({"schema": 1, "at": now, "models": rows, "budgets": budgets}, sys.stdout)
        return
    report.write_table(HEADERS, [_cells(row, spec, now) for row in rows], sys.stdout, left=4)
    for row in rows:
        if row["override"] is not None:
            typer.echo(f"{row['model']}: {told(row['override'], spec)}")
    for model in spec.models:
        if (found := others[model.name]) is not None:
            told_of = f"{found.calls} of the latest {found.of} calls ran version {found.version}, which no beat goes to"
            typer.echo(f"{model.name}: {told_of}; {model.where_of('target')}: {hint(model, found)}")
    for budget in budgets:
        until = report.local(budget["until"], spec.zone)
        typer.echo(f"{budget['cap']}: {report.money(budget['left_usd'])} left of ${budget['cap_usd']} until {until}")
    if not any(row["last_beat_at"] for row in rows):
        typer.echo("no beat on record yet: start `warmer run`, or `warmer once`")


def _row(
    model: ModelSpec,
    spec: Spec,
    ledger: Ledger,
    learning: Learning,
    now: datetime,
    overrides: tuple[Override, ...],
    today: Sequence[BeatSums],
    *,
    is_alone: bool,
) -> dict[str, Any]:
    from warmer.core.afford import reserve_told
    from warmer.core.beat import Reason
    from warmer.core.override import binding
    from warmer.core.policy import Rest, decide
    from warmer.core.state import Hold, fold
    from warmer.engine.budgets import floor_hold

    seen = learning.glance(ledger, model, now)
    history, knowledge = seen.history, learning.knowledge(ledger, model, now, seen)
    last = ledger.latest_beat(model.name)
    hold = Hold(reason=Reason.ALWAYS_ON, until=None) if is_alone else None
    state = fold(history, now=now, skew=timedelta(0), hold=hold, knowledge=knowledge, overrides=overrides)
    action = decide(now, state, model)
    if action.reason is Reason.FLOOR_HELD and model.price is not None:
        state = replace(state, budget=floor_hold(ledger, model, state, model.price, now))
        action = decide(now, state, model)
    due = action.until if isinstance(action, Rest) else now
    reserve_usd = reserve_told(model, last.billing if last else None, knowledge.learned)
    if due is not None and (stop := _stop(model, reserve_usd, ledger, due, now)) is not None:
        action, due = Rest(reason=stop.reason, until=stop.until), stop.until
        if due is not None and isinstance(later := decide(due, state, model), Rest):
            due = later.until  # such as the next opening
    cost = sum((one.cost for one in today), FREE)
    return {
        "model": model.name,
        "policy": model.policy,
        "verdict": last.verdict if last else None,
        "last_beat_at": last.created_at if last else None,
        "last_wait_s": last.wait_s if last else None,
        "last_error": last.error if last else None,
        "next_beat_at": due,
        "reason": action.reason,
        "override": binding(overrides, now),
        "spent_today_usd": cost.usd,
        "spent_today_known_usd": sum((one.known_usd for one in today), Decimal(0)),
        "cost_known": cost.known,
        "cost_unknown_beats": sum(one.unknown for one in today),
        "last_activity_at": history.last_activity,
        "idle_timeout": None if knowledge.learned is None else _idle_timeout(knowledge.learned.idle_timeout),
        "forecast": None if knowledge.prospect is None else _forecast(knowledge.prospect, learning.goal(model), now),
    }


def _stop(model: ModelSpec, reserve_usd: Decimal | None, ledger: Ledger, due: datetime, now: datetime) -> Hold | None:
    """What the caps have against the beat that is due then, if nothing more is spent; as far as the file tells."""
    from warmer.core.afford import afford, is_price_told
    from warmer.core.budget import limits

    if model.policy is PolicyName.FLOOR or not is_price_told(model):
        return None
    spendings = ledger.spendings(limits(model.caps, due, model.hours.zone), now)
    stop = afford(spendings, reserve_usd, due, model.interval)
    # What is still out may come back before then.
    is_final = stop is not None and (stop.until is None or stop.until in [one.limit.end for one in spendings])
    return stop if is_final or due <= now else None


def _idle_timeout(belief: IdleTimeout) -> dict[str, Any]:
    low_s, high_s = belief.band_s
    return {
        "known": belief.is_known,
        "median_s": belief.median_s,
        "low_s": low_s,
        "high_s": high_s,
        "interval_s": belief.interval_s,
        "gaps": belief.gaps,
    }


def _forecast(prospect: Prospect, goal: Goal | None, now: datetime) -> dict[str, Any]:
    """The figures behind a decision of `adaptive` now."""
    shown = prospect.decider.explain(prospect.seconds(now))
    verdict = prospect.decider.verdict if goal is None else None  # a target is held at any price
    return {
        "chance": shown.chance,
        "within_s": shown.within_s,
        "break_even": shown.break_even if isfinite(shown.break_even) else None,
        "worth_beats": shown.worth,
        "worth_warming": verdict and verdict.worth_warming,
        "cold_starts": verdict and verdict.cold_starts,
        "avoidable": verdict and verdict.avoided,
        "cold_share": None if goal is None else goal.share,
        "target_in_reach": None if goal is None else not goal.out_of_reach,
    }


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
        _band(row["idle_timeout"]),
        report.money(row["spent_today_usd"], is_estimated=row["cost_known"] is Known.ESTIMATED),
    )


def _band(idle_timeout: dict[str, Any] | None) -> str:
    """Such as `280-310 s, 41 gaps seen`."""
    if idle_timeout is None:
        return "not learned"
    low_s, high_s, gaps = idle_timeout["low_s"], idle_timeout["high_s"], idle_timeout["gaps"]
    seen = f"{gaps} gap{'' if gaps == 1 else 's'} seen"
    return f"{low_s:.0f}-{high_s:.0f} s, {seen}" if gaps else "unknown, no gap seen"

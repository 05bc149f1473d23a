from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from engine.stage import BLIP, START, Stage, model

from warmer.core.afford import reserve_told
from warmer.core.beat import Observation, Reason, Request, Status, Verdict
from warmer.core.budget import Cap, Period
from warmer.core.hours import ActiveHours
from warmer.core.plan import WEEK, Outlook, plan_model
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.state import ModelState
from warmer.testing import run

OFFICE = ActiveHours(lines=("Mo-Fr 10:00-14:00",), zone=ZoneInfo("Europe/Berlin"))


def last_week(calls: list[float]) -> list[Request]:
    """The same calls, seven days ago."""
    return [
        Request(
            model=BLIP,
            prediction_id=f"call-{number}",
            created_at=START - WEEK + timedelta(seconds=second),
            started_at=START - WEEK + timedelta(seconds=second),
            completed_at=START - WEEK + timedelta(seconds=second + 0.5),
            gap_s=None,
            wait_s=0.0,
            run_s=0.5,
            verdict=Verdict.WARM,
            status=Status.SUCCEEDED,
        )
        for number, second in enumerate(calls)
    ]


@pytest.mark.parametrize(
    ("policy", "mean_gap_s"),
    [
        (PolicyName.AWARE, 200),
        pytest.param(PolicyName.AWARE, 3600, marks=pytest.mark.thorough),
        pytest.param(PolicyName.FIXED, 3600, marks=pytest.mark.thorough),
    ],
)
def test_the_plan_of_a_week_is_what_the_week_brings(db: Path, policy: PolicyName, mean_gap_s: float) -> None:
    entry: ModelSpec = model(BLIP, every=100, hours=OFFICE, policy=policy)
    week_s = WEEK.total_seconds()
    chance, moment = Random(5), 0.0
    calls: list[float] = []
    while (moment := moment + chance.expovariate(1 / mean_gap_s)) < week_s:
        calls.append(moment)

    async def scene() -> int:
        stage = Stage(db, entry)
        calling = asyncio.ensure_future(stage.customers(BLIP, calls))
        await stage.play(week_s)
        await calling
        return len(stage.beats())

    planned = plan_model(entry, Outlook.of(ModelState(), [], last_week(calls)), START, START + WEEK)
    brought = run(scene())
    assert planned.beats == pytest.approx(brought, rel=0.01, abs=2)
    assert planned.cost_usd is None or planned.beats == 0
    assert sum((closes - opens for opens, closes in planned.windows), timedelta()) == timedelta(hours=20)


@pytest.mark.thorough
def test_so_it_is_where_the_budget_ends_each_day(db: Path) -> None:
    cap = Cap(model=None, period=Period.DAILY, usd=Decimal("0.05"))
    every_day = ActiveHours(lines=("24/7",), zone=ZoneInfo("Europe/Berlin"))
    entry = model(
        BLIP, every=100, hours=every_day, policy=PolicyName.FIXED, caps=(cap,), deadline=timedelta(seconds=60)
    )

    async def scene() -> tuple[list[Observation], int]:
        stage = Stage(db, entry)
        await stage.play(WEEK.total_seconds() / 3)
        return stage.beats(), sum(tick.reason is Reason.OVER_BUDGET for _, tick in stage.ticks)

    beats, stops = run(scene())
    reserve_usd = reserve_told(entry, None, None)
    outlook = Outlook.of(ModelState(), beats, [], reserve_usd=reserve_usd)
    planned = plan_model(entry, outlook, START, START + WEEK / 3)
    assert planned.beats == pytest.approx(len(beats), rel=0.02, abs=2)
    assert planned.stops == stops == 3

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from engine.stage import BLIP, START, Stage, model

from warmer.core.beat import Request, Status, Verdict
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


@pytest.mark.parametrize("policy", [policy for policy in PolicyName if policy is not PolicyName.FLOOR])
@pytest.mark.parametrize("mean_gap_s", [200, 3600])
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

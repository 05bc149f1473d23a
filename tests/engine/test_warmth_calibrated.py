"""The warmth answer against the sandbox's truth: a week of virtual time, asked at random moments."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from pathlib import Path
from random import Random
from statistics import fmean
from zoneinfo import ZoneInfo

import pytest
from engine.stage import INPUT, START, Stage, model, traits

from warmer.core.hours import ActiveHours
from warmer.core.spec import PolicyName
from warmer.engine.answers import Answers
from warmer.sandbox.instances import Life
from warmer.sandbox.world import World
from warmer.testing import run

pytestmark = pytest.mark.thorough

DAY_S = 86_400.0
NOONS = ActiveHours(lines=("Mo-Fr 11:00-13:00",), zone=ZoneInfo("UTC"))
STEADY, SPARSE, WARMED = "acme/steady", "acme/sparse", "acme/warmed"
HOSTS = [
    traits(STEADY, idle_timeout_s=120, idle_timeout_spread=0.1),
    traits(SPARSE, idle_timeout_s=600, idle_timeout_spread=0.2, boot_s=40),
    traits(WARMED, idle_timeout_s=300),
]
CALLS_AN_HOUR = {STEADY: 12, SPARSE: 3, WARMED: 4}
READ_EVERY_S = 300.0
"""As the daemon reads the account's list."""
Case = tuple[float, bool]  # the chance that was told, and whether an instance was up


async def week(db: Path, seed: int) -> list[Case]:
    world = World(begin=START, seed=seed, models=HOSTS, deployments=())
    entries = [
        model(STEADY, policy=PolicyName.OBSERVE),
        model(SPARSE, policy=PolicyName.OBSERVE),
        model(WARMED, hours=NOONS),
    ]
    stage = Stage(db, *entries, world=world)
    answers, chance = Answers(stage.desk, stage.clock, lambda: stage.accounts), Random(seed)

    async def visit(slug: str) -> None:
        visits = Random(f"{seed}/{slug}")
        while True:
            await asyncio.sleep(visits.expovariate(CALLS_AN_HOUR[slug] / 3600))
            world.create(stage.true.now(), slug, INPUT, caller="customer")

    async def read() -> None:
        while True:
            await asyncio.sleep(READ_EVERY_S)
            await stage.account.traffic.refresh(READ_EVERY_S)

    others = [asyncio.ensure_future(work) for work in (*map(visit, CALLS_AN_HOUR), read())]
    stage.start()
    cases: list[Case] = []
    await asyncio.sleep(600)
    while stage.true.monotonic() < 7 * DAY_S:
        await asyncio.sleep(chance.expovariate(1 / 900))
        told = await answers.warmth(entries)
        world.advance(stage.true.now())
        stays = world.journal.instances(stage.true.now())[-200:]
        up = {stay.target for stay in stays if stay.life in (Life.ACTIVE, Life.IDLE)}
        cases += [(one.probability, one.model in up) for one in told]
    for other in others:
        other.cancel()
    await answers.close()
    await stage.leave()
    return cases


def test_what_is_told_comes_true_as_often_as_is_told(db: Path) -> None:
    cases = run(week(db, seed=1))
    brier = fmean((told - is_up) ** 2 for told, is_up in cases)
    mean = fmean(is_up for _, is_up in cases)
    spread = mean * (1 - mean)
    sys.stdout.write(f"Brier score {brier:.4f} over {len(cases)} answers, by the mean alone {spread:.4f}\n")
    by_decile = defaultdict[int, list[Case]](list)
    for case in cases:
        by_decile[min(9, int(case[0] * 10))].append(case)
    for decile, those in sorted(by_decile.items()):
        told, came = fmean(one for one, _ in those), fmean(one for _, one in those)
        sys.stdout.write(f"{decile / 10:.1f}: {len(those):5} answers, told {told:.3f}, came {came:.3f}\n")
        assert len(those) <= 100 or abs(told - came) <= 0.05
    assert brier < 0.6 * spread  # most of what is left are calls of the minutes in which nobody read the list
    assert sum(len(those) > 100 for those in by_decile.values()) >= 3

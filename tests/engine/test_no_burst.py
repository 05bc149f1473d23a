"""What many models wait for together does not let them loose together: creates a second stay below twice the mean."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import START, Stage, accounts_of, fixed, traits

from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec, Spec
from warmer.errors import AccountRefused, Unreachable
from warmer.sandbox.world import World
from warmer.testing import run

EVERY_S = 15.0
MODELS = 60
MEAN = MODELS / EVERY_S
SLUGS = [f"acme/model-{number}" for number in range(MODELS)]


def entries(every: float = EVERY_S, **more: Any) -> list[ModelSpec]:
    return [fixed(slug, every, traffic=False, **more) for slug in SLUGS]


def stage_at(db: Path, **more: Any) -> Stage:
    hosted = [traits(slug, boot_s=1.0, idle_timeout_s=3600) for slug in SLUGS]
    return Stage(db, *entries(**more), world=World(begin=START, seed=1, models=hosted, deployments=()))


def busiest(stage: Stage) -> int:
    return max(Counter(int(at) for at in stage.seconds()).values())


def test_a_start_is_no_burst(db: Path) -> None:
    async def scene() -> None:
        stage = stage_at(db)
        await stage.play(3 * EVERY_S)
        assert len({call.model for call in stage.created()}) == MODELS
        assert busiest(stage) < 2 * MEAN

    run(scene())


@pytest.mark.parametrize("away_s", [0.0, 1.0, 4.7, 11.3, 40.0])
def test_neither_is_a_restart_nor_the_next_one(db: Path, away_s: float) -> None:
    async def scene() -> None:
        stage = stage_at(db)
        stage.start()
        for _ in range(3):
            await asyncio.sleep(1.6 * EVERY_S)
            await stage.leave()
            await asyncio.sleep(away_s)
            stage = stage.another_process()
            stage.start()
        await asyncio.sleep(2 * EVERY_S)
        await stage.leave()
        assert busiest(stage) < 2 * MEAN

    run(scene())


def test_neither_is_a_reload_that_changes_every_model(db: Path) -> None:
    async def scene() -> None:
        stage = stage_at(db)
        stage.start()
        await asyncio.sleep(2.3 * EVERY_S)
        changed = Spec(zone=stage.spec.zone, models=tuple(entries(EVERY_S - 1)))
        stage.fleet.apply(spec := changed, accounts_of(spec, stage.account))
        await asyncio.sleep(3 * EVERY_S)
        await stage.leave()
        assert busiest(stage) < 2 * MEAN

    run(scene())


@pytest.mark.parametrize("error", [AccountRefused("the token is refused"), Unreachable("no network")])
def test_neither_is_the_end_of_a_hold(db: Path, error: AccountRefused | Unreachable) -> None:
    async def scene() -> None:
        stage = stage_at(db)
        stage.start()
        await asyncio.sleep(1.5 * EVERY_S)
        stage.host.refusing["create"] = error
        await asyncio.sleep(4 * EVERY_S)
        del stage.host.refusing["create"]
        gone = stage.true.monotonic()
        await asyncio.sleep(150)
        await stage.leave()
        since = {call.model for call in stage.created() if call.created_at > START + timedelta(seconds=gone)}
        assert len(since) == MODELS
        assert busiest(stage) < 2 * MEAN

    run(scene())


def test_neither_is_the_beginning_of_their_hours(db: Path) -> None:
    opens = START + timedelta(minutes=10)
    until = f"{opens:%H:%M}-{opens + timedelta(minutes=3):%H:%M}"
    hours = ActiveHours(lines=(f"Mo-Su {until}",), zone=ZoneInfo("UTC"))

    async def scene() -> None:
        stage = stage_at(db, hours=hours)
        stage.start()
        await asyncio.sleep(300)
        for slug in SLUGS:  # what is decided anew meanwhile keeps its turn
            stage.fleet.poke(slug)
        await asyncio.sleep(300 + 3 * EVERY_S)
        await stage.leave()
        firsts = {call.model: call.created_at for call in reversed(stage.created())}
        assert len(firsts) == MODELS
        assert all(opens <= at < opens + timedelta(seconds=EVERY_S + 2) for at in firsts.values())
        assert busiest(stage) < 2 * MEAN

    run(scene())

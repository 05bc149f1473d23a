"""Customers who run another version than beats go to: said once, with what to write, whatever process finds it out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.stage import BLIP, START, Stage, fixed, model

from warmer.core.beat import Reason
from warmer.core.spec import ModelSpec, TargetKind
from warmer.engine.versions import read_elsewhere
from warmer.log import Event
from warmer.sandbox.world import World
from warmer.testing import run

UPSCALER, ESRGAN, FLUX = "acme/upscaler", "nightmareai/real-esrgan", "black-forest-labs/flux-schnell"


def world_of_two() -> tuple[World, str, str]:
    """A world in which BLIP has an old and a new version."""
    world = World(begin=START, seed=1)
    old = world.model(BLIP).latest.id
    return world, old, world.publish(START, BLIP).id


def pinned(version: str, **more: Any) -> ModelSpec:
    entry = fixed(BLIP, 60, places={"target": "warmer.yaml:5"}, **more)
    return replace(entry, target=replace(entry.target, version=version))


def called(stage: Stage, count: int, version: str | None = None, slug: str = BLIP) -> None:
    example = dict(stage.world.model(slug).default_example or {})
    for _ in range(count):
        stage.world.create(stage.true.now(), slug, example, caller="customer", version=version)


def told(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == Event.VERSION_DIFFERED]


def test_it_is_said_once_with_what_to_write_and_again_for_another_version(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        world, old, new = world_of_two()
        stage = Stage(db, pinned(old), world=world)
        stage.start()
        for minute in range(4):
            await stage.until(60 * minute + 30)
            called(stage, 1, new)
        await stage.until(300)
        assert told(lines) == []  # too few to tell
        for minute in range(5, 60):
            await stage.until(60 * minute + 30)
            called(stage, 1, new)
        await stage.until(3600)
        (line,) = told(lines)
        assert (line["model"], line["version"], line["customers_version"]) == (BLIP, old, new)
        assert line["calls"] == line["of"] == 5
        assert line["where"] == "warmer.yaml:5"
        assert f"{BLIP}:{new}`" in line["hint"]
        assert f"`model: {BLIP}` if that is the latest" in line["hint"]
        third = stage.world.publish(stage.true.now(), BLIP).id
        for minute in range(60, 90):
            await stage.until(60 * minute + 30)
            called(stage, 1, third)
        await stage.leave()
        assert [line["customers_version"] for line in told(lines)] == [new, third]

    run(scene())


def test_such_calls_are_no_use_of_what_is_warmed(db: Path) -> None:
    async def scene() -> None:
        world, old, new = world_of_two()
        stage = Stage(db, replace(pinned(old), policy=model(BLIP).policy), world=world)
        stage.start()
        for second in range(0, 600, 20):
            await stage.until(second)
            called(stage, 1, new)
        await stage.leave()
        assert list(stage.ledger.requests()) == []
        assert len(stage.created(BLIP)) >= 8  # nobody else keeps it warm
        assert Reason.RECENT_ACTIVITY not in stage.counted() or stage.counted()[Reason.RECENT_ACTIVITY] < 20

    run(scene())


def test_a_new_life_and_another_process_do_not_repeat_it(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        world, old, new = world_of_two()
        stage = Stage(db, pinned(old), world=world)
        stage.start()
        await stage.until(30)
        called(stage, 8, new)
        await stage.until(90)
        assert len(told(lines)) == 1
        other = stage.another_process()
        other.start()
        called(stage, 3, new)
        await stage.until(200)
        await stage.leave()
        called(stage, 3, new)
        await other.until(400)
        await other.leave()
        assert len(told(lines)) == 1
        found = read_elsewhere(other.ledger, stage.spec.models[0], stage.spec.models, stage.true.now())
        assert found is not None
        assert (found.version, found.calls, found.of) == (new, 14, 14)
        assert found == read_elsewhere(stage.ledger, stage.spec.models[0], stage.spec.models, stage.true.now())
        third = other.another_process()
        called(third, 20, old)
        await third.account.traffic.refresh(0)
        assert read_elsewhere(third.ledger, stage.spec.models[0], stage.spec.models, stage.true.now()) is None
        called(third, 20, new)
        await asyncio.sleep(1)
        await third.account.traffic.refresh(0)
        assert len(told(lines)) == 2  # they had gone, and came back
        later = stage.true.now() + timedelta(days=1)
        assert read_elsewhere(stage.ledger, stage.spec.models[0], stage.spec.models, later) is None

    run(scene())


def test_a_process_that_sends_nothing_itself_counts_them_and_takes_them_for_no_use(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        world, old, _ = world_of_two()
        entry = model(BLIP, every=600)
        stage = Stage(db, entry, world=world)
        await stage.account.heartbeat.tick(entry)
        passing = stage.another_process()  # such as a pass of cron: its model is not due
        called(stage, 8, old)
        await asyncio.sleep(30)
        tick = await passing.account.heartbeat.tick(entry)
        assert tick.reason is Reason.RECENT_ACTIVITY
        assert list(passing.ledger.requests()) == []
        found = read_elsewhere(passing.ledger, entry, (entry,), passing.true.now())
        assert found is not None
        assert (found.version, found.calls) == (old, 8)
        assert told(lines) == []  # it did not ask what the latest version is
        called(stage, 1, old)
        await asyncio.sleep(600)
        await stage.another_process().account.heartbeat.tick(entry)
        assert [line["calls"] for line in told(lines)] == [9]

    run(scene())


def test_a_version_that_customers_move_to_is_looked_up_at_once(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 60))
        stage.start()
        await stage.until(90)
        new = stage.world.publish(stage.true.now(), BLIP).id
        called(stage, 12, new)  # where nobody called, it would be looked up within a quarter of an hour
        await stage.until(125)
        called(stage, 12, new)
        await stage.until(300)
        await stage.leave()
        assert [line["version"] for line in lines if line["event"] == Event.MODEL_RESOLVED][1:] == [new]
        assert [call.version == new for call in stage.created(BLIP)] == [False, False, False, True, True]
        assert told(lines) == []

    run(scene())


def test_who_stays_at_the_version_before_the_latest_is_named(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        world, old, new = world_of_two()
        stage = Stage(db, fixed(BLIP, 60), world=world)
        stage.start()
        await stage.until(30)
        called(stage, 9, old)
        called(stage, 4, new)
        await stage.until(200)
        await stage.leave()
        (line,) = told(lines)
        assert (line["version"], line["customers_version"], line["calls"], line["of"]) == (new, old, 9, 13)
        assert line["hint"] == f"write `model: {BLIP}:{old}`"
        assert len(list(stage.ledger.requests())) == 4

    run(scene())


def test_nothing_is_said_where_there_is_no_choice_or_it_is_made(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        world, old, new = world_of_two()
        stage = Stage(
            db,
            pinned(old, name="old"),
            pinned(new, name="new"),
            model(UPSCALER, every=60, kind=TargetKind.DEPLOYMENT),
            model(FLUX, every=60),
            world=world,
        )
        stage.start()
        for minute in range(10):
            await stage.until(60 * minute + 30)
            called(stage, 1, new)
            called(stage, 1, slug=FLUX)
            called(stage, 1, slug=ESRGAN)
            stage.world.create(
                stage.true.now(), UPSCALER, dict(stage.world.model(ESRGAN).default_example or {}), caller="customer"
            )
        await stage.leave()
        assert told(lines) == []

    run(scene())

"""What is asked of a running daemon, in virtual time on the sandbox's world."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import ALWAYS, BLIP, INPUT, LLAMA, SDXL, START, Play, file_of, ledger_at, model

from warmer.core.beat import Reason, Request
from warmer.core.hours import ActiveHours
from warmer.core.policy import Rest, Warm
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.told import Told
from warmer.engine.console import Console
from warmer.log import Event
from warmer.testing import run

NIGHTS = ActiveHours(lines=("Mo-Su 22:00-23:00",), zone=ZoneInfo("UTC"))


def console(play: Play) -> Console:
    return play.daemon._console


def calls(db: Path) -> list[Request]:
    ledger = ledger_at(db)
    try:
        return list(ledger.requests())
    finally:
        ledger.close()


def told(play: Play, name: str = BLIP, **more: Any) -> Told:
    return Told(**{"model": name, "created_at": console(play).stamp()} | more)


@pytest.mark.parametrize("traffic", [True, False])
def test_a_told_call_saves_the_next_beat(db: Path, traffic: bool) -> None:
    async def scene(tells: bool) -> list[float]:
        async with Play(db, file_of(model(BLIP, every=60, traffic=traffic))) as play:
            await asyncio.sleep(90)
            if tells:
                assert await console(play).tell(told(play))
            await asyncio.sleep(80)
        return [at for at in play.seconds(BLIP) if 90 < at < 149]

    assert run(scene(tells=False))
    db.unlink()
    assert run(scene(tells=True)) == []


@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_call_that_the_list_shows_too_is_counted_once(db: Path, by_id: bool, is_first: bool) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(BLIP, every=60))) as play:
            await asyncio.sleep(90)
            made = play.world.create(play.true.now(), BLIP, INPUT, caller="customer")
            if not is_first:
                await asyncio.sleep(2)
                await play.daemon._fleet.accounts.own.traffic.refresh()
            call = told(play, prediction_id=made.id if by_id else None)
            assert await console(play).tell(call) is is_first
            await asyncio.sleep(10)
            await play.daemon._fleet.accounts.own.traffic.refresh()
            await asyncio.sleep(100)
        (seen,) = calls(db)
        assert seen.prediction_id == made.id
        assert seen.status.value == "succeeded"

    run(scene())


def test_a_call_of_another_account_stays_on_record_and_is_told_once(db: Path) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(BLIP, every=60))) as play:
            await asyncio.sleep(90)
            call = told(play, prediction_id="elsewhere")
            assert await console(play).tell(call)
            assert not await console(play).tell(call)
            await asyncio.sleep(200)
        (seen,) = calls(db)
        assert seen.prediction_id == "elsewhere"

    run(scene())


def test_a_beat_of_ours_that_is_told_is_no_call(db: Path) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(BLIP, every=60))) as play:
            await asyncio.sleep(30)
            (beat,) = play.beats()
            assert not await console(play).tell(told(play, prediction_id=beat.prediction_id))
        assert calls(db) == []

    run(scene())


def test_told_calls_do_not_hide_those_that_nobody_told(db: Path) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(BLIP, policy=PolicyName.OBSERVE))) as play:
            await asyncio.sleep(10)
            seen = play.world.create(play.true.now(), BLIP, INPUT, caller="customer")
            await asyncio.sleep(30)
            await console(play).tell(told(play, prediction_id="elsewhere"))
        async with Play(db, file_of(model(BLIP, policy=PolicyName.OBSERVE)), world=play.world) as after:
            after.true.step(timedelta(seconds=60))
            after.clock.step(timedelta(seconds=60))
            await after.daemon._fleet.accounts.own.traffic.refresh()
        assert {call.prediction_id for call in calls(db)} == {seen.id, "elsewhere"}

    run(scene())


def test_one_beat_goes_out_when_it_is_asked_for_whatever_the_hours_and_the_policy(db: Path) -> None:
    async def scene(entry: ModelSpec) -> None:
        async with Play(db, file_of(entry)) as play:
            await asyncio.sleep(30)
            assert play.seconds(BLIP) == []
            assert await console(play).beat(BLIP) == Warm(reason=Reason.ORDERED)
            assert await console(play).beat(BLIP) == Rest(reason=Reason.IN_FLIGHT, until=None)
            await asyncio.sleep(120)
            assert len(play.seconds(BLIP)) == 1
            assert [seen.reason for seen in play.beats()] == [Reason.ORDERED]

    run(scene(model(BLIP, hours=NIGHTS)))
    db.unlink()
    run(scene(model(BLIP, policy=PolicyName.OBSERVE)))


def test_a_paused_model_sends_none_even_when_asked(db: Path) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(BLIP, hours=NIGHTS))) as play:
            await console(play).override(lambda known, now: known.paused([BLIP], now))
            assert await console(play).beat(BLIP) == Rest(reason=Reason.PAUSED, until=None)
            await asyncio.sleep(30)
            assert play.seconds(BLIP) == []

    run(scene())


def test_what_is_asked_for_here_is_in_force_at_once(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(BLIP, every=20, hours=NIGHTS)), watch=False) as play:
            await asyncio.sleep(30)
            await console(play).override(lambda known, now: known.warmed([BLIP], now, now + timedelta(hours=1)))
            await asyncio.sleep(1)
            assert play.seconds(BLIP)
            (one,) = await console(play).overview()
            assert one.override is not None

    run(scene())
    assert [line["scope"] for line in lines if line["event"] == Event.OVERRIDE_SET] == [BLIP]


def test_the_warm_model_comes_first_and_a_boot_is_seen(db: Path) -> None:
    async def scene() -> None:
        entries = (model(BLIP, every=20), model(LLAMA, policy=PolicyName.OBSERVE), model(SDXL, hours=NIGHTS))
        async with Play(db, file_of(*entries)) as play:
            await asyncio.sleep(120)
            best, *others = await console(play).warmth([SDXL, LLAMA, BLIP])
            assert best.model == BLIP
            assert best.probability > 0.9
            assert all(one.probability < 0.1 for one in others)
            prompt = dict(play.world.model(LLAMA).default_example or {})
            play.world.create(play.true.now(), LLAMA, prompt, caller="customer")
            await asyncio.sleep(100)
            await console(play).warmth([LLAMA])  # has the list read
            await asyncio.sleep(1)
            (seen,) = await console(play).warmth([LLAMA])
            assert seen.probability > 0.7
            detail = await console(play).model(BLIP)
            assert detail.last_beat is not None
            assert detail.now.warmth is not None

    run(scene())


def test_memory_answers_without_the_ledger(db: Path) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(BLIP, every=20, hours=ALWAYS)), start=START) as play:
            await asyncio.sleep(60)
            await console(play).warmth([BLIP])
            asked: list[object] = []
            desk = play.daemon._desk
            do, desk.do = desk.do, lambda work: asked.append(work) or do(work)  # type: ignore[method-assign]
            await console(play).warmth([BLIP])
            assert asked == []

    run(scene())

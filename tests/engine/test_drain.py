from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, LLAMA, SDXL, START, Play, Stage, file_of, fixed, model, traits, when

from warmer.core.beat import Status
from warmer.core.spec import Spec
from warmer.engine.daemon import CUT
from warmer.engine.fleet import DRAIN
from warmer.log import Event
from warmer.sandbox.world import World
from warmer.testing import run

LONG = "acme/sixty-seconds"


def booting() -> World:
    return World(begin=START, seed=1, models=[traits(LONG, boot_s=60, boot_spread=0.0)], deployments=())


def test_a_stop_lets_a_warm_beat_end_and_be_recorded(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        play = Play(db, file_of(fixed(LLAMA, 30)))
        async with play:
            await asyncio.sleep(50)
            await when(lambda: play.world.journal.running_now(caller="warmer"))
        assert play.world.journal.running_now() == 0
        assert len(play.beats()) == len(play.seconds(LLAMA))
        assert {seen.status for seen in play.beats()} == {Status.SUCCEEDED}
        assert play.hosts[0].cancelled == []
        assert lines[-1]["event"] == Event.DAEMON_STOPPED
        assert lines[-1]["drained"] is True

    run(scene())


@pytest.mark.parametrize("after", [0.5, 7, 13, 40.2, 59])
def test_a_stop_during_a_cold_boot_cancels_it_and_records_that(db: Path, lines: list[Any], after: float) -> None:
    async def scene() -> None:
        play = Play(db, file_of(model(LONG, every=300)), world=booting())
        async with play:
            await asyncio.sleep(after)
            asked = play.true.now()
        assert play.true.now() - asked <= DRAIN + CUT + timedelta(seconds=0.2)
        play.world.advance(play.true.now())
        assert play.world.journal.running_now() == 0
        (seen,) = play.beats()
        assert seen.status in (Status.CANCELED, Status.SUCCEEDED)
        if after < 57:
            assert play.hosts[0].cancelled == [seen.prediction_id]
        assert lines[-1]["event"] == Event.DAEMON_STOPPED
        assert lines[-1]["drained"] is True

    run(scene())


def test_many_cold_boots_are_cancelled_together(db: Path) -> None:
    slugs = [f"acme/boots-{number}" for number in range(30)]
    world = World(begin=START, models=[traits(slug, boot_s=60) for slug in slugs], deployments=())

    async def scene() -> None:
        play = Play(db, file_of(*(model(slug, every=300) for slug in slugs)), world=world)
        async with play:
            await asyncio.sleep(15)
            play.hosts[0].latency_s = 0.3
            asked = play.true.now()
        assert play.true.now() - asked <= DRAIN + CUT + timedelta(seconds=0.2)
        play.world.advance(play.true.now())
        assert play.world.journal.running_now() == 0
        assert len(play.beats()) == 30

    run(scene())


def test_a_boot_that_an_earlier_life_began_is_cancelled_too(db: Path) -> None:
    async def scene() -> None:
        world = booting()
        first = Stage(db, model(LONG, every=300), world=world)
        first.start()
        await asyncio.sleep(5)
        await first.die()
        play = Play(db, file_of(model(LONG, every=300)), world=world)
        play.true = first.true
        for host in play.hosts:
            host.true = first.true
            host._world_now = first.true.now
        async with play:
            await asyncio.sleep(10)
        world.advance(first.true.now())
        assert world.journal.running_now() == 0
        assert [seen.status for seen in play.beats()] == [Status.CANCELED]

    run(scene())


def test_a_beat_that_cannot_be_ended_stays_open_for_the_next_life(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        play = Play(db, file_of(model(LONG, every=300)), world=booting())
        async with play:
            await asyncio.sleep(15)
            play.hosts[0].latency_s = 120  # the provider does not answer any more
        later = Stage(db, model(LONG, every=300))
        (left,) = later.ledger.open_beats()
        assert left.prediction_id is not None
        assert play.beats() == []
        assert lines[-1]["event"] == Event.DAEMON_STOPPED
        assert lines[-1]["drained"] is False
        await asyncio.sleep(200)
        assert lines[-1]["event"] == Event.DAEMON_STOPPED  # nobody is left to stumble over what was closed

    run(scene())


def test_a_bug_in_a_chore_ends_the_daemon_loudly_and_not_its_beats(db: Path) -> None:
    async def scene() -> None:
        play = Play(db, file_of(fixed(BLIP, 20), fixed(SDXL, 60)))
        play.load.now = ZeroDivisionError("a bug in the reader")
        with pytest.raises(ZeroDivisionError):
            await play.daemon.run(signals=False)
        assert play.hosts[0].closed

    run(scene())


def test_a_start_stops_at_once_where_nothing_is_out(db: Path) -> None:
    async def scene() -> None:
        play = Play(db, Spec(zone=file_of().zone, models=(), path="warmer.yaml"))
        async with play:
            await asyncio.sleep(0)
        assert play.true.monotonic() < 1

    run(scene())

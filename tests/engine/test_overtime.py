"""What runs past its deadline, because its host does not end it, is ended by us, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.stage import START, Stage, fixed, traits, when

from warmer.core.beat import BeatRequest, Prediction
from warmer.errors import Unavailable
from warmer.log import Event
from warmer.sandbox.world import World
from warmer.testing import run

SLUG = "acme/endless"
DEADLINE_S = 60.0
OVERTIME_S = 10.0
OOPS = Unavailable("the provider failed (500)")


def heedless(db: Path) -> Stage:
    """A host that heeds no deadline, and a model whose runs take 25 minutes."""
    world = World(begin=START, seed=1, models=[traits(SLUG, run_s=1500.0, run_spread=0.0)], deployments=[])
    return deafened(Stage(db, fixed(SLUG, 3600, deadline=timedelta(seconds=DEADLINE_S)), world=world))


def deafened(stage: Stage) -> Stage:
    create = stage.host.create

    async def endless(request: BeatRequest) -> Prediction:
        return await create(replace(request, deadline=timedelta(days=1)))

    stage.host.create = endless  # type: ignore[method-assign] # the host's own doing
    return stage


def ran_s(stage: Stage) -> float:
    (call,) = stage.created()
    assert call.completed_at is not None
    return (call.completed_at - call.created_at).total_seconds()


def failures(lines: list[Any]) -> list[str]:
    return [line["error"] for line in lines if line["event"] == Event.BEAT_FAILED]


def test_it_is_cancelled_ten_seconds_later(db: Path) -> None:
    async def scene() -> None:
        stage = heedless(db)
        stage.start()
        await stage.until(300)
        await stage.leave()
        assert DEADLINE_S + OVERTIME_S < ran_s(stage) < DEADLINE_S + OVERTIME_S + 10

    run(scene())


def test_a_cancel_that_fails_is_tried_again_until_it_is_taken_and_said_once(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = heedless(db)
        stage.start()
        stage.host.refusing["cancel"] = OOPS
        await stage.until(600)
        assert len(failures(lines)) == 1
        assert "not cancelled" in failures(lines)[0]
        stage.host.refusing.clear()
        await stage.until(620)
        await stage.leave()
        assert 600 - 2 < ran_s(stage) < 620
        assert len(failures(lines)) == 2  # and how it ended
        assert stage.ledger.open_beats() == ()

    run(scene())


def test_a_cancel_that_is_never_taken_ends_with_the_longest_run_that_there_is(db: Path) -> None:
    async def scene() -> None:
        stage = heedless(db)
        stage.start()
        stage.host.refusing |= {"cancel": OOPS, "read": OOPS}
        await stage.until(1900)
        assert stage.ledger.open_beats() == ()
        await stage.leave()

    run(scene())


def test_a_process_that_comes_later_does_not_begin_to_count_anew(db: Path) -> None:
    async def scene() -> None:
        stage = heedless(db)
        stage.start()
        for life in range(5):
            await stage.until(13 + 13 * life)
            await stage.die()
            stage = deafened(stage.another_process())
            stage.take_over()
        await asyncio.sleep(300)
        await stage.leave()
        assert DEADLINE_S + OVERTIME_S <= ran_s(stage) < DEADLINE_S + 2 * OVERTIME_S + 10

    run(scene())


def test_what_nobody_tells_the_end_of_is_cancelled_by_a_process_that_comes_later(db: Path) -> None:
    async def scene() -> None:
        first = heedless(db)
        first.start()
        await when(lambda: [beat for beat in first.ledger.open_beats() if beat.prediction_id])
        await first.die()
        stage = first.another_process()
        stage.host.refusing["read"] = OOPS
        await stage.until(200)
        stage.take_over()
        await asyncio.sleep(60)
        assert len(stage.host.cancelled) == 1
        assert stage.ledger.open_beats() == ()
        await stage.leave()

    run(scene())

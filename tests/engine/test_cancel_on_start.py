"""Beats that are canceled as soon as they run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine.stage import START, Stage, fixed
from engine.stage import traits as made

from warmer.core.beat import Status, Verdict
from warmer.core.price import Billing
from warmer.errors import Unavailable
from warmer.log import Event
from warmer.sandbox.world import World
from warmer.testing import run

SLUG, RUN_S = "acme/slow", 40.0


def staged(db: Path, every: float = 100, **traits: Any) -> Stage:
    slow = made(SLUG, boot_s=6.0, run_s=RUN_S, idle_timeout_s=300.0, **traits)
    entry = fixed(SLUG, every, cancel_on_start=True)
    return Stage(db, entry, world=World(begin=START, seed=1, models=[slow], deployments=()))


def test_a_beat_is_canceled_once_it_runs_and_has_warmed_the_model(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = staged(db)
        await stage.play(650)
        beats = stage.beats()
        assert {beat.status for beat in beats} == {Status.STARTED}
        assert [beat.verdict for beat in beats] == [Verdict.COLD] + [Verdict.WARM] * (len(beats) - 1)
        assert all(beat.run_s is not None and beat.run_s < 7 for beat in beats)
        assert {call.status for call in stage.created()} == {"canceled"}
        assert not [line for line in lines if line["event"] in (Event.BEAT_FAILED, Event.MODEL_FAILED)]
        assert len([line for line in lines if line["event"] == Event.BEAT_DONE]) == len(beats) == 7

    run(scene())


def test_where_that_does_not_keep_it_warm_beats_run_to_their_end_again(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = staged(db, survives_cancel=False)
        await stage.play(1250)
        statuses = [beat.status for beat in stage.beats()]
        assert statuses[:4] == [Status.STARTED] * 4
        assert set(statuses[4:]) == {Status.SUCCEEDED}
        assert [beat.verdict for beat in stage.beats()][6:] == [Verdict.WARM] * (len(statuses) - 6)
        (dropped,) = [line for line in lines if line["event"] == Event.CANCEL_DROPPED]
        assert dropped["model"] == SLUG

    run(scene())


def test_a_cancel_that_fails_is_asked_for_again(db: Path) -> None:
    async def scene() -> None:
        stage = staged(db)
        cancel, failed = stage.host.cancel, list[str]()

        async def refuse(prediction_id: str) -> None:
            if prediction_id not in failed:
                failed.append(prediction_id)
                raise Unavailable("502")
            await cancel(prediction_id)

        stage.host.cancel = refuse  # type: ignore[method-assign]
        await stage.play(90)
        assert failed
        assert [beat.status for beat in stage.beats()] == [Status.STARTED]

    run(scene())


@pytest.mark.parametrize("billing", [Billing.PRIVATE, Billing.OFFICIAL])
def test_where_more_than_the_run_is_billed_nothing_is_canceled(db: Path, billing: Billing) -> None:
    async def scene() -> None:
        stage = staged(db)
        (entry,) = stage.spec.models
        tick = await stage.account.heartbeat.tick(replace(entry, billing=billing))
        assert tick.observation is not None
        assert tick.observation.status is Status.SUCCEEDED

    run(scene())

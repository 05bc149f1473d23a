"""What a schema allows need not run: a model that fails on what was made up gets its example's input, and keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.stage import BLIP, Stage, fixed

from warmer.core.beat import Status
from warmer.log import Event
from warmer.sandbox.catalogue import MODELS
from warmer.testing import run

EXAMPLE = next(model for model in MODELS if f"{model.owner}/{model.name}" == BLIP).default_example


def inputs(stage: Stage) -> list[Mapping[str, Any]]:
    return [stage.world.prediction(call.id).input or {} for call in stage.created(BLIP)]


def test_the_example_s_input_takes_its_place_also_after_a_restart(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 90, where="warmer.yaml:7"))
        stage.world.fail_next(BLIP, "the image is too small", times=2)
        stage.start()
        await stage.until(600)
        await stage.leave()
        first, second, *others = inputs(stage)
        assert first == second != EXAMPLE
        assert len(others) >= 3
        assert all(given == EXAMPLE for given in others)
        (said,) = [line for line in lines if line["event"] == Event.INPUT_REPLACED]
        assert (said["model"], said["where"]) == (BLIP, "warmer.yaml:7")
        assert "write an `input`" in said["hint"]
        again = stage.another_process()
        again.start()
        await again.until(900)
        await again.leave()
        assert all(given == EXAMPLE for given in inputs(stage)[2:])
        assert len([line for line in lines if line["event"] == Event.INPUT_REPLACED]) == 1

    run(scene())


def test_bad_luck_once_is_no_reason_and_what_the_file_says_is_left_alone(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 90))
        stage.world.fail_next(BLIP, "out of memory")
        stage.start()
        await stage.until(200)
        stage.world.fail_next(BLIP, "out of memory")
        await stage.until(900)
        assert [beat.status for beat in stage.ledger.beats()].count(Status.FAILED) == 2
        assert all(given == inputs(stage)[0] != EXAMPLE for given in inputs(stage))
        stage.world.fail_next(BLIP, "out of memory", times=2)
        await stage.until(1800)
        assert inputs(stage)[-1] == EXAMPLE  # twice in a row is a reason
        await stage.leave()

    run(scene())


def test_an_input_of_the_file_s_own_is_never_replaced(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        own = {"image": "https://example.test/mine.png"}
        stage = Stage(db, fixed(BLIP, 90, input=own))
        stage.world.fail_next(BLIP, "the image is too small", times=3)
        stage.start()
        await stage.until(1800)
        await stage.leave()
        assert all(given == own for given in inputs(stage))
        assert not [line for line in lines if line["event"] == Event.INPUT_REPLACED]

    run(scene())

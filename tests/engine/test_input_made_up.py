"""A model whose schema allows no input that could be made up: said once, with what to write, and the others go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.stage import BLIP, START, Stage, fixed, traits

from warmer.core.beat import Reason
from warmer.log import Event
from warmer.sandbox.catalogue import MODELS
from warmer.sandbox.traits import Traits, Version, version_id
from warmer.sandbox.world import World
from warmer.testing import run

ODD = "acme/odd"


def odd(**more: Any) -> Traits:
    size = {"type": "integer", "minimum": 5, "maximum": 3}
    document = {"components": {"schemas": {"Input": {"type": "object", "properties": {"size": size}} | more}}}
    version = Version(id=version_id(ODD, 1), created_at=START, openapi_schema=document)
    return traits(ODD, versions=(version,))


def test_where_no_input_can_be_made_up_the_model_is_disabled_and_the_others_go_on(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        world = World(begin=START, seed=1, models=(*MODELS, odd(required=["size"])), deployments=())
        stage = Stage(db, fixed(ODD, 90, where="warmer.yaml:7"), fixed(BLIP, 90), world=world)
        stage.start()
        await stage.until(600)
        await stage.leave()
        (said,) = [line for line in lines if line["event"] == Event.MODEL_DISABLED]
        assert said["model"] == ODD
        assert said["where"] == "warmer.yaml:7"
        assert "size: " in said["error"]
        assert "write an `input`" in said["hint"]
        assert {slug for _, slug in stage.host.sent} == {BLIP}
        assert len(stage.host.sent) >= 5
        assert any(line["event"] == Event.BEAT_SKIPPED and line["reason"] is Reason.MODEL_DISABLED for line in lines)

    run(scene())


def test_an_input_in_the_file_is_sent_whatever_could_be_made_up(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        world = World(begin=START, seed=1, models=(odd(),), deployments=())
        stage = Stage(db, fixed(ODD, 90, input={"other": 1}), world=world)
        stage.start()
        await stage.until(200)
        await stage.leave()
        assert len(stage.host.sent) >= 2
        assert not [line for line in lines if line["event"] == Event.MODEL_DISABLED]

    run(scene())

"""Official models are sent no beats, and are asked about now and then."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.stage import START, Stage, fixed, traits

from warmer.core.beat import Reason
from warmer.core.price import Billing, Known, Price
from warmer.core.spec import ModelSpec
from warmer.sandbox.world import World
from warmer.testing import run

FLUX = "acme/flux"
ENTRY = replace(fixed(FLUX, 40), price=Price(per_output=Decimal("0.003"), source="file"))


def stage(db: Path, entry: ModelSpec = ENTRY) -> Stage:
    official = traits(FLUX, is_official=True, usd_per_output=Decimal("0.003"))
    return Stage(db, entry, world=World(begin=START, seed=1, models=[official], deployments=()))


def test_an_official_model_is_left_alone_with_a_reason(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        play = stage(db)
        await play.play(3600)
        assert play.host.sent == []
        assert set(play.counted()) == {Reason.ALWAYS_ON}
        assert 4 <= play.counted()[Reason.ALWAYS_ON] <= 6  # a quarter of an hour apart

    run(scene())
    assert {line["reason"] for line in lines if line["event"] == "beat.skipped"} == {"always_on"}


def test_a_class_in_the_file_sends_its_beats_all_the_same(db: Path) -> None:
    async def scene() -> None:
        play = stage(db, replace(ENTRY, billing=Billing.OFFICIAL))
        await play.play(200)
        beats = play.beats()
        assert len(beats) >= 4
        assert {(beat.cost.usd, beat.cost.known) for beat in beats} == {(Decimal("0.003"), Known.ESTIMATED)}
        assert sum(beat.cost_usd or 0 for beat in beats) == play.world.journal.billed_usd(play.true.now())

    run(scene())


def test_one_that_is_official_no_more_is_warmed_from_then_on(db: Path) -> None:
    async def scene() -> None:
        play = stage(db)
        play.start()
        await asyncio.sleep(100)
        describe = play.host.describe

        async def otherwise(target: Any) -> Any:
            return replace(await describe(target), billing=Billing.PUBLIC)

        play.host.describe = otherwise  # type: ignore[method-assign]  # the host of a test
        await asyncio.sleep(1000)
        await play.leave()
        assert play.host.sent

    run(scene())

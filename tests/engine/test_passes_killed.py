"""Passes of a CronJob, one or two in the same minute, most of them killed somewhere on their way."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from engine.stage import BLIP, LLAMA, SDXL, Stage, fixed, gaps, model

from warmer.core.beat import Status
from warmer.engine.alerting import Alerting
from warmer.engine.floors import Floors
from warmer.engine.once import _Pass
from warmer.testing import run

MINUTES = 30
CALM = 4
"""In the last minutes nobody is killed: what was left is finished."""


def begin(stage: Stage) -> asyncio.Future[None]:
    floors = Floors(stage.desk, stage.clock, lambda: stage.spec.models)
    work = _Pass(
        spec=stage.spec,
        own=stage.spec,
        accounts=stage.accounts,
        floors=floors,
        alerting=Alerting(stage.desk, stage.clock, lambda: stage.spec, lambda: stage.accounts),
        desk=stage.desk,
        clock=stage.clock,
    )
    return asyncio.ensure_future(work.go())


@pytest.mark.parametrize("seed", range(3))
def test_passes_that_are_killed_anywhere_lose_no_beat_and_send_none_twice(db: Path, seed: int) -> None:
    chance = Random(seed)

    async def scene() -> None:
        witness = Stage(db, fixed(BLIP, 60), model(LLAMA, every=50), fixed(SDXL, 120))
        killed = 0
        for minute in range(MINUTES):
            await witness.until(60 * minute)
            passes = []
            for _ in range(chance.choice([1, 1, 2])):
                stage = witness.another_process()
                stage.host.latency_s = chance.choice([0.05, 0.3])
                passes.append(begin(stage))
                await asyncio.sleep(chance.choice([0, 0.1]))
            for one in passes:
                if minute < MINUTES - CALM and chance.random() < 0.7:
                    await asyncio.sleep(chance.choice([chance.uniform(0, 0.8), chance.uniform(0, 10)]))
                    killed += one.cancel()
            await asyncio.wait(passes, timeout=30)
            assert all(one.done() for one in passes)
            await asyncio.gather(*passes, return_exceptions=True)
        assert killed >= 5
        assert witness.ledger.open_beats() == ()
        ids = Counter(beat.prediction_id for beat in witness.beats() if beat.prediction_id)
        assert ids == Counter(call.id for call in witness.created())
        assert all(beat.status is Status.UNKNOWN for beat in witness.beats() if not beat.prediction_id)
        assert list(witness.ledger.requests()) == []
        for slug, every_s in ((BLIP, 60), (LLAMA, 50), (SDXL, 120)):
            assert min(gaps(witness.seconds(slug))) > every_s - 1.5

    run(scene())

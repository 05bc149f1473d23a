"""Two processes that share a ledger, and not the time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from engine.stage import BLIP, Stage, fixed, when

from warmer.core.beat import Status
from warmer.testing import run


@pytest.mark.parametrize("is_set", [True, False], ids=["both are set on", "one is ahead"])
def test_a_beat_that_another_process_gave_up_for_lost_is_recorded_by_the_one_that_sent_it(
    db: Path, is_set: bool
) -> None:
    async def scene() -> None:
        sender = Stage(db, fixed(BLIP, 70))
        other = sender.another_process()
        if not is_set:
            other.clock.step(timedelta(seconds=50))
        sender.host.accepting_s = 4.0
        sender.take_over()
        await sender.until(75)
        await when(lambda: [beat for beat in sender.ledger.open_beats() if not beat.prediction_id])
        if is_set:
            sender.clock.step(timedelta(seconds=50))
            other.clock.step(timedelta(seconds=50))
        await other.recovery.sweep(other.account, other.spec)  # to it the claim is old, and the list does not show it
        await other.recovery.settled()
        assert [beat.status for beat in sender.beats()][-1] is Status.UNKNOWN
        await asyncio.sleep(200)
        await sender.leave()
        assert [(beat.prediction_id, beat.status) for beat in sender.beats()] == [
            (call.id, Status.SUCCEEDED) for call in sender.created()
        ]
        assert sum(beat.cost_usd is None for beat in sender.beats()) == 0
        assert list(sender.ledger.requests()) == []

    run(scene())

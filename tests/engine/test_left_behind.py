"""What a process that is gone was in the middle of, seen to its end by another that shares the beats with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, SDXL, Stage, fixed

from warmer.core.beat import Answer, Claim, Reason, Status
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.errors import Unreachable
from warmer.testing import run


@pytest.mark.parametrize("every", [5, 20, 240])
@pytest.mark.parametrize("second", [0.06, 0.12, 0.17, 0.23, 0.4, 4])
def test_a_tick_that_was_left_ends_the_beat_that_is_out_and_decides_then(db: Path, second: float, every: int) -> None:
    async def scene() -> None:
        entry = fixed(BLIP, every)
        first = Stage(db, entry)
        first.start()
        await first.until(second)
        await first.die()
        claimed = first.ledger.open_beats()

        other = first.another_process()
        await first.until(second + 1)
        tick = await other.account.heartbeat.tick(entry, left=True)
        ended = first.true.monotonic()
        assert first.ledger.open_beats() == ()
        sent = first.seconds()
        assert all(later - earlier >= every for earlier, later in pairwise(sent))
        seen = {beat.prediction_id: beat for beat in first.beats()}
        assert {call.id for call in first.created()} <= seen.keys()
        if None in seen:  # it died between the claim and the create: the next beat is not due before that is known
            assert (len(claimed), seen[None].status) == (1, Status.UNKNOWN)
            assert ended < max(every, 15) + 25
        assert tick.reason in (Reason.NOT_DUE, Reason.INTERVAL_OVER, Reason.FIRST_SIGHT)
        await other.leave()

    run(scene())


def test_what_cannot_be_asked_now_is_left_to_the_next_sweep(db: Path) -> None:
    async def scene() -> None:
        entry = fixed(SDXL, 60)
        first = Stage(db, entry)
        first.start()
        await first.until(0.12)
        await first.die()
        other = first.another_process()
        other.host.refusing["recent"] = Unreachable("no network")
        tick = await other.account.heartbeat.tick(entry, left=True)
        assert isinstance(tick.error, Unreachable)
        assert len(first.ledger.open_beats()) == 1
        del other.host.refusing["recent"]
        await first.until(40)
        await other.recovery.sweep(other.accounts)
        await other.recovery.settled()
        assert first.ledger.open_beats() == ()
        assert len(first.beats()) == 1

    run(scene())


class Freezing:
    """A ledger during whose use the process is stopped, once, right after a claim."""

    def __init__(self, ledger: Any, freeze: Callable[[], None]) -> None:
        self._ledger, self._freeze = ledger, freeze

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def claim(self, claim: Claim) -> Answer:
        answer = self._ledger.claim(claim)
        self._freeze()
        return answer


@pytest.mark.parametrize("frozen_s", [3, 60])
def test_a_process_that_was_frozen_after_its_claim_sends_no_beat_that_others_have_given_up(
    db: Path, frozen_s: int
) -> None:
    async def scene() -> None:
        entry = fixed(BLIP, 30)
        stage = Stage(db, entry)

        def freeze() -> None:
            stage.clock.step(timedelta(seconds=frozen_s))

        account = Account.over(
            stage.host,
            Desk(Freezing(stage.ledger, freeze)),
            stage.clock,
            lambda: stage.spec.models,
            shared_as="the account",
        )
        tick = await account.heartbeat.tick(entry)
        (seen,) = stage.beats()
        if frozen_s == 3:
            assert len(stage.created()) == 1
            assert tick.observation == seen
        else:
            assert stage.created() == []
            assert (seen.status, seen.cost_usd) == (Status.FAILED, Decimal(0))
            assert "stood still" in str(tick.error)
        assert stage.ledger.open_beats() == ()

    run(scene())

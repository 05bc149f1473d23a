from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, LLAMA, SDXL, START, Stage, fixed, gaps, model

from warmer.core.beat import Status, Verdict
from warmer.errors import Doubtful, Unavailable, Unreachable
from warmer.log import Event
from warmer.testing import run


def said(lines: list[Any], event: Event) -> list[Any]:
    return [line for line in lines if line["event"] == event]


def test_a_beat_whose_reply_was_lost_is_found_in_the_list_and_adopted(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 60))
        stage.host.losing_replies = 1
        await stage.play(50)
        (call,) = stage.created()
        (seen,) = stage.beats()
        assert seen.prediction_id == call.id
        assert (seen.status, seen.verdict) == (Status.SUCCEEDED, Verdict.COLD)
        assert seen.cost_usd is not None
        assert stage.ticks[0][1].error is None
        assert list(stage.ledger.requests()) == []

    run(scene())


@pytest.mark.parametrize("policy", [fixed, model])
def test_a_beat_that_is_nowhere_to_be_found_is_unknown_and_not_repeated_before_the_interval(
    db: Path, lines: list[Any], policy: Any
) -> None:
    async def scene() -> None:
        stage = Stage(db, policy(BLIP, every=50))
        stage.host.failing.append(Doubtful("the reply was lost"))
        await stage.play(700)
        lost, *others = stage.beats()
        assert (lost.status, lost.cost_usd, lost.prediction_id) == (Status.UNKNOWN, None, None)
        assert all(gap >= 50 for gap in gaps([(at - START).total_seconds() for at, _ in stage.host.sent]))
        assert [seen.status for seen in others] == [Status.SUCCEEDED] * len(stage.created())
        (failed,) = said(lines, Event.BEAT_FAILED)
        assert (failed["price"], failed["cost_usd"]) == ("unknown", None)

    run(scene())


def test_where_the_list_cannot_be_read_either_the_beat_stays_open_until_it_can(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, model(BLIP, every=300, traffic=False))
        sweeping = asyncio.ensure_future(stage.recovery.keep_on(lambda: stage.accounts, at_start=True))
        stage.host.losing_replies = 1
        stage.host.refusing["recent"] = Unreachable("no route")
        stage.start()
        await stage.until(100)
        assert stage.beats() == []
        assert len(stage.ledger.open_beats()) == 1
        stage.host.refusing.clear()
        await stage.until(250)
        (seen,) = stage.beats()
        assert [call.id for call in stage.created()] == [seen.prediction_id]
        assert seen.status is Status.SUCCEEDED
        await stage.until(400)
        assert len(stage.created()) == 2
        sweeping.cancel()
        await stage.leave()

    run(scene())


def test_what_never_arrived_cost_nothing_and_is_tried_again_by_itself(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 60), fixed(LLAMA, 60))
        stage.start()
        await stage.until(100)
        stage.host.refusing["create"] = Unreachable("no route to host")
        await stage.until(400)
        stage.host.refusing.clear()
        await stage.until(800)
        await stage.leave()
        failed = [seen for seen in stage.beats() if seen.status is Status.FAILED]
        assert failed
        assert {(seen.cost_usd, seen.prediction_id) for seen in failed} == {(Decimal(0), None)}
        tried = [at for at, _ in stage.host.sent if timedelta(seconds=100) < at - START < timedelta(seconds=400)]
        assert 3 <= len(tried) <= 8  # 5, 10, 20 ... 120 s, for the account as a whole
        back = min(second for second in stage.seconds() if second > 400)
        assert back < 530
        assert len(said(lines, Event.ACCOUNT_PAUSED)) == len(said(lines, Event.ACCOUNT_RESUMED)) == 1

    run(scene())


@pytest.mark.parametrize("second", [0.06, 0.12, 0.17, 0.23, 0.4, 5, 14, 27])
def test_a_crash_at_any_moment_loses_no_beat_and_sends_none_twice(db: Path, second: float) -> None:
    async def scene() -> None:
        first = Stage(db, fixed(SDXL, 240))
        first.start()
        await first.until(second)
        await first.die()
        assert first.beats() == []

        next_life = first.another_process()
        sweeping = asyncio.ensure_future(next_life.recovery.keep_on(lambda: next_life.accounts, at_start=True))
        next_life.start()
        await first.until(230)
        calls = first.created()
        assert len(calls) <= 1
        beats = first.beats()
        if calls:
            (seen,) = beats
            (call,) = calls
            assert seen.prediction_id == call.id
            assert seen.status is Status.SUCCEEDED
            assert call.wait is not None
            assert seen.wait_s == pytest.approx(call.wait.total_seconds(), abs=1e-6)
        else:  # it died between the claim and the create: nobody can tell that from a lost reply
            (seen,) = beats
            assert (seen.status, seen.cost_usd) == (Status.UNKNOWN, None)
        await first.until(700)
        assert all(gap > 239 for gap in gaps(first.seconds()))
        assert len(first.seconds()) >= 2
        assert list(first.ledger.requests()) == []
        sweeping.cancel()
        await next_life.leave()

    run(scene())


def test_a_beat_of_another_living_process_is_left_to_it(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 240))
        other = stage.another_process()
        stage.start()
        await stage.until(5)
        assert await other.recovery.sweep(other.accounts) is True
        assert other.recovery.following == set()
        await stage.until(30)
        await stage.leave()
        assert len(stage.beats()) == 1

    run(scene())


def test_a_beat_that_the_provider_forgot_does_not_hold_its_model_for_ever(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 240, deadline=timedelta(seconds=60)))
        stage.start()
        await stage.until(3)
        await stage.die()
        later = stage.another_process()
        later.host.refusing["read"] = Unavailable("404: no such prediction")
        sweeping = asyncio.ensure_future(later.recovery.keep_on(lambda: later.accounts, at_start=True))
        await stage.until(200)
        (seen,) = stage.beats()
        assert (seen.status, seen.cost_usd) == (Status.UNKNOWN, None)
        assert seen.prediction_id == stage.created()[0].id
        assert stage.ledger.open_beats() == ()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)

    run(scene())


def test_a_claim_from_before_the_clock_was_set_back_is_picked_up_all_the_same(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 240))
        stage.start()
        await stage.until(0.12)
        await stage.die()
        later = stage.another_process()
        later.clock.step(-timedelta(days=1))
        await stage.until(60)
        await later.recovery.sweep(later.accounts)
        await later.recovery.settled()
        assert stage.ledger.open_beats() == ()

    run(scene())


def test_two_processes_that_tick_at_the_same_instant_send_one_beat(db: Path) -> None:
    async def scene() -> None:
        models = [fixed(BLIP, 20), model(LLAMA, every=50), fixed(SDXL, 90)]
        one = Stage(db, *models)
        other = one.another_process()
        one.start()
        other.start()
        await one.until(600)
        await one.leave()
        await other.leave()
        for entry in models:
            assert all(gap >= entry.interval.total_seconds() for gap in gaps(one.seconds(entry.name)))
        assert len(one.beats()) == len(one.created())
        slots = [seen.prediction_id for seen in one.beats()]
        assert len(set(slots)) == len(slots)
        # Nobody else's beat is a customer's call.
        assert list(one.ledger.requests()) == []
        ticks = sum(one.counted().values())
        assert ticks == len(one.ticks) + len(other.ticks)

    run(scene())

"""Two processes that share a ledger, and not the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from engine.stage import BLIP, LLAMA, Host, Stage, accounts_of, fixed, gaps, model, when

from warmer.core.beat import BeatRequest, Prediction, Status
from warmer.core.spec import ModelSpec
from warmer.engine.fleet import Fleet
from warmer.testing import VirtualSchedule, run

AN_HOUR = timedelta(hours=1)


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
        await other.recovery.sweep(other.accounts)  # to it the claim is old, and the list does not show it
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


def test_a_process_that_begins_an_hour_ahead_sends_nothing_before_its_time(db: Path) -> None:
    async def scene() -> None:
        before = Stage(db, replace(fixed(BLIP, 120), traffic=False))
        before.start()
        await before.until(40)
        await before.leave()
        after = before.another_process()
        after.clock.step(timedelta(hours=1))
        account = after.account_over(after.host)
        tick = await account.heartbeat.tick(after.spec.models[0])  # the first reply tells it the time
        assert tick.observation is None
        assert len(before.created()) == 1

    run(scene())


class Torn(Host):
    """All its stamps are `off`. What was told of its time by something made is believed until something else is."""

    off = timedelta(0)
    told: timedelta | None = None

    def _now(self) -> datetime:
        now = super()._now()
        self.skew = self.off if self.told is None else self.told
        return now

    def _torn(self, one: Prediction) -> Prediction:
        stamps = {name: getattr(one, name) for name in ("created_at", "started_at", "completed_at", "deadline")}
        return replace(one, **{name: stamp and stamp + self.off for name, stamp in stamps.items()})

    async def create(self, request: BeatRequest) -> Prediction:
        made = self._torn(await super().create(request))
        self.skew = self.told = self.off
        return made

    async def read(self, prediction_id: str) -> Prediction:
        return self._torn(await super().read(prediction_id))

    async def verify(self) -> str:
        self.told = None
        return await super().verify()


def torn(stage: Stage) -> Torn:
    host = Torn(stage.world, stage.true, stage.clock)
    stage.fleet = Fleet(stage.spec, accounts_of(stage.spec, stage.account_over(host)), stage.clock)
    stage.account, stage.timers = stage.fleet.accounts.own, VirtualSchedule(stage.fleet.due)
    return host


@pytest.mark.parametrize("policy", [fixed, partial(model, traffic=False)])
@pytest.mark.parametrize("later_s", [1.0, 100.0, 119.9, 121.0, 170.0])
def test_a_provider_whose_clock_is_an_hour_ahead_for_a_while_changes_no_rhythm(
    db: Path, policy: Callable[..., ModelSpec], later_s: float
) -> None:
    async def scene() -> None:
        before = Stage(db, *(policy(slug, every=120) for slug in (BLIP, LLAMA)))
        host = torn(before)
        before.start()
        await before.until(200)
        host.off = AN_HOUR
        await before.until(300)
        await before.die()
        after = before.another_process()
        host = torn(after)
        host.off = AN_HOUR
        after.take_over()
        sent = len(after.created(BLIP))
        await when(lambda: len(after.created(BLIP)) > sent)  # it begins with a clock that is wrong, and is put right
        await asyncio.sleep(later_s)
        host.off = timedelta(0)
        await after.until(1500)
        await after.leave()
        for slug in (BLIP, LLAMA):
            pauses = gaps(after.seconds(slug))
            assert min(pauses) > 115
            assert max(pauses) < 150  # from the end of a run, where that counts

    run(scene())


@pytest.mark.parametrize(("is_first", "is_back"), [(True, False), (False, False), (False, True)])
def test_a_beat_whose_sender_was_killed_is_found_though_our_clock_was_set_meanwhile(
    db: Path, is_first: bool, is_back: bool
) -> None:
    async def scene() -> None:
        before = Stage(db, fixed(BLIP, 120))
        if is_back:
            before.clock.step(AN_HOUR)
        before.start()
        await before.until(0.1 if is_first else 100)
        before.host.accepting_s, before.host.latency_s = 0.0, 1.0
        sent = len(before.created())
        await when(lambda: len(before.created()) > sent)
        assert [beat.prediction_id for beat in before.ledger.open_beats()] == [None]
        await before.die()
        after = before.another_process()
        if not is_back:
            after.clock.step(AN_HOUR)
        after.take_over()
        await asyncio.sleep(60)
        await after.leave()
        made = {call.id for call in after.created()}
        assert {beat.prediction_id for beat in after.beats()} == made

    run(scene())

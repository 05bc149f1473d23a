"""What the daemon says of itself: can it do its work, and what stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.stage import ALWAYS, LLAMA, SDXL, Play, Stage, accounts_of, file_of, fixed, model, when

from warmer.core.beat import Reason
from warmer.core.budget import Cap, Period
from warmer.core.health import Member
from warmer.core.spec import Listen
from warmer.engine.vitals import LATE_AT_MOST_S, WRITE_GOOD_FOR_S, Vitals
from warmer.errors import ConfigError, CreditExhausted, Fault, LedgerError, WarmerError
from warmer.ports import Vitals as Asked
from warmer.testing import VirtualSchedule, run


class Paper:
    """A ledger of which only writing is tried, and the thread that uses it."""

    def __init__(self) -> None:
        self.tries = 0
        self.trouble: Exception | None = None
        self.takes_s = 0.0

    def try_writing(self) -> None:
        self.tries += 1
        if self.trouble is not None:
            raise self.trouble

    async def do(self, work: Callable[[Any], Any]) -> Any:
        await asyncio.sleep(self.takes_s)
        return work(self)


class Door:
    """A listener that only remembers where it was to be opened, and by whose word."""

    def __init__(self) -> None:
        self.opened: list[Listen | None] = []
        self.closed = False
        self.vitals: Asked | None = None

    async def open(self, at: Listen | None, vitals: Asked, *more: object) -> None:
        self.opened.append(at)
        self.vitals = vitals

    async def close(self) -> None:
        self.closed = True


def vitals_of(stage: Stage, desk: Any = None) -> Vitals:
    return Vitals(stage.fleet, desk or stage.desk, stage.clock)


def test_a_fleet_at_work_is_ready(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(LLAMA, 60), fixed(SDXL, 60))
        vitals = vitals_of(stage)
        stage.start()
        for moment in (1, 30, 600, 7200):
            await stage.until(moment)
            health = await vitals.health()
            assert health.ready
            assert (health.config.detail, health.ledger.detail, health.schedule.detail) == (None, None, None)
            assert (health.reached, health.account, health.models) == ((), None, 2)
        await stage.leave()

    run(scene())


# -- ledger ----------------------------------------------------------------------------------------------------------


def test_the_ledger_is_really_written_to_and_asked_once_by_however_many(db: Path) -> None:
    async def scene() -> None:
        stage, paper = Stage(db, fixed(LLAMA, 60)), Paper()
        vitals = vitals_of(stage, paper)
        stage.start()
        assert all(health.ledger.ok for health in await asyncio.gather(*(vitals.health() for _ in range(50))))
        assert paper.tries == 1
        paper.trouble = LedgerError("ledger l.db: disk full. Free some space on its disk")
        assert (await vitals.health()).ready  # what was just seen holds for a moment
        await asyncio.sleep(WRITE_GOOD_FOR_S)
        health = await vitals.health()
        assert not health.ready
        assert health.ledger.detail == "ledger l.db: disk full. Free some space on its disk"
        paper.trouble = None
        await asyncio.sleep(WRITE_GOOD_FOR_S)
        assert (await vitals.health()).ready
        assert paper.tries == 3
        await stage.leave()

    run(scene())


def test_a_ledger_that_hangs_is_told_in_time_and_not_asked_again_meanwhile(db: Path) -> None:
    async def scene() -> None:
        stage, paper = Stage(db, fixed(LLAMA, 60)), Paper()
        paper.takes_s = 60.0
        vitals = vitals_of(stage, paper)
        stage.start()
        for _ in range(5):
            began = stage.true.monotonic()
            health = await vitals.health()
            assert stage.true.monotonic() - began <= 3
            assert not health.ready
            assert "look at its disk" in (health.ledger.detail or "")
            await asyncio.sleep(WRITE_GOOD_FOR_S)
        await asyncio.sleep(60)
        assert paper.tries == 1
        assert (await vitals.gauges()).remaining_usd == {}  # nor does a scrape wait for it
        await stage.leave()

    run(scene())


# -- schedule --------------------------------------------------------------------------------------------------------


def test_a_schedule_that_calls_nobody_is_not_ready(db: Path) -> None:
    class Asleep(VirtualSchedule):
        def arm(self, name: str, delay_s: float) -> None: ...

    async def scene() -> None:
        stage = Stage(db, fixed(LLAMA, 60))
        vitals = vitals_of(stage)
        assert not (await vitals.health()).schedule.ok  # it was not begun yet
        stage.fleet.start(Asleep(stage.fleet.due))
        assert (await vitals.health()).schedule.ok
        await asyncio.sleep(LATE_AT_MOST_S + 1)
        health = await vitals.health()
        assert not health.ready
        assert "restart" in (health.schedule.detail or "")
        stage.fleet.stop()
        assert "on its way" in ((await vitals.health()).schedule.detail or "")

    run(scene())


def test_one_of_many_is_ready_while_it_has_a_part_in_their_schedule(db: Path) -> None:
    class Shared(VirtualSchedule):
        is_shared = True

        def arm(self, name: str, delay_s: float) -> None: ...

    async def scene() -> None:
        stage = Stage(db, fixed(LLAMA, 60))
        vitals, schedule = vitals_of(stage), Shared(stage.fleet.due)
        stage.fleet.start(schedule)
        assert not (await vitals.health()).schedule.ok  # it has not joined yet
        other, own = Member(number=1, silent_s=1.0), Member(number=2, silent_s=2.0, is_self=True)
        schedule.members = (other, own)
        await asyncio.sleep(LATE_AT_MOST_S + 1)  # the other one ticks
        health = await vitals.health()
        assert (health.ready, health.members) == (True, (other, own))
        assert (await vitals.gauges()).members == 2
        schedule.members = (other, replace(own, silent_s=LATE_AT_MOST_S + 1))
        assert not (await vitals.health()).ready
        schedule.members = ()
        assert not (await vitals.health()).ready

    run(scene())


def test_neither_a_long_beat_nor_a_clock_that_was_set_makes_the_schedule_late(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(LLAMA, 600))
        vitals = vitals_of(stage)
        stage.host.accepting_s = 200.0
        stage.start()
        await stage.until(150)
        assert stage.fleet.ticking
        assert (await vitals.health()).schedule.ok
        await stage.until(400)
        stage.clock.step(timedelta(days=1))
        assert (await vitals.health()).schedule.ok
        await stage.leave()

    run(scene())


# -- budget and account ----------------------------------------------------------------------------------------------


def test_a_budget_is_told_as_reached_until_its_day_is_over_or_the_file_has_another(db: Path) -> None:
    daily = Cap(model=None, period=Period.DAILY, usd=Decimal("0.05"))

    async def scene() -> None:
        stage = Stage(db, fixed(LLAMA, 20, caps=(daily,), deadline=timedelta(seconds=40)))
        vitals = vitals_of(stage)
        stage.start()
        assert (await vitals.health()).reached == ()
        await when(lambda: stage.counted().get(Reason.OVER_BUDGET), within_s=5)
        health = await vitals.health()
        (limit,) = health.reached
        assert (limit.cap, limit.end.isoformat()) == (daily, "2026-11-25T00:00:00+00:00")
        assert health.ready
        assert (await vitals.gauges()).remaining_usd["all models"] < Decimal("0.05")
        raised = replace(daily, usd=Decimal("9"))
        stage.fleet.apply(
            spec := replace(stage.spec, models=(replace(stage.spec.models[0], caps=(raised,)),)),
            accounts_of(spec, stage.account),
        )
        assert (await vitals.health()).reached == ()
        await stage.leave()

    run(scene())


def test_what_is_left_is_the_least_of_a_scopes_caps(db: Path) -> None:
    caps = tuple(
        Cap(model=name, period=period, usd=Decimal(usd))
        for name, period, usd in (
            (None, Period.DAILY, "2"),
            (None, Period.MONTHLY, "40"),
            (LLAMA, Period.MONTHLY, "1.5"),
        )
    )

    async def scene() -> None:
        stage = Stage(db, model(LLAMA, caps=caps, hours=ALWAYS))
        gauges = await vitals_of(stage).gauges()
        assert gauges.remaining_usd == {"all models": Decimal(2), LLAMA: Decimal("1.5")}

    run(scene())


def test_an_account_that_is_paused_is_told_with_its_reason_and_end(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(LLAMA, 20))
        vitals = vitals_of(stage)
        stage.host.refusing["create"] = CreditExhausted("402")
        stage.start()
        await stage.until(30)
        health = await vitals.health()
        assert health.ready
        assert health.account is not None
        assert health.account.reason is Reason.CREDIT_EXHAUSTED
        assert health.account.until is not None
        assert health.account.until > stage.clock.now()
        await stage.leave()

    run(scene())


# -- what is measured ------------------------------------------------------------------------------------------------


def test_each_model_of_the_file_is_measured_and_no_other(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, model(LLAMA), fixed(SDXL, 3600))
        vitals = vitals_of(stage)
        stage.start()
        await stage.until(3000)
        gauges = await vitals.gauges()
        assert gauges.models.keys() == {LLAMA, SDXL}
        low, median, high = (gauges.models[LLAMA].idle_timeout_s[bound] for bound in ("low", "median", "high"))
        assert 0 < low <= median <= high
        assert gauges.models[SDXL].idle_timeout_s == {}  # one beat has left no gap yet
        assert gauges.models[SDXL].next_at == stage.fleet.next_at(SDXL)
        stage.fleet.apply(spec := file_of(fixed(SDXL, 3600)), accounts_of(spec, stage.account))
        assert (await vitals.gauges()).models.keys() == {SDXL}
        await stage.leave()

    run(scene())


# -- the file --------------------------------------------------------------------------------------------------------


def test_a_file_that_is_wrong_is_told_and_leaves_the_daemon_ready(db: Path) -> None:
    fault = Fault(file="warmer.yaml", line=1, column=1, problem="no", hint="yes")

    async def scene() -> None:
        door, good = Door(), file_of(fixed(LLAMA, 60), digest="good")
        async with Play(db, good, listener=door) as play:
            await when(lambda: door.opened)
            assert door.vitals is not None
            began = await door.vitals.gauges()
            for wrong in (ConfigError(fault), WarmerError("the token cannot be read")):
                play.load.now = wrong
                play.daemon.reload()
                await asyncio.sleep(5)
                health, gauges = await door.vitals.health(), await door.vitals.gauges()
                assert health.ready
                assert "config.rejected" in (health.config.detail or "")
                assert not gauges.config_is_latest
                assert gauges.config_read_at == began.config_read_at
            play.edit(good)
            await asyncio.sleep(5)
            health, gauges = await door.vitals.health(), await door.vitals.gauges()
            assert health.config.detail is None
            assert gauges.config_is_latest
            assert gauges.config_read_at > began.config_read_at
        assert door.closed

    run(scene())


def test_the_listener_follows_the_file(db: Path) -> None:
    async def scene() -> None:
        door, spec = Door(), file_of(fixed(LLAMA, 60), listen=Listen(port=1))
        async with Play(db, spec, listener=door) as play:
            await when(lambda: door.opened)
            play.edit(replace(spec, listen=None))
            await when(lambda: len(door.opened) > 1)
        assert door.opened == [Listen(port=1), None]

    run(scene())

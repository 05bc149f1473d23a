from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from engine.stage import BLIP, LLAMA, SDXL, START, Stage, fixed, gaps, model

from warmer.core.hours import ActiveHours
from warmer.engine.schedule_local import LocalSchedule
from warmer.errors import CreditExhausted
from warmer.testing import run

STEPS = [timedelta(minutes=10), -timedelta(minutes=10), timedelta(days=1), -timedelta(days=1), timedelta(seconds=40)]
STEP_IDS = ["10min on", "10min back", "a day on", "a day back", "40s on"]
FAR_STEPS, FAR_IDS = [timedelta(days=3652), -timedelta(days=3652)], ["ten years on", "ten years back"]


@pytest.mark.parametrize("step", STEPS, ids=STEP_IDS)
@pytest.mark.parametrize("traffic", [True, False])
def test_a_stepped_wall_clock_causes_no_burst_and_no_gap(db: Path, step: timedelta, traffic: bool) -> None:
    async def scene() -> None:
        entries = [
            fixed(BLIP, 30, traffic=traffic),
            model(LLAMA, every=50, traffic=traffic),
            model(SDXL, every=100, traffic=traffic),
        ]
        stage = Stage(db, *entries)
        stage.start()
        await stage.until(300)
        stage.clock.step(step)
        await stage.until(900)
        stage.clock.step(-step)
        await stage.until(1500)
        await stage.leave()
        for entry in entries:
            interval = entry.interval.total_seconds()
            moments = stage.seconds(entry.name)
            pauses = gaps(moments)[1:]  # the first is a boot longer
            assert max(pauses) < 2 * interval + 3
            for begin in (300, 900):
                early = [
                    gap for at, gap in zip(moments[2:], pauses, strict=True) if begin <= at and gap < interval - 1.5
                ]
                assert len(early) <= 2
            assert len(moments) <= 1500 / interval + 3
            assert len([gap for gap in pauses if gap < interval - 1.5]) <= 2

    run(scene())


@pytest.mark.parametrize("step", [timedelta(minutes=10), -timedelta(days=1)])
def test_customers_are_still_seen_after_a_step(db: Path, step: timedelta) -> None:
    async def scene() -> None:
        stage = Stage(db, model(LLAMA, every=50))
        calling = asyncio.ensure_future(stage.customers(LLAMA, range(0, 1200, 20), max_tokens=1))
        stage.start()
        await stage.until(300)
        stage.clock.step(step)
        await stage.until(1200)
        await stage.leave()
        await calling
        assert len(stage.created()) <= 1
        for call in stage.ledger.requests():
            assert call.created_at >= START

    run(scene())


@pytest.mark.parametrize("step", [-timedelta(days=1), timedelta(days=1)])
def test_a_hold_lasts_as_long_as_it_was_meant_to(db: Path, step: timedelta) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 30), fixed(LLAMA, 30))
        stage.start()
        await stage.until(100)
        stage.host.failing += [CreditExhausted("402"), CreditExhausted("402")]
        await stage.until(140)
        stage.clock.step(step)
        await stage.until(600)
        await stage.leave()
        back = min(second for second in stage.seconds() if second > 130)
        assert 100 + 0.8 * 180 < back < 140 + 180 + 15

    run(scene())


def test_a_clock_that_is_put_right_opens_and_closes_windows_within_a_minute(db: Path) -> None:
    async def scene() -> None:
        hours = ActiveHours(lines=("12:00-13:00",), zone=ZoneInfo("UTC"))
        stage = Stage(db, fixed(BLIP, 20, hours=hours))  # it is 09:00
        stage.start()
        await stage.until(1000)
        assert stage.created() == []
        stage.clock.step(timedelta(hours=3))
        await stage.until(1061)
        assert stage.created()
        stage.clock.step(-timedelta(hours=3))
        await stage.until(2000)
        assert max(stage.seconds()) < 1082
        await stage.leave()

    run(scene())


def test_a_machine_that_slept_sends_one_beat_when_it_wakes(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 30), model(LLAMA, every=50))
        stage.start()
        await stage.until(300)
        # Both the world and our wall clock went on; our monotonic clock stood still.
        stage.true.step(timedelta(hours=2))
        stage.clock.step(timedelta(hours=2))
        await asyncio.sleep(60)
        since = stage.true.now() - timedelta(seconds=60)
        for slug in (BLIP, LLAMA):
            after = [call for call in stage.created(slug) if call.created_at >= since]
            assert 1 <= len(after) <= 2
        await stage.leave()

    run(scene())


class WallClock:
    """The machine's wall clock, as APScheduler reads it: on the virtual loop's time, and to be set by anybody."""

    def __init__(self, traveller: Any) -> None:
        self._traveller, self._ahead = traveller, timedelta(0)
        self.follow()

    def follow(self) -> None:
        at = START + self._ahead + timedelta(seconds=asyncio.get_running_loop().time())
        self._traveller.move_to(at, tick=False)

    def step(self, by: timedelta) -> None:
        self._ahead += by
        self.follow()


@pytest.mark.parametrize("step", [*STEPS, *FAR_STEPS], ids=[*STEP_IDS, *FAR_IDS])
def test_the_timers_do_not_care_where_the_wall_clock_stands(step: timedelta) -> None:
    async def scene(traveller: Any) -> list[float]:
        loop, wall = asyncio.get_running_loop(), WallClock(traveller)
        called: list[float] = []

        def due(name: str) -> None:
            called.append(loop.time())
            timers.arm(name, 50)

        timers = LocalSchedule(due)
        timers.start()
        timers.arm("a", 50)
        while loop.time() < 1000:
            await asyncio.sleep(0.1)
            wall.follow()
            if 420 < loop.time() <= 420.1:
                wall.step(step)
        timers.stop()
        return called

    with time_machine.travel(datetime(2026, 11, 24, tzinfo=UTC), tick=False) as traveller:
        called = run(scene(traveller))
    assert 18 <= len(called) <= 21
    assert max(gaps(called)) < 56


def test_a_disarmed_timer_is_not_called_and_an_armed_one_once() -> None:
    async def scene(traveller: Any) -> list[str]:
        loop, wall = asyncio.get_running_loop(), WallClock(traveller)
        called: list[str] = []
        timers = LocalSchedule(called.append, speed=10)
        timers.start()
        for name in "abc":
            timers.arm(name, 100)
            timers.arm(name, 50)
        timers.disarm("b")
        timers.disarm("nobody")
        while loop.time() < 20:
            await asyncio.sleep(0.1)
            wall.follow()
        timers.stop()
        return called

    with time_machine.travel(START, tick=False) as traveller:
        assert sorted(run(scene(traveller))) == ["a", "c"]


def test_a_timer_that_is_armed_while_it_is_called_is_called_again() -> None:
    async def scene(traveller: Any) -> int:
        loop, wall = asyncio.get_running_loop(), WallClock(traveller)
        calls = 0

        def due(name: str) -> None:
            nonlocal calls
            calls += 1
            if calls < 50:  # no virtual time passes while something is due at once
                timers.arm(name, 0)

        timers = LocalSchedule(due)
        timers.start()
        timers.arm("a", 1)
        while loop.time() < 10 and calls < 50:
            await asyncio.sleep(0.1)
            wall.follow()
        timers.stop()
        return calls

    with time_machine.travel(START, tick=False) as traveller:
        assert run(scene(traveller)) == 50

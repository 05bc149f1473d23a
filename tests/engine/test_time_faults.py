"""Clocks that are set, machines that sleep, days that are longer or shorter: no burst and no gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from engine.stage import BLIP, LLAMA, START, Stage, fixed, gaps, model, when

from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec
from warmer.sandbox.world import World
from warmer.testing import VirtualLoop, run

SIZES = [
    timedelta(seconds=45),
    timedelta(minutes=9),
    timedelta(minutes=10),
    timedelta(days=1),
    timedelta(days=3652),
]
SLACK_S = 3.0
"""A look at the provider's time and the readings before a beat: all over a network."""
NAP_S = 60.0
"""What a timer may have left when the machine falls asleep."""


def created(stage: Stage, entry: ModelSpec) -> list[float]:
    """When its beats reached the world, in seconds of the world since the beginning."""
    return [(call.created_at - START).total_seconds() for call in stage.created(entry.name)]


def check_calm(moments: list[float], at: float, interval_s: float, slack_s: float) -> None:
    """What happened to the clocks `at` that moment has caused no burst and no gap."""
    after = [moment for moment in moments if moment > at]
    assert len([moment for moment in after if moment - at <= interval_s / 2]) <= 1, (at, after[:4])
    assert after, at
    assert after[0] - at <= interval_s + slack_s, (at, after[0])


@pytest.mark.parametrize("traffic", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_a_clock_set_at_any_moment_by_any_amount_changes_no_rhythm(db: Path, seed: int, traffic: bool) -> None:
    chance = Random(seed)
    steps = [*SIZES, *(-size for size in SIZES)]
    chance.shuffle(steps)
    entries = [fixed(BLIP, 30, traffic=traffic), model(LLAMA, every=50, traffic=traffic)]

    async def scene() -> None:
        stage = Stage(db, *entries)
        stage.start()
        taken = []
        for number, step in enumerate(steps):
            await stage.until(150 * (number + 1) + chance.uniform(0, 60))
            if chance.random() < 0.5:  # in the midst of a tick: it has decided, prepares or sends
                sent = len(stage.host.sent)
                await when(lambda sent=sent: len(stage.host.sent) > sent)  # type: ignore[misc]  # bound in the loop
                await asyncio.sleep(chance.uniform(0, 0.2))
            taken.append(stage.true.monotonic())
            stage.clock.step(step)
        await stage.until(150 * (len(steps) + 2))
        await stage.leave()
        for entry in entries:
            interval_s = entry.interval.total_seconds()
            moments = created(stage, entry)
            for at in taken:
                check_calm(moments, at, interval_s, SLACK_S)
            pauses = gaps(moments)[1:]  # the first is a boot longer
            assert interval_s - 0.1 < min(pauses)
            assert max(pauses) < interval_s + SLACK_S

    run(scene())


def asleep(stage: Stage, length: timedelta) -> None:
    """The monotonic clock stands still, as Linux has it."""
    stage.true.step(length)
    stage.clock.step(length)


def asleep_and_late(stage: Stage, length: timedelta) -> None:
    """As a paused virtual machine: none of its clocks went on; half a minute later the wall clock is put right."""
    stage.true.step(length)
    asyncio.get_running_loop().call_later(30, stage.clock.step, length)


def asleep_and_counting(_: Stage, length: timedelta) -> None:
    """The monotonic clock goes on, as elsewhere: every timer is overdue at once."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.jump(length.total_seconds())


@pytest.mark.parametrize("sleep", [asleep, asleep_and_late, asleep_and_counting])
@pytest.mark.parametrize("seed", range(3))
def test_a_machine_that_slept_for_six_hours_goes_on_as_if_it_had_just_looked_away(
    db: Path, sleep: Callable[[Stage, timedelta], None], seed: int
) -> None:
    chance = Random(seed)
    entries = [fixed(BLIP, 30), model(LLAMA, every=50, traffic=seed != 1), fixed("openai/whisper", 900)]

    async def scene() -> None:
        stage = Stage(db, *entries)
        stage.start()
        woken = []
        for nap in range(2):
            await stage.until(300 + 1000 * nap)
            if nap:  # with a beat out
                sent = len(stage.host.sent)
                await when(lambda sent=sent: len(stage.host.sent) > sent)  # type: ignore[misc]  # bound in the loop
            await asyncio.sleep(chance.uniform(0, 0.3))
            sleep(stage, timedelta(hours=6))
            woken.append((stage.true.now() - START).total_seconds())
            await asyncio.sleep(1000)
        await stage.leave()
        for entry in entries:
            moments = created(stage, entry)
            interval_s = entry.interval.total_seconds()
            for at in woken:
                check_calm(moments, at, interval_s, min(NAP_S, interval_s) + SLACK_S)
            assert min(gaps(moments)) > interval_s - 0.1
        assert len(stage.beats()) == len(stage.created())

    run(scene())


CHANGES = {
    "Europe/Berlin": (datetime(2026, 10, 25), datetime(2027, 3, 28)),
    "America/New_York": (datetime(2026, 11, 1), datetime(2027, 3, 14)),
    "Australia/Lord_Howe": (datetime(2027, 4, 4), datetime(2026, 10, 4)),  # by half an hour
}


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("back", [True, False], ids=["longer", "shorter"])
def test_on_a_day_that_is_longer_or_shorter_windows_open_by_the_wall_clock(db: Path, zone: str, back: bool) -> None:
    where = ZoneInfo(zone)
    midnight = CHANGES[zone][0 if back else 1].replace(tzinfo=where)
    start = (midnight - timedelta(hours=6)).astimezone(UTC)
    hours = ActiveHours(lines=("00:30-05:00", "20:00-22:00"), zone=where)

    def is_open(moment: datetime) -> bool:
        clock = moment.astimezone(where).time().isoformat("minutes")
        return "00:30" <= clock < "05:00" or "20:00" <= clock < "22:00"

    async def scene() -> None:
        stage = Stage(
            db, fixed(BLIP, 300, hours=hours), model(LLAMA, every=400, hours=hours), world=World(begin=start), start=start
        )
        stage.start()
        await stage.until(timedelta(hours=31).total_seconds())
        await stage.leave()
        minutes = [start + timedelta(minutes=number) for number in range(31 * 60)]
        length = sum(is_open(minute) for minute in minutes)
        shift = 30 if zone == "Australia/Lord_Howe" else 60
        assert length == (270 + 4 * 60) + (shift if back else -shift)
        for entry in stage.spec.models:
            moments = [call.created_at for call in stage.created(entry.name)]
            assert all(is_open(moment) for moment in moments)
            for minute in minutes:  # every interval of the open time has its beat
                until = minute + entry.interval + timedelta(seconds=SLACK_S + 1)
                if is_open(minute) and is_open(until) and is_open(minute + entry.interval / 2):
                    assert any(minute <= moment < until for moment in moments), (entry.name, minute)

    run(scene())


def test_the_29th_of_february_is_a_day_like_any_other_once_in_four_years(db: Path) -> None:
    start = datetime(2028, 2, 28, 22, tzinfo=UTC)
    only = ActiveHours(lines=("Feb 29 10:00-12:00",), zone=ZoneInfo("UTC"))

    async def scene() -> None:
        entries = (fixed(BLIP, 600, hours=only), fixed(LLAMA, 600))
        stage = Stage(db, *entries, world=World(begin=start), start=start)
        stage.start()
        await stage.until(timedelta(hours=30).total_seconds())
        stage.clock.step(timedelta(days=365))  # the 29th is skipped: it is the first of March 2029
        await stage.until(timedelta(hours=60).total_seconds())
        await stage.leave()
        beats = [call.created_at for call in stage.created(BLIP)]
        assert {f"{beat:%m-%d %H}" for beat in beats} == {"02-29 10", "02-29 11"}
        assert len(beats) == 12
        always = [(call.created_at - start).total_seconds() for call in stage.created(LLAMA)]
        assert max(gaps(always)[1:]) < 600 + SLACK_S
        assert min(gaps(always)) > 599.9

    run(scene())

"""Clocks that are set, machines that sleep, days that are longer or shorter: no burst and no gap."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TypeVar
from zoneinfo import TZPATH, ZoneInfo

import pytest
from engine.stage import BLIP, LLAMA, START, WHISPER, Stage, accounts_of, fixed, gaps, model, when
from harness.processes import environment

from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec
from warmer.engine.desk import Desk
from warmer.engine.fleet import Fleet
from warmer.errors import Unreachable
from warmer.ports import Ledger
from warmer.sandbox.world import World
from warmer.testing import VirtualLoop, VirtualSchedule, run

T = TypeVar("T")

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


async def a_beat_is_sent(stage: Stage) -> None:
    sent = len(stage.host.sent)
    await when(lambda: len(stage.host.sent) > sent)


@pytest.mark.parametrize("traffic", [True, False])
@pytest.mark.parametrize("seed", range(3))
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
                await a_beat_is_sent(stage)
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


class SetMeanwhile(Desk):
    """The wall clock is set while the ledger is written for the `number`th time."""

    def __init__(self, stage: Stage, number: int, step: timedelta) -> None:
        super().__init__(stage.ledger)
        self._clock, self._left, self._step = stage.clock, number, step

    async def do(self, work: Callable[[Ledger], T]) -> T:
        done = await super().do(work)
        self._left -= 1
        if self._left == 0:
            self._clock.step(self._step)
        return done


@pytest.mark.parametrize("step", [timedelta(days=-3652), timedelta(minutes=-9)])
def test_a_clock_set_between_a_decision_and_the_timer_that_follows_from_it_silences_no_model(
    db: Path, tmp_path: Path, step: timedelta
) -> None:
    async def scene(path: Path, number: int) -> list[float]:
        stage = Stage(path, model(LLAMA, every=40, traffic=False))
        stage.desk = SetMeanwhile(stage, number, step)
        stage.fleet = Fleet(stage.spec, accounts_of(stage.spec, stage.account_over(stage.host)), stage.clock)
        stage.timers = VirtualSchedule(stage.fleet.due)
        await stage.play(180)
        return created(stage, stage.spec.models[0])

    for number in range(12, 26):
        path = Path(shutil.copy(db, tmp_path / f"{number}.db"))
        pauses = gaps(run(scene(path, number)))
        assert len(pauses) >= 3, number
        assert max(pauses[1:]) < 40 + SLACK_S, number
        assert min(pauses) > 39.9, number


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


def asleep_and_cut_off(stage: Stage, length: timedelta) -> None:
    """As it wakes there is no network yet, for twenty seconds."""
    asleep(stage, length)
    stage.host.refusing |= dict.fromkeys(("verify", "create", "recent", "read"), Unreachable("no network yet"))
    asyncio.get_running_loop().call_later(20, stage.host.refusing.clear)


@pytest.mark.parametrize("sleep", [asleep, asleep_and_late, asleep_and_counting, asleep_and_cut_off])
@pytest.mark.parametrize("seed", range(2))
def test_a_machine_that_slept_for_six_hours_goes_on_as_if_it_had_just_looked_away(
    db: Path, sleep: Callable[[Stage, timedelta], None], seed: int
) -> None:
    chance = Random(seed)
    entries = [fixed(BLIP, 30), model(LLAMA, every=50, traffic=seed == 0), fixed(WHISPER, 240)]

    async def scene() -> None:
        stage = Stage(db, *entries)
        stage.start()
        woken = []
        for nap in range(2):
            await stage.until(250 + 310 * nap)
            if nap:  # with a beat out
                await a_beat_is_sent(stage)
            await asyncio.sleep(chance.uniform(0, 0.3))
            sleep(stage, timedelta(hours=6))
            woken.append((stage.true.now() - START).total_seconds())
            await asyncio.sleep(305)
        await stage.leave()
        for entry in entries:
            moments = created(stage, entry)
            interval_s = entry.interval.total_seconds()
            for at in woken:
                check_calm(moments, at, interval_s, min(NAP_S, interval_s) + SLACK_S)
            cut_off = [moment for at in woken for moment in moments if at < moment < at + 19]
            assert sleep is not asleep_and_cut_off or not cut_off
            assert min(gaps(moments)) > interval_s - 0.1
        assert len(stage.beats()) == len(stage.created())

    run(scene())


CHANGES = {
    "Europe/Berlin": ("2026-10-25", "2027-03-28"),
    "America/New_York": ("2026-11-01", "2027-03-14"),
    "Australia/Lord_Howe": ("2027-04-04", "2026-10-04"),  # by half an hour
}


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("back", [True, False], ids=["longer", "shorter"])
def test_on_a_day_that_is_longer_or_shorter_windows_open_by_the_wall_clock(db: Path, zone: str, back: bool) -> None:
    where = ZoneInfo(zone)
    midnight = datetime.fromisoformat(CHANGES[zone][0 if back else 1]).replace(tzinfo=where)
    start = (midnight - timedelta(hours=1)).astimezone(UTC)
    hours = ActiveHours(lines=("00:30-05:00",), zone=where)

    def is_open(moment: datetime) -> bool:
        return "00:30" <= moment.astimezone(where).time().isoformat("minutes") < "05:00"

    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 600, hours=hours), world=World(begin=start), start=start)
        stage.start()
        await stage.until(timedelta(hours=8).total_seconds())
        await stage.leave()
        minutes = [start + timedelta(minutes=number) for number in range(8 * 60)]
        length = sum(is_open(minute) for minute in minutes)
        shift = 30 if zone == "Australia/Lord_Howe" else 60
        assert length == 270 + (shift if back else -shift)
        moments = [call.created_at for call in stage.created()]
        assert all(is_open(moment) for moment in moments)
        opened = next(minute for minute in minutes if is_open(minute))
        seconds = [(moment - opened).total_seconds() for moment in moments]
        assert seconds[0] < SLACK_S
        assert 60.0 * length - seconds[-1] < 600 + SLACK_S
        assert max(gaps(seconds)[1:]) < 600 + SLACK_S
        assert min(gaps(seconds)) > 599.9

    run(scene())


def test_the_29th_of_february_is_a_day_like_any_other_once_in_four_years(db: Path) -> None:
    start = datetime(2028, 2, 28, 22, tzinfo=UTC)
    only = ActiveHours(lines=("Feb 29 10:00-12:00",), zone=ZoneInfo("UTC"))

    async def scene() -> None:
        entries = (fixed(BLIP, 600, hours=only), fixed(LLAMA, 3600))
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
        assert max(gaps(always)[1:]) < 3600 + SLACK_S
        assert min(gaps(always)) > 3599.9

    run(scene())


LIFE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from engine.stage import *
from warmer.log import configure

async def life(db, begins_at, ends_at):  # another world in each, and so other ids
    start = datetime.fromisoformat(begins_at)
    hours = ActiveHours(lines=("10:00-12:00",), zone=ZoneInfo("Europe/Berlin"))
    stage = Stage(Path(db), fixed(BLIP, 600, hours=hours), world=World(begin=start, seed=start.minute), start=start)
    await stage.play((datetime.fromisoformat(ends_at) - start).total_seconds())
    return [call.created_at.isoformat() for call in stage.created()]

configure(stream=sys.stderr)
from warmer.testing import run
print(json.dumps(run(life(*sys.argv[2:]))))
"""


def zone_file(name: str) -> bytes:
    return next(file for folder in TZPATH if (file := Path(folder) / name).is_file()).read_bytes()


@pytest.mark.parametrize(
    ("now_as_in", "opens", "closes"), [("Europe/London", 10, 12), ("Europe/Helsinki", 8, 10), ("Asia/Tokyo", 1, 3)]
)
def test_a_zone_that_has_other_rules_in_the_next_life_moves_the_windows_and_nothing_else(
    db: Path, tmp_path: Path, now_as_in: str, opens: int, closes: int
) -> None:
    rules = tmp_path / "zoneinfo" / "Europe" / "Berlin"
    rules.parent.mkdir(parents=True)

    def life(as_in: str, begins_at: str, ends_at: str) -> list[datetime]:
        rules.write_bytes(zone_file(as_in))
        done = subprocess.run(
            [sys.executable, "-c", LIFE, str(Path(__file__).parents[1]), str(db), begins_at, ends_at],
            env=environment(tmp_path, PYTHONTZPATH=str(tmp_path / "zoneinfo")),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [datetime.fromisoformat(moment) for moment in json.loads(done.stdout)]

    before = life("Europe/Berlin", "2026-11-24T08:00Z", "2026-11-24T09:45:05Z")
    after = life(now_as_in, "2026-11-24T09:45:05Z", "2026-11-25T12:30Z")
    assert len(before) == 5  # 09:00 to 09:40
    assert all(9 <= moment.hour < 11 for moment in before)
    assert all(opens <= moment.hour < closes for moment in after)
    assert len([moment for moment in after if moment.day == 25]) == 12
    left_today = {"Europe/London": 12, "Europe/Helsinki": 1, "Asia/Tokyo": 0}[now_as_in]
    assert len(after) == 12 + left_today
    seconds = [(moment - START).total_seconds() for moment in before + after]
    assert min(gaps(seconds)) > 599.9

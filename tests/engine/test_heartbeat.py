from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import BLIP, LLAMA, SDXL, START, WHISPER, Stage, fixed, gaps, model, traits

from warmer.core.beat import Observation, Reason, Request, Verdict
from warmer.core.hours import ActiveHours
from warmer.core.units import from_micros, to_micros
from warmer.log import Event
from warmer.sandbox.world import World
from warmer.testing import run


def test_late_ticks_and_pokes_collapse_into_one_and_one_beat_is_in_flight(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(SDXL, 5))  # a boot of some 25 s: several intervals long
        stage.start()
        for second in range(1, 25):
            await stage.until(second)
            stage.fleet.poke(SDXL)
            stage.fleet.due(SDXL)
            assert stage.world.journal.running_now(caller="warmer") <= 1
            assert len(stage.fleet.ticking) <= 1
        before = len(stage.ticks)
        await stage.until(40)
        await stage.leave()
        calls = stage.created()
        for earlier, later in pairwise(calls):
            assert earlier.completed_at is not None
            assert earlier.completed_at <= later.created_at
        # However often it was called for during the boot: one tick follows, and then the interval rules again.
        assert before == 0
        moments = [(moment - START).total_seconds() for moment, _ in stage.ticks]
        assert len(moments) == len(stage.created())
        assert all(gap > 4.9 for gap in gaps(stage.seconds()[1:]))

    run(scene())


def test_aware_sends_nothing_while_customers_keep_the_model_warm(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, model(LLAMA, every=50))
        stage.call(LLAMA)
        calling = asyncio.ensure_future(stage.customers(LLAMA, range(30, 3600, 30), max_tokens=1))
        await stage.play(3600)
        await calling
        assert stage.created() == []

    run(scene())


def test_aware_sends_a_beat_once_nobody_called_for_the_interval(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, model(LLAMA, every=50))
        calling = asyncio.ensure_future(stage.customers(LLAMA, [0, 30, 200, 220], max_tokens=1))
        await stage.play(400)
        await calling
        uses = sorted(
            (call.created_at, call.completed_at or START)
            for call in (*stage.created(), *stage.created(caller="customer"))
        )
        pauses = [(later[0] - earlier[1]).total_seconds() for earlier, later in pairwise(uses)]
        assert stage.created()
        assert max(pauses) < 52
        for call in stage.created():
            before = max(end for start, end in uses if start < call.created_at)
            assert (call.created_at - before).total_seconds() >= 50

    run(scene())


def test_fixed_keeps_its_interval_whoever_calls(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 30))
        calling = asyncio.ensure_future(stage.customers(BLIP, range(5, 900, 7)))
        await stage.play(900)
        await calling
        moments = stage.seconds()
        assert len(moments) in (29, 30)
        assert all(30 <= gap < 30.7 for gap in gaps(moments))

    run(scene())


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("begin", "lines"),
    [
        (datetime(2026, 3, 25, tzinfo=UTC), ("Mo-Fr 08:00-09:00; PH off",)),  # summer time begins on the 29th
        (
            datetime(2026, 10, 21, tzinfo=UTC),
            ("Mo-Fr 08:00-09:00", "Sa 23:00-00:30", "Su 02:15-02:45"),
        ),  # ends: the 25th
    ],
)
def test_outside_hours_no_create_reaches_the_world_over_a_week_with_a_clock_change(
    db: Path, begin: datetime, lines: tuple[str, ...]
) -> None:
    hours = ActiveHours(lines=lines, zone=BERLIN, country="DE")

    async def scene() -> None:
        stage = Stage(db, model(BLIP, every=300, hours=hours), start=begin)
        await stage.play(7 * 86400)
        calls = stage.created()
        assert calls
        assert all(hours.contains(call.created_at) for call in calls)
        for opens, closes in hours.windows(begin, begin + timedelta(days=7)):
            inside = [call.created_at for call in calls if opens <= call.created_at < closes]
            assert inside[0] - opens < timedelta(seconds=1)  # the first beat goes out as the window opens
            assert closes - inside[-1] < timedelta(seconds=310)
        assert stage.counted()[Reason.CLOSED] <= 3 * 7

    run(scene())


def test_a_beat_is_recorded_as_the_world_saw_it(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, model(LLAMA, every=50), fixed(BLIP, 30), model(SDXL, every=200))
        calling = asyncio.ensure_future(stage.customers(LLAMA, [70, 75, 300], max_tokens=40))
        await stage.play(900)
        await calling
        truth = {call.id: call for call in stage.created()}
        customers = stage.created(caller="customer")
        assert {seen.prediction_id for seen in stage.beats()} == set(truth)
        for seen in stage.beats():
            call = truth[seen.prediction_id or ""]
            assert call.wait is not None
            assert call.run is not None
            assert seen.wait_s == pytest.approx(call.wait.total_seconds(), abs=1e-6)
            assert seen.run_s == pytest.approx(call.run.total_seconds(), abs=1e-6)
            assert (seen.created_at, seen.completed_at) == (call.created_at, call.completed_at)
            assert seen.verdict.value == call.found.value
            assert call.billed_usd is not None
            assert seen.cost_usd is not None
            assert abs(seen.cost_usd - call.billed_usd) <= Decimal("0.000001")
            before = [
                other.completed_at
                for other in (*truth.values(), *customers)
                if other.model == call.model and other.completed_at and other.completed_at <= call.created_at
            ]
            gap = (call.created_at - max(before)).total_seconds() if before else None
            assert seen.gap_s == (None if gap is None else pytest.approx(gap, abs=1e-6))
        for line in (line for line in lines if line["event"] == Event.BEAT_DONE):
            assert line.keys() >= {
                "model",
                "verdict",
                "gap_s",
                "wait_s",
                "run_s",
                "cost_usd",
                "reason",
                "prediction_id",
            }
        total = sum((seen.cost_usd or Decimal(0) for seen in stage.beats()), Decimal(0))
        billed = sum((call.billed_usd or Decimal(0) for call in truth.values()), Decimal(0))
        assert abs(total - from_micros(to_micros(billed))) <= Decimal("0.000001") * len(truth)

    run(scene())


@pytest.mark.parametrize("seed", range(3))
def test_no_verdict_is_false_over_bursts_queues_and_boots(db: Path, seed: int) -> None:
    worlds = (
        traits("a/queue", idle_timeout_s=60, boot_s=12, run_s=9, run_spread=0.8),  # long runs, one instance: queues
        traits("a/quick", idle_timeout_s=45, boot_s=3, run_s=0.4),
        traits("a/wide", idle_timeout_s=90, boot_s=20, run_s=4, run_spread=0.5, max_instances=3),
        traits("a/slow", idle_timeout_s=120, boot_s=90, boot_spread=0.5, run_s=2),
    )

    async def scene() -> None:
        chance = Random(seed)
        stage = Stage(
            db,
            *(model(one.slug, every=chance.choice([40, 70, 110])) for one in worlds),
            world=World(begin=START, seed=seed, models=worlds, deployments=()),
        )

        async def visits(slug: str) -> None:
            while stage.true.monotonic() < 1800:
                await asyncio.sleep(chance.expovariate(1 / chance.choice([20, 150, 600])))
                for _ in range(chance.choice([1, 1, 2, 6])):
                    stage.call(slug)
                    await asyncio.sleep(chance.choice([0, 0.3, 3]))

        calling = [asyncio.ensure_future(visits(one.slug)) for one in worlds]
        await stage.play(1800)
        await asyncio.gather(*calling)
        await asyncio.sleep(600)
        await stage.account.traffic.refresh(0)
        truth = {call.id: call.found.value for call in (*stage.created(), *stage.created(caller="customer"))}
        facts: list[Observation | Request] = [*stage.beats(), *stage.ledger.requests()]
        seen = {one.prediction_id or "": one for one in facts}
        assert seen.keys() == truth.keys()
        sure = {key: one for key, one in seen.items() if one.verdict is not Verdict.UNSURE}
        false = [one for key, one in sure.items() if one.verdict.value != truth[key]]
        assert false == []
        assert len(sure) > 0.5 * len(seen)

    run(scene())


def test_every_tick_has_one_reason_and_they_add_up_with_the_lines_and_the_beats(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        hours = ActiveHours(lines=("09:20-09:40",), zone=ZoneInfo("UTC"))
        stage = Stage(
            db, model(LLAMA, every=50), fixed(BLIP, 30), model(SDXL, every=120, hours=hours), fixed(WHISPER, 90)
        )
        stage.world.fail_next(WHISPER, "CUDA out of memory", 3)
        calling = asyncio.ensure_future(stage.customers(LLAMA, [100, 130, 400, 1000], max_tokens=300))
        await stage.play(2400)
        await calling
        counted = stage.counted()
        assert sum(counted.values()) == len(stage.ticks)
        for reason in Reason:
            assert counted.get(reason, 0) == sum(tick.reason is reason for _, tick in stage.ticks)
        sent = sum(count for reason, count in counted.items() if reason.sends)
        by_event = {event: [line for line in lines if line["event"] == event] for event in Event}
        assert sent == len(by_event[Event.BEAT_SENT]) == len(stage.beats()) == len(stage.created())
        assert sent == len(by_event[Event.BEAT_DONE]) + len(by_event[Event.BEAT_FAILED])
        assert len(by_event[Event.BEAT_FAILED]) == 3
        assert sum(counted.values()) - sent == len(by_event[Event.BEAT_SKIPPED])
        assert set(counted) > {Reason.FIRST_SIGHT, Reason.IDLE, Reason.INTERVAL_OVER, Reason.CLOSED}

    run(scene())


def test_a_failed_prediction_backs_its_model_off_and_success_ends_that(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 5), fixed(LLAMA, 5))
        await asyncio.sleep(0)
        stage.world.fail_next(BLIP, "CUDA out of memory", 4)
        await stage.play(400)
        moments = gaps(stage.seconds(BLIP))
        # 10, 20, 40, 80 s, less up to a fifth; the runs are half a second.
        for gap, pause in zip(moments, (10, 20, 40, 80), strict=False):
            assert 0.8 * pause < gap < pause + 15
        assert all(gap < 6.5 for gap in moments[4:])
        assert all(gap < 6.5 for gap in gaps(stage.seconds(LLAMA))[1:])  # nobody else is concerned
        assert [seen.cost_usd for seen in stage.beats(BLIP)[:4]] == [Decimal(0)] * 4

    run(scene())

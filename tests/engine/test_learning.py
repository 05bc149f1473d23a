"""The idle time-out, learned through the engine from what the sandbox's hosts do, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import START, Stage, fixed, gaps, model, traits

from warmer.core.beat import Reason, Verdict
from warmer.core.hours import ActiveHours
from warmer.core.learned import Learned
from warmer.core.spec import PolicyName
from warmer.engine.learning import Learning
from warmer.log import Event
from warmer.sandbox.world import World
from warmer.testing import run

SLUG = "acme/model"
HOUR_S = 3600.0
pytestmark = pytest.mark.usefixtures("seldom_looks")


def stage_with(db: Path, kept_s: float, *, spread: float = 0.0, seed: int = 1, **entry: Any) -> Stage:
    host = traits(SLUG, idle_timeout_s=kept_s, idle_timeout_spread=spread)
    return Stage(db, model(SLUG, **entry), world=World(begin=START, seed=seed, models=[host], deployments=()))


def knowledge(stage: Stage) -> Learned:
    """What another process would learn from the ledger now."""
    learning = Learning(lambda: stage.spec.models)
    found = learning.knowledge(stage.ledger, stage.spec.models[0], stage.clock.now()).learned
    assert found is not None
    return found


async def happens(that: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if that():
            return
        await asyncio.sleep(60)
    raise AssertionError("it never happened")


def poisson(an_hour: float, until_s: float, seed: int) -> Iterator[float]:
    chance, at = Random(seed), 60.0
    while (at := at + chance.expovariate(an_hour / HOUR_S)) < until_s:
        yield at


@pytest.mark.parametrize("kept_s", [45, 130, 300, 1200])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_hidden_time_out_is_known_to_a_tenth_after_forty_beats(
    db: Path, kept_s: float, seed: int, lines: list[Any]
) -> None:
    async def scene() -> None:
        stage = stage_with(db, kept_s, spread=0.1, seed=seed)
        calling = asyncio.ensure_future(stage.customers(SLUG, poisson(6, 100 * HOUR_S, seed)))
        stage.start()
        await happens(lambda: len(stage.beats()) >= 40)
        await stage.leave()
        calling.cancel()

        belief = knowledge(stage).idle_timeout
        assert abs(belief.median_s / kept_s - 1) <= 0.1
        assert sum(beat.verdict is Verdict.COLD for beat in stage.beats()) <= 12
        reasons = {beat.reason for beat in stage.beats()}
        assert reasons <= {Reason.FIRST_SIGHT, Reason.PROBE, Reason.IDLE}
        told = [line for line in lines if line["event"] == Event.IDLE_TIMEOUT_LEARNED]
        assert told or not belief.is_known
        assert all(line["low_s"] <= line["idle_timeout_s"] <= line["high_s"] for line in told)

    run(scene())


@pytest.mark.thorough
def test_probing_hurts_few_customers(tmp_path: Path) -> None:
    async def hurt(kept_s: float, seed: int) -> int:
        stage = stage_with(tmp_path / f"{kept_s}-{seed}.db", kept_s, seed=seed)
        calling = asyncio.ensure_future(stage.customers(SLUG, poisson(6, 100 * HOUR_S, seed)))
        stage.start()
        await happens(lambda: len(stage.beats()) >= 40)
        await stage.leave()
        calling.cancel()
        return sum(call.verdict is Verdict.COLD for call in stage.ledger.requests())

    found = [run(hurt(kept_s, seed)) for kept_s in (60, 300, 900) for seed in range(4)]
    assert sum(found) / len(found) <= 0.6


def test_a_restart_forgets_nothing(db: Path) -> None:
    async def scene() -> None:
        stage = stage_with(db, 300)
        await stage.play(6 * HOUR_S)
        before = stage.account.heartbeat._learning.knowledge(
            stage.ledger, stage.spec.models[0], stage.clock.now()
        ).learned
        assert before is not None
        after = knowledge(stage)
        assert before.idle_timeout.is_known
        assert after.idle_timeout.interval_s == before.idle_timeout.interval_s
        assert after.idle_timeout.band_s == before.idle_timeout.band_s
        assert after.boots_s == before.boots_s

        later = stage.another_process()
        sent = len(stage.created())
        later.start()
        await asyncio.sleep(HOUR_S)
        await later.leave()
        assert all(beat.verdict is Verdict.WARM for beat in stage.beats()[sent + 1 :])  # it starts to find none anew

    run(scene())


def test_customers_calls_teach_the_time_out_before_any_beat(db: Path) -> None:
    async def scene() -> None:
        stage = stage_with(db, 300, policy=PolicyName.OBSERVE)
        calls, at = list[float](), 0.0
        for gap in [100, 200, 250, 280, 320, 290, 310, 295, 306, 296, 305] * 2:
            at += gap + 20
            calls.append(at)
        await stage.customers(SLUG, calls)
        await asyncio.sleep(60)
        await stage.account.traffic.refresh(0)
        assert stage.created() == []
        belief = knowledge(stage).idle_timeout
        assert belief.is_known
        assert abs(belief.median_s / 300 - 1) < 0.1

    run(scene())


def test_a_call_every_half_interval_leaves_nothing_to_send_and_the_next_beat_comes_before_the_time_out(
    tmp_path: Path,
) -> None:
    async def late(kept_s: float, seed: int) -> bool:
        stage = stage_with(tmp_path / f"{kept_s}-{seed}.db", kept_s, seed=seed)
        await stage.play(40 * kept_s)
        interval_s = knowledge(stage).idle_timeout.interval_s
        again = stage.another_process()
        begun = stage.true.monotonic()
        calls = [begun + 1 + number * interval_s / 2 for number in range(30)]
        calling = asyncio.ensure_future(stage.customers(SLUG, calls))
        await stage.until(begun + 2)
        again.start()
        sent = len(stage.created())
        await calling
        assert len(stage.created()) == sent
        await stage.until(calls[-1] + 2 * kept_s)
        await again.leave()
        first = stage.ledger.beats(since=START + timedelta(seconds=calls[-1]))
        return next(iter(first)).verdict is not Verdict.WARM

    found = [run(late(kept_s, seed)) for kept_s in (60, 300) for seed in range(5)]
    assert sum(found) == 0


def test_a_shorter_time_out_is_noticed_within_twelve_beats(db: Path) -> None:
    async def scene() -> None:
        stage = stage_with(db, 300)
        stage.start()
        await asyncio.sleep(12 * HOUR_S)
        assert knowledge(stage).idle_timeout.is_known
        sent = len(stage.created())
        for pool in stage.world._pools.values():
            pool._traits = replace(pool._traits, idle_timeout_s=60.0)
        await happens(lambda: len(stage.created()) >= sent + 12)
        assert knowledge(stage).idle_timeout.interval_s <= 60
        await stage.leave()

    run(scene())


def test_another_version_is_looked_at_anew(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = stage_with(db, 300)
        stage.start()
        await asyncio.sleep(12 * HOUR_S)
        known = knowledge(stage)
        assert known.idle_timeout.is_known
        published = stage.world.publish(stage.true.now(), SLUG)
        await happens(lambda: published.id in knowledge(stage).versions)
        assert not knowledge(stage).idle_timeout.is_known
        await asyncio.sleep(3 * HOUR_S)
        await stage.leave()
        assert knowledge(stage).idle_timeout.is_known
        assert abs(knowledge(stage).idle_timeout.median_s / 300 - 1) < 0.1

    run(scene())


def test_every_bounds_the_gap_while_a_longer_one_could_be_left(db: Path) -> None:
    async def scene() -> None:
        stage = stage_with(db, 300, every=50)
        await stage.play(2 * HOUR_S)
        assert max(gaps(stage.seconds())[1:]) < 55
        assert {beat.reason for beat in stage.beats()} == {Reason.FIRST_SIGHT, Reason.IDLE}

    run(scene())


def test_where_traffic_is_not_read_nothing_is_learned(db: Path) -> None:
    async def scene() -> None:
        stage = stage_with(db, 300, traffic=False)
        await stage.play(HOUR_S)
        assert all(45 < gap < 55 for gap in gaps(stage.seconds())[1:])

    run(scene())


def test_the_first_beat_of_a_window_leaves_the_time_to_boot(db: Path) -> None:
    async def scene() -> None:
        hours = ActiveHours(lines=("Mo-Su 10:00-12:00",), zone=ZoneInfo("UTC"))
        stage = stage_with(db, 300, hours=hours, lead=None)
        await stage.play(51 * HOUR_S)  # three windows, the first of them without knowing of any boot
        opening = [beat for beat in stage.beats() if beat.reason is Reason.OPENING]
        assert len(opening) == 2
        for beat in opening:
            opens = beat.created_at.replace(hour=10, minute=0, second=0, microsecond=0)
            assert beat.created_at < opens
            assert beat.started_at is not None
            assert beat.started_at < opens + timedelta(seconds=3)

    run(scene())


def test_a_changed_entry_starts_with_what_the_ledger_knows(db: Path) -> None:
    async def scene() -> None:
        stage = stage_with(db, 300)
        await stage.play(6 * HOUR_S)
        entry = stage.spec.models[0]
        learning = Learning(lambda: stage.spec.models)
        first = learning.knowledge(stage.ledger, entry, stage.clock.now()).learned
        again = learning.knowledge(stage.ledger, replace(entry, every=timedelta(hours=1)), stage.clock.now()).learned
        assert first is not None
        assert again is not None
        assert first.idle_timeout.interval_s == again.idle_timeout.interval_s

    run(scene())


def test_fixed_goes_by_its_every(db: Path) -> None:
    async def scene() -> None:
        host = traits(SLUG, idle_timeout_s=60)
        world = World(begin=START, seed=1, models=[host], deployments=())
        stage = Stage(db, fixed(SLUG, 120), world=world)
        await stage.play(HOUR_S)
        assert all(118 < gap < 122 for gap in gaps(stage.seconds()))

    run(scene())

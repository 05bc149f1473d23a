"""A provider that answers ten times slower than the interval: one beat a model at a time, and no burst afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from engine.stage import START, Stage, fixed, gaps, traits

from warmer.sandbox.world import World
from warmer.testing import run

EVERY_S, SLOW_S = 5.0, 50.0
MODELS = 20
MEAN = MODELS / EVERY_S
SLUGS = [f"acme/model-{number}" for number in range(MODELS)]
DEADLINE = timedelta(minutes=10)


def stage_at(db: Path, *, run_s: float = 0.1) -> Stage:
    hosted = [traits(slug, boot_s=1.0, idle_timeout_s=3600, run_s=run_s) for slug in SLUGS]
    world = World(begin=START, seed=1, models=hosted, deployments=())
    return Stage(db, *(fixed(slug, EVERY_S, traffic=False, deadline=DEADLINE) for slug in SLUGS), world=world)


def most_in_flight(stage: Stage) -> int:
    """Of one model, at the provider, at any moment."""
    most = 0
    for slug in SLUGS:
        calls = sorted(stage.created(slug), key=lambda call: call.created_at)
        ends = [call.completed_at or stage.true.now() for call in calls]
        for call in calls:
            at = call.created_at
            most = max(most, sum(other.created_at <= at < end for other, end in zip(calls, ends, strict=True)))
    return most


def busiest(stage: Stage, since: float) -> int:
    return max(Counter(int(at) for at in stage.seconds() if at >= since).values())


@pytest.mark.parametrize("slow", ["creates", "everything"])
def test_slow_replies(db: Path, slow: str) -> None:
    async def scene() -> None:
        stage = stage_at(db)
        stage.start()
        await stage.until(50)
        if slow == "creates":
            stage.host.accepting_s = SLOW_S
        else:
            stage.host.latency_s = SLOW_S
        open_beats = 0
        while stage.true.monotonic() < 400:
            await asyncio.sleep(7.0)
            counts = Counter(beat.key.model for beat in stage.ledger.open_beats())
            open_beats = max(open_beats, *counts.values(), 0)
        assert open_beats == 1
        for slug in SLUGS:  # the next is not even sent before the one before was answered
            sent = [(at - START).total_seconds() for at, one in stage.host.sent if one == slug]
            assert min(gap for begun, gap in zip(sent, gaps(sent), strict=False) if begun > 50) >= SLOW_S
        stage.host.accepting_s, stage.host.latency_s = 0.0, 0.05
        gone = stage.true.monotonic()
        await stage.until(gone + 170)
        await stage.leave()
        assert most_in_flight(stage) == 1
        assert busiest(stage, gone) < 2 * MEAN
        assert {call.model for call in stage.created() if call.created_at > START + timedelta(seconds=gone + 140)} == {
            *SLUGS
        }
        for slug in SLUGS:
            assert min(gaps(stage.seconds(slug))) > EVERY_S - 0.2
        ids = Counter(beat.prediction_id for beat in stage.beats())
        assert ids == Counter(call.id for call in stage.created())

    run(scene())


def test_slow_runs(db: Path) -> None:
    async def scene() -> None:
        stage = stage_at(db, run_s=SLOW_S)
        await stage.play(400)
        assert most_in_flight(stage) == 1
        assert busiest(stage, 0) < 2 * MEAN
        for slug in SLUGS:
            calls = sorted(stage.created(slug), key=lambda call: call.created_at)
            assert len(calls) > 400 / SLOW_S / 2
            assert all(
                later.created_at >= sooner.completed_at for sooner, later in pairwise(calls) if sooner.completed_at
            )

    run(scene())

"""The ledger is kept small, and tells the same as before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from engine.stage import START, Stage, fixed, ledger_at

from warmer.core.beat import Request, Status, Verdict
from warmer.core.rollup import NEWEST_BEATS, beats_by_hour, hour_of
from warmer.core.spec import Retention
from warmer.engine.backfill import settle
from warmer.engine.housekeeping import EVERY_S, Housekeeping
from warmer.ledger import SqlLedger as Ledger
from warmer.ledger.sums import Kind, touch
from warmer.ledger.tables import beats
from warmer.testing import run

HOUR = 3600.0
SLUG = "meta/meta-llama-3-8b-instruct"


def test_every_hour_is_added_up_soon_after_its_end_and_says_what_its_beats_do(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(SLUG, 60))
        housekeeping = Housekeeping(stage.desk, stage.clock)
        keeping = asyncio.ensure_future(housekeeping.keep_on(lambda: stage.spec))
        await stage.play(3 * HOUR + 600 + 2 * EVERY_S)
        keeping.cancel()
        zone = stage.spec.zone
        begin = hour_of(START)
        assert list(stage.ledger.beat_sums(begin, zone)) == list(beats_by_hour(stage.ledger.beats(), zone))
        with stage.ledger._read() as connection:  # what is left to add up is the hour that has not ended
            marks = connection.exec_driver_sql("SELECT hour FROM touched").scalars().all()
        assert len(marks) == 1

    run(scene())


def fill(ledger: Ledger, count: int) -> None:
    """One beat every 30 s since the start, as if it had been sent."""
    rows = [
        {
            "model": SLUG,
            "slot": number,
            "instance": 0,
            "policy": "aware",
            "reason": "idle",
            "claimed_at": START + number * timedelta(seconds=30),
            "prediction_id": f"beat-{number}",
            "created_at": START + number * timedelta(seconds=30),
            "completed_at": START + number * timedelta(seconds=30),
            "verdict": "warm",
            "status": "succeeded",
            "cost_micros": number,
        }
        for number in range(1, count + 1)
    ]
    with ledger._write() as connection:
        connection.execute(sa.insert(beats), rows)
        touch(connection, ledger._insert, Kind.BEATS, [(row["model"], row["created_at"]) for row in rows])


def test_what_is_too_old_goes_and_what_it_added_up_to_stays(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(SLUG, 60))
        fill(stage.ledger, 5000)
        before, history = stage.ledger.beat_sums(START, stage.spec.zone), stage.ledger.history(SLUG)
        await asyncio.sleep(5000 * 30)
        spec = replace(stage.spec, retention=Retention(beats=timedelta(days=1), requests=timedelta(days=1)))
        await Housekeeping(stage.desk, stage.clock).sweep(spec)
        assert NEWEST_BEATS <= len(list(stage.ledger.beats())) < NEWEST_BEATS + 2 * 120  # whole hours go
        assert stage.ledger.history(SLUG) == history
        after = stage.ledger.beat_sums(START, spec.zone)
        assert sum(one.beats for one in after) == sum(one.beats for one in before) == 5000
        assert sum(one.known_usd for one in after) == sum(one.known_usd for one in before)

        longer = replace(spec, retention=Retention(beats=timedelta(days=9), requests=timedelta(days=9)))
        await Housekeeping(stage.desk, stage.clock).sweep(longer)
        assert stage.ledger.beat_sums(START, spec.zone) == after

    run(scene())


def test_a_pass_that_has_no_time_left_leaves_the_rest_to_the_next(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(SLUG, 60))
        await stage.play(3 * HOUR)
        housekeeping = Housekeeping(stage.desk, stage.clock)
        await housekeeping.sweep(stage.spec, within_s=0.0)
        assert stage.ledger.models_on_record() == []
        await housekeeping.sweep(stage.spec, within_s=1.0)
        assert stage.ledger.models_on_record() == [SLUG]

    run(scene())


def test_a_call_that_our_own_beats_met_before_they_went_is_not_judged_without_them(db: Path) -> None:
    ledger = ledger_at(db)
    fill(ledger, 5000)
    met = [
        Request(
            model=SLUG,
            prediction_id=f"call-{hours}",
            created_at=START + timedelta(hours=hours),
            started_at=START + timedelta(hours=hours, seconds=1.5),
            completed_at=START + timedelta(hours=hours, seconds=3),
            gap_s=15.0,
            wait_s=1.5,
            run_s=1.5,
            verdict=Verdict.UNSURE,
            status=Status.SUCCEEDED,
        )
        for hours in (1, 4, 40)
    ]
    ledger.add_requests(met)
    late = START + timedelta(days=9)
    while ledger.add_up(late, ZoneInfo("UTC")) or ledger.let_go(
        SLUG, late, beats=timedelta(0), calls=timedelta(days=99)
    ):
        pass
    assert START < ledger.on_record()[SLUG] < START + timedelta(hours=10)
    for _ in settle(ledger, SLUG, START):
        pass
    first, second, third = ledger.requests()
    assert (first, second) == (met[0], met[1])
    assert (third.gap_s, third.verdict) != (met[2].gap_s, met[2].verdict)  # there all is on record
    ledger.close()

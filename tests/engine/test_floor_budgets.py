"""Caps bind floors: all that one is to hold is reserved when it is raised, and beats and floors share what there is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import BLIP, START, Play, file_of, fixed, ledger_at, model, when

from warmer.core.beat import Reason
from warmer.core.budget import Cap, Period, Spending, limits
from warmer.core.floor import held_cost
from warmer.core.hours import ActiveHours
from warmer.core.price import PriceTable
from warmer.core.spec import ModelSpec, PolicyName, TargetKind
from warmer.ledger import SqlLedger
from warmer.testing import run

pytestmark = pytest.mark.usefixtures("seldom_looks")

UPSCALER = "acme/upscaler"
UTC_ZONE = ZoneInfo("UTC")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = START.replace(hour=0)
AN_HOUR = Decimal("0.81")  # of one of its instances, by the file


def cap(hours: float, *, model: str | None = None, period: Period = Period.DAILY) -> Cap:
    """What so many hours of one instance cost."""
    return Cap(model=model, period=period, usd=Decimal(str(hours)) * AN_HOUR)


def floor(line: str, *caps: Cap, **more: Any) -> ModelSpec:
    return model(
        UPSCALER,
        **{
            "name": "up",
            "kind": TargetKind.DEPLOYMENT,
            "policy": PolicyName.FLOOR,
            "hours": ActiveHours(lines=(line,), zone=UTC_ZONE),
            "caps": caps,
            **more,
        },
    )


def least(play: Play) -> int:
    return play.world.deployment(UPSCALER).min_instances


def changes(play: Play) -> list[tuple[float, int]]:
    """When it was set, in hours of the first day, and to what."""
    return [
        (round((at - MIDNIGHT) / HOUR, 2), instances) for host in play.hosts for at, instances in sorted(host.changes)
    ]


def counts(ledger: SqlLedger, one: Cap, at: datetime) -> Spending:
    (found,) = ledger.spendings(limits([one], at, UTC_ZONE), at)
    return found


def ticks(ledger: SqlLedger) -> dict[Reason, int]:
    return {reason: count for (name, reason), count in ledger.ticks(START - DAY).items() if name == "up"}


def told(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "budget.reached"]


def test_hours_that_cost_more_than_the_cap_are_never_begun_and_each_day_says_so_once(
    db: Path, lines: list[Any]
) -> None:
    six = cap(6)

    async def scene() -> list[tuple[float, int]]:
        async with Play(db, file_of(floor("08:00-20:00", six)), watch=False, start=MIDNIGHT) as play:
            await asyncio.sleep((2 * DAY).total_seconds() - 60)
        return changes(play)

    assert run(scene()) == []
    assert [(line["scope"], line["reserve_usd"], line["spent_usd"]) for line in told(lines)] == [
        ("all models", 12 * AN_HOUR, 0)
    ] * 2
    assert [line["until"] for line in told(lines)] == [MIDNIGHT + number * DAY for number in range(1, 3)]
    skipped = [line for line in lines if line["event"] == "beat.skipped" and line["reason"] == Reason.OVER_BUDGET]
    assert {line["cap"] for line in skipped} == {"daily of all models"}
    assert set(ticks(ledger_at(db))) == {Reason.OVER_BUDGET, Reason.CLOSED}


@pytest.mark.parametrize("line", ["08:00-20:00", pytest.param("08:00-12:00,13:00-21:00", marks=pytest.mark.thorough)])
def test_a_cap_that_they_just_fit_lets_them_be_held_each_day_and_is_never_passed(
    db: Path, lines: list[Any], line: str
) -> None:
    twelve = cap(12, model="up")

    async def scene() -> list[tuple[float, int]]:
        async with Play(db, file_of(floor(line, twelve)), watch=False, start=MIDNIGHT) as play:
            await asyncio.sleep((2 * DAY).total_seconds() - 60)
        return changes(play)

    windows = line.count("-")
    assert len(run(scene())) == 2 * 2 * windows
    ledger = ledger_at(db)
    for number in range(2):
        begin = MIDNIGHT + number * DAY
        spent = counts(ledger, twelve, begin + DAY - HOUR / 2)
        assert twelve.usd - Decimal("0.01") < spent.settled_usd <= twelve.usd
        assert spent.reserved_usd == 0
        assert spent.settled_usd >= (held_cost(ledger.floor_spells(begin), begin, begin + DAY).usd or 0)
    assert told(lines) == []


def test_beats_leave_what_is_kept_for_a_floor_alone_and_a_floor_what_beats_have_spent(
    db: Path, lines: list[Any]
) -> None:
    total = cap(3)

    async def scene() -> None:
        beats = fixed(BLIP, 60, caps=(total,), deadline=timedelta(seconds=60))
        async with Play(db, file_of(floor("10:00-12:00,13:00-14:00", total), beats), watch=False) as play:
            await asyncio.sleep(0.5 * HOUR.total_seconds())
            assert play.beats()
            await asyncio.sleep(0.6 * HOUR.total_seconds())
            assert least(play) == 1
            kept = counts(ledger_at(db), total, play.true.now())
            assert kept.floors_usd > AN_HOUR / 2
            assert kept.settled_usd + kept.reserved_usd <= total.usd
            await asyncio.sleep(5 * HOUR.total_seconds())
            # The beats had spent a little: the third hour does not fit any more.
            assert [instances for _, instances in changes(play)] == [1, 0]

    run(scene())


def test_a_raised_cap_lets_it_be_raised_at_once_and_a_lowered_one_puts_it_back(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        small, enough = cap(2), cap(5)
        spec = file_of(floor("09:00-12:00", small))
        async with Play(db, spec) as play:
            await asyncio.sleep(600)
            assert least(play) == 0
            play.edit(file_of(floor("09:00-12:00", enough)))
            await when(lambda: least(play) == 1)
            assert play.true.monotonic() < 610
            await asyncio.sleep(600)
            play.edit(spec)
            await when(lambda: least(play) == 0)
            assert play.true.monotonic() < 1220
            await asyncio.sleep(4 * HOUR.total_seconds())
            assert [instances for _, instances in changes(play)] == [1, 0]
            spent = counts(ledger_at(db), small, play.true.now())
            assert 0 < spent.settled_usd < small.usd

    run(scene())


@pytest.mark.thorough
@pytest.mark.parametrize(("hours", "ends"), [(5, 12), (9, 17)])
def test_longer_hours_are_held_where_they_fit_and_else_as_long_as_was_planned(
    db: Path, hours: float, ends: int
) -> None:
    async def scene() -> None:
        async with Play(db, file_of(floor("09:00-12:00", cap(hours)))) as play:
            await asyncio.sleep(1800)
            play.edit(file_of(floor("09:00-17:00", cap(hours))))
            await asyncio.sleep(10 * HOUR.total_seconds())
            (_, raised), (lowered_at, lowered) = changes(play)
            assert (raised, lowered, lowered_at) == (1, 0, ends)

    run(scene())


def test_a_second_instance_that_does_not_fit_leaves_the_first_as_it_is(db: Path) -> None:
    async def scene() -> None:
        async with Play(db, file_of(floor("09:00-12:00", cap(4)))) as play:
            await asyncio.sleep(600)
            play.edit(file_of(floor("09:00-12:00", cap(4), instances=2)))
            await asyncio.sleep(5 * HOUR.total_seconds())
            assert changes(play) == [(9.0, 1), (12.0, 0)]

    run(scene())


@pytest.mark.parametrize(("hours", "made"), [(24, 1), pytest.param(23.5, 0, marks=pytest.mark.thorough)])
def test_hours_without_end_need_a_cap_of_a_whole_day(db: Path, hours: float, made: int) -> None:
    async def scene() -> None:
        async with Play(db, file_of(floor("24/7", cap(hours))), watch=False) as play:
            await asyncio.sleep((1.6 * DAY).total_seconds())
            assert len(changes(play)) == made

    run(scene())
    ledger = ledger_at(db)
    for number in range(2 * made):
        noon = MIDNIGHT + number * DAY + 12 * HOUR
        spent = counts(ledger, cap(hours), noon)
        assert spent.settled_usd + spent.reserved_usd <= cap(hours).usd


@pytest.mark.thorough
def test_a_month_counts_as_well_and_hours_over_its_end_need_both(db: Path) -> None:
    monthly = cap(5, period=Period.MONTHLY)

    async def scene() -> list[tuple[float, int]]:
        start = datetime(2026, 11, 29, 21, tzinfo=START.tzinfo)
        async with Play(db, file_of(floor("22:00-02:00", monthly)), watch=False, start=start) as play:
            await asyncio.sleep((3 * DAY).total_seconds())
        return [(round((at - start) / HOUR, 1), number) for at, number in sorted(play.hosts[0].changes)]

    # Four hours of November are spent by the first night: two of the next would pass its cap, two of December do not.
    assert run(scene()) == [(1.0, 1), (5.0, 0), (27.0, 1), (29.0, 0)]


def test_without_a_price_it_is_not_raised_under_a_cap_and_says_why(db: Path) -> None:
    async def scene() -> None:
        unheard_of = PriceTable(read_on=START.date(), per_second={})
        entry = replace(floor("09:00-12:00", cap(9)), price=None, prices=unheard_of)
        async with Play(db, file_of(entry), watch=False) as play:
            await asyncio.sleep(HOUR.total_seconds())
            assert changes(play) == []

    run(scene())
    assert Reason.PRICE_UNKNOWN in ticks(ledger_at(db))


def test_the_price_of_the_hardware_that_the_api_tells_is_good_enough(db: Path) -> None:
    async def scene() -> None:
        entry = replace(floor("09:00-12:00", cap(99)), price=None)
        async with Play(db, file_of(entry), watch=False) as play:
            await asyncio.sleep(HOUR.total_seconds())
            assert least(play) == 1

    run(scene())


def test_what_a_floor_gives_back_early_lets_beats_go_on_at_once(db: Path) -> None:
    async def scene() -> None:
        total = cap(3.01)
        beats = fixed(BLIP, 60, caps=(total,), deadline=timedelta(seconds=60))
        async with Play(db, file_of(floor("09:00-12:00", total), beats)) as play:
            await asyncio.sleep(HOUR.total_seconds())
            before = len(play.beats())
            await asyncio.sleep(600)
            assert len(play.beats()) == before
            play.edit(file_of(floor("08:00-09:00", total), beats))
            await when(lambda: len(play.beats()) > before)
            assert play.true.monotonic() < HOUR.total_seconds() + 660

    run(scene())

"""Promise 4: money is reserved before it is spent; a cap holds under parallel ticks and across restarts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import BLIP, LLAMA, WHISPER, Play, Stage, file_of, fixed, when

from warmer.core.beat import Observation, Reason
from warmer.core.budget import Cap, Period
from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec
from warmer.sandbox.world import World
from warmer.testing import run

BERLIN = ZoneInfo("Europe/Berlin")
HOURS = ActiveHours(lines=("24/7",), zone=BERLIN)
DAY_S = 86_400.0
pytestmark = pytest.mark.usefixtures("seldom_looks")


def cap(usd: str, *, model: str | None = None, period: Period = Period.DAILY) -> Cap:
    return Cap(model=model, period=period, usd=Decimal(usd))


def capped(slug: str, every: float, *caps: Cap, deadline: float = 60, **more: Any) -> ModelSpec:
    return fixed(slug, every, caps=caps, hours=HOURS, deadline=timedelta(seconds=deadline), **more)


def by_day(beats: list[Observation]) -> dict[date, Decimal]:
    """What each local day cost."""
    spent = defaultdict[date, Decimal](Decimal)
    for beat in beats:
        assert beat.cost_usd is not None
        spent[beat.created_at.astimezone(BERLIN).date()] += beat.cost_usd
    return dict(spent)


def test_no_day_costs_more_than_its_cap_and_beats_go_on_at_local_midnight(db: Path, lines: list[Any]) -> None:
    daily = cap("0.02")

    async def scene() -> None:
        stage = Stage(db, capped(BLIP, 600, daily), capped(LLAMA, 900, daily))
        await stage.play(3 * DAY_S)
        spent = by_day(stage.beats())

        worst = Decimal("0.0585")  # of the dearer one: a minute of its GPU
        assert len(spent) == 4
        assert all(usd <= daily.usd for usd in spent.values())
        assert max(spent.values()) > daily.usd - worst
        midnight = datetime(2026, 11, 25, 0, 0, tzinfo=BERLIN)
        after = min(beat.created_at for beat in stage.beats(BLIP) if beat.created_at >= midnight)
        assert after - midnight < timedelta(seconds=5)
        before = max(beat.created_at for beat in stage.beats(BLIP) if beat.created_at < midnight)
        assert midnight - before > timedelta(hours=1)
        assert stage.counted()[Reason.OVER_BUDGET] < 20  # it rests until money comes again

    run(scene())
    reached = [line for line in lines if line["event"] == "budget.reached"]
    assert [line["until"].astimezone(BERLIN).hour for line in reached] == [0] * len(reached)
    assert len(reached) == len({line["until"] for line in reached})
    assert {(line["scope"], line["period"], line["cap_usd"]) for line in reached} == {
        ("all models", "daily", Decimal("0.02"))
    }
    skipped = [line for line in lines if line["event"] == "beat.skipped" and line["reason"] == "over_budget"]
    assert {line["cap"] for line in skipped} == {"daily of all models"}


def test_a_month_ends_its_cap_and_the_smaller_of_two_holds(db: Path) -> None:
    caps = cap("0.03", period=Period.MONTHLY), cap("0.02", model=BLIP)

    async def scene() -> None:
        begin = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
        stage = Stage(db, capped(BLIP, 300, *caps), world=World(begin=begin, seed=1), start=begin)
        await stage.play(4 * DAY_S)
        spent = by_day(stage.beats())

        assert all(usd <= Decimal("0.02") for usd in spent.values())
        november = sum(usd for day, usd in spent.items() if day.month == 11)
        assert Decimal("0.0165") - Decimal("0.001") < november <= Decimal("0.03")
        assert spent[date(2026, 12, 1)] > 0
        last = max(beat.created_at for beat in stage.beats() if beat.created_at.astimezone(BERLIN).month == 11)
        first = min(beat.created_at for beat in stage.beats() if beat.created_at.astimezone(BERLIN).month == 12)
        assert last < datetime(2026, 11, 30, 20, 0, tzinfo=UTC)
        assert first - datetime(2026, 12, 1, 0, 0, tzinfo=BERLIN) < timedelta(seconds=5)

    run(scene())


def test_the_cap_of_one_model_leaves_the_others_alone(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, capped(BLIP, 60, cap("0.014", model=BLIP)), capped(WHISPER, 60))
        await stage.play(7200)
        assert len(stage.beats(BLIP)) < 10
        assert len(stage.beats(WHISPER)) > 100

    run(scene())


def test_what_an_earlier_life_has_spent_counts(db: Path) -> None:
    async def scene() -> None:
        daily = cap("0.0137")
        stage = Stage(db, capped(BLIP, 60, daily))
        await stage.play(1800)
        spent = sum(by_day(stage.beats()).values())
        again = stage.another_process()
        await again.play(1800)
        assert spent > 0
        assert sum(by_day(again.beats()).values()) == spent
        assert again.counted()[Reason.OVER_BUDGET] >= 2

    run(scene())


def test_what_a_dead_process_had_out_is_settled_from_the_account_s_list(db: Path) -> None:
    async def scene() -> None:
        daily = cap("0.014")
        stage = Stage(db, capped(BLIP, 60, daily))
        stage.start()
        await when(lambda: stage.created(BLIP))  # it is at the provider, and nobody here knows its id
        await stage.die()
        assert [beat.prediction_id for beat in stage.ledger.open_beats()] == [None]
        again = stage.another_process()
        await asyncio.sleep(40)
        await again.recovery.sweep(again.accounts)
        await again.recovery.settled()
        (beat,) = again.beats()
        assert beat.cost_usd is not None
        assert left(again) == daily.usd - beat.cost_usd

    run(scene())


def test_what_a_dead_process_never_sent_is_given_back_at_its_deadline(db: Path) -> None:
    async def scene() -> None:
        daily = cap("0.014")
        stage = Stage(db, capped(BLIP, 60, daily))
        stage.host.accepting_s = 3600
        stage.start()
        await when(lambda: stage.host.sent)
        await stage.die()
        again = stage.another_process()
        await asyncio.sleep(40)
        await again.recovery.sweep(again.accounts)
        await again.recovery.settled()
        assert left(again) == Decimal("0.0005")
        await asyncio.sleep(21)
        assert left(again) == daily.usd

    run(scene())


def left(stage: Stage) -> Decimal:
    limits = stage.account.heartbeat.budgets.limits(stage.spec.models[0])
    (spending,) = stage.ledger.spendings(limits, stage.clock.now())
    return spending.left_usd


def test_several_processes_share_one_cap(db: Path) -> None:
    async def scene() -> None:
        daily = cap("0.04")
        models = [capped(BLIP, 60, daily, name=f"model-{number}") for number in range(6)]
        first = Stage(db, *models)
        stages = [first, first.another_process(), first.another_process()]
        await asyncio.gather(*(stage.play(3600) for stage in stages))
        assert sum(by_day(first.beats()).values()) <= daily.usd
        first.world.advance(first.true.now())
        assert first.counted()[Reason.OVER_BUDGET] > 0

    run(scene())


def test_a_model_without_a_price_is_sent_nothing_under_a_cap(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, replace(capped(BLIP, 60, cap("9")), price=None), capped(WHISPER, 60, cap("9")))
        await stage.play(600)
        assert stage.beats(BLIP) == []
        assert stage.counted()[Reason.PRICE_UNKNOWN] == 1  # only the file can change that
        assert len(stage.beats(WHISPER)) > 5

    run(scene())


def test_a_cap_that_is_raised_takes_effect_at_once(db: Path) -> None:
    async def scene() -> None:
        before, after = (capped(BLIP, 60, cap(usd)) for usd in ("0.0137", "0.05"))
        async with Play(db, file_of(before)) as play:
            await asyncio.sleep(3600)
            stopped = len(play.beats())
            play.edit(file_of(after))
            await asyncio.sleep(50)  # it boots
            assert len(play.beats()) == stopped + 1
            await asyncio.sleep(3600)
            assert len(play.beats()) > stopped + 50
            assert sum(by_day(play.beats()).values()) <= Decimal("0.05")

    run(scene())


def test_a_cap_that_is_new_counts_what_was_spent_without_it(db: Path) -> None:
    async def scene() -> None:
        async with Play(db, file_of(capped(BLIP, 60))) as play:
            await asyncio.sleep(3600)
            spent = sum(by_day(play.beats()).values())
            play.edit(file_of(capped(BLIP, 60, cap(str(spent + Decimal("0.0134"))))))
            await asyncio.sleep(3600)
            assert sum(by_day(play.beats()).values()) == spent

    run(scene())

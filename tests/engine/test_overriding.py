"""What people ask for beside the file, in virtual time: the whole daemon, and others on its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import ALWAYS, BLIP, LLAMA, START, Play, file_of, fixed, ledger_at, model

from warmer.core.beat import Reason
from warmer.core.hours import ActiveHours
from warmer.core.override import Overrides
from warmer.core.spec import PolicyName, TargetKind
from warmer.engine.overriding import change_overrides, read_overrides
from warmer.errors import LedgerError
from warmer.log import Event
from warmer.testing import run

NIGHTS = ActiveHours(lines=("Mo-Su 22:00-23:00",), zone=ZoneInfo("UTC"))  # START is in the morning
HOUR = timedelta(hours=1)
UPSCALER = "acme/upscaler"


def ask(db: Path, change: Callable[[Overrides], Overrides]) -> Overrides:
    """As a command in another process does."""
    ledger = ledger_at(db)
    try:
        return change_overrides(ledger, change)
    finally:
        ledger.close()


def said(lines: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (line["event"], line["scope"], str(line["kind"]), line.get("why"))
        for line in lines
        if line["event"].startswith("override.")
    ]


def test_a_paused_model_gets_no_beat_and_the_others_go_on(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        async with Play(db, file_of(fixed(BLIP, 10), fixed(LLAMA, 10))) as play:
            await asyncio.sleep(60)
            ask(db, lambda known: known.paused([BLIP], play.clock.now(), play.clock.now() + timedelta(seconds=60)))
            await asyncio.sleep(120)
        paused = [at for at in play.seconds(BLIP) if 60 <= at < 120]
        assert paused == []
        assert [at for at in play.seconds(BLIP) if 120 <= at < 132], "it goes on by itself when the pause is over"
        assert len([at for at in play.seconds(LLAMA) if 60 <= at < 120]) >= 5

    run(scene())
    assert said(lines) == [
        (Event.OVERRIDE_SET, BLIP, "pause", None),
        (Event.OVERRIDE_ENDED, BLIP, "pause", "over"),
    ]
    assert any(line["event"] == Event.BEAT_SKIPPED and line["reason"] is Reason.PAUSED for line in lines)


def test_a_sleeping_model_is_woken_within_two_seconds(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(BLIP, every=20, hours=NIGHTS))) as play:
            await asyncio.sleep(100)
            ask(db, lambda known: known.warmed([BLIP], play.clock.now(), play.clock.now() + timedelta(seconds=120)))
            await asyncio.sleep(200)
        first, *others = play.seconds(BLIP)
        assert 100 <= first < 102
        assert len(others) >= 3
        assert max(others) < 220, "and sleeps again when that is over"
        assert {seen.reason for seen in play.beats()} == {Reason.ORDERED}

    run(scene())
    assert [what for what, *_ in said(lines)] == [Event.OVERRIDE_SET, Event.OVERRIDE_ENDED]


@pytest.mark.parametrize("policy", [PolicyName.OBSERVE, PolicyName.ADAPTIVE])
def test_who_would_send_nothing_gives_way_for_a_model_that_is_to_be_warm(db: Path, policy: PolicyName) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(BLIP, every=20, policy=policy))) as play:
            await asyncio.sleep(60)
            ask(db, lambda known: known.warmed([BLIP], play.clock.now(), play.clock.now() + HOUR))
            await asyncio.sleep(60)
            ask(db, lambda known: known.resumed([BLIP], play.clock.now()))
            await asyncio.sleep(60)
        sent = play.seconds(BLIP)
        assert sent
        assert all(60 <= at < 120 for at in sent)
        assert {seen.policy for seen in play.beats()} == {"aware"}

    run(scene())


def test_all_are_paused_over_a_restart_and_one_is_resumed(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        ask(db, lambda known: known.paused([], START))
        for _ in range(2):
            async with Play(db, file_of(fixed(BLIP, 10), fixed(LLAMA, 10))) as play:
                await asyncio.sleep(60)
            assert play.seconds(BLIP) + play.seconds(LLAMA) == []
        async with Play(db, file_of(fixed(BLIP, 10), fixed(LLAMA, 10))) as play:
            await asyncio.sleep(30)
            ask(db, lambda known: known.resumed([BLIP], play.clock.now()))
            await asyncio.sleep(30)
        assert play.seconds(BLIP)
        assert play.seconds(LLAMA) == []

    run(scene())
    assert said(lines).count((Event.OVERRIDE_SET, "all models", "pause", None)) == 3, "once by each life"


def test_a_floor_follows_what_is_asked_for(db: Path) -> None:
    entry = model(UPSCALER, name="up", kind=TargetKind.DEPLOYMENT, policy=PolicyName.FLOOR, hours=ALWAYS)

    async def scene() -> None:
        async with Play(db, file_of(entry)) as play:

            def least() -> int:
                return play.world.deployment(UPSCALER).min_instances

            await asyncio.sleep(10)
            assert least() == 1
            ask(db, lambda known: known.paused(["up"], play.clock.now()))
            await asyncio.sleep(5)
            assert least() == 0, "what is paused is not paid for"
            ask(db, lambda known: known.warmed(["up"], play.clock.now(), play.clock.now() + timedelta(seconds=30)))
            await asyncio.sleep(5)
            assert least() == 1

    run(scene())


def test_what_is_asked_for_is_there_until_somebody_takes_it_back(db: Path) -> None:
    made = ask(db, lambda known: known.warmed(["a", "b/c"], START, START + HOUR).paused(["d"], START))
    ledger = ledger_at(db)

    assert read_overrides(ledger) == made
    assert ask(db, lambda known: known.resumed([], START)) == Overrides() == read_overrides(ledger)
    ledger.close()


@pytest.mark.parametrize("text", ["[", "{}", '{"all": {"kind": "dance"}, "models": {}}', '{"all": null, "models": 3}'])
def test_a_note_of_a_newer_warmer_is_refused_with_what_to_do(db: Path, text: str) -> None:
    ledger = ledger_at(db)
    ledger.change_note("overrides", lambda _, __: (text, None))

    with pytest.raises(LedgerError, match="use that"):
        read_overrides(ledger)
    ledger.close()

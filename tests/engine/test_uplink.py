"""Where we are cut off, that is said of the account, and no model is blamed for it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.stage import BLIP, LLAMA, SDXL, Stage, fixed, when

from warmer.core.beat import Reason, Status
from warmer.errors import Unreachable
from warmer.log import Event
from warmer.testing import run

CUT = Unreachable("no connection to the provider")
CALLS = ("create", "read", "cancel", "recent", "describe", "verify")
BLAME = {Reason.BACKING_OFF, Reason.MODEL_DISABLED}


def cut(stage: Stage) -> None:
    stage.host.refusing |= dict.fromkeys(CALLS, CUT)


def said(lines: list[Any], *events: Event) -> list[Any]:
    return [line for line in lines if line["event"] in events]


def test_a_beat_whose_deadline_comes_while_we_are_cut_off_is_told_later_and_nobody_is_blamed(
    db: Path, lines: list[Any]
) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(SDXL, 300, deadline=timedelta(seconds=60)), fixed(BLIP, 60), fixed(LLAMA, 60))
        stage.start()
        await stage.until(1)  # all three boot
        cut(stage)
        await stage.until(1500)
        assert len(said(lines, Event.ACCOUNT_PAUSED)) == 1
        stage.host.refusing.clear()
        await stage.until(2200)
        await stage.leave()
        assert {*stage.counted()} & BLAME == set()
        assert said(lines, Event.BEAT_FAILED, Event.MODEL_DISABLED) == []
        assert {seen.status for seen in stage.beats()} == {Status.SUCCEEDED}
        assert {seen.prediction_id for seen in stage.beats()} == {call.id for call in stage.created()}
        assert len(said(lines, Event.ACCOUNT_RESUMED)) == 1

    run(scene())


def test_a_connection_that_was_begun_in_an_outage_and_is_given_up_after_it_is_no_news(
    db: Path, lines: list[Any]
) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 60), fixed(LLAMA, 60))
        stage.start()
        await stage.until(150)
        stage.host.refusing |= {f"create {BLIP}": CUT, f"create {LLAMA}": Unreachable("no answer", waited_s=60.0)}
        await when(lambda: said(lines, Event.ACCOUNT_PAUSED))
        stage.host.refusing.clear()  # packets come through again, and the other waits for the answer to a lost one
        await stage.until(600)
        await stage.leave()
        assert [line["event"] for line in said(lines, Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED)] == [
            Event.ACCOUNT_PAUSED,
            Event.ACCOUNT_RESUMED,
        ]
        assert {*stage.counted()} & BLAME == set()

    run(scene())


def test_a_process_that_starts_without_a_network_says_once_what_it_cannot_pick_up_yet(
    db: Path, lines: list[Any]
) -> None:
    async def scene() -> None:
        first = Stage(db, fixed(BLIP, 60), fixed(LLAMA, 60))
        first.start()
        await first.until(1)
        await first.die()
        stage = first.another_process()
        cut(stage)
        stage.take_over()
        await asyncio.sleep(600)
        assert len(said(lines, Event.BEAT_FAILED)) == 2  # one a beat that is open
        stage.host.refusing.clear()
        await asyncio.sleep(300)
        await stage.leave()
        assert len(said(lines, Event.BEAT_FAILED)) == 2
        assert {*stage.counted()} & BLAME == set()
        assert stage.ledger.open_beats() == ()
        assert {seen.status for seen in stage.beats()} == {Status.SUCCEEDED}

    run(scene())

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.stage import BLIP, LLAMA, SDXL, WHISPER, Play, Stage, accounts_of, file_of, fixed, model

from warmer.core.beat import Status
from warmer.core.spec import AccountSpec
from warmer.errors import AccountRefused, ConfigError, CreditExhausted, Fault
from warmer.log import Event
from warmer.testing import run


def said(lines: list[Any], event: Event) -> list[Any]:
    return [line for line in lines if line["event"] == event]


def test_unchanged_models_keep_their_rhythm_to_the_millisecond(tmp_path: Path, blank_ledger: Path) -> None:
    async def beats(path: Path, edits: bool) -> list[float]:
        entries = (fixed(BLIP, 40), model(LLAMA, every=70))
        async with Play(path, file_of(*entries), latency_s=0) as play:
            await asyncio.sleep(100)
            if edits:
                play.edit(file_of(entries[0], model(WHISPER, every=60)))
                await asyncio.sleep(33)
                play.edit(file_of(fixed(WHISPER, 20), entries[0], fixed(SDXL, 50)))
            else:
                await asyncio.sleep(33)
            await asyncio.sleep(400)
        return play.seconds(BLIP)

    one, other = (Path(shutil.copy(blank_ledger, tmp_path / name)) for name in ("one.db", "other.db"))
    assert run(beats(one, edits=True)) == run(beats(other, edits=False))


def test_added_models_begin_changed_ones_follow_and_removed_ones_stop(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        async with Play(db, file_of(fixed(BLIP, 40), fixed(LLAMA, 40))) as play:
            await asyncio.sleep(100)
            play.edit(file_of(fixed(BLIP, 10), fixed(WHISPER, 60)))
            await asyncio.sleep(100)
        assert play.seconds(WHISPER)[0] < 101
        assert max(play.seconds(LLAMA)) < 100
        assert len([second for second in play.seconds(BLIP) if second > 100]) >= 9
        (reloaded,) = said(lines, Event.CONFIG_RELOADED)
        assert (reloaded["added"], reloaded["changed"], reloaded["removed"]) == ([WHISPER], [BLIP], [LLAMA])

    run(scene())


def test_a_removed_models_beat_is_seen_to_its_end(db: Path) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(SDXL, every=60), model(BLIP, every=60))) as play:
            await asyncio.sleep(10)  # SDXL boots for some 25 s
            assert play.world.journal.running_now(caller="warmer", target=SDXL) == 1
            play.edit(file_of(model(BLIP, every=60)))
            await asyncio.sleep(120)
        (seen,) = [seen for seen in play.beats() if seen.model == SDXL]
        assert seen.status is Status.SUCCEEDED
        assert seen.cost_usd is not None

    run(scene())


def test_a_model_that_comes_back_while_its_beat_is_out_sends_no_second_one(db: Path) -> None:
    async def scene() -> None:
        async with Play(db, file_of(model(SDXL, every=60), model(BLIP, every=60))) as play:
            for _ in range(5):
                await asyncio.sleep(2)
                play.edit(file_of(model(BLIP, every=60)))
                await asyncio.sleep(2)
                play.edit(file_of(model(SDXL, every=60), model(BLIP, every=60)))
            await asyncio.sleep(10)
            assert len(play.seconds(SDXL)) == 1

    run(scene())


def test_a_new_token_gets_a_new_account_and_the_old_one_is_closed_once_nothing_goes_by_it(db: Path) -> None:
    async def scene() -> None:
        first = file_of(model(SDXL, every=60), fixed(BLIP, 20))
        async with Play(db, first) as play:
            await asyncio.sleep(10)
            play.edit(replace(first, account=AccountSpec(base_url="https://elsewhere.test/v1")))
            await asyncio.sleep(5)
            old, new = play.hosts
            assert not old.closed  # SDXL still boots there
            await asyncio.sleep(195)
            assert old.closed
            assert {slug for _, slug in new.sent} == {SDXL, BLIP}
            assert max(at for at, _ in old.sent) < min(at for at, _ in new.sent)
            # What was out when the account changed is followed where it was sent, and by nobody else.
            assert len(play.seconds(SDXL)) == len([seen for seen in play.beats() if seen.model == SDXL])
        assert new.closed

    run(scene())


def test_a_new_token_ends_the_wait_that_the_old_one_was_held_for(db: Path) -> None:
    async def scene() -> None:
        first = file_of(fixed(BLIP, 20), fixed(LLAMA, 20))
        async with Play(db, first) as play:
            play.hosts[0].refusing["create"] = AccountRefused("401")
            await asyncio.sleep(500)
            play.edit(replace(first, account=AccountSpec(base_url="https://elsewhere.test/v1")))
            await asyncio.sleep(5)
            assert len(play.seconds(BLIP)) == len(play.seconds(LLAMA)) == 1

    run(scene())


def test_the_ledger_cannot_change_under_a_running_daemon(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        async with Play(db, file_of(fixed(BLIP, 20))) as play:
            await asyncio.sleep(50)
            play.edit(file_of(fixed(BLIP, 5), ledger="sqlite:////elsewhere.db"))
            await asyncio.sleep(100)
        (rejected,) = said(lines, Event.CONFIG_REJECTED)
        assert "ledger" in rejected["problem"]
        assert len(play.seconds(BLIP)) in (7, 8)

    run(scene())


def test_a_bad_file_is_refused_with_its_places_and_the_old_plan_runs_on(db: Path, lines: list[Any]) -> None:
    faults = [
        Fault(file="warmer.yaml", line=3, column=5, problem="unknown key", hint="did you mean `every`?"),
        Fault(file="warmer.yaml", line=9, column=1, problem="duplicate model"),
    ]

    async def scene() -> None:
        async with Play(db, file_of(fixed(BLIP, 20))) as play:
            await asyncio.sleep(50)
            play.load.now = ConfigError(*faults)
            play.daemon.reload()
            await asyncio.sleep(100)
            play.load.now = file_of(fixed(BLIP, 20), fixed(LLAMA, 20), digest="good")
            play.daemon.reload()
            await asyncio.sleep(5)
        rejected = said(lines, Event.CONFIG_REJECTED)
        assert [line["where"] for line in rejected] == ["warmer.yaml:3:5", "warmer.yaml:9:1"]
        assert rejected[0]["hint"] == "did you mean `every`?"
        assert len(play.seconds(BLIP)) in (7, 8)
        assert play.seconds(LLAMA)
        assert len(play.hosts) == 2  # nothing of the bad file came into being

    run(scene())


def test_an_edit_between_the_first_reading_and_the_first_look_is_not_missed(db: Path) -> None:
    async def scene() -> None:
        play = Play(db, file_of(fixed(BLIP, 20)))
        play.load.now = file_of(fixed(LLAMA, 20), digest="edited")
        async with play:
            await asyncio.sleep(5)
        assert play.seconds(LLAMA)

    run(scene())


def test_a_changed_model_forgets_that_it_was_disabled_and_others_stay_held(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 30), fixed(LLAMA, 30))
        stage.host.refusing["create"] = CreditExhausted("402")
        stage.start()
        await stage.until(20)
        tried = len(stage.host.sent)
        stage.fleet.apply(spec := file_of(fixed(BLIP, 31), fixed(LLAMA, 30)), accounts_of(spec, stage.account))
        await stage.until(60)
        assert len(stage.host.sent) == tried  # credit is the account's matter: another interval does not buy any
        await stage.leave()
        assert stage.fleet.next_at(LLAMA) is not None
        assert stage.clock.now() + timedelta(hours=1) > (stage.fleet.next_at(LLAMA) or stage.clock.now())

    run(scene())

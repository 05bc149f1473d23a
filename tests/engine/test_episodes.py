"""What goes wrong is said once, and once that it is over, whatever is changed meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, LLAMA, SDXL, Play, Stage, file_of, fixed, gaps

from warmer.core.spec import AccountSpec
from warmer.errors import AccountRefused, Doubtful, ModelRefused, ProviderError, Unavailable
from warmer.log import Event
from warmer.testing import run

OOPS = Unavailable("the provider failed (500)")
NEWS = (
    Event.MODEL_FAILED,
    Event.MODEL_RECOVERED,
    Event.MODEL_DISABLED,
    Event.MODEL_ENABLED,
    Event.ACCOUNT_PAUSED,
    Event.ACCOUNT_RESUMED,
    Event.TRAFFIC_FAILED,
    Event.TRAFFIC_RESUMED,
)


def news(lines: list[Any]) -> list[str]:
    return [line["event"] for line in lines if line["event"] in NEWS]


@pytest.mark.parametrize(
    ("call", "error"), [("create", OOPS), ("create", Doubtful("lost")), ("describe", OOPS)], ids=["no", "lost", "what"]
)
def test_a_model_that_fails_is_said_to_with_the_reason_and_to_have_recovered(
    db: Path, lines: list[Any], call: str, error: ProviderError
) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 60), fixed(LLAMA, 60))
        stage.host.refusing[f"{call} {BLIP}"] = error
        stage.start()
        await stage.until(600)
        (failed,) = [line for line in lines if line["event"] == Event.MODEL_FAILED]
        assert failed["model"] == BLIP
        assert str(error) in failed["error"]
        stage.host.refusing.clear()
        await stage.until(1600)
        await stage.leave()
        assert news(lines) == [Event.MODEL_FAILED, Event.MODEL_RECOVERED]

    run(scene())


@pytest.mark.parametrize("is_mended", [True, False])
def test_a_disabled_model_whose_entry_changes_is_tried_at_once_and_said_of_anew(
    db: Path, lines: list[Any], is_mended: bool
) -> None:
    async def scene() -> None:
        one = fixed(BLIP, 60)
        async with Play(db, file_of(one, fixed(LLAMA, 60))) as play:
            await asyncio.sleep(1)
            play.hosts[-1].refusing[f"create {BLIP}"] = ModelRefused("422", "correct `input`")
            await asyncio.sleep(100)
            assert news(lines) == [Event.MODEL_DISABLED]
            play.load.now = file_of(replace(one, every=timedelta(seconds=61)), fixed(LLAMA, 60), digest="2")
            play.daemon.reload()
            await asyncio.sleep(0.01)
            if not is_mended:
                play.hosts[-1].refusing[f"create {BLIP}"] = ModelRefused("422", "correct `input`")
            await asyncio.sleep(100)
            play.hosts[-1].refusing.clear()
            await asyncio.sleep(1000)
        again = [] if is_mended else [Event.MODEL_DISABLED]
        assert news(lines) == [Event.MODEL_DISABLED, *again, Event.MODEL_ENABLED]

    run(scene())


@pytest.mark.parametrize("is_mended", [True, False])
def test_a_paused_account_whose_section_changes_is_tried_at_once_and_said_of_anew(
    db: Path, lines: list[Any], is_mended: bool
) -> None:
    async def scene() -> None:
        models = [fixed(slug, 60) for slug in (BLIP, LLAMA, SDXL)]
        async with Play(db, file_of(*models)) as play:
            await asyncio.sleep(1)
            play.hosts[-1].refusing["create"] = AccountRefused("401")
            await asyncio.sleep(100)
            assert news(lines) == [Event.ACCOUNT_PAUSED]
            play.load.now = file_of(*models, account=AccountSpec(reads_per_minute=99), digest="2")
            play.daemon.reload()
            await asyncio.sleep(0.01)
            if not is_mended:
                play.hosts[-1].refusing["create"] = AccountRefused("401")
            await asyncio.sleep(20)
            tried = len(play.hosts[-1].sent)
            assert tried == (3 if is_mended else 1)  # one goes first
            play.hosts[-1].refusing.clear()
            await asyncio.sleep(300)
        again = [] if is_mended else [Event.ACCOUNT_PAUSED]
        assert news(lines) == [Event.ACCOUNT_PAUSED, *again, Event.ACCOUNT_RESUMED]

    run(scene())


def test_a_list_that_hangs_holds_up_few_beats_and_is_said_once(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        slugs = (BLIP, LLAMA, SDXL)
        stage = Stage(db, *(fixed(slug, 60) for slug in slugs))
        stage.start()
        await stage.until(300)
        recent, hangs = stage.host.recent, True

        async def hanging(*args: Any, **more: Any) -> Any:
            if hangs:
                await asyncio.sleep(30)
                raise OOPS
            return await recent(*args, **more)

        stage.host.recent = hanging  # type: ignore[method-assign] # the network's own doing
        await stage.until(3000)
        hangs = False
        await stage.until(4000)
        await stage.leave()
        for slug in slugs:
            pauses = gaps([second for second in stage.seconds(slug) if 300 < second < 3000])
            assert max(pauses) < 60 + 31
            assert sum(pause > 62 for pause in pauses) <= 8  # of some 40: the pauses between two looks double
        assert news(lines) == [Event.TRAFFIC_FAILED, Event.TRAFFIC_RESUMED]

    run(scene())

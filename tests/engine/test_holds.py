from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, LLAMA, SDXL, START, WHISPER, Stage, fixed, gaps, model, when

from warmer.core.beat import Reason
from warmer.errors import AccountRefused, CreditExhausted, ModelRefused, ProviderError, Throttled, Unavailable
from warmer.log import Event
from warmer.testing import run

FOUR = (BLIP, LLAMA, SDXL, WHISPER)
pytestmark = pytest.mark.usefixtures("seldom_looks")


def said(lines: list[Any], event: Event) -> list[Any]:
    return [line for line in lines if line["event"] == event]


def tries(stage: Stage, since: float, until: float) -> list[float]:
    seconds = [(at - START).total_seconds() for at, _ in stage.host.sent]
    return [second for second in seconds if since <= second < until]


@pytest.mark.parametrize(
    ("error", "reason", "first_s"),
    [
        (AccountRefused("401"), Reason.ACCOUNT_REFUSED, 60),
        (CreditExhausted("402"), Reason.CREDIT_EXHAUSTED, 180),
    ],
)
def test_an_account_that_is_refused_holds_every_model_and_comes_back_by_itself(
    db: Path, lines: list[Any], error: ProviderError, reason: Reason, first_s: float
) -> None:
    async def scene() -> None:
        stage = Stage(db, *(fixed(slug, 90) for slug in FOUR))
        stage.start()
        await stage.until(100)
        stage.host.refusing["create"] = error
        await stage.until(3000)
        held = tries(stage, 100, 3000)
        rounds = [moment for moment, gap in zip(held[1:], gaps(held), strict=True) if gap > 5]
        pauses = gaps([held[0], *rounds])
        assert pauses[0] >= 0.8 * first_s
        assert all(later > 1.4 * earlier for earlier, later in pairwise(pauses))  # it doubles
        # When a hold is over one model tries, alone.
        assert len(held) <= len(FOUR) + len(rounds)
        stage.host.refusing.clear()
        await stage.until(6000)
        await stage.leave()
        (paused,) = said(lines, Event.ACCOUNT_PAUSED)
        assert paused["reason"] is reason
        assert len(said(lines, Event.ACCOUNT_RESUMED)) == 1
        back = tries(stage, 3000, 6000)[0]
        for slug in FOUR:  # all of them, soon after the first
            assert min(second for second in stage.seconds(slug) if second > 3000) - back < 30
        assert reason in stage.counted()

    run(scene())


def test_models_that_fail_together_count_as_one_failure(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, *(fixed(slug, 30) for slug in FOUR))
        stage.host.accepting_s = 3  # all four are under way before the first is answered
        stage.host.refusing["create"] = CreditExhausted("402")
        stage.start()
        await stage.until(60)
        assert len(stage.host.sent) == 4
        await stage.until(400)
        later = tries(stage, 60, 400)
        assert len(later) == 1
        assert 140 < later[0] < 210  # the first pause is 3 min: had each counted, it were 24
        await stage.leave()

    run(scene())


@pytest.mark.parametrize("call", ["create", "describe"])
def test_a_model_that_is_refused_is_disabled_alone_and_says_where_to_change_it(
    db: Path, lines: list[Any], call: str
) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 300, where="warmer.yaml:7"), fixed(LLAMA, 300))
        stage.host.refusing[f"{call} {BLIP}"] = ModelRefused("404: not found", "check the spelling")
        stage.start()
        await stage.until(3 * 3600)
        assert stage.created(BLIP) == []
        assert all(gap < 302 for gap in gaps(stage.seconds(LLAMA))[1:])
        (disabled,) = said(lines, Event.MODEL_DISABLED)
        assert disabled["where"] == "warmer.yaml:7"
        assert disabled["hint"] == "check the spelling"
        assert "404" in disabled["error"]
        stage.host.refusing.clear()
        await stage.until(8 * 3600)
        await stage.leave()
        assert [line["model"] for line in said(lines, Event.MODEL_ENABLED)] == [BLIP]
        assert len(stage.created(BLIP)) > 10
        assert said(lines, Event.ACCOUNT_PAUSED) == []

    run(scene())


def test_a_throttle_is_waited_out_as_long_as_it_says(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, *(fixed(slug, 10) for slug in FOUR))
        stage.start()
        await stage.until(100)
        stage.host.failing.append(Throttled("429", timedelta(seconds=73)))
        await stage.until(400)
        await stage.leave()
        moments = [(at - START).total_seconds() for at, _ in stage.host.sent]
        refused = next(second for second in moments if second >= 100)
        after = [second for second in moments if second > refused + 1]
        assert after[0] >= refused + 73
        assert after[0] < refused + 80
        assert len(said(lines, Event.ACCOUNT_PAUSED)) == len(said(lines, Event.ACCOUNT_RESUMED)) == 1

    run(scene())


def test_a_failing_server_backs_off_the_model_it_failed_for(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 10), fixed(LLAMA, 10))
        stage.host.refusing[f"create {BLIP}"] = Unavailable("503")
        stage.start()
        await stage.until(900)
        tried = [(at - START).total_seconds() for at, slug in stage.host.sent if slug == BLIP]
        assert 4 <= len(tried) <= 8
        assert len(stage.created(LLAMA)) > 70
        assert said(lines, Event.ACCOUNT_PAUSED) == said(lines, Event.MODEL_DISABLED) == []
        stage.host.refusing.clear()
        await stage.until(1600)
        await stage.leave()
        assert len(stage.created(BLIP)) > 5

    run(scene())


def test_one_model_tries_alone_when_a_hold_ends_for_all_at_the_same_instant(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, *(fixed(slug, 30) for slug in FOUR))
        stage.host.accepting_s = 3
        stage.start()
        await stage.until(95)
        stage.host.refusing["create"] = CreditExhausted("402")
        await stage.until(200)
        first = tries(stage, 95, 200)
        await when(lambda: tries(stage, first[-1] + 20, 1000))
        trial = tries(stage, first[-1] + 20, 1000)
        assert len(trial) == 1
        await asyncio.sleep(1.5)
        assert len(tries(stage, first[-1] + 20, 1000)) == 1
        await stage.leave()

    run(scene())


def test_a_trial_that_boots_for_long_keeps_nobody_waiting(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, model(SDXL, every=60), fixed(BLIP, 60))
        stage.host.refusing["create"] = CreditExhausted("402")
        stage.start()
        await stage.until(20)
        stage.host.refusing.clear()
        await stage.until(240)
        (cold, *_), (other, *_) = stage.seconds(SDXL), stage.seconds(BLIP)
        assert abs(cold - other) < 15  # the account is well once a create is accepted, not once the boot is over
        await stage.leave()

    run(scene())


@pytest.mark.parametrize("error", [Unavailable("503"), ModelRefused("404", "another name")], ids=["503", "404"])
def test_after_each_pause_a_model_has_one_try_and_no_two_models_keep_in_step(db: Path, error: ProviderError) -> None:
    async def scene() -> None:
        stage = Stage(db, *(fixed(slug, 5) for slug in FOUR))
        stage.host.refusing["create"] = error
        random.seed(1)  # the jitter's: of all that chance allows, some pauses are nearly alike
        stage.start()
        await stage.until(3600 if isinstance(error, Unavailable) else 5 * 3600)
        await stage.leave()
        first_s, longest_s = (10, 600) if isinstance(error, Unavailable) else (15 * 60, 6 * 3600)
        fourth = list[float]()
        for slug in FOUR:
            moments = [(at - START).total_seconds() for at, name in stage.host.sent if name == slug]
            for number, pause in enumerate(gaps(moments)):
                whole = min(first_s * 2**number, longest_s)
                assert 0.8 * whole <= pause <= whole + 6
            fourth.append(moments[3])
        assert all(later - earlier > first_s / 100 for earlier, later in pairwise(sorted(fourth)))

    run(scene())

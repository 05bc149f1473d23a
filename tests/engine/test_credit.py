"""A 402 pauses twenty models at once, with one line; one careful try at a time, and work goes on by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from engine.stage import ALWAYS, START, Play, Stage, file_of, fixed, gaps, model, traits

from warmer.core.beat import Status
from warmer.core.budget import Cap, Period
from warmer.core.spec import PolicyName, TargetKind
from warmer.errors import CreditExhausted
from warmer.log import Event
from warmer.sandbox.world import World
from warmer.testing import run

pytestmark = pytest.mark.usefixtures("seldom_looks")

SLUGS = tuple(f"a/m{number:02}" for number in range(20))
EVERY_S = 30.0
DRY = CreditExhausted("402")


def said(lines: list[Any], *events: Event) -> list[Any]:
    return [line for line in lines if line["event"] in events]


def tries(stage: Stage, since: float, until: float = 1e9) -> list[float]:
    moments = [(at - START).total_seconds() for at, _ in stage.host.sent]
    return [moment for moment in moments if since <= moment < until]


async def resumed(lines: list[Any]) -> None:
    """Return an interval after it is said, or after more than the longest pause."""
    for _ in range(66):
        if said(lines, Event.ACCOUNT_RESUMED):
            break
        await asyncio.sleep(60)
    await asyncio.sleep(2 * EVERY_S)


def world() -> World:
    """Boots of a few seconds, and of minutes: those are out for long."""
    models = [traits(slug, boot_s=2 + 9 * number, boot_spread=0.0) for number, slug in enumerate(SLUGS)]
    return World(begin=START, models=models, deployments=())


def test_boots_that_end_well_meanwhile_do_not_end_the_pause(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, *(fixed(slug, EVERY_S) for slug in SLUGS), world=world())
        stage.start()
        await stage.until(10)
        assert len(stage.created()) == len(SLUGS)  # many of them boot for minutes yet
        stage.host.refusing["create"] = DRY
        await stage.until(180)
        assert len([beat for beat in stage.beats() if beat.status is Status.SUCCEEDED]) > 10
        (paused,) = said(lines, Event.ACCOUNT_PAUSED)
        assert len(tries(stage, 10, 170)) <= len(SLUGS)
        await stage.until(4000)
        assert said(lines, Event.ACCOUNT_PAUSED) == [paused]
        assert said(lines, Event.ACCOUNT_RESUMED) == []
        retries = tries(stage, 180, 4000)
        assert all(later > 1.4 * earlier for earlier, later in pairwise(gaps(retries)))
        stage.host.refusing.clear()
        await resumed(lines)
        await stage.leave()
        assert len(said(lines, Event.ACCOUNT_RESUMED)) == 1
        back = tries(stage, 4000)
        assert back[0] < 4000 + 3600
        soon = Counter(slug for at, slug in stage.host.sent if 0 <= (at - START).total_seconds() - back[0] < EVERY_S)
        assert soon == Counter(SLUGS)  # each of them, once

    run(scene())


def test_a_reply_of_before_the_402_that_comes_after_it_does_not_end_the_pause(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, *(fixed(slug, EVERY_S) for slug in SLUGS), world=world())
        stage.host.accepting_s = 6  # all are under way before the first is answered
        stage.host.refusing |= {f"create {slug}": DRY for slug in SLUGS[:5]}
        stage.start()
        await stage.until(13)
        stage.host.refusing = {"create": DRY}
        await stage.until(140)
        assert 10 < len(stage.created()) < len(SLUGS)  # the others were taken, a moment later
        assert len(stage.host.sent) == len(SLUGS)
        assert len(said(lines, Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED)) == 1
        await stage.leave()

    run(scene())


def test_one_tries_for_all_also_where_each_asks_for_its_budget_first(db: Path) -> None:
    async def scene() -> None:
        caps = (Cap(model=None, period=Period.DAILY, usd=Decimal(1000)),)
        stage = Stage(db, *(fixed(slug, EVERY_S, caps=caps) for slug in SLUGS), world=world())
        stage.start()
        await stage.until(10)
        stage.host.accepting_s, stage.host.refusing["create"] = 3, DRY
        await stage.until(4000)
        assert all(later - earlier > 140 for earlier, later in pairwise(tries(stage, 180, 4000)))
        await stage.leave()

    run(scene())


def test_a_refused_raise_of_a_floor_pauses_beats_too_and_both_come_back(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        up: dict[str, Any] = {"kind": TargetKind.DEPLOYMENT, "policy": PolicyName.FLOOR, "hours": ALWAYS}
        caption = "salesforce/blip"
        beating = [fixed(caption, EVERY_S, name=f"m{number}") for number in range(20)]
        async with Play(db, file_of(model("acme/upscaler", name="up", **up), *beating), latency_s=0.01) as play:
            host = play.hosts[0]
            host.refusing |= {"create": DRY, "set_minimum": DRY}
            await asyncio.sleep(4000)
            assert len(said(lines, Event.ACCOUNT_PAUSED)) == len(said(lines, Event.FLOOR_FAILED)) == 1
            assert host.changes == []
            held = [(at - START).total_seconds() for at, _ in host.sent]
            assert len(held) < 8  # one of a beat or of the floor at the end of each pause
            host.refusing.clear()
            before = len(host.sent)
            await resumed(lines)
            assert [instances for _, instances in host.changes] == [1]
            assert len(said(lines, Event.ACCOUNT_RESUMED)) == 1
            back = host.sent[before][0]
            soon = Counter(slug for at, slug in host.sent[before:] if at - back < timedelta(seconds=EVERY_S))
            assert soon[caption] in (20, 21)

    run(scene())

"""People are told once of what is wrong, in virtual time, on a whole daemon."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, LLAMA, START, Play, file_of, fixed, traits

from warmer.core.alert import CALM, TRIES
from warmer.core.budget import Cap, Period
from warmer.core.spec import Spec
from warmer.engine.lifesign import EVERY_S
from warmer.errors import AccountRefused, ModelRefused, UsageError
from warmer.log import Event
from warmer.sandbox.catalogue import MODELS
from warmer.sandbox.world import World
from warmer.testing import run

HOUR = 3600.0
STEADY = "acme/steady"
GONE = ModelRefused("there is no such model", "look at its name")
pytestmark = pytest.mark.usefixtures("seldom_looks")


class People:
    """Implements the `Contacts` port: remembers what it was told."""

    def __init__(self, *, takes_alerts: int = 1, takes_pings: bool = False) -> None:
        self.takes_alerts, self.takes_pings = takes_alerts, takes_pings
        self.told: list[str] = []
        self.is_away = False
        self.tried = self.pings = 0
        self.takes_s = 0.0
        self.closed = False

    async def tell(self, title: str, text: str) -> Mapping[str, str]:
        self.tried += 1
        await asyncio.sleep(self.takes_s)
        if self.is_away:
            return {f"env:TO_{number}": "away" for number in range(self.takes_alerts)}
        self.told += text.splitlines()
        return {}

    async def ping(self) -> str | None:
        self.pings += 1
        return "away" if self.is_away else None

    async def close(self) -> None:
        self.closed = True


def world(slug: str = STEADY, idle_timeout_s: float = 600.0, **more: Any) -> World:
    """One whose model goes exactly then."""
    hosted = traits(slug, idle_timeout_s=idle_timeout_s, idle_timeout_spread=0.0, **more)
    return World(models=[*MODELS, hosted], begin=START, seed=1)


def telling(people: People) -> Callable[[Spec], People]:
    return lambda spec: people


def sent(lines: list[Any]) -> list[tuple[str, str, bool]]:
    return [(str(line["kind"]), line["scope"], line["over"]) for line in lines if line["event"] == Event.ALERT_SENT]


def test_a_model_that_flaps_is_one_alert_and_its_end_another(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        people = People()
        async with Play(db, file_of(fixed(STEADY, 300)), world=world(), contacts=telling(people)) as play:
            (host,) = play.hosts
            for _ in range(8):  # refused for 10 min, well for 15: for hours
                host.refusing["describe"] = host.refusing["create"] = GONE
                await asyncio.sleep(600)
                host.refusing.clear()
                await asyncio.sleep(900)
            assert len([line for line in lines if line["event"] == Event.MODEL_DISABLED]) >= 5
            assert sent(lines) == [("model_disabled", STEADY, False)]
            await asyncio.sleep(CALM.total_seconds() + 60)
        assert sent(lines) == [("model_disabled", STEADY, False), ("model_disabled", STEADY, True)]
        assert people.told[1] == f"Over: {people.told[0]}"
        assert people.closed

    run(scene())


def test_a_cold_streak_is_told_and_its_end(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        people, hosted = People(), world("acme/hasty", 20.0)
        slow = file_of(fixed("acme/hasty", 60), fixed(LLAMA, 50))
        async with Play(db, slow, world=hosted, contacts=telling(people)) as play:
            await asyncio.sleep(100)
            assert not people.told
            await asyncio.sleep(HOUR)
            assert sent(lines) == [("cold_streak", "acme/hasty", False)]
            play.edit(file_of(fixed("acme/hasty", 10), fixed(LLAMA, 50)))
            await asyncio.sleep(CALM.total_seconds() + 120)
        assert sent(lines) == [("cold_streak", "acme/hasty", False), ("cold_streak", "acme/hasty", True)]

    run(scene())


def test_a_budget_is_told_at_80_per_cent_and_when_it_is_reached_once_a_day(db: Path, lines: list[Any]) -> None:
    daily = Cap(model=None, period=Period.DAILY, usd=Decimal("0.02"))

    async def scene() -> None:
        people = People()
        evening, hosted = START + timedelta(hours=13), world(boot_s=1.0, boot_spread=0.0, run_s=2.5)
        spec = fixed(STEADY, 50, caps=(daily,), deadline=timedelta(seconds=5))
        async with Play(db, file_of(spec), world=hosted, start=evening, contacts=telling(people)):
            await asyncio.sleep(5 * HOUR)
        kinds = [kind for kind, _, _ in sent(lines)]
        assert kinds == ["budget_nearly_used", "budget_reached"] * 2
        assert "daily budget of all models" in people.told[0]

    run(scene())


def test_an_account_that_is_refused_is_told_once_over_two_processes_and_a_restart(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        people, others = People(), People()
        file, hosted = file_of(fixed(STEADY, 300)), world()
        plays = [Play(db, file, world=hosted, contacts=telling(one)) for one in (people, others)]
        for play in plays:
            play.hosts[0].refusing["describe"] = play.hosts[0].refusing["create"] = AccountRefused("401")
        async with plays[0], plays[1]:
            await asyncio.sleep(3 * HOUR)
        assert len(people.told + others.told) == 1
        again = Play(db, file, world=hosted, start=plays[0].clock.now(), contacts=telling(people))
        async with again:
            await asyncio.sleep(CALM.total_seconds() + 600)
        assert sent(lines) == [("account_refused", "all models", False), ("account_refused", "all models", True)]

    run(scene())


def test_what_cannot_be_sent_is_tried_some_times_logged_and_holds_up_no_beat(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        people = People(takes_alerts=2)
        people.is_away, people.takes_s = True, 30.0
        async with Play(db, file_of(fixed(LLAMA, 50), fixed(BLIP, 50)), contacts=telling(people)) as play:
            play.hosts[0].refusing[f"describe {BLIP}"] = GONE
            await asyncio.sleep(3 * HOUR)
            assert people.tried == TRIES
            failed = [line for line in lines if line["event"] == Event.ALERT_FAILED]
            assert len(failed) == 2 * TRIES
            assert {line["to"] for line in failed} == {"env:TO_0", "env:TO_1"}
            moments = play.seconds(LLAMA)
            assert max(later - earlier for earlier, later in itertools.pairwise(moments[2:])) < 52
        assert not sent(lines)

    run(scene())


def test_a_model_that_nobody_wants_to_hear_of_is_not_told(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        people = People()
        async with Play(db, file_of(fixed(BLIP, 300, alerts=False)), contacts=telling(people)) as play:
            play.hosts[0].refusing["describe"] = GONE
            await asyncio.sleep(HOUR)
        assert any(line["event"] == Event.MODEL_DISABLED for line in lines)
        assert not people.told

    run(scene())


def test_the_addresses_follow_the_file_and_those_that_cannot_be_read_reject_it(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        first, second = People(takes_pings=True), People(takes_pings=True)
        now: list[Any] = [first]

        def contacts(spec: Spec) -> People:
            if isinstance(now[0], Exception):
                raise now[0]
            found: People = now[0]
            return found

        file = file_of(fixed(BLIP, 300), digest="one")
        async with Play(db, file, contacts=contacts) as play:
            await asyncio.sleep(10)
            now[0] = UsageError("env:TO is not set")
            play.edit(file)
            await asyncio.sleep(10)
            assert [line["problem"] for line in lines if line["event"] == Event.CONFIG_REJECTED] == [str(now[0])]
            assert not first.closed
            now[0] = second
            play.edit(replace(file, digest="two"))
            await asyncio.sleep(2 * EVERY_S)
            assert first.closed
            assert second.pings
        assert second.closed

    run(scene())


def test_a_sign_of_life_is_given_while_all_is_well_and_its_trouble_said_once(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        people = People(takes_alerts=0, takes_pings=True)
        async with Play(db, file_of(fixed(STEADY, 300)), world=world(), contacts=telling(people)) as play:
            await asyncio.sleep(10 * EVERY_S + 1)
            assert people.pings in (10, 11)
            people.is_away = True
            await asyncio.sleep(5 * EVERY_S)
            people.is_away = False
            await asyncio.sleep(2 * EVERY_S)
            news = [line["event"] for line in lines if line["event"] in (Event.PING_FAILED, Event.PING_RESUMED)]
            assert news == [Event.PING_FAILED, Event.PING_RESUMED]
            given = people.pings
            play.daemon._fleet.overdue = lambda: timedelta(minutes=5)  # type: ignore[method-assign] # nothing runs
            await asyncio.sleep(5 * EVERY_S)
            assert people.pings == given

    run(scene())

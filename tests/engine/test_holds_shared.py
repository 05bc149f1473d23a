"""Several processes on one ledger that keep to the account's holds together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from engine.stage import BLIP, LLAMA, SDXL, START, WHISPER, Stage, fixed, gaps
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.beat import Reason
from warmer.core.budget import Cap, Period
from warmer.core.spec import ModelSpec
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.engine.standing import Standing
from warmer.engine.trouble import SharedTrouble
from warmer.errors import AccountRefused, CreditExhausted, LedgerError, ProviderError, Throttled, Unreachable
from warmer.log import Event
from warmer.ports import Clock, Provider
from warmer.sandbox.world import World
from warmer.testing import VirtualClock, run

T = TypeVar("T")

FOUR = (BLIP, LLAMA, SDXL, WHISPER)
TWO = FOUR[:2]
EVERY_S = 90
LOOK_S = 2.0
"""Within this time each process knows what another was told, where it has anything to do."""


class Timed:
    """A ledger whose clock is one of virtual time, for what it is asked for in these tests."""

    def __init__(self, ledger: Any, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def change_note(self, name: str, change: Callable[[str, float], tuple[str, T]]) -> T:
        done: T = self._ledger.change_note(name, lambda text, _: change(text, self._clock.now().timestamp()))
        return done


class Member(Stage):
    """One of several processes; each has a provider of its own, and so a network and a token."""

    def __init__(self, path: Path, *models: ModelSpec, token: str = "", lifts: bool = False, **more: Any) -> None:
        self.token, self.lifts = token, lifts
        super().__init__(path, *models, **more)

    def account_over(self, provider: Provider) -> Account:
        self.host.token_mark = self.token
        self.desk = Desk(Timed(self.ledger, self.true))  # type: ignore[arg-type]  # as far as it is asked
        return Account.over(
            provider,
            self.desk,
            self.clock,
            lambda: self.fleet.spec.models,
            holds_as="the account",
            lifts=self.lifts,
        )


def members(
    db: Path, count: int, *, tokens: str = "", every: float = EVERY_S, slugs: Sequence[str] = FOUR
) -> list[Member]:
    world, first = World(begin=START, seed=1), None
    made = []
    for number in range(count):
        one = Member(db, *(fixed(slug, every) for slug in slugs), world=world, token=tokens[number : number + 1])
        first = first or one
        one.true = one.host.true = first.true
        one.account = one.account_over(one.host)  # by the time of all
        one.fleet.accounts = one.accounts
        made.append(one)
    return made


def said(lines: list[Any], event: Event) -> list[Any]:
    return [line for line in lines if line["event"] == event]


def tries(stages: list[Member], since: float, until: float) -> list[float]:
    found = sorted((at - START).total_seconds() for stage in stages for at, _ in stage.host.sent)
    return [second for second in found if since <= second < until]


def refuse(stages: list[Member], error: ProviderError) -> None:
    for stage in stages:
        stage.host.refusing["create"] = error


async def leave(stages: list[Member]) -> None:
    for stage in stages:
        await stage.leave()


@pytest.mark.parametrize(
    ("error", "reason", "first_s"),
    [
        (AccountRefused("401"), Reason.ACCOUNT_REFUSED, 60),
        (CreditExhausted("402"), Reason.CREDIT_EXHAUSTED, 180),
    ],
)
def test_what_one_is_told_holds_all_and_is_said_once(
    db: Path, lines: list[Any], error: ProviderError, reason: Reason, first_s: float
) -> None:
    async def scene() -> None:
        stages = members(db, 3)
        for stage in stages:
            stage.start()
        await stages[0].until(100)
        refuse(stages, error)
        await stages[0].until(1500)
        held = tries(stages, 100, 1500)
        rounds = [moment for moment, gap in zip(held[1:], gaps(held), strict=True) if gap > 5]
        pauses = gaps([held[0], *rounds])
        assert pauses[0] >= 0.8 * first_s
        assert all(later > 1.4 * earlier for earlier, later in pairwise(pauses))  # it doubles, whoever tries
        assert len(held) <= len(FOUR) + len(rounds)  # one alone tries, over all of them
        for stage in stages:
            stage.host.refusing.clear()
        await stages[0].until(3300)
        await leave(stages)
        (paused,) = said(lines, Event.ACCOUNT_PAUSED)
        (resumed,) = said(lines, Event.ACCOUNT_RESUMED)
        assert paused["reason"] is resumed["was"] is reason
        back = tries(stages, 1500, 3300)[0]
        for slug in FOUR:
            assert min(second for second in stages[0].seconds(slug) if second > 1500) - back < 30

    run(scene())


def test_a_throttle_of_one_is_waited_out_by_all(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stages = members(db, 2, every=10, slugs=TWO)
        for stage in stages:
            stage.start()
        await stages[0].until(100)
        stages[0].host.failing.append(Throttled("429", timedelta(seconds=73)))
        await stages[0].until(400)
        await leave(stages)
        refused = next(
            (at - START).total_seconds() for at, _ in stages[0].host.sent if at >= START + timedelta(seconds=100)
        )
        assert tries(stages, refused + LOOK_S, refused + 73) == []
        assert len(said(lines, Event.ACCOUNT_PAUSED)) == len(said(lines, Event.ACCOUNT_RESUMED)) == 1

    run(scene())


def test_one_that_cannot_reach_the_provider_holds_nobody_else(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        one, other = stages = members(db, 2, every=30, slugs=TWO)
        for stage in stages:
            stage.start()
        await one.until(100)
        for call in ("create", "recent", "read", "describe"):
            one.host.refusing[call] = Unreachable("no network")
        await one.until(400)
        assert all(gap < 45 for slug in TWO for gap in gaps([s for s in one.seconds(slug) if s > 100]))
        assert other.account.standing.account_hold is None
        one.host.refusing.clear()
        await one.until(900)
        await leave(stages)
        assert {line["reason"] for line in said(lines, Event.ACCOUNT_PAUSED)} == {Reason.UNREACHABLE}
        assert len(said(lines, Event.ACCOUNT_PAUSED)) == len(said(lines, Event.ACCOUNT_RESUMED)) == 1

    run(scene())


def test_a_token_that_is_refused_holds_those_that_have_it(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        old, new = stages = members(db, 2, tokens="on", every=30, slugs=TWO)
        for stage in stages:
            stage.start()
        await old.until(100)
        refuse([old], AccountRefused("401"))
        await old.until(500)
        assert len(tries([old], 100, 500)) >= 2
        assert new.account.standing.account_hold is None
        # What one had claimed and was refused for, the other sends an interval later.
        assert all(gap < 65 for slug in TWO for gap in gaps([s for s in old.seconds(slug) if s > 100]))
        assert len(said(lines, Event.ACCOUNT_PAUSED)) == 1
        await leave(stages)

    run(scene())


def test_one_that_is_started_tries_at_once(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        (one,) = members(db, 1)
        refuse([one], CreditExhausted("402"))
        one.start()
        await one.until(1000)
        hold = one.account.standing.account_hold
        assert hold is not None and hold.until is not None
        await one.leave()
        restarted = Member(db, *one.spec.models, world=one.world, lifts=True, start=one.true.now())
        restarted.start()
        await restarted.until(60)
        await restarted.leave()
        assert len(restarted.created()) == len(FOUR)
        assert len(said(lines, Event.ACCOUNT_PAUSED)) == len(said(lines, Event.ACCOUNT_RESUMED)) == 1

    run(scene())


class Notes:
    """A ledger of notes alone, with a clock that can be set; `broken`, none of it can be used."""

    def __init__(self) -> None:
        self.now, self.broken, self._kept = 1e9, False, dict[str, str]()

    def change_note(self, name: str, change: Callable[[str, float], tuple[str, T]]) -> T:
        if self.broken:
            raise LedgerError("out of reach")
        self._kept[name], result = change(self._kept.get(name, ""), self.now)
        return result


def over(notes: Notes, clock: Clock) -> Standing:
    desk = Desk(notes)  # type: ignore[arg-type]  # no more is asked of it
    return Standing(clock, lambda: 0.0, shared=SharedTrouble(desk, clock, "the account", ""))


@pytest.mark.parametrize("is_shared", [True, False], ids=["three processes", "three models of one"])
@given(
    error=st.sampled_from([AccountRefused(""), CreditExhausted(""), Throttled("", timedelta(seconds=20))]),
    fates=st.lists(st.sampled_from(["fails", "hangs"]), max_size=6),
)
@settings(max_examples=25, deadline=None)
def test_after_each_pause_one_alone_tries(is_shared: bool, error: ProviderError, fates: list[str]) -> None:
    async def scene() -> None:
        notes, clock, entry = Notes(), VirtualClock(START), fixed(BLIP, 30)
        own = Standing(clock, lambda: 0.0)
        each = [over(notes, clock) for _ in range(3)] if is_shared else [own] * 3

        async def after(seconds: float) -> list[Standing]:
            """Those who may go, of all who want to by then."""
            await asyncio.sleep(seconds)
            notes.now += seconds
            for one in each:
                await one.look()
            holds = await asyncio.gather(*(one.set_out() for one in each))
            return [one for one, hold in zip(each, holds, strict=True) if hold is None]

        await each[0].failed(entry, error)
        for fate in [*fates, "goes well"]:
            assert await after(LOOK_S + 0.1) == []
            hold = each[-1].account_hold
            assert hold is not None and hold.until is not None
            left_s = (hold.until - clock.now()).total_seconds()
            assert await after(left_s - 0.1) == []
            (alone,) = await after(0.2)
            assert await after(8) == []
            if fate == "hangs":
                (alone,) = await after(3)
            if fate != "goes well":
                await alone.failed(entry, error)
        await alone.accepted(entry)
        assert await after(LOOK_S + 0.1) == each

    run(scene())


def test_what_went_out_before_the_account_was_changed_says_nothing_of_it(lines: list[Any]) -> None:
    async def scene() -> None:
        clock, entry = VirtualClock(START), fixed(BLIP, 30)
        before = Standing(clock)
        await before.failed(entry, CreditExhausted("402"))
        after = Standing(clock, before=before)
        assert await after.set_out() is None
        await after.accepted(entry)
        await asyncio.sleep(200)
        assert await before.set_out() is None
        await before.accepted(entry)
        await before.failed(entry, Throttled("429", timedelta(0)))
        assert after.account_hold is None
        assert len(said(lines, Event.ACCOUNT_PAUSED)) == len(said(lines, Event.ACCOUNT_RESUMED)) == 1

    run(scene())


def test_a_ledger_s_clock_that_is_set_back_makes_nobody_wait_longer(lines: list[Any]) -> None:
    async def scene() -> None:
        notes, clock, entry = Notes(), VirtualClock(START), fixed(BLIP, 30)
        one, other = over(notes, clock), over(notes, clock)
        await one.failed(entry, CreditExhausted("402"))
        notes.now -= 10 * 365 * 86400
        await other.look()
        hold = other.account_hold
        assert hold is not None and hold.until is not None
        assert hold.until - clock.now() <= timedelta(minutes=3)

    run(scene())


def test_without_the_ledger_each_goes_by_what_it_knows(lines: list[Any]) -> None:
    async def scene() -> None:
        notes, clock, entry = Notes(), VirtualClock(START), fixed(BLIP, 30)
        one = over(notes, clock)
        notes.broken = True
        await one.failed(entry, CreditExhausted("402"))
        assert one.account_hold is not None
        await asyncio.sleep(200)
        assert await one.set_out() is None
        await one.accepted(entry)
        assert one.account_hold is None
        assert len(said(lines, Event.ACCOUNT_PAUSED)) == len(said(lines, Event.ACCOUNT_RESUMED)) == 1

    run(scene())


def test_a_budget_that_is_reached_is_said_once_by_all(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stages = members(db, 2, every=30)
        cap = Cap(model=None, period=Period.DAILY, usd=Decimal("0.001"))
        capped = [fixed(slug, 30, caps=(cap,)) for slug in FOUR]
        for stage in stages:
            stage.fleet.spec = stage.spec = type(stage.spec)(zone=stage.spec.zone, models=tuple(capped))
            stage.start()
        await stages[0].until(1200)
        await leave(stages)
        assert len(said(lines, Event.BUDGET_REACHED)) == 1
        for stage in stages:
            assert [limit.cap for limit in stage.account.heartbeat.budgets.reached([cap])] == [cap]

    run(scene())

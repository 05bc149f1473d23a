from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, LLAMA, SDXL, START, Host, file_of, fixed, ledger_at, model, traits

from warmer.core.beat import Reason, Status
from warmer.core.budget import Cap, Period
from warmer.core.spec import Spec
from warmer.engine.heartbeat import Tick
from warmer.engine.once import ACCOUNT_SAID_NO, DONE, NO_MONEY_LEFT, SOME_FAILED, exit_code, once
from warmer.errors import AccountRefused, CreditExhausted, ModelRefused, ProviderError, Throttled, Unavailable
from warmer.ledger import SqlLedger
from warmer.sandbox.world import World
from warmer.testing import VirtualClock, VirtualSchedule, run


class Cron:
    """Starts passes, as a CronJob does: each a process of its own, on one ledger and one world."""

    def __init__(self, path: Path, spec: Spec, world: World | None = None) -> None:
        self.path, self.spec = path, spec
        self.clock = VirtualClock(START)
        self.world = world or World(begin=START, seed=1)
        self.refusing: dict[str, ProviderError] = {}

    async def start(self, *, lasting: float | None = None) -> int:
        host = Host(self.world, self.clock, self.clock)
        host.refusing = self.refusing
        code = await once(
            self.spec,
            connect=lambda _: host,
            ledger=self.ledger(),
            clock=self.clock,
            lasting=None if lasting is None else timedelta(seconds=lasting),
            schedule=VirtualSchedule,
        )
        assert host.closed
        return code

    def ledger(self) -> SqlLedger:
        return ledger_at(self.path)

    def creates(self, slug: str | None = None) -> int:
        self.world.advance(self.clock.now())
        return self.world.journal.creates(caller="warmer", target=slug)


def test_a_pass_sends_what_is_due_sees_it_to_its_end_and_is_done(db: Path) -> None:
    async def scene() -> None:
        cron = Cron(db, file_of(fixed(BLIP, 60), model(LLAMA, every=60)))
        assert await cron.start() == DONE
        assert cron.creates() == 2
        assert {seen.status for seen in cron.ledger().beats()} == {Status.SUCCEEDED}
        assert await cron.start() == DONE  # nothing is due
        assert cron.creates() == 2
        await asyncio.sleep(61)
        assert await cron.start() == DONE
        assert cron.creates() == 4

    run(scene())


def test_with_an_empty_ledger_it_sees_in_the_list_who_called(db: Path) -> None:
    async def scene() -> None:
        cron = Cron(db, file_of(model(LLAMA, every=60)))
        example = dict(cron.world.model(LLAMA).default_example or {}) | {"max_tokens": 1}
        cron.world.create(cron.clock.now(), LLAMA, example, caller="customer")
        await asyncio.sleep(40)
        assert await cron.start() == DONE
        assert cron.creates() == 0

    run(scene())


def test_two_passes_at_once_send_one_beat_a_model(db: Path) -> None:
    async def scene() -> None:
        cron = Cron(db, file_of(fixed(BLIP, 60), model(LLAMA, every=60), model(SDXL, every=60)))
        assert set(await asyncio.gather(cron.start(), cron.start(), cron.start())) == {DONE}
        assert cron.creates() == 3
        assert len(list(cron.ledger().beats())) == 3

    run(scene())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AccountRefused("401"), ACCOUNT_SAID_NO),
        (CreditExhausted("402"), ACCOUNT_SAID_NO),
        (Throttled("429", timedelta(seconds=5)), SOME_FAILED),
        (ModelRefused("404", ""), SOME_FAILED),
        (Unavailable("500"), SOME_FAILED),
    ],
)
@pytest.mark.parametrize("call", ["create", "describe"])
def test_the_exit_code_says_what_was_refused(db: Path, error: ProviderError, code: int, call: str) -> None:
    async def scene() -> None:
        cron = Cron(db, file_of(fixed(BLIP, 60), fixed(LLAMA, 60)))
        cron.refusing[f"{call} {LLAMA}"] = error
        assert await cron.start() == code
        assert cron.creates(BLIP) <= 1

    run(scene())


def test_a_prediction_that_fails_is_some_that_failed(db: Path) -> None:
    async def scene() -> None:
        cron = Cron(db, file_of(fixed(BLIP, 60), fixed(LLAMA, 60)))
        cron.world.fail_next(BLIP, "CUDA out of memory")
        assert await cron.start() == SOME_FAILED
        assert min(seen.cost_usd or Decimal(0) for seen in cron.ledger().beats()) == Decimal(0)

    run(scene())


def test_exit_codes_by_what_the_ticks_said() -> None:
    def tick(error: ProviderError | None = None, reason: Reason = Reason.NOT_DUE) -> Tick:
        return Tick(reason=reason, next_at=None, error=error)

    assert {DONE: "done", SOME_FAILED: "failed", ACCOUNT_SAID_NO: "account"} == {0: "done", 3: "failed", 4: "account"}
    assert exit_code([]) == 0
    assert exit_code([tick(), tick(reason=Reason.CLAIMED_ELSEWHERE)]) == 0
    assert exit_code([tick(), tick(Unavailable("500"))]) == 3
    assert exit_code([tick(Unavailable("500")), tick(AccountRefused("401"))]) == 4


def test_a_short_daemon_beats_for_as_long_as_it_lasts(db: Path) -> None:
    async def scene() -> None:
        cron = Cron(db, file_of(fixed(BLIP, 10)))
        assert await cron.start(lasting=55) == DONE
        assert 55 <= cron.clock.monotonic() <= 58
        assert cron.creates() in (5, 6)

    run(scene())


def test_a_beat_that_outlasts_a_pass_is_picked_up_by_the_next_and_never_sent_again(db: Path) -> None:
    async def scene() -> None:
        boots = traits("acme/two-minutes", boot_s=130, boot_spread=0.0, idle_timeout_s=300)
        cron = Cron(
            db, file_of(model(boots.slug, every=100)), World(begin=START, seed=1, models=[boots], deployments=())
        )
        for minute in range(6):
            await asyncio.sleep(max(0.0, minute * 60 - cron.clock.monotonic()))
            await cron.start(lasting=55)
        first, *others = sorted(cron.ledger().beats(), key=lambda seen: seen.created_at)
        assert first.status is Status.SUCCEEDED
        assert first.wait_s == pytest.approx(130, abs=1)
        assert len(others) + 1 == cron.creates() - len(cron.ledger().open_beats())
        assert all((seen.created_at - (first.completed_at or START)).total_seconds() >= 100 for seen in others)
        assert others

    run(scene())


def test_a_young_beat_that_was_left_is_picked_up_within_the_same_pass(db: Path) -> None:
    async def scene() -> None:
        boots = traits("acme/forty", boot_s=40, boot_spread=0.0)
        cron = Cron(
            db, file_of(model(boots.slug, every=60)), World(begin=START, seed=1, models=[boots], deployments=())
        )
        await cron.start(lasting=5)
        assert len(cron.ledger().open_beats()) == 1
        await cron.start(lasting=55)
        assert cron.ledger().open_beats() == ()
        assert cron.creates() == 1

    run(scene())


def test_a_later_plain_pass_finishes_what_was_left_before_it_decides(db: Path) -> None:
    async def scene() -> None:
        cron = Cron(db, file_of(model(SDXL, every=60)))
        await cron.start(lasting=2)
        await asyncio.sleep(60)
        assert await cron.start() == DONE
        beats: list[Any] = list(cron.ledger().beats())
        assert beats[0].status is Status.SUCCEEDED
        assert len(beats) == cron.creates()
        assert len(beats) <= 2

    run(scene())


def test_a_pass_that_a_budget_stopped_says_so_and_one_with_nothing_due_does_not(db: Path) -> None:
    async def scene() -> None:
        caps = (Cap(model=None, period=Period.DAILY, usd=Decimal("0.00676")),)
        cron = Cron(db, file_of(fixed(BLIP, 60, caps=caps, deadline=timedelta(seconds=30))))
        assert await cron.start() == DONE
        assert await cron.start() == DONE  # nothing is due
        await asyncio.sleep(61)
        assert await cron.start() == NO_MONEY_LEFT
        assert cron.creates() == 1
        await asyncio.sleep(86_400)
        assert await cron.start() == DONE

    run(scene())


def test_what_went_wrong_goes_before_a_budget() -> None:
    stopped = Tick(reason=Reason.OVER_BUDGET, next_at=None)
    assert exit_code([stopped, Tick(reason=Reason.IDLE, next_at=None)]) == NO_MONEY_LEFT
    assert exit_code([Tick(reason=Reason.PRICE_UNKNOWN, next_at=None)]) == NO_MONEY_LEFT
    failed = Tick(reason=Reason.IDLE, next_at=None, error=Unavailable("503"))
    assert exit_code([stopped, failed]) == SOME_FAILED
    refused = Tick(reason=Reason.IDLE, next_at=None, error=AccountRefused("401"))
    assert exit_code([stopped, failed, refused]) == ACCOUNT_SAID_NO

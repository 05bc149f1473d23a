"""The whole engine with the real provider, over sockets, at high speed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from warmer.clock import FastClock
from warmer.core.budget import Cap, Period
from warmer.core.hours import ActiveHours
from warmer.core.price import Billing, price_of
from warmer.core.spec import AccountSpec, ModelSpec, PolicyName, Spec, Target, TargetKind
from warmer.engine.account import Account
from warmer.engine.daemon import Daemon
from warmer.engine.desk import Desk
from warmer.engine.schedule_local import LocalSchedule
from warmer.ledger import open_ledger
from warmer.log import Event
from warmer.providers.replicate import Replicate
from warmer.sandbox.faults import Fault
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.traits import Account as Plan
from warmer.sandbox.world import World

BEGIN = datetime(2026, 11, 24, 9, tzinfo=UTC)
TOKEN = "r8_warmer_secret"
CAPS = (Cap(model=None, period=Period.DAILY, usd=Decimal(1000)),)


def entry(slug: str, every_s: float) -> ModelSpec:
    owner, name = slug.split("/")
    return ModelSpec(
        name=slug,
        target=Target(kind=TargetKind.MODEL, owner=owner, name=name),
        hours=ActiveHours.always_open(),
        every=timedelta(seconds=every_s),
    )


def spec_of(server: SandboxServer, *models: ModelSpec) -> Spec:
    account = AccountSpec(base_url=f"{server.url}/v1", creates_per_minute=100_000, reads_per_minute=1_000_000)
    return Spec(zone=ZoneInfo("UTC"), models=models, account=account)


async def played(speed: float, play: Callable[[SandboxServer, FastClock], Awaitable[None]]) -> None:
    plan = Plan(creates_per_minute=100_000, reads_per_minute=1_000_000)
    async with SandboxServer(World(begin=BEGIN, account=plan), speed=speed) as server, asyncio.timeout(240):
        await play(server, FastClock(server.now(), speed))


async def until(clock: FastClock, happened: Callable[[], bool]) -> None:
    """Return once it happened; what bounds it is the time that a play may take."""
    while not happened():
        await clock.sleep(0.5)


@pytest.mark.parametrize("creates", [200, pytest.param(1000, marks=pytest.mark.thorough)])
def test_creates_whose_reply_is_cut_are_each_made_once(tmp_path: Path, creates: int) -> None:
    async def play(server: SandboxServer, clock: FastClock) -> None:
        ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
        forced = replace(entry("black-forest-labs/flux-schnell", 1.0), billing=Billing.OFFICIAL)
        models = [entry("replicate/hello-world", 1.0), forced]
        spec = spec_of(server, *models)
        provider = Replicate(spec.account, TOKEN, clock)
        account = Account.over(provider, Desk(ledger), clock, lambda: spec.models)
        server.faults.add(Fault(kind="cut", on="create"))
        sent = 0
        while sent < creates:
            ticks = await asyncio.gather(*(account.heartbeat.tick(model) for model in models))
            sent += sum(tick.observation is not None for tick in ticks)
            assert all(tick.error is None for tick in ticks)
            await clock.sleep(1.0)
        await provider.close()
        created = [call.id for call in server.world.journal.calls()]
        recorded = [beat.prediction_id for beat in ledger.beats()]
        assert len(created) == sent
        assert sorted(recorded) == sorted(created)  # type: ignore[type-var]

    asyncio.run(played(100.0, play))


def test_low_credit_meets_no_second_429_within_a_minute(tmp_path: Path) -> None:
    refused_at: list[datetime] = []

    async def play(server: SandboxServer, clock: FastClock) -> None:
        server.faults.add(Fault(kind="low_credit"))
        slugs = ("replicate/hello-world", "salesforce/blip", "openai/whisper", "meta/meta-llama-3-8b-instruct")
        spec = spec_of(server, *(entry(slug, 30.0) for slug in slugs))
        daemon = Daemon(
            spec,
            load=lambda: spec,
            connect=lambda new: Replicate(new, TOKEN, clock),
            ledger=open_ledger(f"sqlite:///{tmp_path}/ledger.db"),
            clock=clock,
            schedule=lambda on_due: LocalSchedule(on_due, speed=15.0),
        )
        serving = asyncio.create_task(daemon.run(watch=False, signals=False))
        end = clock.now() + timedelta(minutes=4)
        seen = 0
        while clock.now() < end:
            await clock.sleep(0.5)
            throttled = server.replies["create", "429"]
            refused_at.extend([clock.now()] * (throttled - seen))
            seen = throttled
        daemon.stop()
        await serving
        assert server.replies["create", "201"] >= 10

    asyncio.run(played(15.0, play))
    assert all(later - earlier > timedelta(minutes=1) for earlier, later in itertools.pairwise(refused_at))
    assert len(refused_at) <= 2


def test_twenty_models_without_credit_try_once_a_pause_and_all_go_on_by_themselves(tmp_path: Path) -> None:
    refused_at: list[datetime] = []
    every_s, speed = 300.0, 60.0
    detail = "Monthly spend limit reached. Raise it."  # no credit is told in other words

    async def play(server: SandboxServer, clock: FastClock) -> None:
        one = replace(entry("replicate/hello-world", every_s), caps=CAPS, price=price_of("cpu"))
        spec = spec_of(server, *(replace(one, name=f"m{number}", policy=PolicyName.FIXED) for number in range(20)))
        daemon = Daemon(
            spec,
            load=lambda: spec,
            connect=lambda new: Replicate(new, TOKEN, clock),
            ledger=open_ledger(f"sqlite:///{tmp_path}/ledger.db"),
            clock=clock,
            schedule=lambda on_due: LocalSchedule(on_due, speed=speed),
        )
        serving = asyncio.create_task(daemon.run(watch=False, signals=False))
        await until(clock, lambda: server.replies["create", "201"] >= 8)  # these boot, the others are on their way
        server.faults.add(Fault(kind="status", status=402, on="create", body={"detail": detail, "status": 402}))
        end = clock.now() + timedelta(minutes=11)
        while clock.now() < end:
            await clock.sleep(1.0)
            refused_at.extend([clock.now()] * (server.replies["create", "402"] - len(refused_at)))
        server.faults.clear()
        before = server.replies["create", "201"]
        await until(clock, lambda: server.replies["create", "201"] > before)
        await clock.sleep(every_s - 30)
        assert before < 20
        assert server.replies["create", "201"] - before == 20  # each once
        daemon.stop()
        await serving

    with capture_logs() as lines:
        asyncio.run(played(speed, play))
    tries = [[refused_at[0]]]
    for earlier, later in itertools.pairwise(refused_at):
        if later - earlier > timedelta(minutes=1):
            tries.append([])
        tries[-1].append(later)
    assert all(len(one) <= 2 for one in tries[1:])  # a second one where the first is not answered within 10 s
    pauses = [later[0] - earlier[-1] for earlier, later in itertools.pairwise(tries)]
    assert len(pauses) >= 2
    assert all(later > 1.3 * earlier for earlier, later in itertools.pairwise(pauses))
    said = [line for line in lines if line["event"] in (Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED)]
    assert [line["event"] for line in said] == [Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED]
    assert detail in said[0]["error"]

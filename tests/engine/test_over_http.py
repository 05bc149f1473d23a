"""The whole engine with the real provider, over sockets, at high speed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from warmer.clock import FastClock
from warmer.core.hours import ActiveHours
from warmer.core.price import Billing
from warmer.core.spec import AccountSpec, ModelSpec, Spec, Target, TargetKind
from warmer.engine.account import Account
from warmer.engine.daemon import Daemon
from warmer.engine.desk import Desk
from warmer.engine.schedule_local import LocalSchedule
from warmer.ledger import open_ledger
from warmer.providers.replicate import Replicate
from warmer.sandbox.faults import Fault
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.traits import Account as Plan
from warmer.sandbox.world import World

BEGIN = datetime(2026, 11, 24, 9, tzinfo=UTC)
TOKEN = "r8_warmer_secret"


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


def test_a_thousand_creates_whose_reply_is_cut_are_each_made_once(tmp_path: Path) -> None:
    async def play(server: SandboxServer, clock: FastClock) -> None:
        ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
        forced = replace(entry("black-forest-labs/flux-schnell", 1.0), billing=Billing.OFFICIAL)
        models = [entry("replicate/hello-world", 1.0), forced]
        spec = spec_of(server, *models)
        provider = Replicate(spec.account, TOKEN, clock)
        account = Account.over(provider, Desk(ledger), clock, lambda: spec.models)
        server.faults.add(Fault(kind="cut", on="create"))
        sent = 0
        while sent < 1000:
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
            connect=lambda new: Replicate(new.account, TOKEN, clock),
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

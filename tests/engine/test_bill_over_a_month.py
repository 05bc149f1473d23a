"""Over thirty days, what the ledger says that warming cost is what the host bills because of it."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import INPUT, START, Stage, model, traits

from warmer.core.beat import Status
from warmer.core.floor import held_cost
from warmer.core.hours import ActiveHours
from warmer.core.price import PER_SECOND, Billing, Known, Price
from warmer.core.spec import ModelSpec, PolicyName, TargetKind
from warmer.engine.floors import Floors
from warmer.errors import Unavailable
from warmer.sandbox import predictions as sandbox
from warmer.sandbox.customers import Shape, Visits, arrivals
from warmer.sandbox.traits import Deployment
from warmer.sandbox.world import Moment, World
from warmer.testing import run

SLUG, DEPLOYED = "acme/own", "acme/ours"
DAYS = 30
MONTH_S = DAYS * 86_400.0
AFTERWARDS_S = 4 * 3600.0  # by then every instance is gone
MORNINGS = ActiveHours(lines=("08:00-12:00",), zone=ZoneInfo("UTC"))
BRIEFLY = ActiveHours(lines=("08:00-10:00",), zone=ZoneInfo("UTC"))  # enough where idle time is free
PER_OUTPUT = Price(per_output=Decimal("0.003"), source="file")
pytestmark = pytest.mark.usefixtures("seldom_looks")
VISITS = Visits(target=SLUG, shape=Shape.STEADY, per_hour=1)
CALLS = [
    moment
    for moment in arrivals(VISITS, START, START + timedelta(seconds=MONTH_S), seed=7)
    if 7 <= moment.hour < 13  # an hour before the doors open, and after they close
]


@dataclass(frozen=True, kw_only=True)
class Class:
    """A class of billing: the host's model, our entry of it, and how near we come to the bill."""

    host: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)
    hours: ActiveHours = MORNINGS
    known: Known = Known.ESTIMATED
    within: str = "0.02"

    @property
    def target(self) -> str:
        return DEPLOYED if "kind" in self.entry else SLUG

    def world(self, seed: int = 1) -> World:
        own = traits(
            SLUG,
            **{
                "idle_timeout_s": 900.0,
                "idle_timeout_spread": 0.1,
                "boot_s": 40.0,
                "run_s": 1.0,
                "failure_share": 0.03,
                **self.host,
            },
        )
        deployed = Deployment(
            owner="acme", name="ours", model=SLUG, version=own.latest.id, hardware="gpu-t4", max_instances=1
        )
        return World(begin=START, seed=seed, models=[own], deployments=[deployed])

    def spec(self) -> ModelSpec:
        entry: ModelSpec = model(self.target, hours=self.hours, deadline=timedelta(seconds=50), **self.entry)
        return replace(entry, price=PER_OUTPUT) if entry.billing is Billing.OFFICIAL else entry


CLASSES = {
    "public": Class(hours=BRIEFLY, known=Known.EXACT, within="0.001"),
    "fast_boot": Class(
        host={"private": True, "fast_boot": True},
        entry={"billing": Billing.FAST_BOOT},
        hours=BRIEFLY,
        known=Known.EXACT,
        within="0.001",
    ),
    "official": Class(
        host={"is_official": True, "usd_per_output": Decimal("0.003")},
        entry={"billing": Billing.OFFICIAL, "every": 1800.0, "policy": PolicyName.FIXED},
    ),
    "private": Class(host={"private": True}),
    "deployment": Class(entry={"kind": TargetKind.DEPLOYMENT}),
}


def without_us(case: Class) -> Decimal:
    """The bill of the same customers where nobody keeps anything warm: the mean of ten worlds that differ in luck."""
    worlds = [case.world(seed) for seed in range(1, 11)]
    return sum((bill_of_customers(case, world) for world in worlds), Decimal(0)) / len(worlds)


def bill_of_customers(case: Class, world: World) -> Decimal:
    for moment in CALLS:
        world.create(moment, case.target, INPUT, caller="customer")
    end = START + timedelta(seconds=MONTH_S + AFTERWARDS_S)
    world.advance(end)
    return world.journal.billed_usd(end)


def because_of_us(case: Class, world: World, end: datetime) -> Decimal:
    """What the host bills because of beats: theirs where predictions are billed, else what is billed more."""
    world.advance(end)
    if not world.journal.instances(end) or world.journal.instances(end)[0].billed_usd is None:
        return sum((one.billed_usd for one in world.journal.totals(caller="warmer")), Decimal(0))
    return world.journal.billed_usd(end) - without_us(case)


async def trouble(stage: Stage, chance: Random) -> None:
    """Creates are refused and replies lost; some beats are cancelled by hand, before or after their start."""
    loop = asyncio.get_running_loop()

    def cancel_some(one: sandbox.Prediction, moment: Moment) -> None:
        if moment is Moment.CREATED and one.caller == "warmer" and chance.random() < 0.01:
            loop.call_later(chance.uniform(0, 1.2), lambda: stage.world.cancel(stage.true.now(), one.id))

    stage.world.subscribe(cancel_some)
    while True:
        await asyncio.sleep(chance.uniform(0, 2 * 86_400))
        stage.host.failing += [Unavailable("503")]
        stage.host.losing_replies += 1


async def a_month(stage: Stage) -> None:
    others = [
        asyncio.ensure_future(customers(stage)),
        asyncio.ensure_future(trouble(stage, Random(5))),
    ]
    await stage.play(MONTH_S)
    for other in others:
        other.cancel()
        with suppress(asyncio.CancelledError):
            await other
    await asyncio.sleep(AFTERWARDS_S)


async def customers(stage: Stage) -> None:
    for moment in CALLS:
        await stage.until((moment - START).total_seconds())
        stage.world.create(moment, stage.spec.models[0].target.slug, INPUT, caller="customer")


@pytest.mark.parametrize(
    "name",
    [name if name == "public" else pytest.param(name, marks=pytest.mark.thorough) for name in CLASSES],
)
def test_a_month_of_beats_adds_up_to_what_the_host_bills_because_of_them(db: Path, name: str) -> None:
    case = CLASSES[name]

    async def scene() -> None:
        stage = Stage(db, case.spec(), world=case.world())
        await a_month(stage)
        beats = stage.beats()
        true = because_of_us(case, stage.world, stage.true.now())
        ours = sum((beat.cost_usd or Decimal(0) for beat in beats), Decimal(0))
        assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELED} <= {beat.status for beat in beats}
        assert {beat.cost.known for beat in beats if beat.cost_usd} == {case.known}
        assert abs(ours - true) <= true * Decimal(case.within), (ours, true, len(beats))

    run(scene())


async def floors(stage: Stage, chance: Random) -> None:
    """Looks after the floor for a month, a few times an hour; dies now and then, and replies are lost."""
    for minute in range(0, DAYS * 24 * 60, 15):
        await stage.until(minute * 60.0)
        life = Floors(stage.desk, stage.clock, lambda: stage.spec.models)
        stage.host.losing_changes += chance.random() < 0.02
        await life.sweep(stage.accounts)
        if chance.random() < 0.2:
            await asyncio.sleep(chance.uniform(0, 0.4))
            await life.abandon()
        await life.settled()


def test_a_month_of_a_floor_adds_up_to_the_seconds_that_it_was_held_for(db: Path) -> None:
    case = CLASSES["deployment"]
    entry = replace(case.spec(), policy=PolicyName.FLOOR, lead=timedelta(0), price=None)

    async def scene() -> None:
        stage = Stage(db, entry, world=case.world())
        calls = asyncio.ensure_future(customers(stage))
        await floors(stage, Random(3))
        await calls
        await asyncio.sleep(AFTERWARDS_S)
        end = stage.true.now()
        stage.world.advance(end)
        ours = held_cost(stage.ledger.floor_spells(START), START, end)
        true = billed_while_raised(stage, end)
        assert ours.known is Known.ESTIMATED
        assert ours.usd is not None
        assert abs(ours.usd - true) <= true * Decimal("0.02"), (ours.usd, true)

    run(scene())


def billed_while_raised(stage: Stage, end: datetime) -> Decimal:
    """The host's bill of the time for which the floor was raised, whoever used the instance then."""
    raised, usd = list[tuple[datetime, datetime]](), Decimal(0)
    changes = [*stage.host.changes, (end, 0)]
    for (at, instances), (until, _) in itertools.pairwise(changes):
        if instances:
            raised.append((at, until))
    for stay in stage.world.journal.instances(end):
        online = sum(
            max(0.0, (min(until, stay.off_at or end) - max(at, stay.booted_at)).total_seconds()) for at, until in raised
        )
        usd += Decimal(str(online)) * PER_SECOND[stay.hardware]
    return usd

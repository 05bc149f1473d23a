"""What an avoided cold start is said to have cost is what it did cost, by the world's own record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import merge
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from engine.stage import INPUT, Stage, ledger_at, model, traits

from warmer.core.avoided import Avoided, avoided
from warmer.core.hours import ActiveHours
from warmer.core.rollup import beats_by_hour
from warmer.core.situations import situation
from warmer.core.spec import ModelSpec
from warmer.core.spent import Warming
from warmer.engine.learning import Learning
from warmer.sandbox.journal import Call
from warmer.sandbox.predictions import Found
from warmer.sandbox.world import World
from warmer.testing import run

DAYS = 12  # two working weeks
BEGIN = datetime(2026, 11, 2, tzinfo=ZoneInfo("UTC"))  # a Monday, as situations begin
END = BEGIN + timedelta(days=DAYS)
PUBLIC, PRIVATE, NOISY = "acme/public", "acme/private", "acme/noisy"
HOSTS = (
    traits(PUBLIC, idle_timeout_s=180.0, boot_s=30.0),
    traits(PRIVATE, idle_timeout_s=300.0, boot_s=60.0, private=True),
    traits(NOISY, idle_timeout_s=180.0, idle_timeout_spread=0.1, boot_s=30.0),
)

pytestmark = pytest.mark.thorough
TRAFFIC = {PUBLIC: "steady", PRIVATE: "office", NOISY: "steady"}
HOURS = {PUBLIC: "Mo-Fr 09:00-13:00", PRIVATE: "Mo-Fr 09:00-13:00", NOISY: "Mo-Fr 09:00-13:00"}


def moments_of(slug: str) -> list[datetime]:
    (arrivals,) = situation(TRAFFIC[slug], days=DAYS, seed=list(TRAFFIC).index(slug)).models
    moments = [BEGIN + timedelta(microseconds=at) for at in arrivals.at.tolist()]
    # Of what comes day and night a part will do: offices have a call by night now and then.
    return [at for at in moments if 8 <= at.hour < 14 and at.weekday() < 5] if TRAFFIC[slug] == "steady" else moments


CUSTOMERS = sorted(merge(*([(at, slug) for at in moments_of(slug)] for slug in TRAFFIC)))


def cold(calls: Iterable[Call]) -> int:
    return sum(call.found is Found.COLD for call in calls)


def unwarmed() -> World:
    """The same customers in a world without warmer."""
    world = World(begin=BEGIN, seed=1, models=HOSTS, deployments=())
    for at, slug in CUSTOMERS:
        world.create(at, slug, INPUT, caller="customer")
    world.advance(END)
    return world


async def warmed(db: Path, entries: Sequence[ModelSpec]) -> World:
    """The same customers in a world with warmer."""
    world = World(begin=BEGIN, seed=1, models=HOSTS, deployments=())
    stage = Stage(db, *entries, world=world, start=BEGIN)
    stage.start()
    for at, slug in CUSTOMERS:
        await stage.until((at - BEGIN).total_seconds())
        stage.call(slug)
    await stage.until((END - BEGIN).total_seconds() - 60)
    await stage.account.traffic.refresh()  # as the daemon does each minute
    await stage.leave()
    world.advance(END)
    return world


def bill(world: World, without: World, slug: str) -> Decimal:
    """Of the beats: their runs, or where instances are billed all that is billed more than without them."""
    if world.model(slug).private:
        return world.journal.billed_usd(END, target=slug) - without.journal.billed_usd(END, target=slug)
    beats = world.journal.calls(caller="warmer", target=slug)
    return sum((beat.billed_usd or Decimal(0) for beat in beats), Decimal(0))


def told(db: Path, entry: ModelSpec) -> Avoided:
    """By the ledger alone."""
    ledger = ledger_at(db)
    learned = Learning(lambda: ()).knowledge(ledger, entry, END).learned
    beats, calls = list(ledger.beats(model=entry.name)), list(ledger.requests(model=entry.name))
    ledger.close()
    return avoided(
        calls, [Warming.of(one) for one in beats_by_hour(beats, ZoneInfo("UTC"))], learned, start=BEGIN, end=END
    )


def test_the_price_of_an_avoided_cold_start_is_within_a_tenth_of_the_truth(db: Path) -> None:
    entries = [
        model(slug, hours=ActiveHours(lines=(hours,), zone=ZoneInfo("UTC")), lead=None) for slug, hours in HOURS.items()
    ]
    with_us, without = run(warmed(db, entries)), unwarmed()
    for entry in entries:
        met = cold(with_us.journal.calls(caller="customer", target=entry.name))
        truly = cold(without.journal.calls(target=entry.name)) - met
        truth = bill(with_us, without, entry.name) / truly
        found = told(db, entry)
        assert found.price_usd is not None
        assert abs(found.price_usd - truth) <= truth / 10, entry.name
        assert found.price_low_usd is not None
        assert found.price_high_usd is not None
        assert found.price_low_usd < truth < found.price_high_usd, entry.name
        assert found.low is not None
        assert found.high is not None
        assert found.low < truly < found.high, entry.name

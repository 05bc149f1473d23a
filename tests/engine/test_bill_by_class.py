"""Over a day, what the ledger says that beats cost is what the host bills."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import START, Stage, model, traits

from warmer.core.hours import ActiveHours
from warmer.core.price import Billing, Known, price_of
from warmer.sandbox.world import World
from warmer.testing import run

SLUG = "acme/own"
OFFICE = ActiveHours(lines=("00:00-06:00", "12:00-12:03", "18:00-23:00"), zone=ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("host", "known", "within"),
    [
        ({}, Known.EXACT, "0.001"),
        ({"private": True}, Known.ESTIMATED, "0.02"),
        ({"private": True, "fast_boot": True}, Known.EXACT, "0.001"),
    ],
    ids=["public", "private", "fast_boot"],
)
def test_a_day_of_beats_adds_up_to_the_hosts_bill(db: Path, host: dict[str, Any], known: Known, within: str) -> None:
    async def scene() -> None:
        own = traits(SLUG, idle_timeout_s=120.0, boot_s=30.0, **host)
        entry = model(SLUG, hours=OFFICE, billing=Billing.FAST_BOOT if host.get("fast_boot") else None)
        play = Stage(db, entry, world=World(begin=START, seed=1, models=[own], deployments=()))
        await play.play(86_400)
        play.world.advance(play.true.now())
        beats, true = play.beats(), play.world.journal.billed_usd(play.true.now())
        ours = sum((beat.cost_usd or Decimal(0) for beat in beats), Decimal(0))
        assert entry.price == price_of("gpu-t4")
        assert {beat.cost.known for beat in beats} == {known}
        assert abs(ours - true) <= true * Decimal(within), (ours, true, len(beats))

    run(scene())

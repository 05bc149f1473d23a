"""Passes over a real Cog server that a file names: on record is what the server says of itself."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from harness.cogs import CogProcess

from warmer import config
from warmer.clock import SystemClock
from warmer.core.beat import Observation, Status, Verdict
from warmer.core.price import Billing
from warmer.core.spec import CogServer, Spec
from warmer.engine.once import DONE, once
from warmer.ledger import open_ledger
from warmer.providers.cog import Cog


def passed(spec: Spec, db: Path) -> int:
    (model,) = spec.models
    host = spec.host_of(model)
    assert isinstance(host, CogServer)
    clock, ledger = SystemClock(), open_ledger(f"sqlite:///{db}")
    return asyncio.run(once(spec, connect=lambda _: Cog(host, clock), ledger=ledger, clock=clock))


def on_record(db: Path) -> list[Observation]:
    ledger = open_ledger(f"sqlite:///{db}")
    try:
        return list(ledger.beats())
    finally:
        ledger.close()


def test_boots_are_on_record_as_the_server_tells_them_and_cost_nothing(
    tmp_path: Path, db: Path, lines: list[Any]
) -> None:
    server = CogProcess(tmp_path / "cog", setup_s=2)
    text = f"budget: {{daily: 0.01}}\nmodels: [{{cog: '{server.url}', name: up, every: 1s}}]\n"
    spec = config.parse(text.encode(), path="warmer.yaml")
    with server:
        assert passed(spec, db) == DONE  # it is in its setup, and cannot yet say what it takes
        time.sleep(1)
        assert passed(spec, db) == DONE
        setup_s = server.setup_s
    first, second = on_record(db)
    assert first.boot_s == pytest.approx(setup_s, abs=0.3)
    assert setup_s >= 2
    assert (first.verdict, second.verdict) == (Verdict.COLD, Verdict.WARM)
    assert {one.status for one in (first, second)} == {Status.SUCCEEDED}
    assert second.boot_s is None
    assert {(one.cost_usd, one.price, one.billing) for one in (first, second)} == {(Decimal(0), "0/s own", Billing.OWN)}
    done = [line for line in lines if line["event"] == "beat.done"]
    assert [line.get("boot_s") for line in done] == [pytest.approx(setup_s, abs=0.3), None]
    ledger = open_ledger(f"sqlite:///{db}")
    summed = ledger.beat_sums(first.created_at, spec.zone)
    ledger.close()
    assert [one.boots.longest_s for one in summed if one.cold] == [pytest.approx(setup_s, abs=0.3)]

"""Beats of an HTTP endpoint through the whole engine, from the decision to the ledger's row."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.doubles import KEY, HuggingFace

from warmer import config
from warmer.clock import SystemClock
from warmer.core.beat import Reason, Status, Verdict
from warmer.core.endpoint import Endpoint
from warmer.core.price import Billing
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.ledger import open_ledger
from warmer.providers.endpoint import HttpEndpoint

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "huggingface.yaml"


def test_a_beat_of_an_endpoint_is_decided_sent_and_recorded_as_any_other(db: Path, lines: list[Any]) -> None:
    (model,) = config.load(EXAMPLE).models
    assert isinstance(model.host, Endpoint)
    endpoint, clock = model.host, SystemClock()
    double = HuggingFace(clock, boot_s=0.2, run_s=0.0)
    desk = Desk(open_ledger(f"sqlite:///{db}"))

    async def go() -> None:
        async with double.serving() as url:
            here = replace(endpoint, url=f"{url}/")
            host = HttpEndpoint(here, dict.fromkeys(here.secrets, KEY), clock)
            account = Account.over(host, desk, clock, lambda: [model])
            ticks = [await account.heartbeat.tick(model, asked=True) for _ in range(2)]
            double.key = "an0ther-key-by-now"
            refused = await account.heartbeat.tick(model, asked=True)
            await host.close()
        cold, warm = (tick.observation for tick in ticks)
        assert cold is not None
        assert warm is not None
        assert (cold.status, cold.verdict, cold.billing) == (Status.SUCCEEDED, Verdict.COLD, Billing.PRIVATE)
        assert cold.wait_s >= 0.2
        assert cold.cost_usd > 0
        assert (warm.status, warm.verdict, warm.wait_s < 0.2) == (Status.SUCCEEDED, Verdict.WARM, True)
        assert "headers" in str(refused.error)
        assert refused.next_at > clock.now()
        kept = await desk.do(lambda ledger: ledger.latest_beat(model.name, sent=True))
        assert kept == warm

    try:
        asyncio.run(go())
    finally:
        desk.close()
    events = [line["event"] for line in lines]
    assert events.count("beat.done") == 2
    assert "account.paused" in events
    paused = next(line for line in lines if line["event"] == "account.paused")
    assert paused["reason"] is Reason.ACCOUNT_REFUSED
    assert KEY not in str(lines)

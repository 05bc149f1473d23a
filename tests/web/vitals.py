"""A daemon that is as told, and what has happened in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from warmer.core.beat import Observation, Reason, Request, Status, Verdict
from warmer.core.budget import Cap, Limit, Period, Spending
from warmer.core.health import Check, Gauges, Health, ModelGauges
from warmer.core.price import Billing
from warmer.ports import Hearing
from warmer.web.metrics import Metrics

CHAT, CODE = "acme/chat", "acme/code"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
WELL = Check(ok=True)
HEALTH = Health(config=WELL, ledger=WELL, schedule=WELL, reached=(), account=None, models=2)
MONTH = Limit(
    cap=Cap(model=None, period=Period.MONTHLY, usd=Decimal(40)),
    start=datetime(2026, 11, 1, tzinfo=UTC),
    end=datetime(2026, 12, 1, tzinfo=UTC),
)
SPENT = Spending(limit=MONTH, settled_usd=Decimal("9.5"), reserved_usd=Decimal("0.5"))
GAUGES = Gauges(models={}, remaining_usd={}, config_is_latest=True, config_read_at=NOON, spendings=(SPENT,))


class Told:
    """Implements the `Vitals` port."""

    def __init__(self, health: Health = HEALTH, gauges: Gauges = GAUGES) -> None:
        self.now, self.measured = health, gauges

    @classmethod
    def but(cls, **changes: Any) -> Told:
        return cls(replace(HEALTH, **changes))

    async def health(self) -> Health:
        return self.now

    async def gauges(self) -> Gauges:
        return self.measured


def beat(model: str = CHAT, number: int = 1, **changes: Any) -> Observation:
    seen = Observation(
        model=model,
        prediction_id=f"beat-{number}",
        policy="aware",
        reason=Reason.IDLE,
        created_at=NOON,
        started_at=NOON,
        completed_at=NOON,
        gap_s=61.5,
        wait_s=0.3,
        run_s=0.7,
        verdict=Verdict.WARM,
        status=Status.SUCCEEDED,
        error=None,
        cost_usd=Decimal("0.000225"),
        price="0.000225/s gpu-t4@2026-11-18",
        billing=Billing.PUBLIC,
    )
    return replace(seen, **changes)


def call(model: str = CHAT, verdict: Verdict = Verdict.WARM) -> Request:
    return Request(
        model=model,
        prediction_id="call",
        created_at=NOON,
        started_at=NOON,
        completed_at=NOON,
        gap_s=None,
        wait_s=0.1,
        run_s=1.0,
        verdict=verdict,
        status=Status.SUCCEEDED,
    )


def knowing(*models: str, **changes: Any) -> Told:
    measured = {
        name: ModelGauges(next_at=NOON, idle_timeout_s={"low": 60.0, "median": 90.0, "high": 120.0}, interval_s=55.0)
        for name in models
    }
    return Told(gauges=replace(GAUGES, models=measured, **changes))


def busy() -> Metrics:
    """One that has seen of everything."""
    metrics = Metrics()
    metrics.beat(beat())
    metrics.calls([call()])
    metrics.tick(0.02)
    metrics.webhook(Hearing.TAKEN)
    return metrics

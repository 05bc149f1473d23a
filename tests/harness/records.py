"""Ledgers with a past in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from warmer.core.beat import (
    BeatKey,
    BeatRequest,
    Claim,
    Observation,
    Prediction,
    Reason,
    Request,
    Status,
    Verdict,
)
from warmer.core.price import Billing
from warmer.core.situations import situation
from warmer.core.spec import Target, TargetKind
from warmer.ledger import open_ledger

RUN = timedelta(seconds=1.5)
BOOT_S = 20.0


def ids_of(found: Iterable[Any]) -> list[str]:
    """The prediction ids of beats, calls or uses."""
    return [one.prediction_id if hasattr(one, "prediction_id") else one.id for one in found]


def moments_of(name: str, *, days: int, begins: datetime) -> list[datetime]:
    """The calls of a situation, from that moment on."""
    (arrivals,) = situation(name, days=days).models
    return [begins + timedelta(microseconds=at) for at in arrivals.at.tolist()]


def record_calls(ledger: Path, model: str, moments: Sequence[datetime], *, idle_timeout_s: float = 60.0) -> None:
    """Put customers' calls on record, each with what it met at a host that lets an instance go after that long."""
    opened = open_ledger(f"sqlite:///{ledger}")
    opened.add_requests(_met(model, moments, idle_timeout_s))
    opened.close()


def _met(model: str, moments: Sequence[datetime], idle_timeout_s: float) -> Iterator[Request]:
    for index, (before, at) in enumerate(pairwise([None, *moments])):
        assert at is not None
        gap_s = None if before is None else max(0.0, (at - before - RUN).total_seconds())
        is_cold = gap_s is not None and gap_s > idle_timeout_s
        wait_s = BOOT_S if is_cold else 0.1
        started = at + timedelta(seconds=wait_s)
        yield Request(
            model=model,
            prediction_id=f"{model}-call-{index}",
            created_at=at,
            started_at=started,
            completed_at=started + RUN,
            gap_s=gap_s,
            wait_s=wait_s,
            run_s=RUN.total_seconds(),
            verdict=Verdict.COLD if is_cold else Verdict.WARM,
            status=Status.SUCCEEDED,
        )


def record_beat(ledger: Path, model: str, at: datetime, *, run_s: float = 0.5, slot: int = 1) -> None:
    """Put one finished heartbeat on record."""
    opened = open_ledger(f"sqlite:///{ledger}")
    key = BeatKey(model=model, slot=slot, instance=0)
    target = Target(kind=TargetKind.MODEL, owner="a", name="b", version="f00")
    deadline = timedelta(minutes=10)
    request = BeatRequest(target=target, version="f00", billing=Billing.PUBLIC, input={}, deadline=deadline)
    opened.claim(Claim(key=key, at=at, policy="aware", reason=Reason.IDLE, request=request))
    opened.sent(key, Prediction(id=f"{model}-beat-{slot}", status=Status.STARTING, created_at=at))
    seen = Observation(
        model=model,
        prediction_id=f"{model}-beat-{slot}",
        policy="aware",
        reason=Reason.IDLE,
        created_at=at,
        started_at=at + timedelta(seconds=0.1),
        completed_at=at + timedelta(seconds=0.1 + run_s),
        gap_s=50.0,
        wait_s=0.1,
        run_s=run_s,
        verdict=Verdict.WARM,
        status=Status.SUCCEEDED,
        error=None,
        cost_usd=Decimal("0.0001"),
        price="0.000225/s gpu-t4@2026-11-18",
        billing=Billing.PUBLIC,
    )
    opened.finish(key, seen)
    opened.close()

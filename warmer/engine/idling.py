"""The idle time that a beat pays for, where every second online is billed: reckoned at its end, settled at the next."""

from __future__ import annotations

from datetime import datetime, timedelta

from warmer.core.beat import BeatRequest
from warmer.core.cost import settled
from warmer.core.learned import Learned
from warmer.core.spec import ModelSpec
from warmer.engine.learning import Learning
from warmer.ports import Ledger


def kept_s(learning: Learning, ledger: Ledger, request: BeatRequest, spec: ModelSpec | None, now: datetime) -> float:
    """How long the host is thought to keep an idle instance; 0 where idling is free. `now` is the provider's."""
    if request.billing.bills_run_only:
        return 0.0
    learned = learning.knowledge(ledger, spec, now).learned if spec is not None else None
    return (learned or Learned()).idle_timeout.median_s


def settle_last(ledger: Ledger, model: str, request: BeatRequest, created_at: datetime, kept_s: float) -> None:
    """Now that the beat created at `created_at` has ended: charge the one before it for no more than it kept alone."""
    last = ledger.latest_beat(model)
    if request.billing.bills_run_only or last is None or last.prediction_id is None or last.completed_at is None:
        return
    ended = last.completed_at
    uses = ledger.uses(model, ended, min(created_at, ended + timedelta(seconds=kept_s)))
    next_use = min((use.created_at for use in uses if use.id != last.prediction_id), default=created_at)
    cost = settled(last, next_use, price=request.price, kept_s=kept_s)
    if cost != last.cost:
        ledger.settle_cost(last.prediction_id, cost)

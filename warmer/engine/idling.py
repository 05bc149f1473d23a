"""The idle time that a beat pays for, where every second online is billed: reckoned at its end, settled at the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from warmer.core.beat import BeatRequest
from warmer.core.cost import settled
from warmer.core.learned import Learned
from warmer.core.price import Cost
from warmer.core.spec import ModelSpec
from warmer.engine.learning import Learning
from warmer.ports import Ledger


def believed(
    learning: Learning, ledger: Ledger, spec: ModelSpec | None, request: BeatRequest, now: datetime
) -> Learned:
    """What is thought of the host of `request` at `now` by the provider's clock; nothing where idling is free."""
    if spec is None or request.billing.bills_run_only:
        return Learned()
    return learning.knowledge(ledger, spec, now).learned or Learned()


def kept_s(request: BeatRequest, host: Learned) -> float:
    """How long the host is thought to keep an idle instance; 0 where idling is free."""
    return 0.0 if request.billing.bills_run_only else host.idle_timeout.median_s


def settle_last(
    ledger: Ledger, model: str, request: BeatRequest, created_at: datetime, host: Learned
) -> Mapping[str, Cost]:
    """What the beat before the one created at `created_at` is known to have cost, now that this one has ended.

    By its prediction's id; empty where nothing changes.
    """
    if request.billing.bills_run_only:
        return {}
    last = ledger.latest_beat(model, sent=True)
    if last is None or last.prediction_id is None or last.completed_at is None:
        return {}
    kept = timedelta(seconds=kept_s(request, host))
    # What customers did longer before, or after, has no part in how long this beat's instance was kept.
    uses = ledger.uses(model, last.created_at - 2 * kept, min(created_at, last.completed_at + 3 * kept))
    ours = ledger.known_beats(use.id for use in uses)
    cost = settled(
        last,
        min(created_at, last.completed_at + 3 * kept),
        price=request.price,
        kept_s=kept.total_seconds(),
        boot_s=host.boot_s or 0.0,
        calls=[use for use in uses if use.id not in ours],
    )
    return {} if cost == last.cost else {last.prediction_id: cost}

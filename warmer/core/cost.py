"""What one beat cost, by who is billed for what, and how well that is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from warmer.core.beat import Observation, Prediction, Status, Use, Verdict
from warmer.core.online import added_s
from warmer.core.price import FREE, UNKNOWN, Billing, Cost, Price
from warmer.core.units import to_whole_micros

_ENDED_EARLY = (Status.FAILED, Status.CANCELED, Status.ABORTED)


def cost_of(seen: Prediction, verdict: Verdict, *, price: Price | None, billing: Billing | None, kept_s: float) -> Cost:
    """What a beat cost that ended as `seen`, in whole micro-dollars.

    `kept_s`: how long its host is thought to keep an idle instance. Source of who pays what for a failed, canceled or
    aborted prediction: the provider's billing documentation.
    """
    if billing is None:
        return UNKNOWN
    if billing is Billing.OFFICIAL:
        return _by_output(seen, price)
    if billing is Billing.CALL:
        return _by_call(seen, price)
    if not billing.bills_run_only:
        return _online(seen, verdict, price, kept_s)
    ran_for_all_that = billing is Billing.OWN and seen.run_s is not None  # a machine runs what then fails
    if (seen.is_free and not ran_for_all_that) or (price is not None and price.per_second == 0):
        return FREE
    if seen.run_s is None or price is None or price.per_second is None:
        return UNKNOWN
    measured = seen.predict_s is not None and seen.status is not Status.UNKNOWN
    return Cost(usd=to_whole_micros(Decimal(str(seen.run_s)) * price.per_second), is_estimated=not measured)


def settled(
    beat: Observation,
    next_at: datetime,
    *,
    price: Price | None,
    kept_s: float,
    boot_s: float = 0.0,
    calls: Sequence[Use] = (),
) -> Cost:
    """The cost of `beat` once the next one is there, at `next_at`, and so all `calls` between and around them.

    It pays for the time online that it added to what customers alone would have had: `core.online`. A cost only falls
    by this, for what was set aside of a budget was set aside for the whole of the idle window.
    """
    if beat.cost_usd is None or beat.completed_at is None or not _pays_online(beat.billing):
        return beat.cost
    busy_s = _busy_s(beat, beat.verdict)
    if busy_s is None or price is None or price.per_second is None or str(price) != beat.price:
        return beat.cost  # without a price, or at another one by now: what was reckoned stands
    span = beat.completed_at - timedelta(seconds=busy_s), beat.completed_at
    seconds = added_s(span, calls, until=max(next_at, beat.completed_at), kept_s=kept_s, boot_s=boot_s)
    return Cost(usd=min(to_whole_micros(Decimal(str(seconds)) * price.per_second), beat.cost_usd), is_estimated=True)


def _by_output(seen: Prediction, price: Price | None) -> Cost:
    """One output, for the prediction does not tell how many it made; none where it failed or never started."""
    if seen.is_free:
        return FREE
    if price is None or price.per_output is None:
        return UNKNOWN
    return Cost(usd=to_whole_micros(price.per_output), is_estimated=True)


def _by_call(seen: Prediction, price: Price | None) -> Cost:
    """One call, however it ended: an estimate where it failed, for what a host bills then is not told."""
    if price is None or price.per_output is None:
        return UNKNOWN
    return Cost(usd=to_whole_micros(price.per_output), is_estimated=seen.status is not Status.SUCCEEDED)


def _online(seen: Prediction | Observation, verdict: Verdict, price: Price | None, kept_s: float) -> Cost:
    """Every second online that the beat caused: the boot it met, its run, the idle time after it. However it ended."""
    busy_s = _busy_s(seen, verdict)
    if busy_s is None or price is None or price.per_second is None:
        return UNKNOWN
    seconds = Decimal(str(busy_s)) + Decimal(str(kept_s))
    return Cost(usd=to_whole_micros(seconds * price.per_second), is_estimated=True)


def _busy_s(seen: Prediction | Observation, verdict: Verdict) -> float | None:
    """Seconds of boot and run. What ended before it started was waiting for a boot, or so it is reckoned."""
    if seen.status in _ENDED_EARLY and seen.started_at is None and not seen.run_s:
        return None if seen.completed_at is None else max(0.0, (seen.completed_at - seen.created_at).total_seconds())
    if seen.run_s is None:
        return None
    return seen.run_s + ((seen.wait_s or 0.0) if verdict is Verdict.COLD else 0.0)


def _pays_online(billing: Billing | None) -> bool:
    return billing is not None and billing is not Billing.OFFICIAL and not billing.bills_run_only

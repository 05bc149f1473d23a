"""What one beat cost, by who is billed for what, and how well that is known."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from warmer.core.beat import Observation, Prediction, Status, Verdict
from warmer.core.price import FREE, UNKNOWN, Billing, Cost, Price
from warmer.core.units import from_micros, to_micros

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
    if not billing.bills_run_only:
        return _online(seen, verdict, price, kept_s)
    if seen.is_free:
        return FREE
    if seen.run_s is None or price is None or price.per_second is None:
        return UNKNOWN
    measured = seen.predict_s is not None and seen.status is not Status.UNKNOWN
    return Cost(usd=_rounded(Decimal(str(seen.run_s)) * price.per_second), is_estimated=not measured)


def settled(beat: Observation, next_use: datetime | None, *, price: Price | None, kept_s: float) -> Cost:
    """The cost of `beat` once it is known when its model was used next; None: not within `kept_s`.

    The instance that idled after it is that use's from then on. A cost only falls by this, for what was set aside of a
    budget was set aside for the whole of the idle window.
    """
    if beat.cost_usd is None or beat.completed_at is None or next_use is None or not _pays_online(beat.billing):
        return beat.cost
    if str(price) != beat.price:  # another one by now: what was reckoned stands
        return beat.cost
    idle_s = min(kept_s, max(0.0, (next_use - beat.completed_at).total_seconds()))
    usd = _online(beat, beat.verdict, price, idle_s).usd
    return beat.cost if usd is None else Cost(usd=min(usd, beat.cost_usd), is_estimated=True)


def _by_output(seen: Prediction, price: Price | None) -> Cost:
    """One output, for the prediction does not tell how many it made; none where it failed or never started."""
    if seen.is_free:
        return FREE
    if price is None or price.per_output is None:
        return UNKNOWN
    return Cost(usd=_rounded(price.per_output), is_estimated=True)


def _online(seen: Prediction | Observation, verdict: Verdict, price: Price | None, kept_s: float) -> Cost:
    """Every second online that the beat caused: the boot it met, its run, the idle time after it. However it ended."""
    busy_s = _busy_s(seen, verdict)
    if busy_s is None or price is None or price.per_second is None:
        return UNKNOWN
    seconds = Decimal(str(busy_s)) + Decimal(str(kept_s))
    return Cost(usd=_rounded(seconds * price.per_second), is_estimated=True)


def _busy_s(seen: Prediction | Observation, verdict: Verdict) -> float | None:
    """Seconds of boot and run. What ended before it started was waiting for a boot, or so it is reckoned."""
    if seen.status in _ENDED_EARLY and seen.started_at is None and not seen.run_s:
        return None if seen.completed_at is None else max(0.0, (seen.completed_at - seen.created_at).total_seconds())
    if seen.run_s is None:
        return None
    return seen.run_s + ((seen.wait_s or 0.0) if verdict is Verdict.COLD else 0.0)


def _pays_online(billing: Billing | None) -> bool:
    return billing is not None and billing is not Billing.OFFICIAL and not billing.bills_run_only


def _rounded(usd: Decimal) -> Decimal:
    return from_micros(to_micros(usd))

"""Whether a beat may be sent, as far as money goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from warmer.core.beat import BeatRequest, Reason
from warmer.core.budget import Spending, in_the_way
from warmer.core.learned import Learned
from warmer.core.price import Billing, worst_case
from warmer.core.spec import ModelSpec, TargetKind
from warmer.core.state import Hold

NO_PRICE = "under a cap no beat is sent at an unknown price: write `hardware` or `price`"


def reserve_of(request: BeatRequest, learned: Learned | None) -> Decimal | None:
    """What a beat has to reserve, in USD: the most that it may cost. None where nobody knows.

    Where an idle instance is paid for, it is thought to stay for as long as it may by what was learned.
    """
    kept_s = (learned or Learned()).idle_timeout.band_s[1]
    return worst_case(request.price, request.billing, request.deadline, kept_s)


def reserve_told(spec: ModelSpec, billing: Billing | None, learned: Learned | None) -> Decimal | None:
    """The same as far as it can be told without asking the API. `billing` is the class as last seen, if ever."""
    kept_s = (learned or Learned()).idle_timeout.band_s[1]
    return worst_case(spec.price, spec.billing_or(billing), spec.deadline, kept_s)


def is_price_told(spec: ModelSpec) -> bool:
    """Whether the file alone says what beats of `spec` cost: of a deployment the API tells the hardware."""
    return spec.price is not None or spec.target.kind is not TargetKind.DEPLOYMENT


def never_sent(spec: ModelSpec) -> str | None:
    """Why no beat of `spec` can ever be sent under its caps, as far as the file tells, and what to write; or None."""
    if not spec.caps:
        return None
    if spec.price is None:
        return NO_PRICE if is_price_told(spec) else None
    most = worst_case(spec.price, spec.billing or Billing.PUBLIC, spec.deadline, 0.0)
    least = min(spec.caps, key=lambda cap: cap.usd)
    if most is None or most <= least.usd:
        return None
    return f"a beat may cost {most} USD, more than the cap {least} of {least.usd} USD: write a shorter `deadline`"


def afford(spendings: Sequence[Spending], reserve_usd: Decimal | None, now: datetime, retry: timedelta) -> Hold | None:
    """Why the caps allow no beat that reserves so much, or None.

    Where only what is still out stands in the way, money may come back any time: that is looked for after `retry`.
    """
    if not spendings:
        return None
    if reserve_usd is None:
        return Hold(reason=Reason.PRICE_UNKNOWN, until=None)
    stopping = in_the_way(spendings, reserve_usd)
    return None if stopping is None else stopped(stopping, reserve_usd, now, retry)


def stopped(by: Spending, reserve_usd: Decimal, now: datetime, retry: timedelta) -> Hold:
    """The hold that a cap in the way comes to."""
    end = by.limit.end
    until = end if by.stops_for_good(reserve_usd) else min(end, now + retry)
    return Hold(reason=Reason.OVER_BUDGET, until=until, cap=by.limit.cap)

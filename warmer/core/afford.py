"""Whether a beat may be sent, or a floor raised, as far as money goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from warmer.core.beat import BeatRequest, Reason
from warmer.core.budget import Spending, in_the_way, limits_until
from warmer.core.learned import Learned
from warmer.core.price import Billing, worst_case
from warmer.core.spec import ModelSpec, PolicyName, TargetKind
from warmer.core.stake import Stake, counted, stake_of
from warmer.core.state import Hold

NO_PRICE = "under a cap no beat is sent at an unknown price: write `hardware` or `price`"
_WEEK = timedelta(days=7)
NO_FLOOR_PRICE = "under a cap no floor is raised at an unknown price: write `hardware` or `price`"


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


def never_sent(spec: ModelSpec, now: datetime) -> str | None:
    """Why `spec` can never be warmed under its caps, as far as the file tells, and what to write; or None."""
    if not spec.caps:
        return None
    if spec.policy is PolicyName.FLOOR:
        return _never_raised(spec, now)
    if spec.price is None:
        return NO_PRICE if is_price_told(spec) else None
    most = worst_case(spec.price, spec.billing_or(None), spec.deadline, 0.0)
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


def afford_floor(spendings: Sequence[Spending], hold: Stake, now: datetime, retry: timedelta) -> Hold | None:
    """Why the caps allow no floor to be raised to `hold`, or None. `spendings`: in all windows that it reaches into."""
    if not spendings:
        return None
    if hold.price is None or hold.price.per_second is None:
        return Hold(reason=Reason.PRICE_UNKNOWN, until=None)
    stopping = in_the_way([one + counted([hold], one.limit, now) for one in spendings], Decimal(0))
    return None if stopping is None else stopped(stopping, Decimal(0), now, retry)


def stopped(by: Spending, reserve_usd: Decimal, now: datetime, retry: timedelta) -> Hold:
    """The hold that a cap in the way comes to."""
    end = by.limit.end if by.limit.start <= now else by.limit.start
    until = end if by.stops_for_good(reserve_usd) else min(end, now + retry)
    return Hold(reason=Reason.OVER_BUDGET, until=until, cap=by.limit.cap)


def _never_raised(spec: ModelSpec, now: datetime) -> str | None:
    """The same of a floor, by its hours of the coming week."""
    if spec.price is None or spec.price.per_second is None:
        return None if spec.price is None else NO_FLOOR_PRICE  # of hardware that the API tells
    end = now + _WEEK
    windows = spec.hours.windows(now, end)
    for cap in spec.caps:
        each = [
            counted([stake_of(spec, spec.price, *window)], limit, now).reserved_usd
            for window in windows
            for limit in limits_until([cap], *window, spec.hours.zone)
            # What the week cuts off says nothing of the whole.
            if (window[0] > now or limit.start > now) and (window[1] < end or limit.end < end)
        ]
        if each and min(each) > cap.usd:
            most = f"{min(each)} USD at least, more than the cap {cap} of {cap.usd} USD"
            return f"its floor costs {most}: write fewer `hours`, or a higher cap"
    return None

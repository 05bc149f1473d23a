from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from warmer.core.afford import afford, reserve_of
from warmer.core.beat import BeatRequest, Reason
from warmer.core.budget import Cap, Period, Spending, limits
from warmer.core.hours import ActiveHours
from warmer.core.learned import Learned
from warmer.core.policy import Rest, Warm, decide
from warmer.core.price import Billing, Price, price_of
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.state import Hold, ModelState

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
RETRY = timedelta(seconds=50)
CAP = Cap(model=None, period=Period.DAILY, usd=Decimal(1))
TARGET = Target(kind=TargetKind.MODEL, owner="acme", name="chat")
SPEC = ModelSpec(name="chat", target=TARGET, hours=ActiveHours.always_open(), policy=PolicyName.FIXED, every=RETRY)


def spent(settled: str, reserved: str = "0") -> list[Spending]:
    (limit,) = limits([CAP], NOW, ZoneInfo("UTC"))
    return [Spending(limit=limit, settled_usd=Decimal(settled), reserved_usd=Decimal(reserved))]


def request(billing: Billing, price: Price | None) -> BeatRequest:
    return BeatRequest(
        target=TARGET, version=None, billing=billing, input={}, deadline=timedelta(seconds=100), price=price
    )


def test_without_a_cap_money_is_no_matter() -> None:
    assert afford([], None, NOW, RETRY) is None
    assert afford(spent("0.5"), Decimal("0.5"), NOW, RETRY) is None


def test_a_cap_that_is_spent_holds_until_its_day_is_over() -> None:
    assert afford(spent("0.6"), Decimal("0.5"), NOW, RETRY) == Hold(reason=Reason.OVER_BUDGET, until=MIDNIGHT, cap=CAP)


def test_money_that_may_come_back_is_looked_for_soon_and_never_past_midnight() -> None:
    soon = afford(spent("0.1", "0.6"), Decimal("0.5"), NOW, RETRY)
    assert soon == Hold(reason=Reason.OVER_BUDGET, until=NOW + RETRY, cap=CAP)
    late = afford(spent("0.1", "0.6"), Decimal("0.5"), MIDNIGHT - timedelta(seconds=10), RETRY)
    assert late == Hold(reason=Reason.OVER_BUDGET, until=MIDNIGHT, cap=CAP)


def test_under_a_cap_nothing_is_sent_at_an_unknown_price() -> None:
    assert afford(spent("0"), None, NOW, RETRY) == Hold(reason=Reason.PRICE_UNKNOWN, until=None)


def test_a_beat_reserves_a_run_until_its_deadline_and_the_idle_time_where_that_is_billed() -> None:
    t4 = price_of("gpu-t4")
    assert reserve_of(request(Billing.PUBLIC, t4), None) == Decimal("0.0225")
    idle = reserve_of(request(Billing.PRIVATE, t4), None)
    assert idle is not None
    assert idle > Decimal("0.0225") + Decimal(str(Learned().idle_timeout.median_s)) * Decimal("0.000225")
    assert reserve_of(request(Billing.OFFICIAL, t4), None) is None
    assert reserve_of(request(Billing.PUBLIC, None), None) is None


@pytest.mark.parametrize("reason", [Reason.OVER_BUDGET, Reason.PRICE_UNKNOWN])
def test_a_budget_stops_what_would_be_sent_and_is_not_heard_where_nothing_would(reason: Reason) -> None:
    hold = Hold(reason=reason, until=MIDNIGHT, cap=CAP)
    due = ModelState(budget=hold)
    assert decide(NOW, replace(due, budget=None), SPEC) == Warm(reason=Reason.FIRST_SIGHT)
    assert decide(NOW, due, SPEC) == Rest(reason=reason, until=MIDNIGHT, cap=CAP)
    assert decide(NOW, replace(due, last_beat_at=NOW), SPEC).reason is Reason.NOT_DUE
    assert decide(NOW, replace(due, in_flight_since=NOW), SPEC).reason is Reason.IN_FLIGHT

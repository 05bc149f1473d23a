from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.beat import Observation, Prediction, Reason, Status, Use, Verdict
from warmer.core.cost import cost_of, settled
from warmer.core.price import FREE, PER_SECOND, UNKNOWN, Billing, Cost, Known, Price, price_of, worst_case
from warmer.core.units import from_micros, to_micros

T4 = Price(per_second=Decimal("0.000225"), source="gpu-t4@2026-11-18")
CREATED = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
DONE = Prediction(
    id="p",
    status=Status.SUCCEEDED,
    created_at=CREATED,
    started_at=CREATED + timedelta(seconds=0.1),
    completed_at=CREATED + timedelta(seconds=0.7),
    predict_s=0.5,
)
DONE_AT = CREATED + timedelta(seconds=0.7)
ONLINE = [Billing.PRIVATE, Billing.DEPLOYMENT]
ENDS = [status for status in Status if not status.is_open]


def recorded(billing: Billing = Billing.PRIVATE, *, kept_s: float = 300.0) -> Observation:
    cost = cost_of(DONE, Verdict.WARM, price=T4, billing=billing, kept_s=kept_s)
    return Observation(
        model="m",
        prediction_id="p",
        policy="aware",
        reason=Reason.IDLE,
        created_at=CREATED,
        started_at=DONE.started_at,
        completed_at=DONE.completed_at,
        gap_s=None,
        wait_s=DONE.wait_s,
        run_s=DONE.run_s,
        verdict=Verdict.WARM,
        status=Status.SUCCEEDED,
        error=None,
        cost_usd=cost.usd,
        price=str(T4),
        billing=billing,
        cost_is_estimated=cost.is_estimated,
    )


def estimated(usd: str) -> Cost:
    return Cost(usd=Decimal(usd), is_estimated=True)


def call_at(second: float) -> Use:
    """A customer's of a second, so long after the beat."""
    at = DONE_AT + timedelta(seconds=second)
    return Use(
        id=f"call-{second}",
        status=Status.SUCCEEDED,
        created_at=at,
        started_at=at,
        completed_at=at + timedelta(seconds=1),
        wait_s=0.0,
    )


@given(st.floats(min_value=0, max_value=1800, allow_nan=False), st.sampled_from(sorted(PER_SECOND)))
def test_a_run_costs_the_product_to_half_a_micro_dollar(run_s: float, sku: str) -> None:
    price = price_of(sku)
    cost = cost_of(replace(DONE, predict_s=run_s), Verdict.WARM, price=price, billing=Billing.PUBLIC, kept_s=0.0)

    assert price is not None and price.per_second is not None and cost.usd is not None
    assert cost.known is Known.EXACT
    assert cost.usd.as_tuple().exponent == -6
    assert abs(cost.usd - Decimal(repr(run_s)) * price.per_second) <= Decimal("0.0000005")


@given(
    st.sampled_from(list(Billing)),
    st.sampled_from(ENDS),
    st.sampled_from([Verdict.WARM, Verdict.COLD]),
    st.integers(min_value=0, max_value=600_000),
    st.floats(min_value=0, max_value=1, allow_nan=False),
    st.floats(min_value=0, max_value=7200, allow_nan=False),
)
def test_no_beat_that_keeps_its_deadline_costs_more_than_the_worst_case(
    billing: Billing, status: Status, verdict: Verdict, took_ms: int, waited: float, kept_s: float
) -> None:
    took = timedelta(milliseconds=took_ms)
    started = CREATED + took * waited
    seen = replace(DONE, status=status, started_at=started, completed_at=CREATED + took, predict_s=None)
    price = Price(per_output=Decimal("0.003"), source="file") if billing.bills_outputs else T4
    cost = cost_of(seen, verdict, price=price, billing=billing, kept_s=kept_s)
    worst = worst_case(price, billing, timedelta(minutes=10), kept_s)

    assert cost.usd is not None and worst is not None
    assert cost.usd <= worst


@pytest.mark.parametrize("status", ENDS)
@pytest.mark.parametrize("billing", [*Billing, None])
def test_without_a_price_a_cost_is_nothing_for_certain_or_unknown(billing: Billing | None, status: Status) -> None:
    cost = cost_of(replace(DONE, status=status), Verdict.WARM, price=None, billing=billing, kept_s=300.0)
    is_free = status in (Status.FAILED, Status.ABORTED) and billing not in (*ONLINE, Billing.OWN, Billing.CALL, None)

    assert cost == (FREE if is_free else UNKNOWN)


@pytest.mark.parametrize("billing", ONLINE)
@pytest.mark.parametrize(
    ("next_s", "usd"),
    [(0.0, "0.000112"), (-5.0, "0.000112"), (20.0, "0.004612"), (300.0, "0.067612"), (4000.0, "0.067612")],
)
def test_idle_time_is_charged_until_the_next_beat(billing: Billing, next_s: float, usd: str) -> None:
    assert settled(recorded(billing), DONE_AT + timedelta(seconds=next_s), price=T4, kept_s=300.0) == estimated(usd)


@pytest.mark.parametrize(
    ("called_s", "seconds"),
    [
        ((), 300.5),
        ((-1000,), 300.5),  # its instance had gone long before
        ((200,), 200.5 - 40),  # the customer's from there on, who alone would have met a boot
        ((-100,), 300.5 - 241.5),  # the customer's for 200 s longer, and for the boot that the call did not meet
        ((-100, 50), 0),  # and on from the next call
        ((-100, 100, 200), 0),
        ((-100, 290), 290.5 - 241.5 - 40),
    ],
)
def test_what_customers_alone_would_have_held_is_not_charged(called_s: Sequence[float], seconds: float) -> None:
    calls = [call_at(second) for second in called_s]
    cost = settled(recorded(), DONE_AT + timedelta(seconds=900), price=T4, kept_s=300.0, boot_s=40.0, calls=calls)

    assert cost.usd == from_micros(to_micros(Decimal(str(seconds)) * Decimal("0.000225")))


def test_a_settled_cost_never_rises() -> None:
    beat = recorded(kept_s=60.0)

    assert settled(beat, DONE_AT + timedelta(seconds=200), price=T4, kept_s=300.0) == beat.cost


def test_what_cannot_be_settled_stays_as_it_was() -> None:
    later = CREATED + timedelta(seconds=20)
    other = Price(per_second=Decimal("0.001"), source="file")
    unknown = replace(recorded(), cost_usd=None, cost_is_estimated=False)

    assert settled(replace(recorded(), completed_at=None), later, price=T4, kept_s=300.0) == recorded().cost
    assert settled(recorded(), later, price=other, kept_s=300.0) == recorded().cost
    assert settled(recorded(), later, price=None, kept_s=300.0) == recorded().cost
    assert settled(unknown, later, price=T4, kept_s=300.0) == UNKNOWN
    assert settled(recorded(Billing.PUBLIC), later, price=T4, kept_s=300.0) == Cost(usd=Decimal("0.000112"))

"""Every worked example of docs/billing.md comes out as it is told, to the micro-dollar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from harness.pages import ROOT, Page

from warmer.core.avoided import avoided
from warmer.core.beat import Observation, Prediction, Reason, Request, Status, Verdict
from warmer.core.cost import cost_of, settled
from warmer.core.history import Evidence
from warmer.core.learned import Learned
from warmer.core.price import Billing, Cost, Known, Price, price_of, worst_case
from warmer.core.spent import Warming
from warmer.core.units import parse_duration

BILLING = Page(ROOT / "docs" / "billing.md")
CREATED = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
EXAMPLES = [[cell.strip("`") for cell in row] for row in BILLING.table("Worked examples")]
WORST = [[cell.strip("`") for cell in row] for row in BILLING.table("The most that a beat may cost")]


RUN = timedelta(seconds=1.5)
HOST = Learned().after_all(Evidence(at=CREATED, gap_s=gap, cold=gap > 300, wait_s=20) for gap in (295.0, 305.0) * 30)


def called(after_s: float, verdict: Verdict) -> Request:
    at = CREATED + timedelta(seconds=after_s)
    return Request(
        model="m",
        prediction_id=f"call-{after_s}",
        created_at=at,
        started_at=at,
        completed_at=at + RUN,
        gap_s=None,
        wait_s=0.0,
        run_s=RUN.total_seconds(),
        verdict=verdict,
        status=Status.SUCCEEDED,
    )


def price_in(cell: str) -> Price | None:
    usd, slash, unit = cell.partition("/")
    if not slash:
        return price_of(cell)
    return Price(source="file", **{"per_second" if unit == "s" else "per_output": Decimal(usd)})


def usd_in(cell: str) -> Decimal | None:
    return Decimal(cell) if cell else None


def after(cell: str) -> datetime | None:
    return CREATED + timedelta(seconds=float(cell)) if cell else None


def recorded(seen: Prediction, verdict: Verdict, cost: Cost, price: Price | None, billing: Billing) -> Observation:
    return Observation(
        model="m",
        prediction_id=seen.id,
        policy="aware",
        reason=Reason.IDLE,
        created_at=seen.created_at,
        started_at=seen.started_at,
        completed_at=seen.completed_at,
        gap_s=None,
        wait_s=seen.wait_s,
        run_s=seen.run_s,
        verdict=verdict,
        status=seen.status,
        error=None,
        cost_usd=cost.usd,
        price=str(price),
        billing=billing,
        cost_is_estimated=cost.is_estimated,
    )


def test_there_are_examples_of_every_class_status_and_kind_of_knowledge() -> None:
    assert len(EXAMPLES) >= 20
    assert {row[0] for row in EXAMPLES} == set(Billing)
    assert {row[2] for row in EXAMPLES} == {status for status in Status if not status.is_open}
    assert {row[9] for row in EXAMPLES} == set(Known)


@pytest.mark.parametrize("row", EXAMPLES, ids=lambda row: f"{row[0]}-{row[2]}-{row[10]}")
def test_a_worked_example_comes_out_as_told(row: list[str]) -> None:
    billing, price, verdict = Billing(row[0]), price_in(row[1]), Verdict(row[6])
    seen = Prediction(
        id="p",
        status=Status(row[2]),
        created_at=CREATED,
        started_at=after(row[3]),
        completed_at=after(row[4]),
        predict_s=float(row[5]) if row[5] else None,
    )
    idle, _, kept = row[7].partition(" of ")
    kept_s = float(kept or idle)
    cost = cost_of(seen, verdict, price=price, billing=billing, kept_s=kept_s)
    if kept:
        assert seen.completed_at is not None
        used = seen.completed_at + timedelta(seconds=float(idle))
        cost = settled(recorded(seen, verdict, cost, price, billing), used, price=price, kept_s=kept_s)

    assert (cost.usd, cost.known) == (usd_in(row[8]), Known(row[9]))


@pytest.mark.parametrize("row", WORST, ids=lambda row: f"{row[0]}-{row[1] or 'none'}")
def test_a_worst_case_comes_out_as_told(row: list[str]) -> None:
    assert worst_case(price_in(row[1]), Billing(row[0]), parse_duration(row[2]), float(row[3])) == usd_in(row[4])


def test_the_example_of_an_avoided_cold_start_comes_out_as_told() -> None:
    section = BILLING.section("What an avoided cold start costs")
    rows = [[cell.strip("`") for cell in row] for row in BILLING.table("What an avoided cold start costs")]
    calls = [called(float(after), Verdict(found)) for after, who, found, *_ in rows if who == "call"]
    beats = [
        Warming(model="m", reason="idle", begins=at, ends=at + RUN, cost=Cost(usd=Decimal(cost)))
        for at, cost in ((CREATED + timedelta(seconds=float(row[0])), row[4]) for row in rows if row[1] == "beat")
    ]
    found = avoided(calls, beats, HOST, start=CREATED, end=CREATED + timedelta(days=1))

    unwarmed = [row[3] for row in rows if row[1] == "call" and "not counted" not in row[5]]
    assert (found.calls, found.unwarmed_cold) == (len(unwarmed), unwarmed.count("cold"))
    assert found.cold_starts is not None
    assert f"Avoided: {found.cold_starts:g} cold starts." in section
    assert f"Cost: {sum(beat.cost.usd or 0 for beat in beats)}." in section
    assert f"Price of one: {found.price_usd}." in section


def test_every_word_for_how_a_sum_is_known_is_told() -> None:
    section = BILLING.text.partition("## The class")[0]
    assert all(f"| `{word}` |" in section for word in Known)

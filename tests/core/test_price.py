from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from warmer.core.price import (
    FREE,
    PER_SECOND,
    PRICES_READ_ON,
    UNKNOWN,
    Billing,
    Cost,
    Price,
    price_of,
    worst_case,
)

T4 = Price(per_second=Decimal("0.000225"), source="gpu-t4@2026-11-18")
RUN_ONLY = [Billing.PUBLIC, Billing.FAST_BOOT, Billing.OWN, Billing.CALL]

DOCUMENTED = {
    "cpu": "0.000100",
    "gpu-t4": "0.000225",
    "gpu-a40-small": "0.000575",
    "gpu-a40-large": "0.000725",
    "gpu-a40-large-2x": "0.001450",
    "gpu-a40-large-4x": "0.002900",
    "gpu-a40-large-8x": "0.005800",
    "gpu-l40s": "0.000975",
    "gpu-2x-l40s": "0.001950",
    "gpu-4x-l40s": "0.003900",
    "gpu-8x-l40s": "0.007800",
    "gpu-a100-large": "0.001400",
    "gpu-a100-large-2x": "0.002800",
    "gpu-a100-large-4x": "0.005600",
    "gpu-a100-large-8x": "0.011200",
    "gpu-h100": "0.001525",
    "gpu-h100-2x": "0.003050",
    "gpu-h100-4x": "0.006100",
    "gpu-h100-8x": "0.012200",
}


def test_the_table_holds_the_documented_prices_and_no_others() -> None:
    assert {sku: f"{usd:f}" for sku, usd in PER_SECOND.items()} == DOCUMENTED


@pytest.mark.parametrize(
    ("sku", "hour"),
    [
        ("cpu", "0.36"),
        ("gpu-t4", "0.81"),
        ("gpu-a40-small", "2.07"),
        ("gpu-a40-large", "2.61"),
        ("gpu-l40s", "3.51"),
        ("gpu-a100-large", "5.04"),
        ("gpu-h100", "5.49"),
    ],
)
def test_an_hour_costs_what_the_price_page_says(sku: str, hour: str) -> None:
    assert PER_SECOND[sku] * 3600 == Decimal(hour)


def test_a_price_of_the_table_says_where_it_is_from_and_of_which_day() -> None:
    price = price_of("gpu-t4")

    assert price == Price(per_second=Decimal("0.000225"), source=f"gpu-t4@{PRICES_READ_ON}")
    assert str(price) == f"0.000225/s gpu-t4@{PRICES_READ_ON}"


@pytest.mark.parametrize("hardware", [None, "", "gpu-h200", "GPU-T4", "gpu-l40s-2x", "gpu-2x-a100-large", "cpu-2x"])
def test_hardware_that_is_not_in_the_table_has_no_price(hardware: str | None) -> None:
    assert price_of(hardware) is None


@pytest.mark.parametrize("usd", ["-0.000001", "NaN", "Infinity"])
def test_a_price_is_a_number_of_dollars(usd: str) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Price(per_second=Decimal(usd), source="file")


def test_a_price_is_of_a_second_or_of_an_output() -> None:
    with pytest.raises(ValueError, match="second or of an output"):
        Price(source="file")
    with pytest.raises(ValueError, match="second or of an output"):
        Price(per_second=Decimal(1), per_output=Decimal(1), source="file")


def test_a_price_is_written_with_its_unit_and_without_an_exponent() -> None:
    assert str(Price(per_second=Decimal("1E-7"), source="file")) == "0.0000001/s file"
    assert str(Price(per_output=Decimal("0.003"), source="file")) == "0.003/output file"


def test_which_classes_bill_the_run_alone() -> None:
    assert [billing for billing in Billing if billing.bills_run_only] == RUN_ONLY


TEN_MINUTES = timedelta(minutes=10)
PER_OUTPUT = Price(per_output=Decimal("0.003"), source="file")


@pytest.mark.parametrize(
    ("price", "billing", "kept_s", "usd"),
    [
        (T4, Billing.PUBLIC, 300.0, "0.135000"),  # idle time is free
        (T4, Billing.FAST_BOOT, 300.0, "0.135000"),
        (T4, Billing.PRIVATE, 300.0, "0.202500"),
        (T4, Billing.DEPLOYMENT, 60.0, "0.148500"),
        (T4, Billing.DEPLOYMENT, 0.001, "0.135001"),  # rounded up, never down
        (PER_OUTPUT, Billing.OFFICIAL, 300.0, "0.003000"),
        (T4, Billing.OFFICIAL, 300.0, None),
        (PER_OUTPUT, Billing.PUBLIC, 300.0, None),
        (PER_OUTPUT, Billing.PRIVATE, 300.0, None),
        *((None, billing, 300.0, None) for billing in Billing),
    ],
)
def test_the_worst_case_is_the_deadline_and_the_idle_window_where_that_is_billed(
    price: Price | None, billing: Billing, kept_s: float, usd: str | None
) -> None:
    assert worst_case(price, billing, TEN_MINUTES, kept_s) == (None if usd is None else Decimal(usd))


def test_costs_add_up_to_what_the_least_known_of_them_allows() -> None:
    exact, estimated = Cost(usd=Decimal("0.1")), Cost(usd=Decimal("0.2"), is_estimated=True)

    assert (FREE + exact) == exact
    assert (exact + estimated) == Cost(usd=Decimal("0.3"), is_estimated=True)
    assert (exact + UNKNOWN).usd is None
    assert [cost.known for cost in (exact, estimated, UNKNOWN)] == ["exact", "estimated", "unknown"]


@pytest.mark.parametrize("amount", [{"per_second": Decimal("0.000225")}, {"per_output": Decimal("3")}])
def test_a_price_is_read_back_from_its_text(amount: dict[str, Decimal]) -> None:
    price = Price(**amount, source="gpu-t4@2026-11-18")
    assert Price.read(str(price)) == price
    for text in ("", "0.1", "0.1/min x", "-1/s x", "1e3/s x"):
        with pytest.raises(ValueError, match="is no price"):
            Price.read(text)

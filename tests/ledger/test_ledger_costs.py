"""How a cost is known, kept with it, and the cost that is put right later."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from warmer.core.budget import Cap, Limit, Period
from warmer.core.price import UNKNOWN, Cost, Price
from warmer.ports import Ledger


@pytest.mark.parametrize(
    "cost", [UNKNOWN, Cost(usd=Decimal("0.000225")), Cost(usd=Decimal("0.067612"), is_estimated=True)]
)
def test_how_a_cost_is_known_comes_back_with_it(ledger: Ledger, facts: Any, cost: Cost) -> None:
    assert ledger.claim(facts.claim())
    seen = facts.observation(cost_usd=cost.usd, cost_is_estimated=cost.is_estimated)
    assert ledger.finish(facts.key(), seen)

    (kept,) = ledger.beats()
    assert kept == seen
    assert kept.cost == cost


def test_a_cost_is_put_right_and_counted_as_that(ledger: Ledger, facts: Any) -> None:
    assert ledger.claim(facts.claim())
    ledger.finish(facts.key(), facts.observation(cost_usd=Decimal("0.067612"), cost_is_estimated=True))
    day = timedelta(days=1)
    cap = Cap(model=facts.model, period=Period.DAILY, usd=Decimal(1))
    limit = Limit(cap=cap, start=facts.start - day, end=facts.start + day)

    for usd in ("0.011205", "0.011205", "0.004612"):
        ledger.settle_cost("beat-1", Cost(usd=Decimal(usd), is_estimated=True))
        (kept,) = ledger.beats()
        (spent,) = ledger.spendings([limit], facts.start)
        assert kept.cost == Cost(usd=Decimal(usd), is_estimated=True)
        assert spent.settled_usd == Decimal(usd)


@pytest.mark.parametrize("price", [None, Price(per_output=Decimal("0.003"), source="file")])
def test_the_price_that_a_beat_was_sent_at_outlives_its_process(
    ledger: Ledger, facts: Any, price: Price | None
) -> None:
    assert ledger.claim(facts.claim(price=price))

    assert ledger.history(facts.model).open_beat.request.price == price  # type: ignore[union-attr]  # it is open

"""How a cost is known, kept with it, and the cost that is put right later."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from warmer.core.budget import Cap, Limit, Period
from warmer.core.price import FREE, UNKNOWN, Cost, Price
from warmer.errors import LedgerError
from warmer.ports import Ledger

DEAR = {"cost_usd": Decimal("0.067612"), "cost_is_estimated": True}


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


def test_a_cost_is_put_right_with_the_end_of_a_later_beat_and_counted_as_that(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=0, **DEAR)

    for slot, usd in enumerate(("0.011205", "0.011205", "0.004612"), start=2):
        assert ledger.claim(facts.claim(slot))
        known = {"beat-1": Cost(usd=Decimal(usd), is_estimated=True)}
        assert ledger.finish(facts.key(slot), facts.observation(f"beat-{slot}", cost_usd=Decimal(0)), known)
        first = next(beat for beat in ledger.beats() if beat.prediction_id == "beat-1")
        assert first.cost == known["beat-1"]
        assert spent(ledger, facts) == Decimal(usd)


def test_an_end_that_is_on_record_already_settles_nothing(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=0, **DEAR)
    facts.record(ledger, 2, created=60, cost_usd=Decimal(0))

    assert not ledger.finish(facts.key(2), facts.observation("beat-2"), {"beat-1": FREE})
    assert spent(ledger, facts) == DEAR["cost_usd"]


def test_an_end_and_what_it_settles_are_written_together_or_not_at_all(database: Any, facts: Any) -> None:
    ledger = database.open()
    facts.record(ledger, 1, created=0, **DEAR)
    assert ledger.claim(facts.claim(2))

    lose_power_at_sums(database.url)
    with pytest.raises(LedgerError, match="the power went"):
        ledger.finish(facts.key(2), facts.observation("beat-2", cost_usd=Decimal(0)), {"beat-1": FREE})

    assert [beat.prediction_id for beat in ledger.beats()] == ["beat-1"]
    assert [beat.key for beat in ledger.open_beats()] == [facts.key(2)]
    assert spent(ledger, facts) == DEAR["cost_usd"]


def lose_power_at_sums(url: str) -> None:
    """Any change of what was spent fails from here on."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute(
                "CREATE TRIGGER dies BEFORE UPDATE ON spending BEGIN SELECT RAISE(ABORT, 'the power went'); END"
            )
    else:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(
                "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'the power went'; END $$"
            )
            server.execute("CREATE TRIGGER dies BEFORE UPDATE ON spending FOR EACH ROW EXECUTE FUNCTION die()")


def spent(ledger: Ledger, facts: Any) -> Decimal:
    day = timedelta(days=1)
    cap = Cap(model=facts.model, period=Period.DAILY, usd=Decimal(1))
    (found,) = ledger.spendings([Limit(cap=cap, start=facts.start - day, end=facts.start + day)], facts.start)
    return found.settled_usd


@pytest.mark.parametrize("price", [None, Price(per_output=Decimal("0.003"), source="file")])
def test_the_price_that_a_beat_was_sent_at_outlives_its_process(
    ledger: Ledger, facts: Any, price: Price | None
) -> None:
    assert ledger.claim(facts.claim(price=price))

    assert ledger.history(facts.model).open_beat.request.price == price  # type: ignore[union-attr]  # it is open

"""Money in the ledger: reserved with the claim, settled with the end, never above a cap."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warmer.core.beat import Answer, Claim, Status
from warmer.core.budget import Cap, Limit, Period, Spending
from warmer.ports import Ledger

USD = Decimal
DAY = timedelta(days=1)
OTHER = "acme/other"


class Money:
    """Claims under caps of the day that begins an hour before the facts do."""

    def __init__(self, facts: Any, ledger: Ledger) -> None:
        self.facts, self.ledger = facts, ledger

    def limit(self, usd: str, *, model: str | None = None, day: int = 0) -> Limit:
        start = (self.facts.start - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0) + day * DAY
        cap = Cap(model=model, period=Period.DAILY, usd=USD(usd))
        return Limit(cap=cap, start=start, end=start + DAY)

    def claim(self, slot: int, reserve: str, *limits: Limit, at: float = 0, **more: Any) -> Answer:
        plain = self.facts.claim(slot, at=at, **more)
        return self.ledger.claim(
            Claim(
                key=plain.key,
                at=plain.at,
                policy=plain.policy,
                reason=plain.reason,
                request=plain.request,
                reserve_usd=USD(reserve),
                limits=limits,
            )
        )

    def finish(self, slot: int, cost: str | None, *, at: float = 0, model: str | None = None, **more: Any) -> None:
        model = model or self.facts.model
        seen = self.facts.observation(
            f"{model}-{slot}",
            created=at,
            started=at,
            completed=at,
            model=model,
            cost_usd=None if cost is None else USD(cost),
        )
        assert self.ledger.finish(self.facts.key(slot, model=model), replace(seen, **more))

    def counts(self, limit: Limit, at: float = 0) -> tuple[Decimal, Decimal]:
        (found,) = self.ledger.spendings([limit], self.facts.at(at))
        assert found.limit == limit
        return found.settled_usd, found.reserved_usd


@pytest.fixture
def money(facts: Any, ledger: Ledger) -> Money:
    return Money(facts, ledger)


def test_a_claim_reserves_and_its_end_puts_the_cost_in_place(money: Money) -> None:
    cap = money.limit("2")
    assert money.claim(1, "0.5", cap)
    assert money.counts(cap) == (0, USD("0.5"))
    money.finish(1, "0.000225")
    assert money.counts(cap) == (USD("0.000225"), 0)


def test_what_just_fits_is_taken_and_a_micro_dollar_more_is_not(money: Money) -> None:
    cap = money.limit("1")
    assert money.claim(1, "0.4", cap)
    assert money.claim(2, "0.6", cap)
    refused = money.claim(3, "0.000001", cap)
    assert not refused
    assert refused.stopped_by == Spending(limit=cap, settled_usd=USD(0), reserved_usd=USD(1))
    money.finish(2, "0.599999")
    assert money.claim(3, "0.000001", cap)


def test_a_refused_claim_leaves_nothing_behind(money: Money) -> None:
    assert not money.claim(1, "0.6", money.limit("0.5"))
    assert money.ledger.open_beats() == ()
    assert money.ledger.history(money.facts.model).slots == 0
    assert money.claim(1, "0.5", money.limit("0.5"))


def test_a_beat_that_another_process_has_claimed_is_told_as_that_and_not_as_a_matter_of_money(money: Money) -> None:
    cap = money.limit("0.5")
    assert money.claim(1, "0.5", cap)
    assert money.claim(1, "0.5", cap) == Answer(taken=False)


def test_the_cap_of_a_model_counts_its_own_beats_and_that_of_all_counts_every_one(money: Money) -> None:
    own, total = money.limit("1", model=money.facts.model), money.limit("1.5")
    assert money.claim(1, "0.9", own, total)
    assert money.claim(1, "0.6", total, model=OTHER)
    money.finish(1, "0.8")
    money.finish(1, "0.55", model=OTHER)
    assert money.counts(own) == (USD("0.8"), 0)
    assert money.counts(total) == (USD("1.35"), 0)
    stopped = money.claim(2, "0.2", own, total)
    assert stopped.stopped_by is not None
    assert stopped.stopped_by.limit == total
    assert money.claim(2, "0.2", own)


def test_a_cost_that_stays_unknown_counts_as_what_was_reserved(money: Money) -> None:
    cap = money.limit("1")
    assert money.claim(1, "0.7", cap)
    money.finish(1, None)
    assert money.counts(cap, at=3600 * 5) == (USD("0.7"), 0)


def test_what_never_reached_the_provider_gives_its_money_back_at_once(money: Money) -> None:
    cap = money.limit("1")
    assert money.claim(1, "0.7", cap)
    money.finish(1, "0", prediction_id=None, status=Status.FAILED)
    assert money.counts(cap) == (0, 0)


def test_what_was_lost_gives_its_money_back_at_its_deadline(money: Money) -> None:
    cap = money.limit("1")
    assert money.claim(1, "0.7", cap)
    money.finish(1, None, prediction_id=None, status=Status.UNKNOWN)
    assert money.counts(cap, at=599) == (0, USD("0.7"))
    assert money.counts(cap, at=600) == (0, 0)


def test_a_beat_counts_in_the_day_it_was_claimed_in_whenever_it_ends(money: Money) -> None:
    today, tomorrow = money.limit("1"), money.limit("1", day=1)
    late = (today.end - money.facts.start).total_seconds() - 1
    assert money.claim(1, "0.7", today, at=late)
    money.finish(1, "0.3", at=late + 5)
    assert money.counts(today) == (USD("0.3"), 0)
    assert money.counts(tomorrow) == (0, 0)
    assert money.claim(2, "1", tomorrow, at=late + 1)


def test_a_cap_that_comes_later_counts_what_is_spent_already(money: Money) -> None:
    assert money.claim(1, "0.7")
    money.finish(1, "0.4")
    assert money.claim(2, "0.3")
    assert not money.claim(3, "0.5", money.limit("1"))
    assert money.claim(3, "0.5", money.limit("1.2"))
    assert money.counts(money.limit("0.1")) == (USD("0.4"), USD("0.8"))


def test_a_cap_that_comes_after_beats_of_unknown_cost_lets_none_pass_before_its_next_window(money: Money) -> None:
    plain = money.facts.claim()
    assert plain.reserve_usd is None  # without a price, which is sent where no cap binds
    assert money.ledger.claim(plain)
    money.finish(1, None)
    own, total, next_day = money.limit("1", model=money.facts.model), money.limit("9"), money.limit("1", day=1)

    for limit in (own, total):
        (found,) = money.ledger.spendings([limit], money.facts.at(5))
        assert (found.unknown_beats, found.left_usd, found.stops_for_good(USD(0))) == (1, 0, True)
        refused = money.claim(2, "0.000001", limit)
        assert refused.stopped_by is not None
        assert refused.stopped_by.limit == limit
    assert money.claim(2, "1", money.limit("1", model=OTHER), model=OTHER)
    assert money.claim(2, "1", next_day, at=86_400)


def test_a_beat_without_a_price_that_cost_nothing_for_certain_stops_nothing(money: Money) -> None:
    assert money.ledger.claim(money.facts.claim())
    money.finish(1, "0", status=Status.FAILED)
    assert money.claim(2, "1", money.limit("1"))


def test_one_that_was_lost_may_be_out_until_its_deadline(money: Money) -> None:
    assert money.ledger.claim(money.facts.claim())
    money.finish(1, None, prediction_id=None, status=Status.UNKNOWN)
    assert not money.claim(2, "1", money.limit("1"), at=599)
    assert money.claim(2, "1", money.limit("1"), at=600)


def test_a_claim_under_a_cap_says_what_it_may_cost(money: Money) -> None:
    plain = money.facts.claim()
    with pytest.raises(ValueError, match="nobody knows what it may cost"):
        replace(plain, limits=(money.limit("1"),))


COSTS = st.integers(0, 400_000).map(lambda micros: Decimal(micros) / 1_000_000)
RUNS = itertools.count()  # days apart, for all share one ledger
STEPS = st.lists(
    st.tuples(st.sampled_from(("acme/one", "acme/two")), COSTS, st.none() | st.floats(0, 1), st.integers(0, 7200)),
    max_size=12,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_sums_are_those_of_the_beats(money: Money, steps: list[Any]) -> None:
    run = next(RUNS)
    names = [f"{run}-{name}" for name in ("acme/one", "acme/two")]
    own = [money.limit("1", model=name, day=run + 1) for name in names]
    expected = dict.fromkeys(names, (USD(0), USD(0)))
    base = (own[0].start - money.facts.start).total_seconds()
    for slot, (model, reserve, share, at) in enumerate(steps, 1):
        name, limit = f"{run}-{model}", own[model == "acme/two"]
        settled, reserved = expected[name]
        fits = settled + reserved + reserve <= 1
        assert bool(money.claim(slot, str(reserve), limit, at=base + at, model=name)) == fits
        if fits and share is not None:
            cost = (reserve * Decimal(share)).quantize(Decimal("0.000001"))
            money.finish(slot, str(cost), at=base + at, model=name)
            expected[name] = settled + cost, reserved
        elif fits:
            expected[name] = settled, reserved + reserve
        assert [money.counts(one, at=base + 7200) for one in own] == list(expected.values())

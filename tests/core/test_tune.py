from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.backtest.entry import Host, Traffic
from warmer.core.backtest.trace import Trace
from warmer.core.hours import ActiveHours
from warmer.core.price import Billing, Price
from warmer.core.situations import NAMES, situation
from warmer.core.spec import DEFAULT_COLD_TARGET, ModelSpec, PolicyName, Target, TargetKind
from warmer.core.tune import LEAST_SAVED, Tuned, tune

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
USUAL, LONG = Host(), Host(idle_timeout_s=300.0, trusted_s=280.0, is_known=True)
PRICE = Price(per_second=Decimal("0.001"), source="file")


def entry(*lines: str, **more: Any) -> ModelSpec:
    hours = ActiveHours(lines=lines or ("24/7",), zone=ZoneInfo("UTC"))
    target = Target(kind=TargetKind.MODEL, owner="a", name="b")
    return ModelSpec(**{"name": "m", "target": target, "hours": hours, "price": PRICE} | more)


def traffic(name: str, days: int = 21, seed: int = 0) -> Traffic:
    return Traffic(trace=situation(name, days=days, seed=seed), midnight=MONDAY)


def tuned(name: str, one: ModelSpec | None = None, host: Host = USUAL, days: int = 21) -> Tuned:
    return tune(one or entry(), traffic(name, days), host)


def suggested(found: Tuned) -> ModelSpec:
    assert found.suggested is not None, found.why
    return found.suggested.entry


def test_office_hours_are_found_where_the_model_was_warm_day_and_night() -> None:
    found = tuned("office")
    assert suggested(found).hours.lines == ("Mo-Fr 08:00-18:00",)
    saved = found.saved_beats_a_day
    assert saved is not None
    assert 1000 < saved.low < saved.mean < saved.high < 1800
    money = found.saved_usd_a_day
    assert money is not None
    assert money.low < money.mean < money.high
    assert float(money.mean) == pytest.approx(saved.mean * 0.0003, abs=1e-6)
    assert found.suggested is not None
    assert found.suggested.days.cold_share <= DEFAULT_COLD_TARGET


def test_a_timer_is_met_and_not_waited_for() -> None:
    found = tuned("timer")
    assert suggested(found).policy is PolicyName.ADAPTIVE
    assert found.now is not None
    assert found.suggested is not None
    assert found.suggested.days.beats_a_day < 0.15 * found.now.days.beats_a_day


def test_four_calls_a_day_are_not_worth_warming_and_the_figures_say_why() -> None:
    found = tuned("rare")
    assert suggested(found).policy is PolicyName.OBSERVE
    assert found.why.startswith("not worth warming: it takes 4")
    # Where the time-out is long, one heartbeat goes a long way.
    assert tuned("rare", host=LONG).suggested is None


def test_a_target_in_the_file_is_held_at_any_price() -> None:
    found = tuned("rare", entry(policy=PolicyName.ADAPTIVE, cold_target=0.05))
    assert found.suggested is None or found.suggested.entry.policy is not PolicyName.OBSERVE


def test_an_observed_model_that_is_worth_it_is_warmed_with_the_fewest_heartbeats() -> None:
    found = tuned("office", entry(policy=PolicyName.OBSERVE))
    assert suggested(found).hours.lines == ("Mo-Fr 08:00-18:00",)
    assert "heartbeats for each cold start avoided" in found.why
    assert tuned("rare", entry(policy=PolicyName.OBSERVE)).suggested is None


def test_dense_traffic_needs_no_change() -> None:
    seconds = np.arange(0, 10 * 86_400, 45.0)
    dense = Traffic(trace=Trace.of("dense", {"m": seconds}, days=10), midnight=MONDAY)
    found = tune(entry(), dense, USUAL)
    assert found.suggested is None
    assert found.why.startswith("nothing to change")
    assert found.now is not None
    assert found.now.days.beats_a_day < 1


def test_an_every_shorter_than_what_was_learned_gives_way() -> None:
    cron = entry(policy=PolicyName.FIXED, every=timedelta(seconds=30))
    assert suggested(tuned("steady", cron, LONG)).every is None
    assert suggested(tuned("office", cron, USUAL)).every == timedelta(seconds=30)


def test_hours_that_miss_the_traffic_are_moved_to_it() -> None:
    found = tuned("evening", entry("Mo-Fr 08:00-20:00"))
    assert suggested(found).hours.lines == ("Mo-Fr 18:00-24:00; Sa,Su 12:00-24:00",)
    assert found.now is not None
    assert found.suggested is not None
    assert found.suggested.days.cold_share < 0.1 * found.now.days.cold_share


def test_a_price_of_a_cold_start_is_weighed_against_that_of_heartbeats() -> None:
    cheap, dear = (entry(cold_start_price=Decimal(usd)) for usd in ("0.005", "0.5"))
    few, many = tuned("office", cheap), tuned("office", dear)
    assert few.suggested is not None
    assert many.suggested is not None
    assert few.suggested.entry.policy is PolicyName.ADAPTIVE
    assert few.suggested.entry.cold_start_price == Decimal("0.005")
    assert few.suggested.days.beats_a_day < many.suggested.days.beats_a_day
    assert few.suggested.days.cold_share > many.suggested.days.cold_share
    unknown = tuned("office", replace(cheap, billing=Billing.OFFICIAL))
    assert unknown.now is None
    assert "no known price" in unknown.why


def test_without_a_price_heartbeats_are_counted() -> None:
    found = tuned("office", entry(price=None))
    assert suggested(found).hours.lines == ("Mo-Fr 08:00-18:00",)
    assert found.saved_usd_a_day is None
    assert found.saved_beats_a_day is not None


def test_a_shadow_that_becomes_the_policy_is_no_shadow_any_more() -> None:
    found = tuned("timer", entry(shadow=PolicyName.ADAPTIVE))
    assert suggested(found).policy is PolicyName.ADAPTIVE
    assert suggested(found).shadow is None


@pytest.mark.parametrize("days", [1, 6])
def test_too_few_days_say_so(days: int) -> None:
    found = tuned("office", days=days)
    assert found.now is None
    assert found.suggested is None
    assert f"{days} whole day{'' if days == 1 else 's'}: too few to judge" in found.why


def test_too_few_calls_say_so() -> None:
    calls = [MONDAY + timedelta(days=day) for day in range(12)]
    found = tune(entry(), Traffic.of_moments("t", "m", calls, ZoneInfo("UTC")), USUAL)
    assert found.why == "12 calls on 11 whole days: too few to judge; needs 20 calls and 7 whole days"
    nobody = tune(entry(), None, USUAL)
    assert nobody.why.startswith("0 calls on 0 whole days: too few")
    assert "traffic: off" in tuned("office", entry(traffic=False)).why


def test_days_without_calls_count_up_to_now() -> None:
    calls = [MONDAY + timedelta(hours=hour) for hour in range(40)]
    seen = Traffic.of_moments("t", "m", calls, ZoneInfo("UTC"))
    found = tune(entry(), seen.until(MONDAY + timedelta(days=30)), USUAL)
    assert found.days == 30
    saved = found.saved_beats_a_day
    assert saved is not None
    assert saved.low > 1600


def test_two_runs_are_the_same_to_the_last_digit() -> None:
    one, two = tuned("evening"), tuned("evening")
    assert one.saved_beats_a_day == two.saved_beats_a_day
    assert one.saved_usd_a_day == two.saved_usd_a_day
    assert one.suggested is not None
    assert two.suggested is not None
    assert one.suggested.days.cold_band == two.suggested.days.cold_band


ENTRIES = [
    entry(),
    entry(policy=PolicyName.FIXED, every=timedelta(seconds=30)),
    entry("Mo-Fr 08:00-20:00"),
    entry(policy=PolicyName.OBSERVE),
    entry(policy=PolicyName.ADAPTIVE, cold_target=0.05),
    entry(policy=PolicyName.ADAPTIVE, cold_start_price=Decimal("0.01")),
]


@given(
    st.sampled_from(NAMES), st.integers(1, 99), st.sampled_from(ENTRIES), st.sampled_from([USUAL, LONG]), st.booleans()
)
@settings(max_examples=20, deadline=None)
def test_a_suggestion_is_better_by_the_replay_and_is_left_alone_the_next_time(
    name: str, seed: int, one: ModelSpec, host: Host, has_price: bool
) -> None:
    if not has_price and one.cold_start_price is None:
        one = replace(one, price=None)
    seen = traffic(name, days=9, seed=seed)
    found = tune(one, seen, host)
    if found.suggested is None:
        return
    assert found.now is not None
    now, then = found.now, found.suggested
    cost, cold = then.mean_cost, then.days.cold_share
    if one.policy is PolicyName.OBSERVE:
        assert cold <= DEFAULT_COLD_TARGET < now.days.cold_share
    elif then.entry.policy is PolicyName.OBSERVE:
        assert cost == 0 < now.mean_cost
    elif one.cold_start_price is not None:
        assert cost <= (1 - LEAST_SAVED) * now.mean_cost
    else:
        assert cost <= now.mean_cost
        assert cold <= max(one.cold_target or DEFAULT_COLD_TARGET, now.days.cold_share)
    assert tune(then.entry, seen, host).suggested is None


def test_a_floor_is_passed_by_and_it_says_why() -> None:
    up = Target(kind=TargetKind.DEPLOYMENT, owner="a", name="b")
    found = tuned("office", entry(target=up, policy=PolicyName.FLOOR))
    assert (found.now, found.suggested) == (None, None)
    assert "floor" in found.why

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from warmer.core.backtest.entry import Host
from warmer.core.backtest.outcome import row
from warmer.core.backtest.policies import Settings, policy
from warmer.core.backtest.trace import SECOND, Trace
from warmer.core.hours import ActiveHours
from warmer.core.price import Price
from warmer.core.shadow import Score, shadow_of
from warmer.core.situations import situation
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind

BEGINS = datetime(2026, 11, 2, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
HOST = Host(idle_timeout_s=240.0, trusted_s=200.0, boot_s=30.0, run_s=0.4)


def calls(name: str) -> list[datetime]:
    (arrivals,) = situation(name, days=6).models
    return [BEGINS + timedelta(microseconds=at) for at in arrivals.at.tolist()]


def entry(shadow: PolicyName | None, **more: Any) -> ModelSpec:
    hours = ActiveHours(lines=("24/7",), zone=ZoneInfo("Europe/Berlin"))
    target = Target(kind=TargetKind.MODEL, owner="a", name="b")
    return ModelSpec(**{"name": "m", "target": target, "hours": hours, "shadow": shadow} | more)


@pytest.mark.parametrize(
    ("shadow", "name", "more", "told"),
    [
        (PolicyName.ADAPTIVE, "adaptive", {}, {"cold_target": 0.02}),
        (PolicyName.ADAPTIVE, "adaptive", {"cold_target": 0.005}, {"cold_target": 0.005}),
        (PolicyName.ADAPTIVE, "adaptive", {"cold_start_price": Decimal("0.02")}, {"cold_start_worth": 50.0}),
        (PolicyName.FIXED, "fixed", {}, {}),
        (PolicyName.OBSERVE, "none", {}, {}),
    ],
)
def test_its_score_is_the_backtest_on_the_same_data(
    shadow: PolicyName, name: str, more: dict[str, Any], told: dict[str, float]
) -> None:
    price = Price(per_second=Decimal("0.001"), source="file")
    seen = calls("evening")
    found = shadow_of(entry(shadow, price=price, **more), seen, HOST)
    assert found is not None
    trace = Trace.of_moments("ledger", {"m": seen}, ZoneInfo("Europe/Berlin"))
    settings = Settings(interval=200 * SECOND, **told)
    for score, backtested in ((found.candidate, name), (found.entry, "aware")):
        replays = list(policy(backtested, settings).on(trace, HOST.world))
        expected = row(trace, backtested, {}, replays, HOST.world)
        assert (score.beats, score.cold_share) == (expected.heartbeats, expected.cold_share)
        assert score.cost_usd == expected.heartbeats * Decimal("0.0004")
    assert (found.calls, found.idle_timeout_s, found.interval_s, found.boot_s) == (len(seen), 240.0, 200.0, 30.0)


def test_without_a_shadow_or_a_call_there_is_no_score() -> None:
    assert shadow_of(entry(None), calls("evening"), HOST) is None
    assert shadow_of(entry(PolicyName.ADAPTIVE), [], HOST) is None


def test_an_unknown_price_leaves_the_cost_unknown() -> None:
    found = shadow_of(entry(PolicyName.OBSERVE), calls("office"), HOST)
    assert found is not None
    assert found.entry.cost_usd is None
    assert found.candidate == Score(beats=0, cost_usd=None, cold_share=found.candidate.cold_share)


def test_both_keep_to_the_hours_of_the_entry() -> None:
    one = entry(PolicyName.ADAPTIVE)
    whole = shadow_of(one, calls("evening"), HOST)
    some = shadow_of(replace(one, hours=replace(one.hours, lines=("08:00-12:00",))), calls("evening"), HOST)
    assert whole is not None
    assert some is not None
    assert some.entry.beats < 0.2 * whole.entry.beats
    assert some.candidate.beats < whole.candidate.beats

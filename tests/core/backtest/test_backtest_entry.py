from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from core.backtest.histories import HISTORIES, end_of
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.backtest.entry import Host, Traffic, replay_entry, settings_of
from warmer.core.backtest.policies import Settings, policy
from warmer.core.backtest.trace import HOUR, SECOND, Arrivals, Trace
from warmer.core.hours import ActiveHours
from warmer.core.idle_timeout import Find
from warmer.core.learned import Learned
from warmer.core.price import Billing, Price
from warmer.core.situations import situation
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
THESE_YEARS = "2024-2030"  # open throughout any trace here, and yet not for ever
NAMES = {PolicyName.OBSERVE: "none", PolicyName.FLOOR: "aware"}


def entry(policy: PolicyName, *lines: str, **more: Any) -> ModelSpec:
    hours = ActiveHours(lines=lines or ("24/7",), zone=ZoneInfo("UTC"))
    kind = TargetKind.DEPLOYMENT if policy is PolicyName.FLOOR else TargetKind.MODEL
    target = Target(kind=kind, owner="a", name="b")
    return ModelSpec(**{"name": "m", "target": target, "hours": hours, "policy": policy} | more)


def traffic(arrivals: Arrivals, end: int | None = None) -> Traffic:
    return Traffic(trace=Trace(name="t", models=(arrivals,), end=end or end_of(arrivals)), midnight=MONDAY)


def of_situation(name: str) -> Traffic:
    return Traffic(trace=situation(name, days=8), midnight=MONDAY)


@pytest.mark.parametrize("name", PolicyName)
def test_around_the_clock_it_is_the_backtest_of_the_policy(name: PolicyName) -> None:
    calls = of_situation("office")
    host = Host(idle_timeout_s=300.0, trusted_s=280.0, boot_s=20.0)
    target = 0.02 if name is PolicyName.ADAPTIVE else None
    told = Settings(interval=280 * SECOND, cold_target=target)
    (expected,) = policy(NAMES.get(name, name), told).on(calls.trace, host.world)
    assert replay_entry(entry(name), calls, host).same_as(expected)


@pytest.mark.parametrize("name", PolicyName)
@given(HISTORIES)
@settings(max_examples=40, deadline=None)
def test_hours_that_never_close_change_no_decision(name: PolicyName, arrivals: Arrivals) -> None:
    calls = traffic(arrivals)
    assert replay_entry(entry(name, THESE_YEARS), calls, Host()).same_as(replay_entry(entry(name), calls, Host()))


@pytest.mark.parametrize("name", PolicyName)
@given(HISTORIES, st.integers(0, 2), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_no_heartbeat_leaves_outside_the_hours_and_their_lead(
    name: PolicyName, arrivals: Arrivals, opens: int, length: int
) -> None:
    one = entry(name, f"{opens:02}:00-{opens + length:02}:00", lead=timedelta(minutes=2))
    hour = replay_entry(one, traffic(arrivals), Host()).sent % (24 * HOUR)
    assert np.all(hour >= opens * HOUR - 120 * SECOND)
    assert np.all(hour < (opens + length) * HOUR)


@pytest.mark.parametrize("name", [PolicyName.AWARE, PolicyName.FIXED])
def test_a_window_begins_with_a_heartbeat_as_early_as_a_boot_takes(name: PolicyName) -> None:
    calls = traffic(Arrivals(model="m", at=np.array([HOUR])), end=48 * HOUR)
    sent = replay_entry(entry(name, "08:00-20:00"), calls, Host(lead_s=90.0)).sent
    assert list(sent[sent >= 24 * HOUR][:1]) == [32 * HOUR - 90 * SECOND]
    assert list(sent[:1]) == [8 * HOUR - 90 * SECOND]
    late = replay_entry(entry(name, "08:00-20:00", lead=timedelta(0)), calls, Host(lead_s=90.0)).sent
    assert list(late[:1]) == [8 * HOUR]


def test_a_target_is_held_over_the_calls_in_the_hours_alone() -> None:
    calls = of_situation("steady")
    one = entry(PolicyName.ADAPTIVE, "08:00-20:00", cold_target=0.05)
    (arrivals,) = calls.trace.models
    cold = replay_entry(one, calls, Host()).cold
    inside = np.array([one.hours.contains(calls.moment(at)) for at in arrivals.at.tolist()])
    assert cold[inside].mean() < 0.12  # of 600 calls, from the first day on
    assert cold[~inside].mean() > 0.8


def test_windows_follow_a_change_of_the_clock() -> None:
    zone = ZoneInfo("Europe/Berlin")
    calls = [datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 30, 12, tzinfo=UTC)]
    one = replace(entry(PolicyName.AWARE), hours=ActiveHours(lines=("09:00-10:00",), zone=zone))
    days = Traffic.of_moments("t", "m", calls, zone)
    sent = [days.moment(at) for at in replay_entry(one, days, Host()).sent.tolist()]
    assert sent[0] == datetime(2026, 3, 29, 7, tzinfo=UTC)
    assert {moment.astimezone(zone).hour for moment in sent} == {9}


def test_the_host_is_as_learned_and_usual_until_it_is() -> None:
    assert Host.of(None) == Host.of(Learned()) == Host()
    assert Host().world.idle_timeout == 60 * SECOND
    learned = Learned().after_all([])
    belief = learned.idle_timeout
    for gap_s in (100.0, 200.0, 300.0, 400.0, 350.0) * 8:
        belief = belief.after(Find(gap_s=gap_s, cold=gap_s >= 350))
    host = Host.of(Learned(idle_timeout=belief, boots_s=(10.0, 20.0, 30.0)), run_s=0.5, billing=Billing.PUBLIC)
    assert host.is_known
    assert 280 < host.trusted_s <= host.idle_timeout_s < 370
    assert (host.boot_s, host.lead_s, host.run_s) == (20.0, 30.0, 0.5)


def test_every_bounds_what_was_learned_and_fixed_keeps_to_it() -> None:
    host = Host(idle_timeout_s=300.0, trusted_s=280.0)
    short, long = timedelta(seconds=30), timedelta(minutes=10)
    assert host.interval_s(entry(PolicyName.AWARE)) == 280
    assert host.interval_s(entry(PolicyName.AWARE, every=short)) == 30
    assert host.interval_s(entry(PolicyName.AWARE, every=long)) == 280
    assert host.interval_s(entry(PolicyName.FIXED, every=long)) == 600
    assert host.interval_s(entry(PolicyName.FIXED)) == 280


def test_a_price_of_a_cold_start_is_worth_so_many_heartbeats() -> None:
    price = Price(per_second=Decimal("0.001"), source="file")
    one = entry(PolicyName.ADAPTIVE, price=price, cold_start_price=Decimal("0.03"))
    assert settings_of(one, Host(run_s=0.3)).cold_start_worth == pytest.approx(100)
    kept = replace(one, billing=Billing.PRIVATE)  # pays for the interval that it buys as well
    assert settings_of(kept, Host(run_s=0.3)).cold_start_worth == pytest.approx(0.03 / 0.0503)
    assert settings_of(replace(one, price=None), Host()).cold_start_worth == 0
    assert settings_of(entry(PolicyName.ADAPTIVE), Host()).cold_target == 0.02
    deployed = replace(one, target=replace(one.target, kind=TargetKind.DEPLOYMENT))
    assert Host().beat_usd(deployed) == Decimal("0.0503")

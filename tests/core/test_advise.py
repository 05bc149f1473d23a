from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from warmer.core.advise import Advice, advise
from warmer.core.backtest.entry import Host, Traffic
from warmer.core.backtest.trace import Trace
from warmer.core.hours import ActiveHours
from warmer.core.official import ALWAYS_ON
from warmer.core.price import Billing, Known, Price, price_of
from warmer.core.situations import situation
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.ways import Billed, Option, Way, Ways

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
HOST = Billed.at(
    Host(idle_timeout_s=300.0, trusted_s=280.0, boot_s=60.0, lead_s=80.0, run_s=0.5, is_known=True), call_s=2.0
)
A100 = price_of("gpu-a100-large")
DEPLOYMENT, MODEL = TargetKind.DEPLOYMENT, TargetKind.MODEL


def entry(kind: TargetKind = DEPLOYMENT, *lines: str, **more: Any) -> ModelSpec:
    hours = ActiveHours(lines=lines or ("24/7",), zone=ZoneInfo("UTC"))
    target = Target(kind=kind, owner="a", name="b")
    facts: dict[str, Any] = {"name": "m", "target": target, "hours": hours, "price": A100} | more
    return ModelSpec(**facts)


def asked(name: str, one: ModelSpec, host: Billed = HOST) -> Advice:
    return advise(one, Traffic(trace=situation(name, days=21), midnight=MONDAY), host)


def option(found: Advice, way: Way) -> Option:
    return next(one for one in found.options if one.way is way)


def usd(found: Advice, way: Way) -> float:
    return float(option(found, way).cost.usd or 0)


def test_every_way_is_told_in_one_order_with_its_whole_bill() -> None:
    found = asked("office", entry(self_host_per_hour=Decimal("1.20")))
    assert [one.way for one in found.options] == list(Way)
    assert [one.cost.known for one in found.options] == [Known.ESTIMATED] * 4 + [Known.EXACT]
    assert usd(found, Way.ALWAYS_ON) == pytest.approx(0.0014 * 30 * 86_400)
    assert usd(found, Way.SELF_HOST) == pytest.approx(1.20 * 24 * 30)
    assert usd(found, Way.LEAVE_COLD) < usd(found, Way.FLOOR) < usd(found, Way.ALWAYS_ON)
    # A heartbeat around the clock keeps the instance up, and is billed as much.
    assert usd(found, Way.HEARTBEAT) == pytest.approx(usd(found, Way.ALWAYS_ON), rel=0.03)
    shares = [option(found, way).cold_share for way in (Way.LEAVE_COLD, Way.FLOOR, Way.ALWAYS_ON, Way.SELF_HOST)]
    assert shares == sorted(shares, reverse=True, key=lambda share: share or 0.0)
    assert option(found, Way.LEAVE_COLD).added_wait_s == pytest.approx(0.45 * 63, rel=0.3)


def test_the_cheapest_that_holds_the_target_of_the_file_is_advised() -> None:
    floor = asked("office", entry(cold_target=0.02))
    assert floor.way is Way.FLOOR
    assert "Mo-Fr 08:00-18:00" in option(floor, Way.FLOOR).why
    assert asked("office", entry(cold_target=0.5)).way is Way.LEAVE_COLD
    own_machine = asked("office", entry(cold_target=0.02, self_host_per_hour=Decimal("1.20")))
    assert own_machine.way is Way.SELF_HOST
    assert "each cold start avoided costs $" in own_machine.why


def test_a_price_of_a_cold_start_is_weighed_against_all_of_the_bill() -> None:
    chosen = [
        asked("office", entry(policy=PolicyName.FLOOR, cold_start_price=Decimal(price))).way
        for price in ("0.1", "5", "1000")
    ]
    assert chosen == [Way.LEAVE_COLD, Way.FLOOR, Way.ALWAYS_ON]


def test_where_nothing_is_asked_for_a_cold_start_is_not_avoided_at_any_price() -> None:
    rare = asked("rare", entry())
    assert rare.way is Way.LEAVE_COLD
    assert rare.why.startswith("not worth warming: each cold start avoided would cost $30")
    assert asked("rare", entry(cold_target=0.02)).way is not Way.LEAVE_COLD
    assert asked("office", entry()).way is Way.FLOOR


def test_a_floor_would_take_a_deployment_and_is_priced_all_the_same() -> None:
    found = asked("office", entry(MODEL))
    assert found.way is Way.HEARTBEAT
    for way in (Way.FLOOR, Way.ALWAYS_ON):
        one = option(found, way)
        assert not one.applies
        assert one.cost.usd is not None
        assert "deployment" in one.why


def test_on_a_public_model_only_running_is_paid_for() -> None:
    found = asked("office", entry(MODEL))
    calls_usd = 1626 / 21 * 30 * 2.0 * 0.0014
    assert usd(found, Way.LEAVE_COLD) == pytest.approx(calls_usd, rel=0.001)
    beats_a_day = float(option(found, Way.HEARTBEAT).why.split()[-4])
    assert usd(found, Way.HEARTBEAT) == pytest.approx(calls_usd + beats_a_day * 30 * 0.5 * 0.0014, rel=0.01)


def test_more_instances_and_more_machines_cost_as_many_times() -> None:
    one, three = (asked("office", entry(policy=PolicyName.FLOOR, instances=count)) for count in (1, 3))
    assert usd(three, Way.ALWAYS_ON) == pytest.approx(3 * usd(one, Way.ALWAYS_ON))
    busy = Billed.at(HOST, call_s=2500.0)
    machines = asked("office", entry(self_host_per_hour=Decimal(1)), busy)
    assert usd(machines, Way.SELF_HOST) == 3 * 24 * 30
    assert option(machines, Way.SELF_HOST).why.startswith("3 GPUs of your own")


def test_what_is_not_known_is_none_and_says_what_to_write() -> None:
    found = asked("office", entry(price=None))
    assert found.way is None
    assert found.why == "no advice; its price is not known: write `hardware` or `price`"
    assert {one.cost.usd for one in found.options} == {None}
    assert "self_host: {per_hour: …}" in option(found, Way.SELF_HOST).why
    unmeasured = asked("office", entry(MODEL), Billed.at(HOST, call_s=None))
    assert unmeasured.way is None
    assert "how long its calls run is not known" in unmeasured.why


def test_few_calls_say_that_they_are_too_few() -> None:
    assert "too few to judge; needs 20 calls and 7 whole days" in advise(entry(), None, HOST).why
    few = advise(entry(), Traffic(trace=situation("office", days=6), midnight=MONDAY), HOST)
    assert (few.way, few.options) == (None, ())
    assert "6 whole days: too few" in few.why
    assert "traffic: off" in advise(entry(traffic=False), None, HOST).why


def test_an_official_model_is_left_alone_unless_a_machine_is_cheaper() -> None:
    price = Price(per_output=Decimal("0.5"), source="file")
    alone = asked("office", entry(MODEL, billing=Billing.OFFICIAL, price=price))
    assert (alone.way, alone.why) == (Way.LEAVE_COLD, ALWAYS_ON)
    assert option(alone, Way.LEAVE_COLD).cold_share == 0.0
    assert usd(alone, Way.LEAVE_COLD) == pytest.approx(1626 / 21 * 30 * 0.5, rel=0.001)
    own = entry(MODEL, billing=Billing.OFFICIAL, price=price, self_host_per_hour=Decimal("1.20"))
    assert asked("office", own).way is Way.SELF_HOST
    assert asked("office", entry(MODEL, billing=Billing.OFFICIAL, price=None)).way is Way.LEAVE_COLD


def test_break_evens_are_worked_out_from_the_price_of_the_owners_own_gpu() -> None:
    found = asked(
        "office", entry(DEPLOYMENT, "Mo-Fr 08:00-20:00", self_host_per_hour=Decimal("1.20"), cold_target=0.02)
    )
    at = found.break_even
    assert at.self_host_hours_a_day == pytest.approx(1.20 * 24 / (0.0014 * 3600))
    assert 4 < (at.self_host_hours_a_day or 0) < 6
    assert at.billed_hours_a_day == pytest.approx(usd(found, Way.LEAVE_COLD) / 0.0014 / 3600 / 30)
    assert at.always_on_calls_a_day == pytest.approx(86_400 / (60 + 2 + 300))
    assert at.floor_calls_a_day == pytest.approx((12 * 3600 + 80) * 5 / 7 / 362, rel=0.01)
    avoided = option(found, Way.LEAVE_COLD).cold_a_month - option(found, Way.FLOOR).cold_a_month
    more = usd(found, Way.FLOOR) - usd(found, Way.LEAVE_COLD)
    assert float(at.floor_cold_start_usd or 0) == pytest.approx(more / avoided, rel=1e-4)
    assert at.sentences()[0].startswith("self-hosting pays from 5.7 billed GPU-hours a day on, and it has 2.2")
    assert len(at.sentences()) == 6


def test_what_the_break_even_says_is_so() -> None:
    at = [number * 86_400 / 200 for number in range(10 * 200)]  # far enough apart that each finds it cold
    found = advise(entry(), Traffic(trace=Trace.of("even", {"m": at}, days=10), midnight=MONDAY), HOST)
    assert option(found, Way.LEAVE_COLD).cold_share == 1.0
    part = usd(found, Way.LEAVE_COLD) / usd(found, Way.ALWAYS_ON)
    assert part == pytest.approx(200 / (found.break_even.always_on_calls_a_day or 0), rel=0.01)


def test_all_calls_but_one_may_be_answered_by_a_cache() -> None:
    one = Traffic(trace=Trace.of("one", {"m": [5.0]}, days=10), midnight=MONDAY)
    left = Ways(entry(policy=PolicyName.OBSERVE), one, HOST).as_it_is()
    assert left.cold_share is left.added_wait_s is None
    assert float(left.cost.usd or 0) == pytest.approx(0.0014 * (60 + 2 + 300) * 3, rel=0.1)


def test_what_is_as_good_as_what_is_done_stays() -> None:
    assert asked("steady", entry(cold_target=0.02, policy=PolicyName.FLOOR)).way is Way.ALWAYS_ON
    assert asked("steady", entry(cold_target=0.02, policy=PolicyName.AWARE)).way is Way.HEARTBEAT


def test_a_floor_goes_before_heartbeats_that_cost_as_much() -> None:
    short = Billed(idle_timeout_s=60.0, trusted_s=50.0, boot_s=20.0, lead_s=20.0, is_known=True, call_s=1.5)
    found = asked("office", entry(cold_target=0.02, policy=PolicyName.OBSERVE), short)
    assert 0.995 * usd(found, Way.FLOOR) < usd(found, Way.HEARTBEAT) < usd(found, Way.FLOOR)
    assert found.way is Way.FLOOR

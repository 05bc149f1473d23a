from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from warmer.core.adaptive import Adaptive
from warmer.core.history import Evidence
from warmer.core.hours import ActiveHours
from warmer.core.learned import Learned
from warmer.core.plan import Outlook, plan_model
from warmer.core.price import price_of
from warmer.core.prospect import Prospect
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.state import ModelState

START = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
SPEC = ModelSpec(
    name="a/b",
    target=Target(kind=TargetKind.MODEL, owner="a", name="b"),
    hours=ActiveHours.always_open(),
    every=timedelta(seconds=60),
)
INSTANT = Outlook(state=ModelState(), takes=timedelta(0), cost_usd=Decimal("0.0001"))


@pytest.mark.parametrize("policy", [PolicyName.FIXED, PolicyName.AWARE])
def test_a_day_without_customers_has_a_beat_an_interval(policy: PolicyName) -> None:
    planned = plan_model(replace(SPEC, policy=policy), INSTANT, START, START + DAY)
    assert planned.beats == 24 * 60
    assert planned.cost_usd == Decimal("0.1440")


def test_an_unknown_cost_stays_unknown_and_no_beat_costs_nothing() -> None:
    unknown = replace(INSTANT, cost_usd=None)
    assert plan_model(SPEC, unknown, START, START + DAY).cost_usd is None
    busy = tuple((START - timedelta(days=7) + timedelta(seconds=s), timedelta(0)) for s in range(0, 86_400, 30))
    quiet = plan_model(SPEC, replace(unknown, state=ModelState(last_activity=START), calls=busy), START, START + DAY)
    assert quiet.beats == 0
    assert quiet.cost_usd == 0


def test_a_customer_in_every_interval_saves_every_beat_unless_the_policy_looks_at_nobody() -> None:
    calls = tuple(
        (START - timedelta(days=7) + timedelta(seconds=s), timedelta(seconds=1)) for s in range(0, 86_400, 50)
    )
    outlook = replace(INSTANT, calls=calls, state=ModelState(last_activity=START))
    assert plan_model(SPEC, outlook, START, START + DAY).beats == 0
    assert plan_model(replace(SPEC, traffic=False), outlook, START, START + DAY).beats == 1439
    assert plan_model(replace(SPEC, policy=PolicyName.FIXED), outlook, START, START + DAY).beats == 1440


def test_the_second_week_sees_the_same_customers_again() -> None:
    calls = ((START - timedelta(days=7) + timedelta(hours=3), timedelta(seconds=5)),)
    outlook = replace(INSTANT, calls=calls, state=ModelState(last_activity=START))
    spec = replace(SPEC, every=timedelta(days=1))
    # The call of each Monday at 03:00 takes the place of that day's beat.
    one = plan_model(spec, outlook, START, START + timedelta(days=7)).beats
    two = plan_model(spec, outlook, START, START + timedelta(days=14)).beats
    assert (one, two) == (6, 12)


def test_a_long_call_is_activity_until_its_end() -> None:
    calls = ((START - timedelta(days=7), timedelta(minutes=10)),)
    outlook = replace(INSTANT, calls=calls, state=ModelState(last_activity=START))
    assert plan_model(SPEC, outlook, START, START + timedelta(minutes=10, seconds=59)).beats == 0


def test_hours_that_never_open_again_end_the_plan() -> None:
    past = ActiveHours(lines=("2027 Jan 01 10:00-11:00",), zone=SPEC.hours.zone)
    planned = plan_model(replace(SPEC, hours=past), INSTANT, START + 365 * DAY, START + 400 * DAY)
    assert planned.beats == 0
    assert planned.windows == ()


# -- what was learned -------------------------------------------------------------------------------------------------

LEARNED = Learned().after_all(
    Evidence(at=START, gap_s=gap_s, cold=gap_s > 120, wait_s=8.0) for gap_s in [100.0, 130.0, 131.0, 110.0] * 10
)


def test_a_known_time_out_is_the_interval_and_every_its_bound() -> None:
    outlook = Outlook(state=ModelState(last_beat_at=START, last_activity=START, learned=LEARNED))
    interval_s = LEARNED.idle_timeout.interval_s + outlook.takes.total_seconds()
    auto = plan_model(replace(SPEC, every=None), outlook, START, START + DAY)
    assert abs(auto.beats - DAY.total_seconds() / interval_s) <= 1
    minute = replace(SPEC, every=timedelta(seconds=60))
    assert plan_model(minute, outlook, START, START + DAY).beats > auto.beats
    assert plan_model(replace(SPEC, every=timedelta(hours=1)), outlook, START, START + DAY).beats == auto.beats


def test_observe_plans_nothing_and_knows_what_that_costs() -> None:
    plan = plan_model(replace(SPEC, policy=PolicyName.OBSERVE), Outlook(state=ModelState()), START, START + DAY)
    assert (plan.beats, plan.cost_usd) == (0, 0)


def test_adaptive_plans_by_the_calls_of_the_week_before_and_leaves_the_forecast_as_it_was() -> None:
    decider = Adaptive(interval_s=50, worth=80)
    prospect = Prospect(decider=decider, offset=timedelta(0))
    calls = [START - timedelta(minutes=minutes) for minutes in range(7 * 24 * 60, 0, -5)]
    for call in calls:
        decider.seen(prospect.seconds(call))
    last_s = decider.last_s
    outlook = Outlook(
        state=ModelState(last_activity=calls[-1], prospect=prospect),
        calls=tuple((call, timedelta(seconds=1)) for call in calls),
    )
    plan = plan_model(replace(SPEC, policy=PolicyName.ADAPTIVE, every=None), outlook, START, START + DAY)
    assert 288 <= plan.beats < 5 * 288  # it knows which of the five beats in each pause of five minutes are for nobody
    assert decider.last_s == last_s


@pytest.mark.parametrize(
    ("hours", "lead_m", "held_h"),
    [("24/7", 0, 24.0), ("08:00-12:00", 30, 4.5), ("08:00-12:00,12:30-13:00", 60, 6.0), ("23:00-01:00", 60, 3.0)],
)
def test_a_floor_costs_every_second_of_every_instance(hours: str, lead_m: int, held_h: float) -> None:
    entry = ModelSpec(
        name="up",
        target=Target(kind=TargetKind.DEPLOYMENT, owner="a", name="b"),
        hours=ActiveHours(lines=(hours,), zone=ZoneInfo("UTC")),
        policy=PolicyName.FLOOR,
        instances=2,
        lead=timedelta(minutes=lead_m),
        price=price_of("gpu-t4"),
    )
    planned = plan_model(entry, INSTANT, START, START + DAY)
    assert (planned.beats, planned.cost_usd) == (0, 2 * Decimal("0.000225") * int(held_h * 3600))
    assert planned.note is not None
    assert plan_model(replace(entry, price=None), INSTANT, START, START + DAY).cost_usd is None

"""The plan heeds the caps as the daemon does: what is spent and one more reservation stay below them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from warmer.core.budget import Cap, Period, Spending, limits
from warmer.core.hours import ActiveHours
from warmer.core.plan import Outlook, plan_model, plan_models
from warmer.core.price import Price
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.state import ModelState

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 11, 22, 23, tzinfo=UTC)  # midnight in Berlin, to a Monday
DAY = timedelta(days=1)
TOTAL = Cap(model=None, period=Period.DAILY, usd=Decimal("0.01"))
OUTLOOK = Outlook(state=ModelState(), takes=timedelta(0), cost_usd=Decimal("0.0001"), reserve_usd=Decimal("0.001"))
SENT_A_DAY = 91
"""The last one begins with 0.0090 spent, and may cost 0.0010."""


def entry(*caps: Cap, name: str = "a/b") -> ModelSpec:
    return ModelSpec(
        name=name,
        target=Target(kind=TargetKind.MODEL, owner="a", name="b"),
        hours=ActiveHours(lines=("24/7",), zone=BERLIN),
        policy=PolicyName.FIXED,
        every=timedelta(seconds=60),
        caps=caps,
    )


def spent(cap: Cap, usd: str) -> Spending:
    (limit,) = limits([cap], START, BERLIN)
    return Spending(limit=limit, settled_usd=Decimal(usd), reserved_usd=Decimal("0.001"))


def test_each_day_ends_where_the_cap_leaves_too_little_and_the_next_begins_anew() -> None:
    planned = plan_model(entry(TOTAL), OUTLOOK, START, START + 3 * DAY)
    assert planned.beats == 3 * SENT_A_DAY
    assert planned.cost_usd == Decimal("0.0001") * planned.beats
    assert planned.stopped_from == START + SENT_A_DAY * timedelta(minutes=1)
    assert (planned.stopped_by, planned.stops) == ("daily of all models", 3)


def test_a_cap_that_is_never_reached_stops_nothing() -> None:
    planned = plan_model(entry(replace(TOTAL, usd=Decimal(1))), OUTLOOK, START, START + DAY)
    assert (planned.beats, planned.stopped_from, planned.stopped_by, planned.stops) == (1440, None, None, 0)


def test_what_is_spent_already_counts_until_its_day_is_over() -> None:
    (planned,) = plan_models([(entry(TOTAL), OUTLOOK)], START, START + 2 * DAY, [spent(TOTAL, "0.0050")])
    assert planned.beats == 41 + SENT_A_DAY


def test_the_models_of_a_file_share_the_cap_over_all_and_keep_their_own() -> None:
    own = Cap(model="mine", period=Period.DAILY, usd=Decimal("0.0011"))
    entries = [(entry(own, TOTAL, name="mine"), OUTLOOK), (entry(TOTAL), OUTLOOK)]
    mine, other = plan_models(entries, START, START + DAY)
    assert (mine.beats, mine.stopped_by) == (2, "daily of mine")
    assert (other.beats, other.stopped_by) == (SENT_A_DAY - 2, "daily of all models")


def test_a_month_s_cap_stops_until_the_next_month() -> None:
    monthly = replace(TOTAL, period=Period.MONTHLY)
    planned = plan_model(entry(monthly), OUTLOOK, START, START + 20 * DAY)  # into December
    assert (planned.beats, planned.stops) == (2 * SENT_A_DAY, 2)


def test_where_no_beat_has_shown_its_cost_each_counts_as_the_most_that_it_may() -> None:
    planned = plan_model(entry(TOTAL), replace(OUTLOOK, cost_usd=None), START, START + DAY)
    assert (planned.beats, planned.cost_usd) == (10, None)


def test_at_an_unknown_price_a_cap_lets_nothing_go_and_the_plan_says_what_to_write() -> None:
    planned = plan_model(entry(TOTAL), replace(OUTLOOK, reserve_usd=None), START, START + DAY)
    assert (planned.beats, planned.stops) == (0, 0)
    assert "hardware" in str(planned.note)


@pytest.mark.parametrize("hours", ["Mo-Fr 00:10-00:20", "00:10-00:20,23:50-24:00"])
def test_a_stop_outlasts_the_hours(hours: str) -> None:
    tight = replace(entry(replace(TOTAL, usd=Decimal("0.0015"))), hours=ActiveHours(lines=(hours,), zone=BERLIN))
    assert plan_model(tight, OUTLOOK, START, START + 2 * DAY).beats == 12


def floor(line: str, *caps: Cap, name: str = "up") -> ModelSpec:
    return ModelSpec(
        name=name,
        target=Target(kind=TargetKind.DEPLOYMENT, owner="a", name=name),
        hours=ActiveHours(lines=(line,), zone=BERLIN),
        policy=PolicyName.FLOOR,
        price=Price(per_second=Decimal("0.001"), source="file"),
        lead=timedelta(0),
        caps=caps,
    )


def usd_a_day(hours: float) -> Cap:
    return replace(TOTAL, usd=Decimal("3.6") * Decimal(str(hours)))


@pytest.mark.parametrize(("hours", "held_h", "stops"), [(12, 36, 0), (11.9, 0, 3)])
def test_a_floor_is_planned_where_all_of_its_hours_fit(hours: float, held_h: int, stops: int) -> None:
    planned = plan_model(floor("08:00-20:00", usd_a_day(hours)), OUTLOOK, START, START + 3 * DAY)
    assert (planned.cost_usd, planned.stops) == (Decimal("3.6") * held_h, stops)
    first = (START + timedelta(hours=8), "daily of all models") if stops else (None, None)
    assert (planned.stopped_from, planned.stopped_by) == first


def test_what_is_kept_for_a_floor_is_not_for_beats_nor_for_another_floor() -> None:
    cap = usd_a_day(12)
    cap = replace(cap, usd=cap.usd + Decimal("0.5"))
    entries = [(floor("08:00-20:00", cap), OUTLOOK), (floor("09:00-10:00", cap, name="b"), OUTLOOK)]
    beats = entry(cap)
    one, other, beating = plan_models([*entries, (beats, OUTLOOK)], START, START + DAY)
    assert (one.stops, other.stops, other.cost_usd) == (0, 1, 0)
    assert beating.beats == 1440  # of 0.0001 each
    assert (
        plan_models([*entries, (beats, replace(OUTLOOK, cost_usd=Decimal("0.001")))], START, START + DAY)[2].beats
        == 500
    )


def test_a_floor_that_is_raised_already_goes_on_with_what_is_left_of_it() -> None:
    noon, cap = START + DAY / 2, usd_a_day(12)
    spent_usd = Decimal("3.6") * 4
    (limit,) = limits([cap], noon, BERLIN)
    held = Spending(limit=limit, settled_usd=spent_usd, reserved_usd=2 * spent_usd, floors_usd=2 * spent_usd)
    entry = floor("08:00-20:00", cap)
    for is_raised, hours in ((True, 8), (False, 0)):
        (planned,) = plan_models([(entry, replace(OUTLOOK, is_raised=is_raised))], noon, noon + DAY / 2, [held])
        assert planned.cost_usd == Decimal("3.6") * hours

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.beat import Observation, Reason, Request, Status, Verdict
from warmer.core.insight import Percentiles, Summary
from warmer.core.insight import summarise as summarise_hours
from warmer.core.price import FREE, UNKNOWN, Billing, Cost
from warmer.core.rollup import beats_by_hour, calls_by_hour

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BERLIN, ZULU = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
WARM, COLD, UNSURE = Verdict.WARM, Verdict.COLD, Verdict.UNSURE
BEAT = Observation(
    model="a",
    prediction_id="p",
    policy="aware",
    reason=Reason.IDLE,
    created_at=START,
    started_at=START,
    completed_at=START,
    gap_s=60.0,
    wait_s=0.1,
    run_s=0.5,
    verdict=WARM,
    status=Status.SUCCEEDED,
    error=None,
    cost_usd=Decimal("0.000112"),
    price=None,
    billing=Billing.PUBLIC,
)
CALL = Request(
    model="a",
    prediction_id="c",
    created_at=START,
    started_at=START,
    completed_at=START,
    gap_s=None,
    wait_s=0.1,
    run_s=0.5,
    verdict=WARM,
    status=Status.SUCCEEDED,
)


def beat(**facts: Any) -> Observation:
    return replace(BEAT, **facts)


def call(**facts: Any) -> Request:
    return replace(CALL, **facts)


def summarise(beats: list[Observation], calls: list[Request], *, zone: ZoneInfo, **how: Any) -> tuple[Summary, ...]:
    return summarise_hours(beats_by_hour(beats, zone), calls_by_hour(calls, zone), zone=zone, **how)


def one(beats: list[Observation], calls: list[Request]) -> Summary:
    (row,) = summarise(beats, calls, models=["a"], zone=ZULU)
    return row


# -- percentiles -------------------------------------------------------------------------------------------------------


def nearest_rank(values: list[float], percent: int) -> float:
    """The smallest value that at least `percent` of 100 values are no larger than: its definition, counted out."""
    return next(v for v in sorted(values) if 100 * sum(w <= v for w in values) >= percent * len(values))


@given(st.lists(st.floats(0, 1e6) | st.sampled_from([0.1, 0.2]), min_size=1, max_size=300))
def test_percentiles_are_by_nearest_rank(values: list[float]) -> None:
    found = Percentiles.of(values)

    assert found.count == len(values)
    assert (found.p50, found.p95, found.p99) == tuple(nearest_rank(values, percent) for percent in (50, 95, 99))
    assert found.longest == max(values)
    assert {found.p50, found.p95, found.p99} <= set(values)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, (1, 1, 1)), (2, (1, 2, 2)), (20, (10, 19, 20)), (100, (50, 95, 99)), (101, (51, 96, 100))],
)
def test_percentiles_of_the_first_numbers(count: int, expected: tuple[float, ...]) -> None:
    found = Percentiles.of(float(number) for number in range(count, 0, -1))

    assert (found.p50, found.p95, found.p99) == expected


def test_there_are_no_percentiles_of_nothing() -> None:
    assert Percentiles.of([]) == Percentiles(count=0, p50=None, p95=None, p99=None, longest=None)


# -- one stretch -------------------------------------------------------------------------------------------------------


def test_the_cold_share_leaves_out_what_could_not_be_told() -> None:
    row = one([], [call(verdict=COLD), *[call()] * 3, *[call(verdict=UNSURE)] * 6])

    assert (row.calls, row.calls_cold, row.calls_unsure) == (10, 1, 6)
    assert row.cold_share == 0.25


def test_there_is_no_cold_share_where_nothing_could_be_told() -> None:
    assert one([], []).cold_share is None
    assert one([], [call(verdict=UNSURE)]).cold_share is None
    assert one([beat(verdict=COLD)], []).cold_share is None  # of calls, not of beats
    assert one([], [call()]).cold_share == 0


def test_beats_are_counted_by_what_they_found_and_how_they_ended() -> None:
    row = one(
        [
            beat(),
            beat(verdict=COLD),
            beat(verdict=COLD, status=Status.FAILED),
            beat(verdict=UNSURE, status=Status.ABORTED),
            beat(verdict=UNSURE, status=Status.UNKNOWN),
        ],
        [],
    )

    assert (row.beats, row.beats_cold, row.beats_unsure, row.beats_failed) == (5, 2, 2, 3)


def test_boots_are_the_waits_of_everything_found_cold_and_waits_those_of_customers() -> None:
    row = one(
        [beat(verdict=COLD, wait_s=30.0), beat(verdict=WARM, wait_s=0.2), beat(verdict=COLD, wait_s=None)],
        [call(verdict=COLD, wait_s=10.0), call(verdict=UNSURE, wait_s=2.0), call(wait_s=0.5), call(wait_s=None)],
    )

    assert (row.boots.count, row.boots.p50, row.boots.longest) == (2, 10.0, 30.0)
    assert (row.waits.count, row.waits.p50, row.waits.longest) == (3, 2.0, 10.0)


def test_a_cost_is_the_sum_of_what_is_known_and_says_how_much_is_not() -> None:
    row = one([beat(), beat(cost_usd=Decimal("0.000001")), beat(cost_usd=None), beat(cost_usd=Decimal(0))], [])

    assert row.cost_usd == Decimal("0.000113")
    assert row.cost_unknown == 1
    assert row.cost == UNKNOWN


def test_what_cost_nothing_is_known() -> None:
    row = one([beat(cost_usd=Decimal(0))], [])

    assert (row.cost_unknown, row.cost) == (0, FREE)


def test_one_estimate_makes_the_sum_an_estimate() -> None:
    row = one([beat(cost_usd=Decimal("0.1")), beat(cost_usd=Decimal("0.2"), cost_is_estimated=True)], [])

    assert row.cost == Cost(usd=Decimal("0.3"), is_estimated=True)


@given(st.lists(st.none() | st.integers(0, 10**9), max_size=100))
def test_costs_add_up_to_the_micro_dollar(micros: list[int | None]) -> None:
    row = one([beat(cost_usd=None if m is None else Decimal(m).scaleb(-6)) for m in micros], [])

    assert row.cost_usd == Decimal(sum(m for m in micros if m is not None)).scaleb(-6)
    assert row.cost_unknown == micros.count(None)


def test_ticks_are_those_of_the_model() -> None:
    ticks = {("a", Reason.IDLE): 3, ("b", Reason.IDLE): 5, ("a", Reason.CLOSED): 7}
    first, second = summarise([], [], models=["a", "b"], zone=ZULU, ticks=ticks)

    assert dict(first.reasons) == {Reason.IDLE: 3, Reason.CLOSED: 7}
    assert dict(second.reasons) == {Reason.IDLE: 5}


# -- models and days ---------------------------------------------------------------------------------------------------


def test_models_come_in_the_order_of_the_file_and_those_of_the_past_follow_by_name() -> None:
    beats = [beat(model=model) for model in ("z-past", "b", "a", "past")]
    rows = summarise(beats, [call(model="call-past")], models=["b", "quiet", "a"], zone=ZULU)

    assert [row.model for row in rows] == ["b", "quiet", "a", "call-past", "past", "z-past"]
    assert rows[1] == Summary(model="quiet", day=None)


def test_by_day_there_is_a_row_for_each_day_on_which_anything_was() -> None:
    beats = [beat(created_at=START + timedelta(days=days)) for days in (2, 0, 0)]
    calls = [call(created_at=START + timedelta(days=1))]
    rows = summarise(beats, calls, models=["a", "quiet"], zone=ZULU, by_day=True, ticks={("a", Reason.IDLE): 3})

    assert [(row.model, row.day, row.beats, row.calls) for row in rows] == [
        ("a", date(2026, 11, 21), 2, 0),
        ("a", date(2026, 11, 22), 0, 1),
        ("a", date(2026, 11, 23), 1, 0),
    ]
    assert all(not row.reasons for row in rows)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", date(2026, 11, 21), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),  # the clock goes forward
        ("Europe/Berlin", date(2026, 10, 25), 25),  # and back
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("America/Santiago", date(2026, 4, 4), 25),
        ("Asia/Kolkata", date(2026, 6, 1), 24),
    ],
)
def test_a_day_is_the_zones_own_however_long_it_is(zone: str, day: date, hours: float) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    half_hours = [noon + timedelta(minutes=30 * step) for step in range(-96, 96)]
    rows = summarise(
        [beat(created_at=moment) for moment in half_hours], [], models=["a"], zone=ZoneInfo(zone), by_day=True
    )

    assert {row.day: row.beats for row in rows}[day] == hours * 2
    assert sum(row.beats for row in rows) == len(half_hours)


def test_midnight_is_of_the_zone() -> None:
    just_before = datetime(2026, 11, 20, 22, 59, 59, 999_999, tzinfo=UTC)
    rows = summarise(
        [beat(created_at=just_before), beat(created_at=just_before + timedelta(microseconds=1))],
        [],
        models=["a"],
        zone=BERLIN,
        by_day=True,
    )

    assert [row.day for row in rows] == [date(2026, 11, 20), date(2026, 11, 21)]


def test_a_day_with_a_raised_floor_alone_has_its_row() -> None:
    cost, day = Cost(usd=Decimal("0.5"), is_estimated=True), date(2026, 11, 20)
    floors = {("a", None): cost, ("a", day): cost}

    (whole,) = summarise([], [], models=["a"], zone=ZULU, floors=floors)
    days = summarise([beat()], [], models=["a"], zone=ZULU, by_day=True, floors=floors)
    assert (whole.day, whole.floor, whole.cost) == (None, cost, FREE)
    assert [(one.day, one.floor, one.beats) for one in days] == [(day, cost, 0), (START.date(), FREE, 1)]

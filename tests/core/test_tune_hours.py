from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.hours import ActiveHours
from warmer.core.situations import situation
from warmer.core.tune_hours import COVERED, suggest_hours

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
ALWAYS = ActiveHours.always_open()


def calls_of(name: str, days: int = 21) -> list[datetime]:
    (arrivals,) = situation(name, days=days).models
    return [MONDAY + timedelta(microseconds=at) for at in arrivals.at.tolist()]


def lines(calls: list[datetime], hours: ActiveHours = ALWAYS, covered: float = COVERED[0]) -> tuple[str, ...] | None:
    found = suggest_hours(calls, hours, covered=covered)
    return None if found is None else found.lines


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("office", ("Mo-Fr 08:00-18:00",)),
        ("nightly", ("02:00-03:00",)),
        ("steady", None),
        ("timer", None),
        ("rare", None),
    ],
)
def test_hours_are_those_in_which_calls_come(name: str, expected: tuple[str, ...] | None) -> None:
    assert lines(calls_of(name)) == expected


def test_workdays_and_weekends_are_told_apart_where_that_opens_for_less() -> None:
    assert lines(calls_of("evening"), covered=0.95) == ("Mo-Fr 18:00-24:00; Sa,Su 12:00-24:00",)


def test_overnight_windows_beside_others_are_lines_of_their_own() -> None:
    calls = [MONDAY + timedelta(days=day, hours=22 + hour) for day in range(14) for hour in range(4) if day % 7 < 4]
    calls += [MONDAY + timedelta(days=day, hours=12 + hour) for day in (5, 12) for hour in range(6)]
    calls += [MONDAY + timedelta(days=day, hours=22 + hour) for day in (4, 11) for hour in range(2)]
    assert lines(calls, covered=1.0) == ("Mo-Fr 22:00-02:00", "Sa 12:00-18:00")


def test_hours_are_read_on_the_clock_of_the_file_through_a_change_of_it() -> None:
    zone = ZoneInfo("Europe/Berlin")
    days = [datetime(2026, 3, 23, 9, 30, tzinfo=zone) + timedelta(days=day) for day in range(14)]
    assert lines([day.astimezone(UTC) for day in days], ActiveHours(lines=("24/7",), zone=zone)) == ("09:00-10:00",)


def test_what_was_shut_on_holidays_stays_so() -> None:
    hours = ActiveHours(lines=("Mo-Fr 08:00-20:00; PH off",), zone=ZoneInfo("UTC"), country="DE")
    assert lines(calls_of("office"), hours) == ("Mo-Fr 08:00-18:00; PH off",)


@given(
    st.lists(st.integers(0, 14 * 24 * 60 - 1), min_size=20, max_size=60),
    st.integers(0, 23),
    st.integers(1, 12),
    st.sampled_from(COVERED),
)
@settings(max_examples=60, deadline=None)
def test_suggested_hours_cover_the_calls_they_are_for(
    minutes: list[int], since: int, length: int, covered: float
) -> None:
    # Calls anywhere, and many more in one window of each day.
    calls = [MONDAY + timedelta(minutes=minute) for minute in minutes]
    calls += [
        MONDAY + timedelta(days=day, hours=since, minutes=minute * length % (length * 60))
        for day in range(14)
        for minute in minutes
    ]
    found = suggest_hours(calls, ALWAYS, covered=covered)
    if found is not None:
        assert sum(found.contains(call) for call in calls) >= covered * len(calls)
        assert not found.always

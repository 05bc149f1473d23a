from __future__ import annotations

import math
import random
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.forecast import Forecast

HOUR = 3600.0
DAY = 24 * HOUR
YEAR = 365 * DAY

gaps = st.lists(
    st.one_of(st.just(0.0), st.floats(0.1, 40.0), st.floats(51.0, 7200.0), st.floats(7200.0, 20 * DAY)), max_size=60
)


def told(times: list[float], *, beyond_s: float = 50.0) -> Forecast:
    forecast = Forecast(beyond_s=beyond_s)
    for at in times:
        forecast.seen(at)
    return forecast


def office(days: int, *, seed: int = 1) -> list[float]:
    """Requests at random between nine and five, every day."""
    draw = random.Random(seed)
    return sorted(day * DAY + draw.uniform(9, 17) * HOUR for day in range(days) for _ in range(30))


def test_nothing_is_expected_of_a_model_never_called() -> None:
    forecast = told([])
    assert forecast.chance(1000.0, HOUR) == 0.0
    assert forecast.expected(1000.0) == 0.0
    assert forecast.next_above(0.01, 0.0) == float("inf")


def test_one_request_lets_another_be_expected() -> None:
    forecast = told([HOUR])
    assert 0.0 < forecast.chance(HOUR + 60, 600.0) < 1.0


def test_before_any_gap_is_known_requests_are_expected_as_often_as_they_came() -> None:
    busy, quiet = told([2.0 * tick for tick in range(300)]), told([0.0, 20_000.0])
    assert busy.chance(598.0 + 60.0, 50.0) > 0.4
    assert quiet.chance(20_060.0, 50.0) < 0.01


@pytest.mark.parametrize("window", [0.0, -1.0, float("nan"), float("inf")])
def test_a_window_that_is_no_time_is_refused(window: float) -> None:
    with pytest.raises(ValueError, match="beyond_s"):
        Forecast(beyond_s=window)


@given(gaps, st.floats(0.0, 40 * DAY), st.lists(st.floats(0.0, YEAR), min_size=2, max_size=6), st.floats(5.0, 2e4))
def test_a_chance_is_a_chance_and_grows_with_the_horizon(
    lengths: list[float], since: float, horizons: list[float], window: float
) -> None:
    times = list(accumulate(lengths, initial=8 * HOUR))
    forecast = told(times, beyond_s=window)
    chances = [forecast.chance(times[-1] + since, horizon) for horizon in sorted(horizons)]
    assert all(0.0 <= chance <= 1.0 for chance in chances)
    assert all(later >= sooner - 1e-12 for sooner, later in pairwise(chances))


@given(gaps, st.floats(50.0, 30 * DAY), st.floats(1e-6, 2.0))
def test_no_earlier_look_than_the_next_one_found_would_have_been_above(
    lengths: list[float], since: float, least: float
) -> None:
    times = list(accumulate(lengths, initial=0.0))
    forecast = told(times)
    start = times[-1] + since
    found = forecast.next_above(least, start)
    assert found >= start
    for step in range(100):
        at = start + 50.0 * step
        if at >= min(found, times[-1] + 4 * HOUR):
            break
        assert forecast.expected(at) < least * (1 + 1e-9)


def test_the_quick_figure_is_the_exact_one() -> None:
    forecast = told(office(10))
    noon = 10 * DAY + 12 * HOUR
    forecast.seen(noon)
    for since in (60.0, 333.0, 3000.0, 9000.0):
        exact = forecast.chance(noon + since, 50.0)
        assert forecast.expected(noon + since) == pytest.approx(exact, rel=0.15)


def test_an_hour_that_saw_more_is_given_a_higher_chance() -> None:
    draw = random.Random(4)
    times = [
        day * DAY + hour * HOUR + draw.uniform(0, HOUR)
        for day in range(14)
        for hour in range(24)
        for _ in range(12 if 9 <= hour < 17 else 1)
    ]
    by_hour = {}
    for hour in (3, 12):
        forecast = told(sorted([at for at in times if at < 13 * DAY + hour * HOUR]))
        forecast.seen(13 * DAY + hour * HOUR)
        by_hour[hour] = forecast.chance(13 * DAY + hour * HOUR + 600.0, 600.0)
    assert by_hour[12] > 3 * by_hour[3]


def test_more_requests_in_an_hour_raise_the_chance_there() -> None:
    plain = office(14)
    more = sorted(plain + [day * DAY + 20 * HOUR + minute * 120.0 for day in range(14) for minute in range(20)])
    at = 15 * DAY + 20 * HOUR
    forecasts = told([*plain, 15 * DAY]), told([*more, 15 * DAY])
    assert forecasts[1].chance(at, 600.0) > 2 * forecasts[0].chance(at, 600.0)


def test_a_weekday_that_saw_nothing_is_given_a_lower_chance() -> None:
    draw = random.Random(3)
    times = [
        day * DAY + 10 * HOUR + slot * 600.0 + draw.uniform(0, 500)
        for day in range(35)
        if day % 7 < 5
        for slot in range(30)
    ]
    forecast = told([*times, 35 * DAY + 6 * HOUR])
    friday, saturday = forecast.chance(39 * DAY + 12 * HOUR, HOUR), forecast.chance(40 * DAY + 12 * HOUR, HOUR)
    assert friday > 1.5 * saturday


def test_a_timer_is_learned_to_the_minute() -> None:
    times = [900.0 * tick for tick in range(200)]
    forecast = told(times)
    assert forecast.chance(times[-1] + 400.0, 60.0) < 0.05
    assert forecast.chance(times[-1] + 880.0, 60.0) > 0.5


@given(st.floats(5.0, 2e4), st.floats(0.0, 1e6))
def test_where_windows_end_and_cells_begin_nothing_breaks(window: float, last: float) -> None:
    forecast = told([0.0, last], beyond_s=window)
    end = max(math.ceil(14_400.0 / window), 2) * window
    for since in (math.nextafter(end, 0.0), end, math.nextafter(end, math.inf), end - window, end - 1e-6):
        assert 0.0 < forecast.expected(last + since) < math.inf
        assert forecast.next_above(1e-12, last + since) >= last + since


def test_silence_lowers_the_chance() -> None:
    times = office(14)
    forecast = told(times)
    same_hour = [forecast.chance(13 * DAY + 12 * HOUR + days * 7 * DAY, HOUR) for days in range(1, 8)]
    assert same_hour == sorted(same_hour, reverse=True)
    assert same_hour[-1] < 0.2 * same_hour[0]


@given(gaps)
def test_the_same_requests_make_the_same_forecast(lengths: list[float]) -> None:
    times = list(accumulate(lengths, initial=HOUR))
    one, other = told(times), told([])
    other.expected(HOUR)
    for at in times:  # asked in between, which teaches nothing
        other.seen(at)
        other.expected(at + 60.0)
        other.next_above(0.02, at)
        other.chance(at + 10.0, 600.0)
    for since in (50.0, 500.0, 5e4, 5e6):
        assert one.expected(times[-1] + since) == other.expected(times[-1] + since)
        assert one.chance(times[-1] + since, 300.0) == other.chance(times[-1] + since, 300.0)


def test_requests_out_of_order_count_as_simultaneous() -> None:
    one, other = told([100.0, 500.0, 500.0]), told([100.0, 500.0, 320.0])
    assert one.chance(900.0, 600.0) == other.chance(900.0, 600.0)


def test_gaps_of_years_and_of_nothing_are_borne() -> None:
    times = [0.0, 0.0, 1e-9, 3 * YEAR, 3 * YEAR + 60, 40 * YEAR, 1000 * YEAR, 1000 * YEAR + 5]
    forecast = told(times)
    assert 0.0 <= forecast.chance(1000 * YEAR + 100, 60.0) <= 1.0
    assert 0.0 <= forecast.chance(2000 * YEAR, 60.0) <= 1.0
    assert forecast.next_above(0.5, 2000 * YEAR) == float("inf")


def test_a_change_of_habit_is_followed() -> None:
    before = [900.0 * tick for tick in range(400)]
    after = [before[-1] + 300.0 * tick for tick in range(1, 400)]
    same_gap = before[-1] + 280.0
    changed = told(before + after).chance(after[-1] + 280.0, 60.0)
    assert changed > 0.2
    assert changed > 10 * told(before).chance(same_gap, 60.0)

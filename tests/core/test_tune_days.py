from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import DAY, HOUR
from warmer.core.tune_days import Days


def days(beats: list[int], calls: list[int], cold: list[int]) -> Days:
    """So many a day, from the first hour on; cold calls come first."""
    at = np.array([day * DAY + index for day, count in enumerate(calls) for index in range(count)], dtype=np.int64)
    is_cold = np.array([index < cold[day] for day, count in enumerate(calls) for index in range(count)], dtype=np.bool_)
    sent = np.array(
        [day * DAY + HOUR + index for day, count in enumerate(beats) for index in range(count)], dtype=np.int64
    )
    replay = Replay(cold=is_cold, waits=np.zeros(int(is_cold.sum()), np.int64), sent=sent, boots=0, online=0)
    return Days.of(replay, at, at % 2 == 0, len(beats))


def test_the_first_day_and_a_part_of_one_at_the_end_are_not_scored() -> None:
    at = np.arange(0, 3 * DAY + HOUR, HOUR, dtype=np.int64)
    nothing = np.zeros(len(at), dtype=np.bool_)
    replay = Replay(cold=nothing, waits=at[:0], sent=at + 1, boots=0, online=0)
    found = Days.of(replay, at, ~nothing, 3)
    assert len(found) == 2
    assert list(found.beats) == list(found.calls) == list(found.inside) == [24, 24]


def test_shares_are_of_calls_and_not_of_days() -> None:
    found = days([0] * 4, [9, 10, 0, 30], [9, 4, 0, 0])
    assert found.cold_share == pytest.approx(0.1)
    assert found.cold_share_inside == pytest.approx(2 / 20)


def test_an_interval_is_as_wide_as_days_differ() -> None:
    steady, mixed = days([0, *[10] * 20], [5] * 21, [0] * 21), days([0, *[0, 20] * 10], [5] * 21, [0] * 21)
    assert steady.a_day(steady.beats).low == steady.a_day(steady.beats).high == 10
    band = mixed.a_day(mixed.beats)
    assert band.mean == 10
    # The mean of twenty draws has a deviation of sqrt(5); 1.645 of it on each side.
    assert band.low == pytest.approx(10 - 3.7, abs=0.6)
    assert band.high == pytest.approx(10 + 3.7, abs=0.6)


def test_what_is_warmer_on_every_day_is_surely_so() -> None:
    now, then = days([0] * 9, [10] * 9, [5] * 9), days([0] * 9, [10] * 9, [1] * 9)
    band = then.warmer(now)
    assert (band.low, band.mean, band.high) == pytest.approx((0.4, 0.4, 0.4))
    assert now.warmer(now).low == now.warmer(now).high == 0


def test_days_without_calls_have_no_cold_share_to_draw() -> None:
    quiet = days([1] * 9, [0] * 9, [0] * 9)
    assert quiet.cold_share == 0
    assert quiet.cold_band.high == 0
    assert timedelta(days=len(quiet)) == timedelta(days=8)

from __future__ import annotations

import numpy as np
import pytest

from warmer.core.backtest.trace import DAY, HOUR, Arrivals
from warmer.core.situations import NAMES, situation


def of(name: str, days: int = 28) -> Arrivals:
    return situation(name, days=days).models[0]


def hours(arrivals: Arrivals) -> np.ndarray:
    return arrivals.at % DAY // HOUR


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_calls_again_and_another_gives_others(name: str) -> None:
    once, again, other = situation(name), situation(name), situation(name, seed=1)
    assert np.array_equal(once.models[0].at, again.models[0].at)
    assert not np.array_equal(once.models[0].at, other.models[0].at)
    assert once.end == 21 * DAY
    assert once.models[0].model == once.name == name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("days", [1, 2, 3])
def test_a_situation_may_be_short(name: str, days: int) -> None:
    trace = situation(name, days=days)
    assert trace.end == days * DAY
    assert len(trace) < 3000


def test_office_calls_come_on_weekdays_at_work() -> None:
    arrivals = of("office")
    weekday = arrivals.at // DAY % 7
    assert np.mean((weekday < 5) & (hours(arrivals) >= 8) & (hours(arrivals) < 18)) > 0.95


def test_evening_calls_come_in_the_evening() -> None:
    assert np.mean(hours(of("evening")) >= 12) > 0.9


def test_a_timer_is_regular() -> None:
    gaps = np.diff(of("timer").at) / 1e6
    assert gaps.min() > 885
    assert gaps.max() < 915


def test_a_nightly_batch_comes_at_night() -> None:
    assert set(hours(of("nightly")).tolist()) == {2}


def test_a_launch_comes_at_half_time() -> None:
    half = np.searchsorted(of("launch").at, 14 * DAY)
    assert len(of("launch")) - half > 15 * half


def test_what_dies_is_dead_in_the_end() -> None:
    arrivals = of("dying")
    assert np.mean(arrivals.at < 7 * DAY) > 0.7
    assert np.mean(arrivals.at > 21 * DAY) < 0.02


def test_the_hours_shift_at_half_time() -> None:
    arrivals = of("shift")
    before = arrivals.at < 14 * DAY
    assert np.mean(hours(arrivals)[before] < 16) > 0.9
    assert np.mean(hours(arrivals)[~before] >= 14) > 0.9


def test_steady_and_rare_calls_have_their_rates() -> None:
    assert len(of("steady")) == pytest.approx(28 * 24 * 6, rel=0.05)
    assert len(of("rare")) == pytest.approx(28 * 4, rel=0.3)


@pytest.mark.parametrize(("name", "days"), [("offices", 3), ("office", 0)])
def test_what_is_no_situation_is_refused(name: str, days: int) -> None:
    with pytest.raises(ValueError, match=r"write one of office|a day at least"):
        situation(name, days=days)

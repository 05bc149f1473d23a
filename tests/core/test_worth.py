from __future__ import annotations

import math
import random

import pytest

from warmer.core.worth import Goal, Price, Timeline


def needs(count: int, *, seed: int = 3) -> list[float]:
    """Nine of ten requests come while the model is warm; the others need from 1 to 10,000."""
    draw = random.Random(seed)
    return [0.0 if draw.random() < 0.9 else 10 ** draw.uniform(0, 4) for _ in range(count)]


def test_a_price_stays() -> None:
    price = Price(80.0)
    price.seen(5.0, 1000.0)
    assert price.worth_at(0.0) == price.worth_at(1e9) == 80.0


@pytest.mark.parametrize("target", [0.05, 0.02, 0.01])
def test_a_goal_holds_its_share(target: float) -> None:
    goal, cold = Goal(target), 0
    wanted = needs(20_000)
    for index, needed in enumerate(wanted):
        cold += needed > goal.worth_at(index * 60.0)
        goal.seen(index * 60.0, needed)
    assert 0.8 * target <= cold / len(wanted) <= target
    assert not goal.out_of_reach


def test_a_smaller_share_makes_a_cold_start_worth_more() -> None:
    worths = []
    for target in (0.05, 0.02, 0.01):
        goal = Goal(target)
        for index, needed in enumerate(needs(5_000)):
            goal.seen(index * 60.0, needed)
        worths.append(goal.worth)
    assert worths == sorted(worths)
    assert worths[0] < worths[-1]


def test_what_the_past_missed_is_made_good() -> None:
    goal = Goal(0.02)
    for index in range(1_000):
        goal.seen(index * 60.0, 0.0 if index % 4 else 10_000.0)
    for index in range(1_000, 10_000):
        goal.seen(index * 60.0, 0.0 if index % 10 else 30.0)
    assert goal.share <= 0.02


def test_a_target_beyond_what_a_cold_start_may_be_worth_is_said_to_be_out_of_reach() -> None:
    goal = Goal(0.01, most_worth=100.0)
    for index in range(2_000):
        goal.seen(index * 60.0, 0.0 if index % 10 else 1_000.0)
    assert goal.worth == pytest.approx(100.0, rel=0.1)
    assert goal.worth <= 100.0
    assert goal.out_of_reach
    assert goal.share > 0.05


@pytest.mark.parametrize("target", [0.01, 0.02])
def test_a_target_out_of_reach_of_a_few_requests_a_day_is_said_to_be_so(target: float) -> None:
    goal = Goal(target, most_worth=500.0)
    for index in range(200):
        assert index >= 3 or not goal.out_of_reach
        goal.seen(index * 40_000.0, 3_000.0 if index else math.inf)
    assert goal.out_of_reach


def test_two_cold_starts_do_not_put_a_target_out_of_reach() -> None:
    goal = Goal(0.01, most_worth=100.0)
    goal.seen(0.0, math.inf)
    for index in range(1, 50):
        goal.seen(index * 3_600.0, 1_000.0 if index == 20 else 5.0)
        assert not goal.out_of_reach


def test_a_first_request_teaches_no_worth() -> None:
    goal = Goal(0.01)
    before = goal.worth
    goal.seen(0.0, math.inf)
    assert goal.worth == before
    assert goal.share == 1.0


def test_old_requests_fade() -> None:
    goal = Goal(0.02)
    for index in range(3_000):
        goal.seen(index * 60.0, 0.0 if index % 10 else 500.0)
    high = goal.worth
    for index in range(10_000):
        goal.seen(400 * 86_400.0 + index * 60.0, 0.0 if index % 10 else 5.0)
    assert goal.worth < high / 10


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, math.nan])
def test_a_share_that_is_none_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="share of requests"):
        Goal(target)


def test_a_worth_is_never_below_two_heartbeats() -> None:
    goal = Goal(0.5)
    for index in range(1_000):
        goal.seen(index * 60.0, 1.001)
    assert goal.worth == 2.0


def test_a_worth_below_two_heartbeats_is_refused_as_a_limit() -> None:
    with pytest.raises(ValueError, match="most_worth"):
        Goal(0.01, most_worth=1.0)


def test_a_timeline_says_what_was_in_force() -> None:
    line = Timeline([-math.inf, 10.0, 20.0], [1.0, 2.0, 3.0])
    assert [line.worth_at(at) for at in (0.0, 9.9, 10.0, 19.0, 20.0, 1e9)] == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]

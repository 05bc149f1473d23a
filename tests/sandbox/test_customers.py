from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from warmer.sandbox.customers import DEMO, Shape, Visits, arrivals, replay, replay_with_cron
from warmer.sandbox.world import World

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
END = BEGIN + timedelta(hours=1)


def visits(shape: Shape, per_hour: float = 40) -> Visits:
    return Visits(target="replicate/hello-world", shape=shape, per_hour=per_hour, input={"text": "x"})


@pytest.mark.parametrize("shape", Shape)
def test_arrivals_are_in_order_within_the_span_and_the_same_for_the_same_seed(shape: Shape) -> None:
    times = arrivals(visits(shape), BEGIN, END, seed=1)
    assert times == sorted(times)
    assert all(BEGIN <= moment < END for moment in times)
    assert times == arrivals(visits(shape), BEGIN, END, seed=1)
    assert times != arrivals(visits(shape), BEGIN, END, seed=2)


@pytest.mark.parametrize("shape", Shape)
def test_arrivals_come_at_the_rate_asked_for(shape: Shape) -> None:
    week = arrivals(visits(shape), BEGIN, BEGIN + timedelta(days=7))
    assert len(week) == pytest.approx(7 * 24 * 40, rel=0.1)


def test_a_timer_keeps_its_beat_and_rare_visits_keep_their_distance() -> None:
    timer = arrivals(visits(Shape.TIMER, 12), BEGIN, END)
    rare = arrivals(visits(Shape.RARE, 12), BEGIN, BEGIN + timedelta(days=1))
    assert all(295 < (later - sooner).total_seconds() < 305 for sooner, later in itertools.pairwise(timer))
    assert all((later - sooner).total_seconds() >= 60 for sooner, later in itertools.pairwise(rare))


@pytest.mark.parametrize("group", DEMO, ids=lambda group: group.target)
def test_unwarmed_customers_of_the_demo_find_models_cold(group: Visits) -> None:
    times = arrivals(group, BEGIN, END)
    found = replay(World(begin=BEGIN), group.target, times, group.input)
    assert found.calls == len(times) == len(found.waits)
    assert 0 < found.found_cold <= found.calls
    assert found.beats == 0
    assert found == replay(World(begin=BEGIN), group.target, times, group.input)


def test_a_cron_keeps_the_model_warm_and_its_bill_is_that_of_its_beats() -> None:
    group = visits(Shape.STEADY)
    times = arrivals(group, BEGIN + timedelta(minutes=1), END)
    world = World(begin=BEGIN)
    found = replay_with_cron(world, group.target, times, group.input, group.input, until=END)
    assert (found.beats, found.found_cold, found.calls) == (120, 0, len(times))
    assert found.billed_usd == world.journal.totals(caller="cron")[0].billed_usd > 0


def test_a_cron_on_a_private_model_pays_for_every_second_online() -> None:
    given = {"prompt": "x", "max_tokens": 1}
    found = replay_with_cron(World(begin=BEGIN), "acme/private-llm", [], given, given, until=END)
    assert found.billed_usd > Decimal("0.0014") * 3600


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="use a number above 0"):
        visits(Shape.STEADY, 0)

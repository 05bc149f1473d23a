from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warmer.core.beat import Verdict
from warmer.core.history import Evidence
from warmer.core.learned import Learned
from warmer.core.warmth import Sight, Warmth, best_first, warmth

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def learned() -> Learned:
    """A host that keeps instances for 300 s and boots in 20."""
    met = [(250, False), (280, False), (320, True), (350, True)] * 4
    return Learned().after_all(
        Evidence(at=NOON, gap_s=gap, cold=cold, wait_s=20.0 if cold else 0.1) for gap, cold in met
    )


HOST = Sight(model="m", learned=learned(), warm_wait_s=0.1)


def used(ago_s: float, **more: object) -> Sight:
    return replace(HOST, last_use=NOON - ago_s * SECOND, **more)


@pytest.mark.parametrize(
    ("sight", "low", "high"),
    [
        (used(1), 0.99, 1.0),
        (used(200), 0.95, 1.0),
        (used(300), 0.2, 0.8),
        (used(500), 0.0, 0.05),
        (HOST, 0.0, 0.0),
        (replace(HOST, always_on=True), 1.0, 1.0),
        (replace(HOST, held_since=NOON - 3600 * SECOND), 0.8, 1.0),
        (replace(HOST, held_since=NOON - SECOND), 0.0, 0.0),
        (used(500, call_since=NOON - 60 * SECOND), 0.8, 1.0),
        (used(500, call_since=NOON - SECOND), 0.0, 0.1),
        (used(500, beat_since=NOON - 10 * SECOND), 0.0, 0.05),
        (used(30, beat_since=NOON - SECOND), 0.95, 1.0),
        (used(30, beat_since=NOON - 10 * SECOND), 0.0, 0.05),
        (used(500, calls_per_s=1 / 60, seen_at=NOON - 60 * SECOND), 0.6, 0.65),
        (used(500, calls_per_s=1 / 60), 0.0, 0.05),
        (used(9000, calls_per_s=1 / 60, seen_at=NOON - 6000 * SECOND), 0.98, 1.0),
    ],
    ids=[
        "just used",
        "well within the time-out",
        "about the time-out",
        "long past it",
        "nothing known",
        "official",
        "held by a floor",
        "a floor that was just raised",
        "a call that has booted it",
        "a call that is booting it",
        "a beat that is booting it",
        "a beat that has just gone out",
        "a beat that found it gone after all",
        "calls that nobody saw",
        "calls that nobody could see",
        "nobody looked for long",
    ],
)
def test_how_likely_an_instance_is_up(sight: Sight, low: float, high: float) -> None:
    assert low <= warmth(sight, NOON).probability <= high


def test_the_wait_is_that_of_a_warm_call_or_what_is_left_of_a_boot() -> None:
    assert warmth(used(1), NOON).expected_wait_s == pytest.approx(0.1, abs=0.1)
    assert warmth(used(900), NOON).expected_wait_s == pytest.approx(20.0, abs=0.2)
    booting = [warmth(used(900, beat_since=NOON - ago * SECOND), NOON).expected_wait_s for ago in (3, 10, 15)]
    assert booting == sorted(booting, reverse=True)
    assert booting[0] == pytest.approx(17.0, abs=0.5)


def test_the_word_follows_the_chance() -> None:
    words = [warmth(used(ago), NOON).verdict for ago in (1, 300, 900)]
    assert words == [Verdict.WARM, Verdict.UNSURE, Verdict.COLD]


def test_the_shortest_wait_comes_first() -> None:
    slow = replace(HOST, model="slow", learned=Learned(boots_s=(200.0,)))
    told = best_first(warmth(one, NOON) for one in (slow, used(1, model="warm"), replace(HOST, model="cold")))
    assert [one.model for one in told] == ["warm", "cold", "slow"]


MOMENTS = st.none() | st.integers(-10, 100_000).map(lambda ago: NOON - ago * SECOND)


@settings(deadline=None)
@example(None, None, NOON + SECOND, None, None, 0.0)
@given(MOMENTS, MOMENTS, MOMENTS, MOMENTS, MOMENTS, st.floats(0, 10))
def test_it_is_always_a_chance_and_a_wait(
    last: datetime | None,
    call: datetime | None,
    beat: datetime | None,
    held: datetime | None,
    seen: datetime | None,
    rate: float,
) -> None:
    sight = replace(
        HOST, last_use=last, call_since=call, beat_since=beat, held_since=held, seen_at=seen, calls_per_s=rate
    )
    told: Warmth = warmth(sight, NOON)
    assert 0 <= told.probability <= 1
    assert 0 < told.expected_wait_s <= 20.1

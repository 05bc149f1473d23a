"""An instance held by a floor, against what is worked out by hand, and against the other replays."""

from __future__ import annotations

from core.backtest.histories import HISTORIES, end_of
from hypothesis import given, settings

from warmer.core.backtest.held import held
from warmer.core.backtest.policies import Settings, policy
from warmer.core.backtest.trace import SECOND, Arrivals, Trace
from warmer.core.backtest.world import World

WORLD = World(boot_sigma=0.0)  # an idle time-out of 60 s, boots of 12 s, runs of 1.5 s
DAY_S = 86_400


def calls(*seconds: float) -> Arrivals:
    (arrivals,) = Trace.of("t", {"m": list(seconds)}).models
    return arrivals


@given(HISTORIES)
@settings(max_examples=60, deadline=None)
def test_without_a_window_it_is_a_model_left_cold(arrivals: Arrivals) -> None:
    end = end_of(arrivals)
    trace = Trace(name="t", models=(arrivals,), end=end)
    (cold,) = policy("none", Settings()).on(trace, WORLD)
    assert held(arrivals, end, (), WORLD).same_as(cold)


@given(HISTORIES)
@settings(max_examples=60, deadline=None)
def test_held_throughout_only_its_own_boot_is_waited_for(arrivals: Arrivals) -> None:
    end = end_of(arrivals)
    replay = held(arrivals, end, [(0, end)], WORLD)
    assert replay.online == end
    assert replay.boots == 12 * SECOND
    assert not replay.cold[arrivals.at >= 12 * SECOND].any()


def test_a_window_holds_what_nobody_uses_and_lets_go_at_its_end() -> None:
    window = (1000 * SECOND, 5000 * SECOND)
    replay = held(calls(900, 1006, 4000, 5100), DAY_S * SECOND, [window], WORLD)
    # The first boots one that goes at 900 + 12 + 1.5 + 60; the floor another that the second call still waits for.
    assert replay.cold.tolist() == [True, True, False, True]
    assert replay.waits.tolist() == [12 * SECOND, 6 * SECOND, 12 * SECOND]
    assert replay.online == (73.5 + 4000 + 73.5) * SECOND


def test_what_is_used_at_the_end_of_a_window_stays_for_its_idle_time() -> None:
    window = (1000 * SECOND, 5000 * SECOND)
    replay = held(calls(4990, 5040), DAY_S * SECOND, [window], WORLD)
    assert not replay.cold.any()
    assert replay.online == (5040 + 1.5 + 60 - 1000) * SECOND


def test_a_floor_takes_over_an_instance_that_is_up() -> None:
    replay = held(calls(990), DAY_S * SECOND, [(1000 * SECOND, 1010 * SECOND), (9000 * SECOND, 9100 * SECOND)], WORLD)
    assert replay.boots == 2 * 12 * SECOND
    assert replay.online == (73.5 + 100) * SECOND

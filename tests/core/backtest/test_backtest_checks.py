"""What any simulator must pass."""

from __future__ import annotations

import json

import numpy as np
import pytest
from core.backtest.histories import HISTORIES, calls, end_of, plain_world, under
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.backtest.deciders import Stop
from warmer.core.backtest.grid import Cron
from warmer.core.backtest.outcome import row
from warmer.core.backtest.policies import NAMES, Settings
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.simulate import simulate
from warmer.core.backtest.trace import DAY, HOUR, SECOND, Arrivals, Trace
from warmer.core.backtest.world import World
from warmer.core.backtest.yardsticks import Clairvoyant, best_fixed_stop, best_stopping_point, keep_only
from warmer.core.plain import plain
from warmer.core.situations import situation

EXACT = plain_world()
DEFAULTS = Settings()


@pytest.mark.parametrize("name", ["none", "cron-30s-08-20"])
@pytest.mark.parametrize(("late_by", "cold"), [(0, False), (1, True)])
def test_after_a_gap_of_exactly_the_time_out_the_instance_is_still_there(name: str, late_by: int, cold: bool) -> None:
    first_ends = 12 * SECOND + EXACT.run
    arrivals = Arrivals(model="m", at=np.array([0, first_ends + EXACT.idle_timeout + late_by]))
    assert under(name, arrivals, 3 * 60 * SECOND, EXACT).cold.tolist() == [True, cold]
    stepped = simulate(arrivals, 3 * 60 * SECOND, Stop(interval_s=50, most=0), EXACT, interval=DEFAULTS.interval)
    assert stepped.cold.tolist() == [True, cold]


def test_a_request_during_a_boot_waits_for_the_rest_of_it() -> None:
    replay = under("none", calls([100.0, 105.0, 111.9, 112.0, 130.0]), HOUR, EXACT)
    assert replay.cold.tolist() == [True, True, True, False, False]
    assert (replay.waits / SECOND).tolist() == [12.0, 7.0, pytest.approx(0.1)]
    assert replay.boots == 12 * SECOND
    # from the boot to the time-out after the last call's end
    assert replay.online == (130 + 1.5 + 60 - 100) * SECOND


def test_a_request_while_a_heartbeat_boots_waits_for_the_rest_of_it() -> None:
    replay = under("cron-30s", calls([5.0]), HOUR, EXACT)
    assert replay.cold.tolist() == [True]
    assert replay.waits.tolist() == [7 * SECOND]


@pytest.mark.parametrize(
    ("every", "end", "count"), [(30, DAY, 2880), (30, HOUR, 120), (45, DAY, 1920), (7, DAY, 12343)]
)
def test_a_cron_job_runs_as_often_as_a_clock_says(every: int, end: int, count: int) -> None:
    sent = under(f"cron-{every}s", calls([3.0, 700.0]), end, EXACT).sent
    assert len(sent) == count
    assert (np.diff(sent) == every * SECOND).all()


def test_a_cron_job_keeps_to_its_hours() -> None:
    sent = under("cron-30s-08-20", calls([3.0]), 3 * DAY, EXACT).sent
    hours = sent % DAY / HOUR
    assert len(sent) == 3 * 1440
    assert hours.min() == 8
    assert hours.max() < 20
    assert len(Cron(every=30 * SECOND, opens=8, closes=20).times(9 * HOUR)) == 120


def test_after_its_hours_a_cron_job_lets_go() -> None:
    last_beat_ends = 20 * HOUR - 30 * SECOND + EXACT.beat
    arrivals = Arrivals(model="m", at=np.array([last_beat_ends + EXACT.idle_timeout, 22 * HOUR]))
    assert under("cron-30s-08-20", arrivals, DAY, EXACT).cold.tolist() == [False, True]


@pytest.mark.parametrize("worth", [0, 1, 7, 80])
def test_ski_sends_no_more_than_its_budget_in_a_gap(worth: int) -> None:
    arrivals = calls([0.0, 200.0, 300.0, 50_000.0])
    replay = under("ski", arrivals, DAY, World(), Settings(cold_start_worth=worth))
    in_gap = np.bincount(np.searchsorted(arrivals.at, replay.sent, side="right"), minlength=5)
    assert in_gap.max() == min(worth, in_gap.max())
    assert in_gap[3:].tolist() == [worth, worth]
    assert replay.cold[3]


def test_keeping_warm_ends_a_gap_just_in_time() -> None:
    """1, 2 and 3 heartbeats: as far as each can carry, and one tenth of a second further."""
    for count in (1, 2, 3):
        reach = 13.5 + 60 + count * 60.3
        for gap, needed in ((reach, count), (reach + 0.1, count + 1)):
            replay = keep_only(calls([0.0, gap]), 2 * HOUR, EXACT, DEFAULTS)
            assert (len(replay.sent), replay.cold.tolist()) == (needed, [True, False])


def test_what_costs_more_than_a_cold_start_is_let_go() -> None:
    replay = keep_only(calls([0.0, 13.5 + 60 + 3 * 60.3]), HOUR, EXACT, Settings(cold_start_worth=2))
    assert (len(replay.sent), replay.cold.tolist()) == (0, [True, True])


@given(HISTORIES, st.sampled_from([1.0, 2.0, 80.0]))
def test_the_optimum_can_be_carried_out_and_nothing_simple_beats_it(arrivals: Arrivals, worth: float) -> None:
    settings, end = Settings(cold_start_worth=worth), end_of(arrivals)
    optimum = keep_only(arrivals, end, EXACT, settings)
    stepped = simulate(arrivals, end, Clairvoyant(arrivals, EXACT, worth=worth), EXACT, interval=EXACT.idle_timeout)
    assert optimum.same_as(stepped)


@given(HISTORIES, st.sampled_from([0.0, 2.0, 80.0]))
def test_the_best_stop_costs_what_the_cheapest_of_all_costs(arrivals: Arrivals, worth: float) -> None:
    # Without boots no stopping point shifts a gap, so that one replay can tell what each would cost.
    world, end, settings = World(boot_median=0), end_of(arrivals), Settings(cold_start_worth=worth)
    most = best_stopping_point(arrivals, end, world, settings)
    best = best_fixed_stop(arrivals, end, world, settings)

    def cost(replay: Replay) -> float:
        return len(replay.sent) + worth * int(replay.cold.sum())

    tried = [
        simulate(arrivals, end, Stop(interval_s=50, most=stop), world, interval=settings.interval)
        for stop in (0, 1, 2, 3, 5, 50, 4096, 1 << 40)
    ]
    assert cost(best) <= min(map(cost, tried)), most


def test_a_timer_is_learned() -> None:
    """Every quarter of an hour: after some calls each is met warm, by a heartbeat shortly before."""
    trace = situation("timer", days=4)
    replay = under("hybrid", trace.models[0], trace.end, World())
    assert not replay.cold[20:].any()
    kept = under("aware", trace.models[0], trace.end, World())
    assert len(replay.sent) < 0.3 * len(kept.sent)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("situation_name", ["office", "nightly", "rare"])
def test_what_comes_later_changes_no_earlier_decision(name: str, situation_name: str) -> None:
    arrivals = situation(situation_name, days=6).models[0]
    whole = under(name, arrivals, 6 * DAY, World())
    for cut in (1, len(arrivals) // 3, len(arrivals) - 1):
        end = int(arrivals.at[cut])
        part = under(name, Arrivals(model=arrivals.model, at=arrivals.at[:cut]), end, World())
        assert np.array_equal(part.sent, whole.sent[whole.sent < end])
        assert np.array_equal(part.cold, whole.cold[:cut])


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(name: str) -> None:
    def told(seed: int) -> str:
        trace, world = situation("evening", days=5), World(seed=seed)
        replays = [under(name, arrivals, trace.end, world) for arrivals in trace.models]
        return json.dumps(plain(row(trace, name, {}, replays, world)))

    assert told(3) == told(3)
    assert told(3) != told(4)


def test_a_models_chance_does_not_hang_on_the_others() -> None:
    alone = Trace.of("t", {"b": [5.0, 900.0]})
    among = Trace.of("t", {"a": [1.0], "b": [5.0, 900.0], "c": [2.0]})
    replays = [under("aware", trace.models[i], HOUR, World()) for trace, i in ((alone, 0), (among, 1))]
    assert replays[0].same_as(replays[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_model_without_calls_is_replayed_too(name: str) -> None:
    replay = under(name, calls([]), HOUR, EXACT)
    assert replay.cold.tolist() == []
    assert (len(replay.sent) > 0) == (name == "fixed" or name == "cron-30s")


def test_all_calls_at_one_instant_wait_for_one_boot() -> None:
    replay = under("aware", calls([40.0] * 5), 90 * SECOND, EXACT)
    assert replay.cold.all()
    assert replay.boots == 12 * SECOND
    assert replay.sent.tolist() == []

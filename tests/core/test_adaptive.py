from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.adaptive import Adaptive, hold
from warmer.core.worth import Goal

HOUR = 3600.0
DAY = 24 * HOUR
STAYS = 60.0  # how long an instance stays; deciders count on 50
BOOT = 12.0


@dataclass
class Run:
    sent: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    looks: int = 0


def play(decider: Adaptive, times: list[float], end: float) -> Run:
    """One instance, requests of 1.5 s, heartbeats of 0.3 s, times rounded to a microsecond as a clock does."""
    run, idle, ready, look = Run(), -math.inf, 0.0, math.inf
    for at in [*times, end]:
        while look < at:
            run.looks += 1
            assert run.looks < 500_000
            if decider.send(look, warm=look <= idle + 50.000001):
                decider.sent(look)
                run.sent.append(look)
                if look > idle + STAYS:
                    ready = look + BOOT
                idle = max(look, ready) + 0.3
                asked = idle
            else:
                asked = look
            answer = decider.next_look(asked, idle)
            assert answer >= asked
            answer = round(answer, 6) if answer < math.inf else answer
            assert answer > look
            look = answer
        if at >= end:
            break
        if at > idle + STAYS:
            run.cold.append(at)
            ready = at + BOOT
        elif at < ready:
            run.cold.append(at)
        idle = max(idle, max(at, ready) + 1.5)
        decider.seen(at)
        look = round(max(decider.next_look(at, idle), at), 6) if decider.next_look(at, idle) < math.inf else math.inf
    return run


def poisson(days: float, per_hour: float, *, seed: int = 5, hours: tuple[float, float] = (0, 24)) -> list[float]:
    draw, at, found = random.Random(seed), 0.0, list[float]()
    while at < days * DAY:
        at += draw.expovariate(per_hour / HOUR)
        if hours[0] <= at % DAY / HOUR < hours[1]:
            found.append(at)
    return found


SAMPLES = {
    "steady": poisson(10, 4),
    "office": poisson(14, 12, hours=(9, 17)),
    "timer": [900.0 * tick + jitter for tick, jitter in enumerate(random.Random(2).choices(range(20), k=700), 1)],
    "rare": poisson(14, 0.15),
}


def test_a_model_never_called_is_never_warmed() -> None:
    assert play(Adaptive(worth=1e5), [], 30 * DAY).sent == []


def test_what_keeps_itself_warm_gets_no_heartbeat() -> None:
    times = [25.0 * tick for tick in range(4000)]
    run = play(Adaptive(worth=1e4), times, times[-1])
    assert run.sent == []
    assert run.cold == times[:1]


@pytest.mark.parametrize("worth", [0.0, 0.5, 1.0])
def test_a_cold_start_worth_no_more_than_a_heartbeat_gets_none(worth: float) -> None:
    assert play(Adaptive(worth=worth), SAMPLES["steady"], 10 * DAY).sent == []


@pytest.mark.parametrize("name", SAMPLES)
def test_a_cold_start_worth_more_gets_more_heartbeats_and_fewer_cold_requests(name: str) -> None:
    runs = [play(Adaptive(worth=worth), SAMPLES[name], 14 * DAY) for worth in (10, 40, 160, 640, 2560)]
    sent, cold = [len(run.sent) for run in runs], [len(run.cold) for run in runs]
    assert all(more >= 0.98 * less - 5 for less, more in pairwise(sent))
    assert all(fewer <= 1.02 * many + 2 for many, fewer in pairwise(cold))


def test_a_timer_is_learned_and_met_with_few_heartbeats() -> None:
    times = [3600.0 * tick for tick in range(1, 500)]
    run = play(Adaptive(worth=200.0), times, times[-1] + 1)
    late = [at for at in run.cold if at > times[200]]
    assert len(late) <= 6
    assert sum(at > times[200] for at in run.sent) / 299 < 8  # staying warm would take 70 an hour


def test_office_hours_are_learned_and_opened_with_a_boot_in_time() -> None:
    times = SAMPLES["office"]
    run = play(Adaptive(worth=150.0), times, 14 * DAY)
    week = 7 * DAY
    at_night = sum(at > week and not 7 <= at % DAY / HOUR < 18.5 for at in run.sent)
    by_day = sum(at > week and 9 <= at % DAY / HOUR < 17 for at in run.sent)
    assert by_day > 5 * at_night
    assert sum(at > week for at in run.cold) < 0.1 * sum(at > week for at in times)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("worth", [20.0, 320.0, 5000.0])
def test_a_user_who_left_is_not_pinged_for_ever(name: str, worth: float) -> None:
    times = SAMPLES[name]
    run = play(Adaptive(worth=worth), times, times[-1] + 400 * DAY)
    after = [at for at in run.sent if at > times[-1]]
    assert len(after) <= 10 * worth
    assert not after or after[-1] < times[-1] + 250 * DAY


@settings(max_examples=25)
@given(
    st.lists(st.one_of(st.floats(0.0, 45.0), st.floats(51.0, 5000.0), st.floats(5000.0, 2 * DAY)), max_size=40),
    st.integers(0, 40),
    st.sampled_from([{"worth": 30.0}, {"worth": 700.0, "boot_price": 20.0}, {"target": 0.05}]),
)
def test_truncating_the_future_changes_no_earlier_decision(
    lengths: list[float], kept: int, how: dict[str, float]
) -> None:
    times = [round(at, 3) for at in accumulate(lengths, initial=HOUR)]
    end = times[-1] + 2 * HOUR
    whole = play(Adaptive(**how), times, end).sent
    cut = times[min(kept, len(times) - 1)]
    part = play(Adaptive(**how), [at for at in times if at <= cut], cut).sent
    assert part == [at for at in whole if at < cut][: len(part)]
    assert len(part) == sum(at < cut for at in whole)


def test_two_runs_are_the_same() -> None:
    runs = [play(Adaptive(target=0.03), SAMPLES["office"], 14 * DAY) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_restart_forgets_nothing() -> None:
    times = SAMPLES["office"]
    ran = Adaptive(worth=100.0)
    play(ran, times, times[-1] + 1)
    folded = Adaptive(worth=100.0)
    for at in times:
        folded.seen(at)
    answers = [(decider.next_look(times[-1], times[-1]), decider.explain(times[-1] + 60)) for decider in (ran, folded)]
    assert answers[0] == answers[1]


def test_a_boot_that_costs_is_paid_less_often() -> None:
    times = SAMPLES["office"]

    def boots(price: float) -> int:
        sent = play(Adaptive(worth=100.0, boot_price=price), times, 14 * DAY).sent
        activity = sorted([*sent, *times])
        before = dict(zip(activity[1:], activity, strict=False))
        return sum(at - before.get(at, 0.0) > STAYS + 2 for at in sent)

    assert boots(50.0) < boots(0.0)


@pytest.mark.parametrize(("name", "target"), [("office", 0.1), ("timer", 0.05), ("steady", 0.1)])
def test_a_target_is_held(name: str, target: float) -> None:
    times = SAMPLES[name]
    run = play(Adaptive(target=target), times, 14 * DAY)
    assert len(run.cold) / len(times) <= 1.15 * target


@pytest.mark.parametrize("period", [300.0, 900.0, 3000.0, 3600.0, 7200.0, 1234.5])
def test_a_timer_without_any_jitter_meets_its_target_with_few_heartbeats(period: float) -> None:
    times = [period * tick for tick in range(1, 500)]
    run = play(Adaptive(target=0.05), times, times[-1] + 1)
    assert len(run.cold) <= 0.02 * len(times)
    assert len(run.sent) <= 3 * len(times)


def test_one_goal_over_several_models_is_the_same_live_and_replayed() -> None:
    models = [SAMPLES["office"], SAMPLES["timer"], SAMPLES["steady"]]
    replayed = hold(Goal(0.05), models, interval_s=50.0)
    goal = Goal(0.05)
    deciders = [Adaptive(purse=goal) for _ in models]
    for at, which in sorted((at, which) for which, times in enumerate(models) for at in times):
        deciders[which].seen(at)
        assert replayed.worth_at(at) == goal.worth_at(at)


def test_one_goal_over_several_models_holds_it_over_them_together() -> None:
    models = [SAMPLES["office"], SAMPLES["timer"], SAMPLES["rare"]]
    worths = hold(Goal(0.05), models, interval_s=50.0)
    runs = [play(Adaptive(purse=worths), times, 14 * DAY) for times in models]
    assert sum(len(run.cold) for run in runs) <= 1.1 * 0.05 * sum(map(len, models))


def test_a_model_that_is_not_worth_warming_is_said_to_be_so_and_gets_none() -> None:
    decider = Adaptive(worth=40.0)
    run = play(decider, SAMPLES["rare"], 14 * DAY)
    verdict = decider.verdict
    assert not verdict.worth_warming
    assert verdict.avoided < 0.1 * verdict.cold_starts
    late = SAMPLES["rare"][30]
    assert not [at for at in run.sent if at > late]


def test_a_model_with_a_rhythm_is_worth_warming() -> None:
    decider = Adaptive(worth=80.0)
    play(decider, SAMPLES["office"], 14 * DAY)
    assert decider.verdict.worth_warming


def test_too_few_requests_make_no_verdict() -> None:
    decider = Adaptive(worth=20.0)
    for at in (0.0, 1e5, 3e5):
        decider.seen(at)
    assert decider.verdict.worth_warming


def test_the_figures_behind_a_decision_decide_it() -> None:
    decider = Adaptive(worth=143.0, interval_s=240.0)
    for at in SAMPLES["office"]:
        decider.seen(at)
    last = SAMPLES["office"][-1]
    for since in (241.0, 2000.0, 9000.0):
        sent = decider.send(last + since, warm=True)
        figures = decider.explain(last + since)
        assert figures.within_s == 240.0
        assert figures.worth >= 143.0
        assert figures.break_even == pytest.approx(1 / figures.worth)
        assert sent == (figures.chance >= figures.break_even)


def test_a_cold_start_is_worth_more_where_more_requests_wait_for_it() -> None:
    draw = random.Random(8)
    alone = [at + draw.uniform(0, 900) for at in (1200.0 * tick for tick in range(400))]
    crowds = sorted(at + wait for at in alone for wait in (0.0, 2.0, 5.0, 9.0, 30.0))
    sent, worths = [], []
    for times in (alone, crowds):
        decider = Adaptive(worth=20.0)
        sent.append(len(play(decider, times, times[-1] + 1).sent))
        worths.append(decider.explain(times[-1] + 60).worth)
    assert worths == [pytest.approx(20.0), pytest.approx(80.0, rel=0.05)]
    assert sent[1] > 1.5 * sent[0]


def test_a_gap_that_is_probed_moves_the_look_and_not_what_a_heartbeat_buys() -> None:
    decider = Adaptive(worth=500.0, interval_s=240.0)
    for at in SAMPLES["office"]:
        decider.seen(at)
    last = SAMPLES["office"][-1]
    assert decider.next_look(last, last + 2.0) == last + 242.0
    for gap in (300.0, 90.0):
        decider.gap_s = gap
        assert decider.next_look(last, last + 2.0) == last + 2.0 + gap
        assert decider.explain(last + gap).within_s == 240.0


@pytest.mark.parametrize("gap", [0.0, -1.0, math.nan, math.inf])
def test_a_gap_that_is_no_time_is_refused(gap: float) -> None:
    decider = Adaptive(worth=80.0)
    with pytest.raises(ValueError, match="gap_s"):
        decider.gap_s = gap


def test_the_last_request_is_known() -> None:
    decider = Adaptive(worth=80.0)
    assert decider.last_s is None
    decider.seen(100.0)
    decider.seen(130.0)
    assert decider.last_s == 130.0


def test_gaps_of_years_and_two_at_once_are_borne() -> None:
    year = 365 * DAY
    times = [0.0, 0.0, 5.0, 2 * year, 2 * year, 30 * year]
    for how in ({"worth": 300.0}, {"target": 0.01}):
        decider = Adaptive(**how)  # type: ignore[arg-type] # each is one argument of the three
        for at in times:
            decider.seen(at)
            assert decider.next_look(at, at) >= at
        assert not decider.send(60 * year, warm=False)


@pytest.mark.parametrize("how", [{}, {"worth": 3.0, "target": 0.1}, {"worth": -1.0}, {"worth": 1.0, "boot_s": -1.0}])
def test_what_cannot_be_meant_is_refused(how: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"give one of|negative"):
        Adaptive(**how)  # type: ignore[arg-type] # each a number

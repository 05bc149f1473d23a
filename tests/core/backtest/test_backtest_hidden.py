"""Backtests in which nobody is told how long an idle instance stays."""

from __future__ import annotations

import numpy as np
import pytest
from core.backtest.histories import calls, end_of, plain_world, under

from warmer.core.backtest.deciders import Stop
from warmer.core.backtest.learning import LEARNERS, Learning
from warmer.core.backtest.policies import Settings, policy
from warmer.core.backtest.simulate import side_by_side, simulate, walk
from warmer.core.backtest.trace import DAY, SECOND, Arrivals, Trace
from warmer.core.backtest.world import World
from warmer.core.hours import ActiveHours
from warmer.core.situations import situation
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind

HIDDEN, HOLDING = Settings(learns=True), Settings(learns=True, cold_target=0.05)
FIVE_MINUTES = World(idle_timeout=300 * SECOND)
ENTRY = ModelSpec(name="m", target=Target(kind=TargetKind.MODEL, owner="a", name="m"), hours=ActiveHours.always_open())
EACH = [*((name, HIDDEN) for name in LEARNERS), (PolicyName.ADAPTIVE, HOLDING)]


class Noting(Stop):
    """Notes what it is told was met."""

    def __init__(self) -> None:
        super().__init__(interval_s=65, most=1)
        self.told: list[tuple[float, float | None, bool, float]] = []

    def found(self, ended_s: float, gap_s: float | None, *, cold: bool, wait_s: float) -> None:
        self.told.append((ended_s, gap_s, cold, wait_s))


def test_a_learner_is_told_what_each_met_once_it_has_ended() -> None:
    noting = Noting()
    simulate(calls([10.0, 15.0, 200.0]), 300 * SECOND, noting, plain_world(), interval=65 * SECOND)
    assert noting.told == [
        (23.5, None, True, 12.0),
        (23.5, 0.0, True, 7.0),  # during the boot
        (100.8, 65.0, True, 12.0),  # a heartbeat, after more than the time-out of 60 s
        (213.5, pytest.approx(99.2), True, 12.0),
        (290.8, 65.0, True, 12.0),
    ]


@pytest.mark.parametrize("timeout_s", [45, 300, 1200])
def test_the_time_out_is_found_out(timeout_s: int) -> None:
    trace = situation("steady", days=1)
    learner, world = Learning(ENTRY), World(idle_timeout=timeout_s * SECOND)
    simulate(trace.models[0], trace.end, learner, world, interval=0)
    assert learner.learned.idle_timeout.is_known
    assert learner.learned.idle_timeout.median_s == pytest.approx(timeout_s, rel=0.1)
    assert learner.learned.boot_s is not None


def test_what_is_learned_saves_most_of_what_a_guess_would_send() -> None:
    arrivals = situation("office", days=3).models[0]
    learned, guessed = (under("aware", arrivals, 3 * DAY, FIVE_MINUTES, told) for told in (HIDDEN, Settings()))
    assert len(learned.sent) < 0.3 * len(guessed.sent)
    assert learned.cold.sum() <= guessed.cold.sum() + 2


@pytest.mark.parametrize(("name", "told"), EACH)
def test_what_comes_later_changes_no_earlier_decision(name: PolicyName, told: Settings) -> None:
    arrivals = situation("office", days=2).models[0]
    whole = under(name, arrivals, 2 * DAY, FIVE_MINUTES, told)
    for cut in (1, len(arrivals) // 2):
        end = int(arrivals.at[cut])
        part = under(name, Arrivals(model=arrivals.model, at=arrivals.at[:cut]), end, FIVE_MINUTES, told)
        assert np.array_equal(part.sent, whole.sent[whole.sent < end])
        assert np.array_equal(part.cold, whole.cold[:cut])


@pytest.mark.parametrize(("name", "told"), EACH)
def test_the_same_seed_gives_the_same_decisions(name: PolicyName, told: Settings) -> None:
    arrivals = situation("evening", days=2).models[0]
    first, again, other = (
        under(name, arrivals, 2 * DAY, World(idle_timeout=300 * SECOND, seed=seed), told) for seed in (1, 1, 2)
    )
    assert first.same_as(again)
    assert not first.same_as(other)


@pytest.mark.parametrize(("name", "told"), EACH)
@pytest.mark.parametrize("at", [[], [40.0], [40.0] * 3])
def test_next_to_no_calls_are_replayed_too(name: PolicyName, told: Settings, at: list[float]) -> None:
    arrivals = calls(at)
    replay = under(name, arrivals, end_of(arrivals) if at else 3600 * SECOND, plain_world(), told)
    assert len(replay.cold) == len(at)
    if len(at) < 2 or name is not PolicyName.ADAPTIVE:  # which takes calls that come together for more to come
        assert (len(replay.sent) > 0) == (name is PolicyName.FIXED or (name is PolicyName.AWARE and bool(at)))


def test_models_share_a_target_from_moment_to_moment() -> None:
    office, evening = (situation(name, days=4).models[0] for name in ("office", "evening"))
    trace = Trace(name="two", models=(office, evening), end=4 * DAY)
    together = list(policy("adaptive", HOLDING).on(trace, FIVE_MINUTES))
    alone = [under("adaptive", one, trace.end, FIVE_MINUTES, HOLDING) for one in trace.models]
    assert [len(replay.cold) for replay in together] == [len(office), len(evening)]
    assert not any(one.same_as(other) for one, other in zip(together, alone, strict=True))
    # What comes later changes nothing of what came before, of either.
    noon = 5 * DAY // 2
    cut = [Arrivals(model=one.model, at=one.at[one.at < noon]) for one in trace.models]
    for part, whole in zip(
        policy("adaptive", HOLDING).on(Trace(name="half", models=tuple(cut), end=noon), FIVE_MINUTES),
        together,
        strict=True,
    ):
        assert np.array_equal(part.sent, whole.sent[whole.sent < noon])


def test_side_by_side_is_what_each_would_be_alone_where_nothing_is_shared() -> None:
    trace = Trace.of("t", {"a": [5.0, 400.0], "b": [5.0, 80.0, 900.0], "c": []})
    both = side_by_side(walk(one, trace.end, Stop(interval_s=50, most=3), World(), interval=0) for one in trace.models)
    for one, replay in zip(trace.models, both, strict=True):
        assert replay.same_as(simulate(one, trace.end, Stop(interval_s=50, most=3), World(), interval=0))


def test_a_row_says_that_the_interval_was_learned() -> None:
    assert policy("aware", HIDDEN).parameters == {"interval_s": "learned"}
    assert policy("adaptive", HOLDING).parameters == {"interval_s": "learned", "cold_target": 0.05}
    assert policy("cron-30s", HIDDEN).parameters == {}


@pytest.mark.parametrize("name", ["ski", "learned-stop", "hybrid"])
def test_what_cannot_learn_says_what_to_do(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} learns no interval: give it one, or choose among fixed, aware"):
        policy(name, HIDDEN)

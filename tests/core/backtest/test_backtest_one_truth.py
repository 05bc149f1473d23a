"""The closed forms, the event loop and the live policies decide alike, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from core.backtest.histories import HISTORIES, WORLDS, calls, end_of, under
from hypothesis import assume, given
from hypothesis import strategies as st

from warmer.core.backtest import grid, stops
from warmer.core.backtest.deciders import Fixed, Stop
from warmer.core.backtest.learned_stop import NEVER, LearnedStop, stopping_points
from warmer.core.backtest.live import Live
from warmer.core.backtest.policies import Settings
from warmer.core.backtest.simulate import simulate
from warmer.core.backtest.trace import DAY, HOUR, SECOND, Arrivals
from warmer.core.backtest.world import Chance, World
from warmer.core.backtest.yardsticks import Clairvoyant, keep_only
from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.units import parse_duration

INTERVALS = st.sampled_from([50 * SECOND, 1_700_000, 53_300_000])
MOST = st.sampled_from([0, 1, 2, 3, 80, NEVER])
CHAIN = np.arange(300) * 65.0  # each call is cold if the one before was warm, and the other way round


def holds(world: World, interval: int) -> bool:
    return stops.holds(world, Chance.of(world, "m"), interval)


@given(HISTORIES, WORLDS, INTERVALS, MOST)
def test_stopping_in_closed_form_is_stopping_step_by_step(
    arrivals: Arrivals, world: World, interval: int, most: int
) -> None:
    assume(holds(world, interval))
    end = end_of(arrivals)
    closed = stops.replay(arrivals, end, most, world, interval=interval)
    stepped = simulate(arrivals, end, Stop(interval_s=interval / SECOND, most=most), world, interval=interval)
    assert closed is not None
    assert closed.same_as(stepped)


@given(HISTORIES, WORLDS, INTERVALS, st.sampled_from([1.0, 2.5, 80.0]))
def test_what_is_learned_at_once_is_what_is_learned_gap_by_gap(
    arrivals: Arrivals, world: World, interval: int, worth: float
) -> None:
    assume(holds(world, interval))
    end = end_of(arrivals)
    most = stopping_points(arrivals, interval=interval, worth=worth)
    closed = stops.replay(arrivals, end, most, world, interval=interval)
    decider = LearnedStop(interval_s=interval / SECOND, worth=worth)
    assert closed is not None
    assert closed.same_as(simulate(arrivals, end, decider, world, interval=interval))


@given(HISTORIES, WORLDS, st.sampled_from([50 * SECOND, 15_100_000, 61_400_000, 200 * SECOND]))
def test_fixed_in_closed_form_is_fixed_step_by_step(arrivals: Arrivals, world: World, interval: int) -> None:
    end = end_of(arrivals)
    closed = grid.fixed(arrivals, end, world, interval=interval)
    stepped = simulate(arrivals, end, Fixed(interval_s=interval / SECOND), world, interval=interval)
    if closed is None:  # a heartbeat was out for longer than the interval: the clock alone does not tell
        # That shows in the beat after it, where there is one, and else in the boot that it waited for.
        assert np.any(np.diff(stepped.sent) > interval) or stepped.boots + world.beat > interval
    else:
        assert closed.same_as(stepped)


@pytest.mark.parametrize("name", ["fixed", "aware"])
@given(arrivals=HISTORIES, world=WORLDS, every=st.sampled_from(["50s", "20s", "1m", "200s"]))
def test_a_backtest_decides_as_the_daemon_decides(name: str, arrivals: Arrivals, world: World, every: str) -> None:
    interval, end = parse_duration(every), end_of(arrivals)
    settings = Settings(interval=round(interval.total_seconds() * SECOND))
    spec = ModelSpec(
        name="m",
        target=Target(kind=TargetKind.MODEL, owner="a", name="m"),
        hours=ActiveHours.always_open(),
        policy=PolicyName(name),
        every=interval,
    )
    lived = simulate(arrivals, end, Live(spec), world, interval=settings.interval)
    assert under(name, arrivals, end, world, settings).same_as(lived)


@pytest.mark.parametrize("hours", ["08:00-20:00", "22:00-02:00", "00:00-00:10"])
def test_the_live_policies_keep_to_their_hours_in_a_backtest(hours: str) -> None:
    spec = ModelSpec(
        name="m",
        target=Target(kind=TargetKind.MODEL, owner="a", name="m"),
        hours=ActiveHours(lines=(f"Mo-Su {hours}",), zone=ActiveHours.always_open().zone),
        policy=PolicyName.FIXED,
        every=parse_duration("50s"),
    )
    sent = simulate(calls([3.0]), DAY, Live(spec), World(), interval=50 * SECOND).sent
    opens, closes = (round((int(at[:2]) + int(at[3:]) / 60) * HOUR) for at in hours.split("-"))
    assert len(sent) == pytest.approx(((closes - opens) % DAY) / (50 * SECOND), abs=3)
    assert all((at - opens) % DAY < (closes - opens) % DAY for at in sent.tolist())


@pytest.mark.parametrize("interval", [50 * SECOND, 58 * SECOND, 90 * SECOND])
@given(arrivals=HISTORIES)
def test_a_policy_finds_the_way_that_holds_by_itself(interval: int, arrivals: Arrivals) -> None:
    end, settings = end_of(arrivals), Settings(interval=interval)
    for name, decider in (
        ("ski", Stop(interval_s=interval / SECOND, most=80)),
        ("fixed", Fixed(interval_s=interval / SECOND)),
    ):
        stepped = simulate(arrivals, end, decider, World(), interval=interval)
        assert under(name, arrivals, end, World(), settings).same_as(stepped)


def test_a_chain_of_near_misses_is_followed_step_by_step() -> None:
    arrivals, world, settings = calls(CHAIN), World(boot_sigma=0), Settings()
    end = end_of(arrivals)
    assert stops.replay(arrivals, end, 0, world, interval=settings.interval) is None
    by_day = Arrivals(model="m", at=arrivals.at + 21 * HOUR)
    for name, where in (("none", arrivals), ("none", by_day), ("cron-30s-08-20", by_day)):
        cold = under(name, where, end_of(where), world, settings).cold
        assert cold.tolist() == [True, False] * 150
    optimum = keep_only(arrivals, end, world, Settings(cold_start_worth=0))
    stepped = simulate(
        arrivals,
        end,
        Clairvoyant(arrivals, world, worth=0),
        World(boot_sigma=0, late_mean=0),
        interval=world.idle_timeout,
    )
    assert optimum.same_as(stepped)
    assert optimum.cold.tolist() == [True, False] * 150


class Stuck(Stop):
    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        return now_s

    def send(self, now_s: float, *, warm: bool) -> bool:
        return False


def test_a_decider_that_lets_no_time_pass_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the policy asks to look at 0\.0 s, when it is 0\.0 s already"):
        simulate(calls([5.0]), HOUR, Stuck(interval_s=50, most=0), World(), interval=50 * SECOND)


class Noting(Stop):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__(interval_s=50, most=2)
        self.told: list[tuple[str, float, object]] = []

    def seen(self, at_s: float) -> None:
        super().seen(at_s)
        self.told.append(("seen", at_s, None))

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        self.told.append(("asked", now_s, last_activity_s))
        return super().next_look(now_s, last_activity_s)

    def send(self, now_s: float, *, warm: bool) -> bool:
        self.told.append(("send", now_s, warm))
        return super().send(now_s, warm=warm)


def test_a_decider_is_told_of_the_past_in_order() -> None:
    noting = Noting()
    simulate(calls([10.0, 200.0]), 210 * SECOND, noting, World(boot_sigma=0, late_mean=0), interval=50 * SECOND)
    assert noting.told == [
        ("asked", 0.0, None),
        ("seen", 10.0, None),
        ("asked", 10.0, 23.5),  # 12 s of boot and 1.5 s of run
        ("send", 73.5, True),
        ("asked", 73.8, 73.8),
        ("send", 123.8, True),
        ("asked", 124.1, 124.1),
        ("seen", 200.0, None),
        ("asked", 200.0, 213.5),
    ]

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from core.backtest.histories import calls, plain_world
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.backtest.grid import Cron
from warmer.core.backtest.hybrid import _Quantile
from warmer.core.backtest.learned_stop import CANDIDATES, NEVER, TRUSTED_FROM, stopping_points
from warmer.core.backtest.outcome import AddedLatency, row
from warmer.core.backtest.policies import NAMES, REFERENCES, Settings, policy
from warmer.core.backtest.trace import HOUR, LONGEST_S, SECOND, Arrivals, Trace
from warmer.core.backtest.world import World
from warmer.core.insight import Percentiles

EXACT = plain_world()


def test_a_row_adds_up_over_models() -> None:
    trace = Trace.of("t", {"a": [0.0, 1000.0, 1001.0], "b": [5.0]})
    chosen = policy("ski", Settings(cold_start_worth=2))
    replays = list(chosen.on(trace, EXACT))
    found = row(trace, chosen.name, chosen.parameters, replays, EXACT, per_second=Decimal("0.001"))
    assert (found.trace, found.policy, found.models, found.requests) == ("t", "ski", 2, 4)
    assert found.parameters == {"interval_s": 50.0, "cold_start_worth": 2}
    assert (found.cold_requests, found.cold_share, found.cold_first_requests) == (4, 1.0, 2)
    assert (found.heartbeats, found.heartbeat_seconds) == (6, pytest.approx(1.8))
    assert found.boot_seconds == 36
    # a: booted at 0 and used until 13.5, two beats of 50.3 s and the time-out; booted at 1000; b as a's first.
    assert found.online_seconds == pytest.approx(2 * (13.5 + 2 * 50.3 + 60) + (13.5 + 2 * 50.3 + 60))
    assert found.added_latency_s == AddedLatency(mean=47 / 4, p50=12, p95=12, p99=12)
    assert found.cost_usd == Decimal("0.0018")
    assert found.cost_in_heartbeats(2) == 14
    assert row(trace, "ski", {}, replays, EXACT).cost_usd is None


def test_a_trace_without_calls_has_a_row_without_shares() -> None:
    trace = Trace.of("t", {})
    found = row(trace, "none", {}, [], EXACT)
    assert (found.requests, found.cold_share, found.added_latency_s.p50, found.heartbeats) == (0, None, None, 0)
    assert trace.end == 0


@given(st.lists(st.integers(0, 10**9), max_size=60), st.integers(0, 200))
def test_percentiles_count_those_who_did_not_wait(waits: list[int], warm: int) -> None:
    every = Percentiles.of([0.0] * warm + [wait / SECOND for wait in waits])
    found = AddedLatency.of(np.array(waits, dtype=np.int64), len(waits) + warm)
    assert (found.p50, found.p95, found.p99) == (every.p50, every.p95, every.p99)


@pytest.mark.parametrize(
    "name", ["fix", "cron", "cron-0s", "cron-30", "cron-30s-20-08", "cron-30s-08", "cron-30s-08-25"]
)
def test_a_policy_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no policy: write one of none|needs an interval above 0 and hours"):
        policy(name, Settings())


def test_every_name_is_a_policy_and_the_references_are_among_them() -> None:
    assert [policy(name, Settings()).name for name in NAMES] == list(NAMES)
    assert set(REFERENCES) <= set(NAMES)
    assert policy("cron-45s-00-24", Settings()).parameters == {}


@pytest.mark.parametrize(
    "bad",
    [{"interval": 0}, {"cold_start_worth": -1.0}, {"cold_start_worth": float("nan")}, {"cold_target": 0.0}],
)
def test_settings_are_valid_once_they_exist(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|is worth|is a share"):
        Settings(**bad)  # type: ignore[arg-type] # the point


@pytest.mark.parametrize("bad", [{"idle_timeout": 0}, {"boot_median": -1}, {"late_mean": -1}])
def test_worlds_are_valid_once_they_exist(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"longer than nothing|can be negative"):
        World(**bad)


@pytest.mark.parametrize("times", [[2.0, 1.0], [-1.0], [float("nan")], [float("inf")], [LONGEST_S + 1.0]])
def test_a_trace_is_valid_once_it_exists(times: list[float]) -> None:
    with pytest.raises(ValueError, match="m: times"):
        Trace.of("t", {"m": times})


def test_no_call_lies_past_a_traces_end() -> None:
    with pytest.raises(ValueError, match="at the trace's end or after it"):
        Trace.of("t", {"m": [86_400.0]}, days=1)
    assert Trace.of("t", {"m": [3600.0]}).end == 2 * HOUR
    assert Trace.of("t", {"m": [3599.9]}).end == HOUR


def test_a_cron_job_is_valid_once_it_exists() -> None:
    with pytest.raises(ValueError, match="needs an interval"):
        Cron(every=0)


# -- what is learned -------------------------------------------------------------------------------------------------


def test_few_gaps_are_not_trusted() -> None:
    arrivals = calls(np.arange(20) * 10_000.0)
    most = stopping_points(arrivals, interval=50 * SECOND, worth=80)
    assert most[:TRUSTED_FROM].tolist() == [80] * TRUSTED_FROM
    assert set(most[TRUSTED_FROM:].tolist()) == {0}  # each gap is worth 199 heartbeats: let go at once


def test_gaps_that_are_worth_it_are_kept() -> None:
    most = stopping_points(calls(np.arange(20) * 1000.0), interval=50 * SECOND, worth=80)
    assert most[-1] == 32  # 19 heartbeats a gap: the first stop that covers them
    assert CANDIDATES[-1] == NEVER


def test_short_gaps_teach_nothing() -> None:
    most = stopping_points(calls(np.arange(100) * 5.0), interval=50 * SECOND, worth=80)
    assert set(most.tolist()) == {80}


@given(st.lists(st.integers(1, 239), min_size=1, max_size=80), st.sampled_from([0.05, 0.99]))
def test_a_running_quantile_is_the_quantile_of_what_was_counted(minutes: list[int], share: float) -> None:
    running = _Quantile(share)
    for count, minute in enumerate(minutes, start=1):
        running.add(minute)
        counted = sorted(minutes[:count])
        assert running.at == next(
            value for value in range(240) if sum(one <= value for one in counted) >= share * count
        )


def test_arrivals_cannot_be_changed() -> None:
    arrivals = Arrivals(model="m", at=np.array([1, 2, 3]))
    with pytest.raises(ValueError, match="read-only"):
        arrivals.at[0] = 5

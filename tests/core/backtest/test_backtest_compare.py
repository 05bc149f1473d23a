"""One trace through many policies."""

from __future__ import annotations

from warmer.core.backtest.compare import SWEPT, WORTHS, compare, steps
from warmer.core.backtest.policies import REFERENCES, Settings, policy
from warmer.core.backtest.trace import Trace
from warmer.core.backtest.world import World


def test_a_curve_goes_by_worth_though_a_share_is_to_be_held_and_every_replay_is_counted() -> None:
    settings, world = Settings(cold_target=0.02), World()
    trace = Trace.of("two", {"a": range(0, 86_400, 700), "b": range(0, 86_400, 90)})
    chosen = [policy(name, settings) for name in (*REFERENCES, "adaptive")]
    replays: list[None] = []
    found = compare(trace, chosen, settings, world, curves=SWEPT, done=lambda: replays.append(None))
    assert len(replays) == steps(trace, len(chosen), len(SWEPT))
    assert found.rows[-1].parameters == {"interval_s": 50.0, "cold_target": 0.02}
    assert [curve.policy for curve in found.curves] == list(SWEPT)
    for curve in found.curves:
        assert [row.parameters["cold_start_worth"] for row in curve.rows] == list(WORTHS)
        assert curve.rows[0].heartbeats < curve.rows[-1].heartbeats
        assert curve.rows[0].cold_requests > curve.rows[-1].cold_requests

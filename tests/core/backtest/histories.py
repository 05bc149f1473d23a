"""Small traffic that lies on every edge a policy has, and the worlds it is replayed in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from hypothesis import strategies as st

from warmer.core.backtest.policies import Settings, policy
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import SECOND, Arrivals, Trace
from warmer.core.backtest.world import World

# With a run of 1.5 s: gaps at the interval, at the time-out, around one, two and three heartbeats, and far from all.
EDGES = [0.0, 0.1, 1.5, 1.6, 51.4, 51.5, 51.6, 61.4, 61.5, 61.6, 64.0, 101.8, 111.8, 111.9, 152.1, 162.1, 162.4]
GAPS_S = st.one_of(
    st.sampled_from(EDGES),
    st.integers(0, 1000).map(lambda tenths: tenths / 10),
    st.integers(0, 9000).map(float),
)
HISTORIES = st.lists(GAPS_S, min_size=1, max_size=40).map(lambda gaps: calls(np.cumsum(gaps)))
WORLDS = st.sampled_from(
    [
        World(),
        World(seed=7),
        World(late_mean=0),
        World(late_mean=0, boot_sigma=0),
        World(boot_median=0),
        World(boot_median=70 * SECOND, boot_sigma=1.0),
        World(beat=0, run=0),
    ]
)


def calls(seconds: Sequence[float] | np.ndarray, model: str = "m") -> Arrivals:
    return Arrivals(model=model, at=np.rint(np.asarray(seconds, dtype=np.float64) * SECOND).astype(np.int64))


def end_of(arrivals: Arrivals, more_s: float = 500.0) -> int:
    return int(arrivals.at[-1]) + round(more_s * SECOND)


def under(name: str, arrivals: Arrivals, end: int, world: World, settings: Settings | None = None) -> Replay:
    """What the policy called `name` does to one model."""
    trace = Trace(name="t", models=(arrivals,), end=end)
    (replay,) = policy(name, settings or Settings()).on(trace, world)
    return replay


@cache
def plain_world() -> World:
    """A boot takes exactly 12 s, and nothing is late."""
    return World(late_mean=0, boot_sigma=0)

"""How the one instance of a model behaves: it boots, serves, and goes when it has been idle for the time-out.

Any activity, a request or a heartbeat, keeps the instance until its end + the time-out, that instant included. What
finds no instance boots one and waits; what comes during a boot waits for the rest of it. Calls do not queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from warmer.core.backtest.trace import SECOND, Times

DRAWS = 1 << 14
"""Draws of each kind for a model; a power of two."""
_STRIDE = 10_125  # odd and near the golden section of DRAWS: neighbouring requests share no draws


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is true of every model in a backtest. Durations in microseconds.

    The defaults are those of the figures in docs/backtest.md.
    """

    idle_timeout: int = 60 * SECOND
    boot_median: int = 12 * SECOND
    boot_sigma: float = 0.5  # of the logarithm
    run: int = 3 * SECOND // 2  # of a request
    beat: int = 3 * SECOND // 10  # run of a heartbeat, billed
    late_mean: int = SECOND // 2  # from sending a heartbeat to its reaching the instance; exponential
    seed: int = 0

    def __post_init__(self) -> None:
        if self.idle_timeout <= 0:
            raise ValueError("the idle time-out must be longer than nothing")
        if min(self.boot_median, self.boot_sigma, self.run, self.beat, self.late_mean) < 0:
            raise ValueError("no duration of a world can be negative")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chance:
    """What befalls one model: draws looked up by place in the trace, not drawn one after another.

    A place is a gap (how many requests came before) and the number of the heartbeat in it, 0 being the request itself
    that ends the gap. So a request that boots meets the same boot under every policy, in the closed form and in the
    loop, and what comes later changes nothing.
    """

    boots: Times
    delays: Times
    longest_delay: int

    @classmethod
    def of(cls, world: World, model: str) -> Chance:
        """The chance of `model` in `world`: the same for the same seed and name, whatever else is in the trace."""
        return _chance(world.boot_median, world.boot_sigma, world.late_mean, world.seed, model)


def place(gap: int, beat: int) -> int:
    """Where the draws of the `beat`th heartbeat (from 1) after `gap` requests stand; of request `gap` itself for 0."""
    return (gap * _STRIDE + beat) & (DRAWS - 1)


def places(gap: Times, beat: Times | int) -> Times:
    """`place` of arrays."""
    return (gap * _STRIDE + beat) & (DRAWS - 1)


@lru_cache(maxsize=256)
def _chance(boot_median: int, boot_sigma: float, late_mean: int, seed: int, model: str) -> Chance:
    random = np.random.default_rng([seed, *model.encode("utf-8", "surrogatepass")])
    boots = np.rint(boot_median * np.exp(boot_sigma * random.standard_normal(DRAWS))).astype(np.int64)
    delays = np.rint(late_mean * random.standard_exponential(DRAWS)).astype(np.int64)
    return Chance(boots=boots, delays=delays, longest_delay=int(delays.max()))

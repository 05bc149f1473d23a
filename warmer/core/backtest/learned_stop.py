"""The stopping point that would have cost least over a model's own past gaps.

What every stopping point costs on a gap is known once the gap is over, whatever was sent in it, so following the
leader is exact. A gap is taken from request to request: only arrivals are needed, and what the policy did to the waits
does not feed back into what it learns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warmer.core.backtest.deciders import Stop
from warmer.core.backtest.trace import Arrivals, Times, microseconds

NEVER = 1 << 40
"""More heartbeats than any gap has room for."""
CANDIDATES = np.array([0, *(1 << power for power in range(13)), NEVER], dtype=np.int64)
"""Heartbeats after which to stop: 0, 1, 2, 4 … 4,096, never."""
TRUSTED_FROM = 5
"""Gaps longer than the interval to have seen before the leader is followed; until then it is ski rental."""


def stopping_points(arrivals: Arrivals, *, interval: int, worth: float) -> Times:
    """How many heartbeats to send at most after each request, knowing the gaps before it.

    `worth`: how many heartbeats one cold start is worth.
    """
    missed = _heartbeats(np.diff(arrivals.at), interval)
    cost = np.zeros((len(arrivals), len(CANDIDATES)))
    cost[1:] = np.cumsum(_costs(missed, worth), axis=0)
    known = np.append(0, np.cumsum(missed > 0))[: len(arrivals)]
    return np.where(known < TRUSTED_FROM, int(worth), CANDIDATES[np.argmin(cost, axis=1)])


class LearnedStop(Stop):
    """The same, gap by gap as they come."""

    def __init__(self, *, interval_s: float, worth: float) -> None:
        super().__init__(interval_s=interval_s, most=int(worth))
        self._worth = worth
        self._cost = np.zeros(len(CANDIDATES))
        self._known = 0
        self._last: int | None = None

    def seen(self, at_s: float) -> None:
        """A gap is over: what each candidate would have cost on it is known."""
        super().seen(at_s)
        at = microseconds(at_s)
        gap = 0 if self._last is None else at - self._last
        self._last = at
        if gap > microseconds(self.interval_s):
            self._known += 1
            missed = _heartbeats(np.array([gap]), microseconds(self.interval_s))
            self._cost += _costs(missed, self._worth)[0]
            if self._known >= TRUSTED_FROM:
                self.most = int(CANDIDATES[np.argmin(self._cost)])


def _heartbeats(gap: Times, interval: int) -> Times:
    """How many heartbeats it takes to keep warm over a gap: each buys one interval."""
    return np.maximum(0, (gap - 1) // interval)


def _costs(missed: Times, worth: float) -> NDArray[np.float64]:
    """What each candidate costs on each gap, in heartbeats."""
    needed = missed[:, np.newaxis]
    costs: NDArray[np.float64] = np.minimum(needed, CANDIDATES) + worth * (needed > CANDIDATES)
    return costs

"""What a policy did to one model's traffic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warmer.core.backtest.trace import Times


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replay:
    """Every decision of one policy on one model, and what it led to. Times in microseconds."""

    cold: NDArray[np.bool_]  # for each request: whether it waited for any part of a boot
    waits: Times  # of the cold requests, in order
    sent: Times  # when each heartbeat was sent
    boots: int  # time spent booting, for whomever
    online: int  # time an instance was up or booting, within the trace

    def same_as(self, other: Replay) -> bool:
        """Whether all decisions and all that came of them are the same."""
        return (
            np.array_equal(self.sent, other.sent)
            and np.array_equal(self.cold, other.cold)
            and np.array_equal(self.waits, other.waits)
            and (self.boots, self.online) == (other.boots, other.online)
        )

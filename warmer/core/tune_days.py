"""What a replay did day by day, and how sure a difference between two is: days drawn anew, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import DAY, Times

DRAWS = 2000
"""How often the days are drawn. The ends of a 90 % interval are then steady to a hundredth of its width or two."""
_SEED = 0
"""The same days give the same intervals."""

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A figure and its 90 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, mean: float, drawn: Floats) -> Self:
        """The middle nine tenths of what was drawn."""
        low, high = np.quantile(drawn, (0.05, 0.95))
        return cls(mean=mean, low=float(low), high=float(high))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Days:
    """One replay, by whole days: the first of a trace is left out, for it begins with a call, and so is a last part."""

    beats: Times
    calls: Times
    cold: Times  # calls that waited for a boot
    cold_inside: Times  # of these, those in the hours of the file
    inside: Times  # calls in the hours of the file

    @classmethod
    def of(cls, replay: Replay, at: Times, is_inside: NDArray[np.bool_], days: int) -> Self:
        """`at`: when the calls came; `days`: of the trace, whole ones."""

        def by_day(times: Times) -> Times:
            return np.bincount(times // DAY, minlength=days)[1:days]

        return cls(
            beats=by_day(replay.sent),
            calls=by_day(at),
            cold=by_day(at[replay.cold]),
            cold_inside=by_day(at[replay.cold & is_inside]),
            inside=by_day(at[is_inside]),
        )

    def __len__(self) -> int:
        return len(self.beats)

    @property
    def beats_a_day(self) -> float:
        """Heartbeats sent, in the mean."""
        return float(self.beats.mean())

    @property
    def cold_share(self) -> float:
        """Cold calls, of all."""
        return _ratio(self.cold, self.calls)

    @property
    def cold_share_inside(self) -> float:
        """The same of the calls in the hours of the file."""
        return _ratio(self.cold_inside, self.inside)

    @property
    def cold_band(self) -> Band:
        """The cold share and how sure it is."""
        return Band.of(self.cold_share, self._drawn(self.cold) / np.maximum(self._drawn(self.calls), 1e-9))

    def a_day(self, by_day: Floats) -> Band:
        """The mean of a figure by day."""
        return Band.of(float(by_day.mean()), self._drawn(by_day) / len(self))

    def warmer(self, now: Days) -> Band:
        """By how much less the cold share is than with `now`."""
        drawn = self._drawn(now.cold - self.cold) / np.maximum(self._drawn(self.calls), 1e-9)
        return Band.of(now.cold_share - self.cold_share, drawn)

    def _drawn(self, by_day: NDArray[np.int64] | Floats) -> Floats:
        """The sum over as many days as there are, drawn with replacement; the same draws for all figures."""
        days = np.random.default_rng(_SEED).integers(len(self), size=(DRAWS, len(self)))
        drawn: Floats = by_day[days].sum(axis=1, dtype=np.float64)
        return drawn


def _ratio(part: Times, whole: Times) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else 0.0

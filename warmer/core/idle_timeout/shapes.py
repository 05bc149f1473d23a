"""The idle time-outs that a host may have: a fixed list of distributions for a belief to weigh.

A time-out is drawn anew for each idle stretch. Most hosts draw from one log-normal peak, often so narrow that it is a
plain constant. Some have two: now and then an instance goes early (another customer needs its place), else late. A
belief that knows of one peak only would stretch it over both and trust neither end of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

SHORTEST_S, LONGEST_S = 10.0, 7200.0
"""The medians that are weighed. Users measured 60 s and more; past two hours nobody needs heartbeats."""
MEDIAN_STEP = 0.05
"""Of ln(median): an interval is known to 5 % at best, finer than the host's own spread."""
SIGMAS = {0.02: 0.30, 0.05: 0.20, 0.1: 0.25, 0.2: 0.15, 0.35: 0.07, 0.6: 0.03}
"""How far one peak spreads (sigma of ln T), with what is thought of each beforehand: constants are what hosts set."""
EARLY_SHARES = (0.1, 0.2, 0.4)
"""Of two peaks: how many idle stretches end at the early one."""
LATE_BY = (0.4, 0.7, 1.1, 1.6, 2.3, 3.0)
"""Of two peaks: ln(late median / early median), that is 1.5 to 20 times."""
TWO_PEAKS = 0.2
"""What is thought of two peaks beforehand."""
TAIL = 0.02
"""An interval is the largest gap after which at most this share of instances is gone."""
GAP_STEP = 0.04
"""Of ln(gap), where curves over gaps are drawn; between two points they are read off a straight line."""
BIN = 0.1
"""Of ln(interval): a probe is asked to tell intervals apart that differ by this much, and no finer."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shapes:
    """Every distribution that is weighed, as arrays with one entry a peak, a shape (one peak or two) or a gap.

    Shapes are in the order of their intervals, so that those with about the same one lie side by side.
    """

    log_median: Floats  # of each peak
    sigma: Floats  # of each peak
    early: Indices  # of each shape: its peak, or the earlier of two
    late: Indices  # of each shape: its other peak; the same where there is one only
    share: Floats  # of each shape: how much ends at the early peak; 1 where there is one only
    log_gap: Floats
    peak_gone: npt.NDArray[np.float32]  # P(T < gap), peaks x gaps
    shape_gone: npt.NDArray[np.float32]  # P(T < gap), shapes x gaps
    log_interval: Floats  # of each shape
    bins: Indices  # where in the order of shapes each bin of intervals begins

    def gone(self, gap_s: float) -> Floats:
        """P(T < gap) by each shape."""
        peaks = _normal((np.log(max(gap_s, 1e-3)) - self.log_median) / self.sigma)
        return self.share * peaks[self.early] + (1 - self.share) * peaks[self.late]

    def curve(self, mass: Floats) -> Floats:
        """P(T < gap) at each of `log_gap`, the shapes weighed by `mass`."""
        size = len(self.log_median)
        peaks = np.bincount(self.early, mass * self.share, size) + np.bincount(self.late, mass * (1 - self.share), size)
        drawn: Floats = (peaks.astype(np.float32) @ self.peak_gone).astype(np.float64)
        return drawn

    def medians(self, mass: Floats, levels: tuple[float, ...]) -> tuple[float, ...]:
        """The given quantiles of the median time-out, in seconds; where there are two peaks, of the early one."""
        by_median = np.bincount(self.early // len(SIGMAS), mass)
        upper_edges = self.log_median[:: len(SIGMAS)] + MEDIAN_STEP / 2
        return tuple(float(np.exp(at)) for at in np.interp(levels, np.cumsum(by_median), upper_edges))

    def prior(self, median_s: float, spread: float) -> Floats:
        """What is thought of each shape beforehand: medians log-normal around `median_s` with sigma `spread`."""
        away = (self.log_median[self.early] - np.log(median_s)) / spread
        mass: Floats = np.exp(-0.5 * away**2) + 1e-9  # nothing is ruled out
        two = self.early != self.late
        mass[~two] *= np.array(list(SIGMAS.values()))[self.early[~two] % len(SIGMAS)]
        for those, weight in ((two, TWO_PEAKS), (~two, 1 - TWO_PEAKS)):
            mass[those] *= weight / mass[those].sum()
        mass.flags.writeable = False
        return mass


@cache
def all_shapes() -> Shapes:
    """The shapes, drawn once: some milliseconds, 2 MB."""
    medians = np.arange(np.log(SHORTEST_S), np.log(LONGEST_S), MEDIAN_STEP)
    log_median, sigma = np.repeat(medians, len(SIGMAS)), np.tile(list(SIGMAS), len(medians))
    log_gap = np.arange(np.log(SHORTEST_S / 2), np.log(LONGEST_S * 2), GAP_STEP)
    # Row by row: intermediate results as large as all of it would stay with the process for good.
    peak_gone = np.array([_normal((log_gap - one) / wide) for one, wide in zip(log_median, sigma, strict=True)])
    early, late, share = _peaks_of_shapes(len(medians))
    shape_gone = np.empty((len(share), len(log_gap)), np.float32)
    log_interval = np.empty(len(share))
    for row, (first, second, part) in enumerate(zip(early, late, share, strict=True)):
        curve = part * peak_gone[first] + (1 - part) * peak_gone[second]
        shape_gone[row], log_interval[row] = curve, np.interp(TAIL, curve, log_gap)
    order = np.argsort(log_interval, kind="stable")
    return Shapes(
        log_median=log_median,
        sigma=sigma,
        early=early[order],
        late=late[order],
        share=share[order],
        log_gap=log_gap,
        peak_gone=peak_gone.astype(np.float32),
        shape_gone=shape_gone[order],
        log_interval=log_interval[order],
        bins=np.unique(np.floor(log_interval[order] / BIN), return_index=True)[1],
    )


def _peaks_of_shapes(medians: int) -> tuple[Indices, Indices, Floats]:
    """(early peak, late peak, early share) of each shape."""
    width = len(SIGMAS)
    narrow, wide = list(SIGMAS).index(0.05), list(SIGMAS).index(0.1)
    pairs = [
        (first * width + narrow, second * width + wide, share)
        for first in range(0, medians, 2)  # every other one: two peaks are never known as finely as one
        for ratio in LATE_BY
        if (second := first + round(ratio / MEDIAN_STEP)) < medians
        for share in EARLY_SHARES
    ]
    one = np.arange(medians * width)  # a shape for every single peak
    early = np.concatenate([one, [pair[0] for pair in pairs]]).astype(np.intp)
    late = np.concatenate([one, [pair[1] for pair in pairs]]).astype(np.intp)
    return early, late, np.concatenate([np.ones(len(one)), [pair[2] for pair in pairs]])


def _normal(deviations: Floats) -> Floats:
    """The normal distribution function, to 0.0003, which is far below any share of misreads.

    Source: the tanh form of D. Page, Applied Statistics 26 (1977), in the coefficients usual today.
    """
    x = np.clip(deviations, -6, 6)
    value: Floats = 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x * x * x)))
    return value

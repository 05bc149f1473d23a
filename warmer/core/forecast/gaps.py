"""How long a model stays silent: the rate of the next request by the time since the last one.

A Bayes mixture of four small tables of events / exposure: one rate for all; by half-octave of the time; by minute of
it, up to four hours (timers); by half-octave and how busy the last hour was. Each is shrunk to its parent by one or two
pseudo-events. Their weights are how well each foretold the gaps so far, and a gap that is still running counts against
those that expected a request by now: a user who left is not waited for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

FORGET_PER_DAY = 0.995
LEVELS = 6  # of the decayed count of the last hour: 1, 2-3, 4-7, 8-15, 16-31, more
NEAR_S = 14_400.0  # gaps up to here are told apart by the minute
# A little forgetting lets another table win after a change.
WEIGHT_MEMORY = 0.99  # a gap
WEIGHT_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Renewal:
    """What is expected of a gap that began at one level of busyness, were all hours alike."""

    rates: Floats  # of each table and cell, a second
    due: Floats  # the same, summed up to the edges of the cells
    total: Floats  # what the mixture expects up to the edges
    rate: Floats  # of the mixture, by cell
    near: list[float]  # requests expected in [k w, (k + 1) w] of the gap, k from 1; w: beyond_s
    far: list[float]  # requests expected in w seconds, by cell
    ceiling: list[float]  # the most of `far` from this cell on


class Gaps:
    """The tables. Only gaps longer than `beyond_s` are known to them, and only what came after it."""

    def __init__(self, beyond_s: float) -> None:
        self.beyond_s = beyond_s
        halves = 2.0 ** (np.arange(0, 69) / 2.0)  # to 540 years
        edges = np.union1d(halves, np.arange(60.0, NEAR_S + 1.0, 60.0))
        self.edges = np.concatenate(([beyond_s], edges[edges > beyond_s]))
        low, high = self.edges[:-1], self.edges[1:]
        self.cells = low.size
        middle = (low + high) / 2.0
        self._low, self._width = low, high - low
        self._halves = _runs(np.floor(2.0 * np.log2(middle)))
        self._minutes = _runs(np.where(middle < NEAR_S, np.floor(middle / 60.0), -middle))
        self._timed = middle < NEAR_S
        windows = max(math.ceil(NEAR_S / beyond_s), 2)
        self.near_end = windows * beyond_s
        self._near_edges = beyond_s * np.arange(1.0, windows + 2.0)
        self._ended = np.zeros((LEVELS, self.cells))  # gaps that ended in a cell
        self._partial = np.zeros((LEVELS, self.cells))  # and the seconds they spent in it
        self._log_weight = np.full(4, -math.log(4.0))
        self._make_tables()

    def learn(self, lengths: Floats, levels: Indices, weights: Floats, fade: float) -> None:
        """Fold some gaps in; each is foretold first by the tables as they were. `fade`: what is left of those."""
        cells = np.minimum(np.searchsorted(self.edges, lengths, side="right") - 1, self.cells - 1)
        spent = np.minimum(lengths - self._low[cells], self._width[cells])
        self._weigh(levels, cells, spent)
        self._ended *= fade
        self._partial *= fade
        np.add.at(self._ended, (levels, cells), weights)
        np.add.at(self._partial, (levels, cells), weights * spent)
        self._make_tables()

    def renewal(self, level: int) -> Renewal:
        """The mixture at a level, made when first asked for."""
        known = self._renewals[level]
        if known is not None:
            return known
        rates = np.empty((4, self.cells))
        rates[0], rates[1], rates[2] = self._flat, self._by_half, self._by_minute
        rates[3] = self._shrunk(self._ended[level], self._spent[level], 2.0, self._by_half)
        due = np.zeros((4, self.cells + 1))
        np.cumsum(rates * self._width, axis=1, out=due[:, 1:])
        # The mixture outlives a time with probability sum(w exp(-due)): this is how a silence moves the weights.
        lean = self._log_weight[:, None] - due
        top = lean.max(axis=0)
        total = -(np.log(np.exp(lean - top).sum(axis=0)) + top)
        total -= total[0]
        rate = (total[1:] - total[:-1]) / self._width
        far = rate * self.beyond_s
        near = self.at(total, self._near_edges)
        made = Renewal(
            rates=rates,
            due=due,
            total=total,
            rate=rate,
            near=(near[1:] - near[:-1]).tolist(),
            far=far.tolist(),
            ceiling=np.maximum.accumulate(far[::-1])[::-1].tolist(),
        )
        self._renewals[level] = made
        return made

    def at(self, total: Floats, since: Floats) -> Floats:
        """A sum up to the edges of the cells, read at times since the last request."""
        return np.interp(since, self.edges, total)

    def _make_tables(self) -> None:
        """Every rate anew from the counts, but for those of a level."""
        ended = self._ended
        outlived = ended[:, ::-1].cumsum(axis=1)[:, ::-1] - ended
        self._spent = outlived * self._width + self._partial
        seen, spent = ended.sum(axis=0), self._spent.sum(axis=0)
        self._flat = (float(seen.sum()) + 1.0) / (float(spent.sum()) + NEAR_S)
        # Of a gap as long as none before: no more than one request in its own length.
        parent = np.minimum(self._flat, 1.0 / self._low)
        self._by_half = self._shrunk(seen, spent, 1.0, parent)
        by_minute = (_per(seen, self._minutes) + 1.0) / (_per(spent, self._minutes) + 1.0 / self._by_half)
        self._by_minute = np.where(self._timed, by_minute, self._by_half)
        self._renewals: list[Renewal | None] = [None] * LEVELS

    def _shrunk(self, seen: Floats, spent: Floats, prior: float, parent: Floats) -> Floats:
        """Events over exposure by half-octave, with `prior` events at the parent's rate."""
        return (_per(seen, self._halves) + prior) / (_per(spent, self._halves) + prior / parent)

    def _weigh(self, levels: Indices, cells: Indices, spent: Floats) -> None:
        """Move the weights towards the tables that foretold these gaps best."""
        score = np.empty((spent.size, 4))
        for level in set(levels.tolist()):
            mine, renewal = levels == level, self.renewal(level)
            rates = renewal.rates[:, cells[mine]]
            score[mine] = (np.log(rates) - renewal.due[:, cells[mine]] - rates * spent[mine]).T
        count = spent.size
        memory = WEIGHT_MEMORY ** np.arange(count - 1.0, -1.0, -1.0)
        lean = WEIGHT_MEMORY**count * self._log_weight + memory @ score
        likely = np.exp(lean - lean.max())
        self._log_weight = np.log((1.0 - WEIGHT_SHARE) * likely / likely.sum() + WEIGHT_SHARE / likely.size)


def _runs(keys: Floats) -> tuple[Indices, Indices]:
    """Where each run of equal keys starts, and which run each key is in."""
    new = np.concatenate(([True], keys[1:] != keys[:-1]))
    return np.flatnonzero(new), np.cumsum(new) - 1


def _per(table: Floats, runs: tuple[Indices, Indices]) -> Floats:
    """The sum over each cell's run, for every cell."""
    summed: Floats = np.add.reduceat(table, runs[0])[runs[1]]
    return summed

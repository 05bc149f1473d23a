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
class Level:
    """The table of the gaps that began at one level of busyness, and its mixture with those of all gaps."""

    rate: Floats  # by cell, a second
    due: Floats  # the same, summed up to the edges of the cells
    total: Floats  # what the mixture expects up to the edges


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the mixture expects, as decisions ask it. w: beyond_s."""

    total: Floats  # up to the edges of the cells
    rate: Floats  # a second, by cell
    near: Floats  # in [k w, (k + 1) w] of the gap, k from 1
    quick: list[float]  # the same: a list is read one by one faster
    far: Floats  # in w seconds, by cell
    ceiling: Floats  # the most of `far` from this cell on


class Gaps:
    """The tables. Only gaps longer than `beyond_s` are known to them, and only what came after it."""

    def __init__(self, beyond_s: float) -> None:
        self.beyond_s = beyond_s
        halves = 2.0 ** (np.arange(0, 69) / 2.0)  # to 540 years
        # Whole minutes, which timers keep, lie amid their cells: a moment early is as likely as a moment late.
        edges = np.union1d(halves, np.arange(30.0, NEAR_S, 60.0))
        self.edges = np.concatenate(([beyond_s], edges[edges > beyond_s]))
        low, high = self.edges[:-1], self.edges[1:]
        self.cells = low.size
        middle = (low + high) / 2.0
        self._low, self._width = low, high - low
        self._once = 1.0 / low
        self._halves = _runs(np.floor(2.0 * np.log2(middle)))
        self._minutes = _runs(np.where(middle < NEAR_S, np.floor(middle / 60.0 + 0.5), -middle))
        self._timed = middle < NEAR_S
        self.windows = max(math.ceil(NEAR_S / beyond_s), 2)  # that `near` tells apart
        self.near_end = self.windows * beyond_s
        self._near_edges = beyond_s * np.arange(1.0, self.windows + 3.0)
        # By level: gaps that ended in a cell, and the seconds that they spent in that one.
        self._counts = np.zeros((2, LEVELS, self.cells))
        self._log_weight = np.full(4, -math.log(4.0))
        self.suppose(NEAR_S)

    def suppose(self, quiet_s: float) -> None:
        """Take one request in `quiet_s` seconds, no more than `NEAR_S`, for granted beside what is learned."""
        self._quiet_s = min(max(quiet_s, self.beyond_s), NEAR_S)
        self._make_tables()

    def learn(self, lengths: Floats, levels: Indices, weights: Floats, fade: float) -> None:
        """Fold some gaps in; each is foretold first by the tables as they were. `fade`: what is left of those."""
        cells = np.minimum(np.searchsorted(self.edges, lengths, side="right") - 1, self.cells - 1)
        spent = np.minimum(lengths - self._low[cells], self._width[cells])
        self._weigh(levels, cells, spent)
        self._counts *= fade
        np.add.at(self._counts[0], (levels, cells), weights)
        np.add.at(self._counts[1], (levels, cells), weights * spent)
        self._make_tables()

    def level(self, level: int) -> Level:
        """All that is known of gaps that began at a level, made when first asked for."""
        known = self._levels[level]
        if known is not None:
            return known
        rate = self._shrunk(self._exposed(self._counts[:, level]), 2.0, self._rates[1])
        due = self._summed(rate)
        # The mixture outlives a time with probability sum(w exp(-due)): this is how a silence moves the weights.
        total = -np.logaddexp(self._outlive, self._log_weight[3] - due)
        total -= total[0]
        made = self._levels[level] = Level(rate, due, total)
        return made

    def renewal(self, level: int) -> Renewal:
        """The mixture at a level, made when first asked for."""
        known = self._renewals[level]
        if known is not None:
            return known
        total = self.level(level).total
        rate = (total[1:] - total[:-1]) / self._width
        far = rate * self.beyond_s
        near = self.at(total, self._near_edges)
        near = near[1:] - near[:-1]
        ceiling = np.maximum.accumulate(far[::-1])[::-1]
        made = self._renewals[level] = Renewal(total, rate, near, near.tolist(), far, ceiling)
        return made

    def at(self, total: Floats, since: Floats) -> Floats:
        """A sum up to the edges of the cells, read at times since the last request."""
        return np.interp(since, self.edges, total)

    def _make_tables(self) -> None:
        """Every rate anew from the counts, but for those of a level."""
        known = self._exposed(self._counts.sum(axis=1))
        seen, spent = known.sum(axis=1).tolist()
        flat = (seen + 1.0) / (spent + self._quiet_s)
        # Of a gap as long as none before: no more than one request in its own length.
        by_half = self._shrunk(known, 1.0, np.minimum(flat, self._once))
        seen, spent = _per(known, self._minutes)
        by_minute = (seen + 1.0) / (spent + 1.0 / by_half)
        self._rates = np.array((np.full(self.cells, flat), by_half, np.where(self._timed, by_minute, by_half)))
        self._due = self._summed(self._rates)
        # The logarithm of how likely these three expect a gap to outlive each edge.
        lean = self._log_weight[:3, None] - self._due
        top = lean.max(axis=0)
        self._outlive = np.log(np.exp(lean - top).sum(axis=0)) + top
        self._levels: list[Level | None] = [None] * LEVELS
        self._renewals: list[Renewal | None] = [None] * LEVELS

    def _exposed(self, counts: Floats) -> Floats:
        """Gaps that ended in each cell, and the seconds spent in it by them and by all that outlived it."""
        ended, partial = counts
        outlived = ended[::-1].cumsum()[::-1] - ended
        return np.array((ended, outlived * self._width + partial))

    def _summed(self, rates: Floats) -> Floats:
        """Rates by cell, summed up to the edges of the cells."""
        due = np.zeros((*rates.shape[:-1], self.cells + 1))
        np.cumsum(rates * self._width, axis=-1, out=due[..., 1:])
        return due

    def _shrunk(self, known: Floats, prior: float, parent: Floats) -> Floats:
        """Events over exposure by half-octave, with `prior` events at the parent's rate."""
        seen, spent = _per(known, self._halves)
        rate: Floats = (seen + prior) / (spent + prior / parent)
        return rate

    def _weigh(self, levels: Indices, cells: Indices, spent: Floats) -> None:
        """Move the weights towards the tables that foretold these gaps best."""
        rates, due = np.empty((4, spent.size)), np.empty((4, spent.size))
        rates[:3], due[:3] = self._rates[:, cells], self._due[:, cells]
        for level in set(levels.tolist()):
            mine, own = levels == level, self.level(level)
            rates[3, mine], due[3, mine] = own.rate[cells[mine]], own.due[cells[mine]]
        score = np.log(rates) - due - rates * spent
        count = spent.size
        memory = WEIGHT_MEMORY ** np.arange(count - 1.0, -1.0, -1.0)
        lean = WEIGHT_MEMORY**count * self._log_weight + score @ memory
        likely = np.exp(lean - lean.max())
        self._log_weight = np.log((1.0 - WEIGHT_SHARE) * likely / likely.sum() + WEIGHT_SHARE / likely.size)


def _runs(keys: Floats) -> tuple[Indices, Indices]:
    """Where each run of equal keys starts, and which run each key is in."""
    new = np.concatenate(([True], keys[1:] != keys[:-1]))
    return np.flatnonzero(new), np.cumsum(new) - 1


def _per(tables: Floats, runs: tuple[Indices, Indices]) -> Floats:
    """The sum over each cell's run, for every cell."""
    return np.add.reduceat(tables, runs[0], axis=1).take(runs[1], axis=1)

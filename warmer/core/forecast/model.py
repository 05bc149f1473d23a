"""The forecast of one model: gaps and rhythm together, folded from its requests, asked by every decision."""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np

from warmer.core.forecast.gaps import FORGET_PER_DAY, LEVELS, Floats, Gaps, Indices, Renewal
from warmer.core.forecast.rhythm import DAY_S, LONGEST_S, SLOT_S, WEEK, Rhythm, by_slot

BUSY_S = 3_600.0  # the count of requests decays by e in this time
# Tables are made anew once this much more is known, or this long has passed: one gap among thousands moves nothing.
GROWTH = 0.25
ANEW_S = 2 * DAY_S
WEEKS_AHEAD = 4
_SLOTS_PER_S = 1.0 / SLOT_S  # to multiply is faster than to divide


class Forecast:
    """The chance of a request, from the times of those seen so far. A fold over `seen`: same times, same answers.

    `beyond_s`: gaps up to here are not learned from, since requests so close keep an instance warm by themselves; also
    the length of the window of `expected`. Times are seconds from a local midnight.
    """

    def __init__(self, *, beyond_s: float) -> None:
        if not (math.isfinite(beyond_s) and beyond_s > 0):
            raise ValueError(f"beyond_s is {beyond_s}: give the seconds an instance is sure to stay warm")
        self.beyond_s = beyond_s
        self.last: float | None = None  # the last request
        self._half_window, self._windows_per_s = 0.5 * beyond_s, 1.0 / beyond_s
        self._busy = 0.0  # decayed count of requests, as of the last one
        self._pending: list[tuple[float, float, int]] = []  # (start, length, level) of gaps not yet learned
        self._learned = self._requests = 0
        self._first = self._learned_at = 0.0
        self._gaps, self._rhythm = Gaps(beyond_s), Rhythm()
        self._edges: list[float] = self._gaps.edges.tolist()
        self._near_end, self._last_cell = self._gaps.near_end, self._gaps.cells - 1
        self._steps = beyond_s * np.arange(self._gaps.windows)
        self._renewal: Renewal | None = None  # that of the gap now running, once asked for
        self._week = self._rhythm.quick

    def seen(self, at_s: float) -> None:
        """A request arrived. One earlier than the last one known counts as one together with it."""
        last = self.last
        if last is None:
            self._first = self._learned_at = last = at_s
        gap = at_s - last
        if gap > self.beyond_s:
            self._pending.append((last, gap, self._level()))
            if len(self._pending) > GROWTH * self._learned or at_s - self._learned_at > ANEW_S:
                self._learn(at_s)
        if gap > 0:
            self._busy *= math.exp(-gap / BUSY_S)
            last = at_s
        self._busy += 1.0
        self._requests += 1
        self._renewal = None
        self.last = last

    def expected(self, at_s: float) -> float:
        """Requests expected in the `beyond_s` seconds from `at_s` on, if none comes before.

        The quick form that every decision uses: one factor of the rhythm, that of the window's middle.
        """
        last = self.last
        if last is None:
            return 0.0
        renewal = self._renewal or self._now()
        since = at_s - last
        if since < self._near_end:
            place = since * self._windows_per_s - 1.0
            if place < 0.0:
                place = 0.0
            step = int(place)
            near = renewal.quick
            base = near[step]
            base += (place - step) * (near[step + 1] - base)
        else:
            base = float(renewal.far[min(bisect_right(self._edges, since) - 1, self._last_cell)])
        return base * self._week[int((at_s + self._half_window) * _SLOTS_PER_S) % WEEK]

    def next_above(self, least: float, from_s: float) -> float:
        """The first moment from `from_s` on, by steps of a window, where `expected` is at least `least`; inf: none.

        Looks four weeks ahead; where that does not settle it, the answer is their end, to look again.
        """
        last = self.last
        if last is None or not math.isfinite(least):
            return math.inf
        renewal, window, week = self._renewal or self._now(), self.beyond_s, self._rhythm.week
        at = max(from_s, last + window)
        if self._most(renewal, at - last) < least:
            return math.inf
        if at - last < self._near_end:
            place = max((at - last) * self._windows_per_s - 1.0, 0.0)
            step = int(place)
            near, after = renewal.near[step:-1], renewal.near[step + 1 :]
            moments = at + self._steps[: near.size]
            slots = ((moments + self._half_window) * _SLOTS_PER_S).astype(np.int64)
            hits = (near + (place - step) * (after - near)) * week[slots % WEEK] >= least
            first = int(hits.argmax())
            if hits[first]:
                return float(moments[first])
            at += window * near.size
        if self.expected(at) >= least:
            return at
        for _ in range(WEEKS_AHEAD):
            if self._most(renewal, at - last) < least:
                return math.inf
            # So far out hardly anything changes within a slot: its beginning speaks for it.
            slots = np.arange(1, WEEK + 1) + int((at + self._half_window) // SLOT_S)
            moments = slots * SLOT_S - self._half_window
            cells = np.searchsorted(self._gaps.edges, moments - last, side="right") - 1
            hits = renewal.rate[np.minimum(cells, self._last_cell)] * window * week[slots % WEEK] >= least
            if hits.any():
                return float(moments[int(hits.argmax())])
            at = float(moments[-1])
        return at

    def chance(self, now_s: float, within_s: float) -> float:
        """The chance of a request in (now_s, now_s + within_s], if none has come by `now_s`. Any horizon.

        Within `beyond_s` of the last request nothing is learned: the rate just beyond stands for it. Past eight weeks
        all hours count alike.
        """
        last = self.last
        if last is None or within_s <= 0:
            return 0.0
        renewal, week = self._renewal or self._now(), self._rhythm.week
        since = max(now_s - last, 0.0)
        young = min(max(self.beyond_s - since, 0.0), within_s)  # what of the horizon lies within beyond_s
        begin, end = since + young, since + within_s
        far = min(end, begin + LONGEST_S)
        low, high, slots, _ = by_slot(np.array([last + begin]), np.array([last + far]))
        pieces = self._gaps.at(renewal.total, high - last) - self._gaps.at(renewal.total, low - last)
        rest = self._gaps.at(renewal.total, np.array([far, end]))
        due = young * float(renewal.rate[0]) * self._week[int(now_s // SLOT_S) % WEEK]
        due += float(pieces @ week[slots % WEEK]) + float(rest[1] - rest[0])
        return -math.expm1(-due)

    def _level(self) -> int:
        """How busy the hour before the last request was."""
        return min(int(self._busy).bit_length() - 1, LEVELS - 1)

    def _now(self) -> Renewal:
        if self._learned == 0:
            self._suppose()
        renewal = self._renewal = self._gaps.renewal(self._level())
        return renewal

    def _suppose(self) -> None:
        """While no gap is known: as often as requests came so far, however close."""
        if self.last is not None and self._requests > 1:
            self._gaps.suppose((self.last - self._first) / (self._requests - 1))

    def _most(self, renewal: Renewal, since: float) -> float:
        """A bound of `expected` from `since` on."""
        cell = min(max(bisect_right(self._edges, since) - 1, 0), self._last_cell)
        return float(renewal.ceiling[cell]) * self._rhythm.most

    def _learn(self, now_s: float) -> None:
        """Fold the pending gaps in."""
        if self._learned == 0:
            self._suppose()
        starts = np.array([start for start, _, _ in self._pending])
        lengths = np.array([length for _, length, _ in self._pending])
        levels = np.array([level for _, _, level in self._pending])
        ends = starts + lengths
        weights = FORGET_PER_DAY ** ((now_s - ends) / DAY_S)
        fade = FORGET_PER_DAY ** ((now_s - self._learned_at) / DAY_S)

        def due_between(gap: Indices, low: Floats, high: Floats) -> Floats:
            due, owners = np.empty(gap.size), levels[gap]
            for level in set(levels.tolist()):
                mine, total = owners == level, self._gaps.level(level).total
                since = starts[gap[mine]]
                due[mine] = self._gaps.at(total, high[mine] - since) - self._gaps.at(total, low[mine] - since)
            return due

        self._rhythm.learn(starts + self.beyond_s, ends, weights, fade, now_s - self._first, due_between)
        self._gaps.learn(lengths, levels, weights, fade)
        self._week = self._rhythm.quick
        self._learned += len(self._pending)
        self._learned_at = now_s
        self._pending.clear()

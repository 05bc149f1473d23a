"""The week: how much more, or less, each time of day and weekday sees than the gaps alone let expect.

Each ten minutes of the day (smoothed over an hour each way) and each weekday has what it saw over what was due. Both
start at 1 and move with evidence: about a day's worth for the hour, two for the weekday, lest one busy Tuesday make a
pattern.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warmer.core.forecast.gaps import FORGET_PER_DAY, Floats, Indices

DAY_S = 86_400.0
SLOT_S = 600.0
SLOTS = 144  # of a day
WEEK = 7 * SLOTS
SMOOTHING = np.convolve(np.ones(6), np.ones(6)) / 6.0  # a triangle over the slots of an hour each way
LONGEST_S = 56 * DAY_S  # of a gap that teaches the rhythm: of a longer silence the hour is not the cause


class Rhythm:
    """The factor of each slot of the week, in `week`; the seven days count from midnight of second 0."""

    def __init__(self) -> None:
        self._day_seen, self._day_due = np.zeros(SLOTS), np.zeros(SLOTS)
        self._week_seen, self._week_due = np.zeros(7), np.zeros(7)
        self._make(0.0)

    def learn(
        self,
        starts: Floats,
        ends: Floats,
        weights: Floats,
        fade: float,
        elapsed_s: float,
        due_between: Callable[[Indices, Floats, Floats], Floats],
    ) -> None:
        """Fold some gaps in. `due_between`: what was due in pieces of them, by gap, begin and end of each piece.

        `starts`: where what is learned of each begins. `elapsed_s`: since the first request of all.
        """
        low, high, slots, gap = by_slot(starts, np.minimum(ends, starts + LONGEST_S))
        due = due_between(gap, low, high) * weights[gap]
        day, week = slots % SLOTS, slots // SLOTS % 7
        for table in (self._day_seen, self._day_due, self._week_seen, self._week_due):
            table *= fade
        self._day_due += np.bincount(day, due * self._week_factor[week], SLOTS)
        self._week_due += np.bincount(week, due * self._day_factor[day], 7)
        arrivals = (ends // SLOT_S).astype(np.int64)
        self._day_seen += np.bincount(arrivals % SLOTS, weights, SLOTS)
        self._week_seen += np.bincount(arrivals // SLOTS % 7, weights, 7)
        self._make(elapsed_s)

    def _make(self, elapsed_s: float) -> None:
        days = max((1.0 - FORGET_PER_DAY ** (elapsed_s / DAY_S)) / (1.0 - FORGET_PER_DAY), 1.0)
        a_day = float(self._week_seen.sum()) / days
        hour, day = 2.0 + a_day / 24.0, 6.0 + 2.0 * a_day
        # Only how hours differ is meant: how many come in all is for the gaps to say.
        level = (float(self._week_seen.sum()) + day) / (float(self._week_due.sum()) + day)
        self._day_factor = (_smooth(self._day_seen) + hour) / (level * _smooth(self._day_due) + hour)
        self._week_factor = (self._week_seen + day) / (level * self._week_due + day)
        self.week: Floats = np.outer(self._week_factor, self._day_factor).ravel()
        self.quick: list[float] = self.week.tolist()  # the same: a list is read one by one faster
        self.most = float(self.week.max())


def by_slot(low: Floats, high: Floats) -> tuple[Floats, Floats, Indices, Indices]:
    """Cut spans of time at the slots: begin, end, slot since second 0, and span of each piece."""
    first = (low // SLOT_S).astype(np.int64)
    counts = np.maximum((high // SLOT_S).astype(np.int64) - first, 0) + 1
    span = np.repeat(np.arange(low.size), counts)
    slots = first[span] + np.arange(span.size) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = np.maximum(slots * SLOT_S, low[span])
    return begin, np.maximum(np.minimum((slots + 1) * SLOT_S, high[span]), begin), slots, span


def _smooth(slots: Floats) -> Floats:
    """Over an hour each way, round the clock."""
    return np.convolve(np.concatenate((slots[-5:], slots, slots[:5])), SMOOTHING, mode="valid")

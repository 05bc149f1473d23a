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
# Over an hour each way, round the clock: what each slot weighs in each other.
SMOOTHING = np.maximum(6.0 - abs((np.subtract.outer(np.arange(SLOTS), np.arange(SLOTS)) + 72) % SLOTS - 72), 0.0) / 6.0
LONGEST_S = 56 * DAY_S  # of a gap that teaches the rhythm: of a longer silence the hour is not the cause


class Rhythm:
    """The factor of each slot of the week, in `week`; the seven days count from midnight of second 0."""

    def __init__(self) -> None:
        # Requests seen, and due: by slot of the day, and by weekday.
        self._by_slot, self._by_day = np.zeros((2, SLOTS)), np.zeros((2, 7))
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
        arrivals = (ends // SLOT_S).astype(np.int64)
        self._by_slot *= fade
        self._by_slot[0] += np.bincount(arrivals % SLOTS, weights, SLOTS)
        self._by_slot[1] += np.bincount(day, due * self._day_factor[week], SLOTS)
        self._by_day *= fade
        self._by_day[0] += np.bincount(arrivals // SLOTS % 7, weights, 7)
        self._by_day[1] += np.bincount(week, due * self._slot_factor[day], 7)
        self._make(elapsed_s)

    def _make(self, elapsed_s: float) -> None:
        days = max((1.0 - FORGET_PER_DAY ** (elapsed_s / DAY_S)) / (1.0 - FORGET_PER_DAY), 1.0)
        seen, due = self._by_day.sum(axis=1).tolist()
        hour, day = 2.0 + seen / days / 24.0, 6.0 + 2.0 * seen / days
        # Only how hours differ is meant: how many come in all is for the gaps to say.
        level = (seen + day) / (due + day)
        smooth = self._by_slot @ SMOOTHING
        self._slot_factor = (smooth[0] + hour) / (level * smooth[1] + hour)
        self._day_factor = (self._by_day[0] + day) / (level * self._by_day[1] + day)
        self.week: Floats = np.outer(self._day_factor, self._slot_factor).ravel()
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

"""What customers' calls of late say of the next minutes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta

RECENT = timedelta(days=1)
"""How far back a rate looks."""
_HOUR = timedelta(hours=1)


def calls_per_s(calls: Sequence[datetime], now: datetime) -> float:
    """How often customers call around `now`: the mean of the last hour's rate and the last day's. `calls` in order.

    The hour alone would call a lunch break the end of all traffic, the day alone a launch a quiet day.
    """
    rates = ((len(calls) - bisect_left(calls, now - span)) / span.total_seconds() for span in (_HOUR, RECENT))
    return sum(rates) / 2

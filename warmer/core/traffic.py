"""What customers' calls of late say of the next minutes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta

RECENT = timedelta(days=1)
"""How far back a rate looks."""
_HOUR = timedelta(hours=1)
_LEAST = timedelta(minutes=5)  # one call is no rate


def calls_per_s(calls: Sequence[datetime], now: datetime) -> float:
    """How often customers call around `now`: the mean of the last hour's rate and the last day's. `calls` in order.

    The hour alone would call a lunch break the end of all traffic, the day alone a launch a quiet day. Of a record that
    is younger, each is the rate since it began.
    """
    if not calls:
        return 0.0
    known = max(now - calls[0], _LEAST)
    counted = [(len(calls) - bisect_left(calls, now - span), min(span, known)) for span in (_HOUR, RECENT)]
    return sum(count / span.total_seconds() for count, span in counted) / len(counted)

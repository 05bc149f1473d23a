"""Which seconds an instance is online for a beat's sake: those that customers alone would not have had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from warmer.core.beat import Use

Span = tuple[datetime, datetime]
"""From and until."""


def added_s(beat: Span, calls: Sequence[Use], *, until: datetime, kept_s: float, boot_s: float) -> float:
    """The seconds that an instance was online more, from the start of `beat` up to `until`, than without it.

    `calls` are customers', in order of their creation, from long enough before the beat that an instance which they
    left is known of. An instance goes `kept_s` after its last use, and takes `boot_s` to come.
    """
    ended = [call for call in calls if call.started_at is not None and call.completed_at is not None]
    kept = timedelta(seconds=kept_s)
    with_it = [(call.created_at, _end(call) + kept) for call in ended]
    since, end = beat
    with_it.append((since, end + kept))
    return max(0.0, _length_s(with_it, since, until) - _length_s(_alone(ended, kept, boot_s), since, until))


def _alone(calls: Iterable[Use], kept: timedelta, boot_s: float) -> list[Span]:
    """When customers alone would have had an instance: the first of its calls boots it, whatever it found."""
    spans = list[Span]()
    for call in calls:
        end = _end(call)
        if not spans or call.created_at > spans[-1][1]:
            run = end - (call.started_at or call.created_at)
            end = max(end, call.created_at + timedelta(seconds=boot_s) + run)
        spans.append((call.created_at, end + kept))
    return spans


def _end(call: Use) -> datetime:
    return call.completed_at or call.created_at


def _length_s(spans: Iterable[Span], since: datetime, until: datetime) -> float:
    """The seconds from `since` to `until` that lie in any of the spans."""
    length, reached = timedelta(0), since
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, until)
        if end > start:
            length += end - start
            reached = end
    return length.total_seconds()

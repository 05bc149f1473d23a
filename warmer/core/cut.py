"""Beats that are canceled as soon as they run: which were, and whether they keep their model warm all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from warmer.core.beat import BeatRequest, Observation, Prediction, Status, Verdict

LOOKED_AT = 200
"""Of a model's latest beats: what they tell of a host counts for as long."""
IN_A_ROW = 3
"""Beats found cold, each shortly after one that was cut: as many are no chance."""
_ALONE = timedelta(seconds=1)
"""Between two beats nobody used the model where the gap is as long as the time between them, but for rounding."""


def as_ended(prediction: Prediction, request: BeatRequest) -> Prediction:
    """`prediction`, as STARTED where it was canceled for having started, and not for being out too long."""
    if not request.cancel_on_start or prediction.status is not Status.CANCELED or prediction.started_at is None:
        return prediction
    ended_at = prediction.completed_at or prediction.started_at
    is_late = ended_at - prediction.created_at >= request.deadline
    return prediction if is_late else replace(prediction, status=Status.STARTED, error=None)


def still_warms(beats: Sequence[Observation], interval: timedelta) -> bool:
    """Whether a run that is cut keeps the model warm, as far as its latest `beats` tell, the newest first.

    It does until as many as `IN_A_ROW` were found cold, each no more than twice the `interval` after one that was cut;
    and again where those after whole runs are found cold too, for then it is no matter of cutting.
    """
    cold: dict[Status, list[bool]] = {Status.STARTED: [], Status.SUCCEEDED: []}
    for after, before in pairwise(beats):
        if before.status in cold and after.verdict is not Verdict.UNSURE and _is_next(after, before, 2 * interval):
            cold[before.status].append(after.verdict is Verdict.COLD)
    cut, whole = (cold[status][:IN_A_ROW] for status in (Status.STARTED, Status.SUCCEEDED))
    return not _all(cut) or _all(whole)


def _is_next(after: Observation, before: Observation, within: timedelta) -> bool:
    """Whether the model was left alone between the two, and not for longer than that."""
    if before.completed_at is None or after.gap_s is None:
        return False
    gap = timedelta(seconds=after.gap_s)
    return gap <= within and abs(after.created_at - before.completed_at - gap) <= _ALONE


def _all(found: Sequence[bool]) -> bool:
    return len(found) == IN_A_ROW and all(found)

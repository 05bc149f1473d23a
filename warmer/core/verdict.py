"""What a beat or a call found, told from how long it waited and from who was there at the time."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from warmer.core.beat import Prediction, Status, Verdict

DEFAULT_WARM_WAIT_S = 0.2
"""The typical warm wait until a model's own waits are known. A recorded warm prediction waited 0.013 s."""
WARM_AT_MOST_S = 1.0
COLD_AT_LEAST_S = 2.5
"""A wait between the two is a short boot or a busy queue: nobody can tell. Documented boots take 5 s and more."""
BASELINE_WAITS = 50
"""How many of a model's latest waits its baseline is made of."""


def baseline_s(warm_waits: Sequence[float]) -> float:
    """A model's typical warm wait in seconds: the median of its latest waits that were not cold."""
    recent = warm_waits[:BASELINE_WAITS]
    return median(recent) if len(recent) >= 3 else DEFAULT_WARM_WAIT_S


def judge(found: Prediction, others: Sequence[Prediction], typical_s: float) -> Verdict:
    """What `found` met, given the same model's other predictions around it and its typical warm wait.

    Another prediction that was waiting or running when this one was created changes what a wait can prove:

    - It was waiting, and turned out cold: this one waited for the rest of the same boot, and was cold too.
    - It was running: an instance was up, so that a long wait is as likely a queue as a boot.
    """
    wait = found.wait_s
    if wait is None or found.status is Status.UNKNOWN:
        return Verdict.UNSURE
    limits = _limits(typical_s)
    by_wait = _by_wait(wait, limits)
    for other in others:
        if other.id == found.id or other.created_at > found.created_at:
            continue
        other_start, other_end = other.started_at, other.completed_at
        if other.status.is_open and other_start is None:
            return Verdict.COLD if by_wait is Verdict.COLD else Verdict.UNSURE
        if other_start is None:
            continue  # ended without a start: it proves nothing
        if other_start > found.created_at:  # it was waiting when this one came
            if _by_wait(other.wait_s or 0.0, limits) is not Verdict.WARM:
                return Verdict.COLD if _waited_it_out(found, other, limits) else Verdict.UNSURE
        elif other_end is None or other_end > found.created_at:  # it was running when this one came
            return Verdict.WARM if by_wait is Verdict.WARM else Verdict.UNSURE
    return by_wait


def _limits(typical_s: float) -> tuple[float, float]:
    return max(WARM_AT_MOST_S, 4 * typical_s), max(COLD_AT_LEAST_S, 10 * typical_s)


def _by_wait(wait_s: float, limits: tuple[float, float]) -> Verdict:
    warm_at_most, cold_at_least = limits
    if wait_s <= warm_at_most:
        return Verdict.WARM
    return Verdict.COLD if wait_s >= cold_at_least else Verdict.UNSURE


def _waited_it_out(found: Prediction, other: Prediction, limits: tuple[float, float]) -> bool:
    """Whether `found` started no earlier than `other`, whose own wait was certainly a boot."""
    if found.started_at is None or other.started_at is None:
        return False
    return found.started_at >= other.started_at and _by_wait(other.wait_s or 0.0, limits) is Verdict.COLD

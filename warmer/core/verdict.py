"""What a beat or a call found, told from how long it waited and from who was there at the time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from warmer.core.beat import Status, Use, Verdict

DEFAULT_WARM_WAIT_S = 0.2
"""The typical warm wait until a model's own waits are known. A recorded warm prediction waited 0.013 s."""
WARM_AT_MOST_S = 1.0
COLD_AT_LEAST_S = 2.5
"""A wait between the two is a short boot or a busy queue: nobody can tell. Documented boots take 5 s and more."""
JUST_ENDED = timedelta(seconds=1)
"""An instance that ended a run this shortly before is still up: it only turns to the next in its queue."""
BASELINE_WAITS = 50
"""How many of a model's latest waits its baseline is made of."""
BASELINE_FROM = 3
"""How many waits must be known before they count for more than the default."""


def typical_warm_wait_s(warm_waits: Sequence[float]) -> float | None:
    """The lower quartile, in seconds, of a model's latest waits that were not cold; None where they are too few.

    A queue only ever adds to a wait, so that the short ones tell more; what may have been a boot tells nothing.
    """
    recent = sorted(wait for wait in warm_waits[:BASELINE_WAITS] if wait < COLD_AT_LEAST_S)
    return recent[len(recent) // 4] if len(recent) >= BASELINE_FROM else None


def baseline_s(warm_waits: Sequence[float]) -> float:
    """A model's typical warm wait in seconds, or the default."""
    typical_s = typical_warm_wait_s(warm_waits)
    return DEFAULT_WARM_WAIT_S if typical_s is None else typical_s


def judge(found: Use, others: Sequence[Use], typical_s: float) -> Verdict:
    """What `found` met, given the same model's other uses around it and its typical warm wait.

    Another use that was running or waiting when this one came changes what a wait can prove:

    - One was running, or had just ended: an instance was up, so that a long wait is as likely a queue as a boot.
    - One was waiting for an instance that was up: the same, for it ran first.
    - One was waiting for a boot: this one waited for the rest of it, and was cold too, however short that was.

    Where the host says itself whether something had to start, or the file says what takes too long, that holds.
    """
    if found.wait_s is None or found.status is Status.UNKNOWN:
        return Verdict.UNSURE
    if found.woke is not None:
        return Verdict.COLD if found.woke else Verdict.WARM
    by_wait = _by_wait(found.wait_s, typical_s)
    earlier = [other for other in others if other.id != found.id and other.created_at <= found.created_at]
    waiting = [other for other in earlier if other.was_waiting_at(found.created_at)]
    warm = [other for other in waiting if _is_warm(other, typical_s)]
    if warm or any(_shows_an_instance(other, found.created_at) for other in earlier):
        is_plain = by_wait is Verdict.WARM and len(warm) == len(waiting)
        return Verdict.WARM if is_plain else Verdict.UNSURE
    if not waiting:
        return by_wait
    boots = [other for other in waiting if _is_cold(other, typical_s)]
    if any(_started_no_later(other, found) for other in boots):
        return Verdict.COLD
    return Verdict.COLD if by_wait is Verdict.COLD else Verdict.UNSURE


def _by_wait(wait_s: float, typical_s: float) -> Verdict:
    if wait_s <= max(WARM_AT_MOST_S, 4 * typical_s):
        return Verdict.WARM
    return Verdict.COLD if wait_s >= max(COLD_AT_LEAST_S, 10 * typical_s) else Verdict.UNSURE


def _shows_an_instance(use: Use, moment: datetime) -> bool:
    if use.was_running_at(moment):
        return True
    ended = use.completed_at
    return use.started_at is not None and ended is not None and timedelta(0) <= moment - ended <= JUST_ENDED


def _is_warm(use: Use, typical_s: float) -> bool:
    return not use.woke and use.wait_s is not None and _by_wait(use.wait_s, typical_s) is Verdict.WARM


def _is_cold(use: Use, typical_s: float) -> bool:
    return bool(use.woke) or (use.wait_s is not None and _by_wait(use.wait_s, typical_s) is Verdict.COLD)


def _started_no_later(other: Use, found: Use) -> bool:
    return other.started_at is not None and found.started_at is not None and other.started_at <= found.started_at

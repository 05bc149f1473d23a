"""The gap that beats owe a model at a given moment, as far as can be told without its state."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from warmer.core.idle_timeout import IdleTimeout
from warmer.core.override import Override, heeded
from warmer.core.spec import ModelSpec, PolicyName

_OWE = (PolicyName.FIXED, PolicyName.AWARE)
"""The others send beats where they find them worth it, or none."""


def owed_interval(
    spec: ModelSpec, overrides: Iterable[Override], belief: IdleTimeout | None, now: datetime
) -> timedelta | None:
    """The longest gap to leave between two uses of `spec`; None outside its hours, while it is paused, and where its
    policy owes no beats.

    `belief`: of its idle time-out; without one, or where nothing is learned, what the file says holds.
    """
    heeding = heeded(spec, overrides, now)
    if heeding is None or heeding.policy not in _OWE or not heeding.hours.contains(now):
        return None
    if heeding.policy is PolicyName.FIXED or belief is None or not heeding.traffic:
        return heeding.interval
    learned = timedelta(seconds=belief.interval_s)
    return learned if heeding.every is None else min(learned, heeding.every)

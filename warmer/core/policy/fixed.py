"""A beat every interval in the active hours, whoever else calls: what a cron job does."""

from __future__ import annotations

from datetime import datetime

from warmer.core.beat import Reason
from warmer.core.policy.action import Action, Rest, Warm
from warmer.core.policy.gap import gap_of
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState


def fixed(now: datetime, state: ModelState, spec: ModelSpec) -> Action:
    """Warm when `every`, or what was learned where that is `auto`, has passed since the last beat was sent."""
    if state.last_beat_at is None:
        return Warm(reason=Reason.FIRST_SIGHT)
    due = state.last_beat_at + (spec.every or gap_of(state, spec).length)
    return Warm(reason=Reason.INTERVAL_OVER) if now >= due else Rest(reason=Reason.NOT_DUE, until=due)

"""A beat only when nobody has used the model for the interval: a customer's call is a heartbeat in itself."""

from __future__ import annotations

from datetime import datetime

from warmer.core.beat import Reason
from warmer.core.policy.action import Action, Rest, Warm
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState


def aware(now: datetime, state: ModelState, spec: ModelSpec) -> Action:
    """Warm when `spec.interval` has passed since the last activity of any kind."""
    # A beat counts from its creation, whatever became of it: one whose end was never told must not be followed at once.
    known = [moment for moment in (state.last_activity, state.last_beat_at) if moment is not None]
    if not known:
        return Warm(reason=Reason.FIRST_SIGHT)
    due = max(known) + spec.interval
    return Warm(reason=Reason.IDLE) if now >= due else Rest(reason=Reason.RECENT_ACTIVITY, until=due)

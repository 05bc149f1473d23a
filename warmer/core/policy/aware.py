"""A beat only when nobody has used the model for the interval: a customer's call is a heartbeat in itself."""

from __future__ import annotations

from datetime import datetime

from warmer.core.beat import Reason
from warmer.core.policy.action import Action, Rest, Warm
from warmer.core.policy.gap import gap_of
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState


def aware(now: datetime, state: ModelState, spec: ModelSpec) -> Action:
    """Warm when the gap to leave has passed since the last activity of any kind."""
    last = state.last_use
    if last is None:
        return Warm(reason=Reason.FIRST_SIGHT)
    gap = gap_of(state, spec)
    if now < last + gap.length:
        return Rest(reason=Reason.RECENT_ACTIVITY, until=min(last + gap.length, now + gap.least))
    return Warm(reason=Reason.PROBE if gap.probes else Reason.IDLE)

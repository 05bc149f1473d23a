"""No beats: in the active hours the deployment's own floor holds its instances. `core.floor` says how that is moved."""

from __future__ import annotations

from datetime import datetime

from warmer.core.beat import Reason
from warmer.core.policy.action import Action, Rest
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState


def floor(now: datetime, state: ModelState, spec: ModelSpec) -> Action:
    """Rest until the window closes; until the money comes again where it is not raised for want of that."""
    closes = spec.hours.next_close(now)
    if state.budget is None:
        return Rest(reason=Reason.FLOOR_HELD, until=closes)
    until = min((at for at in (closes, state.budget.until) if at is not None), default=None)
    return Rest(reason=state.budget.reason, until=until, cap=state.budget.cap)

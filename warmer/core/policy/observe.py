"""Nothing is ever sent: customers' calls are recorded, and teach what a policy would be worth."""

from __future__ import annotations

from datetime import datetime

from warmer.core.beat import Reason
from warmer.core.policy.action import Action, Rest
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState


def observe(now: datetime, state: ModelState, spec: ModelSpec) -> Action:
    """Rest, until the file says otherwise."""
    return Rest(reason=Reason.OBSERVING, until=None)

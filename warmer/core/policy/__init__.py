"""Decides the next beat. The daemon, `once` and the demo all call `decide`: what was tried is what runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from warmer.core.beat import Reason
from warmer.core.policy.action import Action, Rest, Warm
from warmer.core.policy.aware import aware
from warmer.core.policy.fixed import fixed
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.state import ModelState

__all__ = ["Action", "Rest", "Warm", "decide"]

Policy = Callable[[datetime, ModelState, ModelSpec], Action]

_POLICIES: dict[PolicyName, Policy] = {PolicyName.FIXED: fixed, PolicyName.AWARE: aware}


def decide(now: datetime, state: ModelState, spec: ModelSpec) -> Action:
    """Whether to warm `spec` at `now`, with exactly one reason.

    What binds every policy comes first: the hours, a hold on the model or its account, the beat that is still out.
    """
    if not spec.hours.contains(now):
        return Rest(reason=Reason.CLOSED, until=spec.hours.next_open(now))
    if state.hold is not None and (state.hold.until is None or state.hold.until > now):
        return Rest(reason=state.hold.reason, until=state.hold.until)
    if state.in_flight_since is not None:
        return Rest(reason=Reason.IN_FLIGHT, until=now + spec.interval)
    return _POLICIES[spec.policy](now, state, spec)

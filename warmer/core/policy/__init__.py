"""Decides the next beat. The daemon, `once` and the demo all call `decide`: what was tried is what runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from warmer.core.beat import Reason
from warmer.core.override import binding, heeded
from warmer.core.policy.action import Action, Rest, Warm
from warmer.core.policy.adaptive import adaptive
from warmer.core.policy.aware import aware
from warmer.core.policy.fixed import fixed
from warmer.core.policy.floor import floor
from warmer.core.policy.observe import observe
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.state import ModelState

__all__ = ["Action", "Rest", "Warm", "decide", "lead_from", "lead_of"]

MAX_LEAD = timedelta(minutes=30)
"""A wait past this was a queue, or a host in trouble."""
Policy = Callable[[datetime, ModelState, ModelSpec], Action]

_POLICIES: dict[PolicyName, Policy] = {
    PolicyName.FIXED: fixed,
    PolicyName.AWARE: aware,
    PolicyName.ADAPTIVE: adaptive,
    PolicyName.FLOOR: floor,
    PolicyName.OBSERVE: observe,
}


def decide(now: datetime, state: ModelState, spec: ModelSpec) -> Action:
    """Whether to warm `spec` at `now`, with exactly one reason.

    What binds every policy comes first: a pause, the hours, a hold on the model or its account, the beat that is still
    out. What is left of a budget comes last: it stops what would be sent.
    A window begins early by the lead, in which a model that is cold has the time to boot.
    """
    override, heeding = binding(state.overrides, now), heeded(spec, state.overrides, now)
    until = None if override is None else override.until
    if heeding is None:
        return Rest(reason=Reason.PAUSED, until=until)
    action = _decide(now, state, heeding)
    if isinstance(action, Rest):
        sooner = until is not None and (action.until is None or until < action.until)
        return replace(action, until=until) if sooner else action
    by_file = heeding.policy is spec.policy and spec.hours.contains(now)
    return action if heeding is spec or by_file else Warm(reason=Reason.ORDERED)


def _decide(now: datetime, state: ModelState, spec: ModelSpec) -> Action:
    is_open = state.asked or spec.hours.contains(now)
    if not is_open:
        opens = spec.hours.next_open(now)
        begins = None if opens is None else opens - lead_of(state, spec)
        if begins is None or now < begins:
            return Rest(reason=Reason.CLOSED, until=begins)
    if state.hold is not None and (state.hold.until is None or state.hold.until > now):
        return Rest(reason=state.hold.reason, until=state.hold.until)
    if state.in_flight_since is not None:
        return Rest(reason=Reason.IN_FLIGHT, until=now + spec.interval)
    action = Warm(reason=Reason.ORDERED) if state.asked else _POLICIES[spec.policy](now, state, spec)
    if isinstance(action, Rest):
        return action
    if state.budget is not None:
        return Rest(reason=state.budget.reason, until=state.budget.until, cap=state.budget.cap)
    return action if is_open else Warm(reason=Reason.OPENING)


def lead_of(state: ModelState, spec: ModelSpec) -> timedelta:
    """How long before opening the first beat of `spec` goes out: by the file, or the measured p95 wait for a boot."""
    return lead_from(spec, None if state.learned is None else state.learned.lead_s)


def lead_from(spec: ModelSpec, boot_p95_s: float | None) -> timedelta:
    """The same from the p95 wait for a boot; None where none was seen."""
    return min(timedelta(seconds=boot_p95_s or 0.0), MAX_LEAD) if spec.lead is None else spec.lead

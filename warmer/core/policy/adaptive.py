"""A beat when a call is likely enough in the time that it buys, by what one cold start is worth."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf

from warmer.core.beat import Reason
from warmer.core.policy.action import Action, Rest, Warm
from warmer.core.policy.gap import gap_of
from warmer.core.prospect import Prospect
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState

LOOK_AGAIN = timedelta(hours=6)
"""Where no call is expected at all, or beats do not pay: customers may have begun to call meanwhile."""
GRACE = timedelta(seconds=5)
"""A beat that goes out this much after it was due still keeps an instance up more often than not."""


def adaptive(now: datetime, state: ModelState, spec: ModelSpec) -> Action:
    """Warm when `state.prospect` finds the next seconds worth a heartbeat, and a boot where the model went cold."""
    prospect, last = state.prospect, state.last_use
    if prospect is None or prospect.decider.last_s is None:
        return Rest(reason=Reason.UNLIKELY, until=now + LOOK_AGAIN)
    decider = prospect.decider
    if spec.cold_start_price is not None and not decider.verdict.worth_warming:
        return Rest(reason=Reason.NOT_WORTH_WARMING, until=now + LOOK_AGAIN)
    gap = gap_of(state, spec)
    decider.gap_s = gap.length.total_seconds()
    due = None if last is None else last + gap.length
    if due is not None and now < due:
        return Rest(reason=Reason.RECENT_ACTIVITY, until=min(due, now + gap.least))
    is_warm = due is not None and now <= due + GRACE
    if decider.send(prospect.seconds(now), warm=is_warm):
        return Warm(reason=Reason.PROBE if gap.probes and is_warm else Reason.LIKELY)
    look_s = decider.next_look(prospect.seconds(now), None if last is None else prospect.seconds(last))
    return Rest(reason=Reason.UNLIKELY, until=_later(now, prospect, look_s))


def _later(now: datetime, prospect: Prospect, look_s: float) -> datetime:
    return now + LOOK_AGAIN if look_s == inf else max(prospect.moment(look_s), now + timedelta(seconds=1))

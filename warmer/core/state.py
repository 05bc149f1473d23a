"""What is known of one model at the moment of a decision: folded from the ledger, never edited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from warmer.core.beat import OpenBeat, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One model's record. Stamps of predictions are the provider's; `claimed_at` is ours."""

    slots: int = 0  # beats claimed so far
    open_beat: OpenBeat | None = None
    last_beat_at: datetime | None = None  # creation of the last beat that reached the provider
    last_activity: datetime | None = None  # end of the last finished use, ours or a customer's
    running_since: datetime | None = None  # creation of the youngest customer call not yet seen finished
    warm_waits: tuple[float, ...] = ()  # seconds; waits of recent finds that were not cold, newest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why nothing may be sent for now, whatever the policy says."""

    reason: Reason
    until: datetime | None  # None: until something outside changes, such as the file


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """What `decide` sees. Every instant is on our own clock."""

    slots: int = 0
    in_flight_since: datetime | None = None
    last_beat_at: datetime | None = None
    last_activity: datetime | None = None
    in_use: bool = False  # whether `last_activity` is a call that was still going on when it was last seen
    hold: Hold | None = None


RUNNING_AT_MOST = timedelta(minutes=30)
"""The provider stops a prediction after 30 min of running: an older one that we never saw end is over."""


def fold(history: History, *, now: datetime, skew: timedelta, hold: Hold | None = None) -> ModelState:
    """The state at `now`. `skew` is how far the provider's clock is ahead of ours.

    A customer's call that is still running counts as activity at this very moment. No activity lies in the future:
    a stamp that does is a clock's fault and counts as now.
    """
    last_activity = _ours(history.last_activity, now, skew)
    running = _ours(history.running_since, now, skew)
    in_use = running is not None and now - running < RUNNING_AT_MOST
    if in_use:
        last_activity = now
    return ModelState(
        slots=history.slots,
        in_flight_since=history.open_beat.claimed_at if history.open_beat else None,
        last_beat_at=_ours(history.last_beat_at, now, skew),
        last_activity=last_activity,
        in_use=in_use,
        hold=hold,
    )


def _ours(stamp: datetime | None, now: datetime, skew: timedelta) -> datetime | None:
    return None if stamp is None else min(stamp - skew, now)

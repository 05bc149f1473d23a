"""What is known of one model at the moment of a decision: folded from the ledger, never edited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from warmer.core.beat import Reason
from warmer.core.budget import Cap
from warmer.core.history import History
from warmer.core.learned import Learned
from warmer.core.override import Override
from warmer.core.prospect import Prospect


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why nothing may be sent for now, whatever the policy says."""

    reason: Reason
    until: datetime | None  # None: until something outside changes, such as the file
    cap: Cap | None = None  # that is in the way, where it is a matter of money


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """What `decide` sees. Every instant is on our own clock."""

    slots: int = 0
    in_flight_since: datetime | None = None
    last_beat_at: datetime | None = None
    last_activity: datetime | None = None
    in_use: bool = False  # whether `last_activity` is a call that was still going on when it was last seen
    hold: Hold | None = None
    budget: Hold | None = None  # why the money allows no beat now, though nothing else may speak against one
    learned: Learned | None = None  # None: nothing can be, for customers' calls are not seen
    calls_per_s: float = 0.0  # how often customers have called lately
    prospect: Prospect | None = None  # where the policy asks for it
    overrides: tuple[Override, ...] = ()  # that concern it, the one that goes before first
    asked: bool = False  # somebody asks for one beat now, whatever the hours and the policy say

    @property
    def last_use(self) -> datetime | None:
        """The last activity of any kind.

        A beat counts from its creation, whatever became of it: one whose end was never told is not followed at once.
        """
        return max((at for at in (self.last_activity, self.last_beat_at) if at is not None), default=None)


RUNNING_AT_MOST = timedelta(minutes=30)
"""The provider stops a prediction after 30 min of running: an older one that we never saw end is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the whole record of a model teaches; without a record, nothing."""

    learned: Learned | None = None
    calls_per_s: float = 0.0
    prospect: Prospect | None = None


NOTHING = Knowledge()
AGREE = timedelta(minutes=1)
"""A beat is made within so long of its claim, and no stamp is further ahead of the clock that it is of."""


def fold(
    history: History,
    *,
    now: datetime,
    skew: timedelta,
    hold: Hold | None = None,
    knowledge: Knowledge = NOTHING,
    overrides: tuple[Override, ...] = (),
) -> ModelState:
    """The state at `now`. `skew` is how far the provider's clock is ahead of ours.

    A customer's call that is still running counts as activity at this very moment. No activity lies in the future: a
    stamp that does counts as now, and one far ahead, which is of another clock, tells nothing.
    """
    last_activity = _ours(history.last_activity, now, skew)
    running = None if history.running_since is None else min(history.running_since - skew, now)
    in_use = running is not None and now - running < RUNNING_AT_MOST
    if in_use:
        last_activity = now
    return ModelState(
        slots=history.slots,
        in_flight_since=history.open_beat.claimed_at if history.open_beat else None,
        last_beat_at=_last_beat_at(history, now, skew),
        last_activity=last_activity,
        in_use=in_use,
        hold=hold,
        learned=knowledge.learned,
        calls_per_s=knowledge.calls_per_s,
        prospect=knowledge.prospect,
        overrides=overrides,
    )


def _ours(stamp: datetime | None, now: datetime, skew: timedelta) -> datetime | None:
    if stamp is None or stamp - skew - now > AGREE:
        return None
    return min(stamp - skew, now)


def _last_beat_at(history: History, now: datetime, skew: timedelta) -> datetime | None:
    """By its stamp. Where its claim contradicts that, a clock was set, and nobody knows which.

    The beat is then as young as either says, of those that do not lie ahead: rather one too late than two at once.
    """
    if history.last_beat_at is None:
        return None
    made_at = _ours(history.last_beat_at, now, skew)
    claimed_at = history.last_claim_at
    if claimed_at is None or claimed_at > now:
        return made_at or now
    if made_at is None:
        return claimed_at
    return made_at if abs(made_at - claimed_at) <= AGREE else max(made_at, claimed_at)

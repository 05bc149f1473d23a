"""What beats and calls add up to by the hour: kept when the rows themselves are gone, and read in their place before.

An hour is a full one, UTC, cut in two where a day of the file's zone begins within it: so days add up in every zone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from warmer.core.beat import Observation, Reason, Request, Verdict
from warmer.core.budget import Period, window
from warmer.core.price import Cost
from warmer.core.waits import NO_WAITS, Waits

NEWEST_BEATS = 4000
"""So many of a model's stay whatever their age: what is learned of its host comes from the newest 2,000 finds."""
NEWEST_CALLS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatSums:
    """The beats of one model in one hour that one policy sent for one reason."""

    model: str
    begins: datetime  # of the hour
    policy: str
    reason: Reason
    first_at: datetime  # creation of the first of them
    ends: datetime  # of the last
    beats: int
    cold: int
    unsure: int
    failed: int  # that did not succeed
    known_usd: Decimal  # of those whose cost is known
    unknown: int  # whose is not
    estimated: int
    boots: Waits = NO_WAITS  # of those found cold

    @property
    def cost(self) -> Cost:
        """Of all of them."""
        return Cost(usd=None if self.unknown else self.known_usd, is_estimated=self.estimated > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSums:
    """The customers' calls of one model in one hour."""

    model: str
    begins: datetime
    calls: int
    cold: int
    unsure: int
    waits: Waits = NO_WAITS
    boots: Waits = NO_WAITS  # of those found cold


def hour_of(moment: datetime) -> datetime:
    """The full hour, UTC, that `moment` lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


@lru_cache(maxsize=4096)
def begin_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the hour begins that `moment` counts to."""
    midnight, _ = window(Period.DAILY, moment, zone)
    return max(hour_of(moment), midnight)


def quarter_of(moment: datetime) -> datetime:
    """The quarter of an hour, UTC: in all zones since 1972, midnights have been at the beginning of one."""
    utc = moment.astimezone(UTC)
    return utc.replace(minute=utc.minute - utc.minute % 15, second=0, microsecond=0)


def in_days(sums: Iterable[BeatSums], zone: ZoneInfo) -> tuple[BeatSums, ...]:
    """By the days of `zone` in place of the hours: far fewer, for who needs them no finer."""
    days: dict[datetime, datetime] = {}  # by hour: models share them
    parts = []
    for one in sums:
        if one.begins not in days:
            days[one.begins] = one.begins.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        parts.append((days[one.begins], one))
    return _together(parts)


def beats_by_hour(beats: Iterable[Observation], zone: ZoneInfo) -> tuple[BeatSums, ...]:
    """The same from the beats themselves."""
    return beat_hours(
        (
            BeatSums(
                model=beat.model,
                begins=quarter_of(beat.created_at),
                policy=beat.policy,
                reason=beat.reason,
                first_at=beat.created_at,
                ends=beat.completed_at or beat.created_at,
                beats=1,
                cold=int(beat.verdict is Verdict.COLD),
                unsure=int(beat.verdict is Verdict.UNSURE),
                failed=int(not beat.status.is_good),
                known_usd=beat.cost_usd or Decimal(0),
                unknown=int(beat.cost_usd is None),
                estimated=int(beat.cost_is_estimated),
                boots=_waits(beat.booting_s, counts=beat.verdict is Verdict.COLD),
            )
            for beat in beats
        ),
        zone,
    )


def calls_by_hour(calls: Iterable[Request], zone: ZoneInfo) -> tuple[CallSums, ...]:
    """The same from the calls themselves."""
    return call_hours(
        (
            CallSums(
                model=call.model,
                begins=quarter_of(call.created_at),
                calls=1,
                cold=int(call.verdict is Verdict.COLD),
                unsure=int(call.verdict is Verdict.UNSURE),
                waits=_waits(call.wait_s),
                boots=_waits(call.wait_s, counts=call.verdict is Verdict.COLD),
            )
            for call in calls
        ),
        zone,
    )


def beat_hours(parts: Iterable[BeatSums], zone: ZoneInfo) -> tuple[BeatSums, ...]:
    """Sums of parts of hours, quarters or single beats, by the hours of `zone`, oldest first."""
    return _together((begin_of(part.begins, zone), part) for part in parts)


def _together(parts: Iterable[tuple[datetime, BeatSums]]) -> tuple[BeatSums, ...]:
    """What counts to the same begin, for the same reason, in one."""
    groups = defaultdict[tuple[datetime, str, str, Reason], list[BeatSums]](list)
    for begins, part in parts:
        groups[begins, part.model, part.policy, part.reason].append(part)
    return tuple(
        BeatSums(
            model=model,
            begins=begins,
            policy=policy,
            reason=reason,
            first_at=min(part.first_at for part in own),
            ends=max(part.ends for part in own),
            beats=sum(part.beats for part in own),
            cold=sum(part.cold for part in own),
            unsure=sum(part.unsure for part in own),
            failed=sum(part.failed for part in own),
            known_usd=sum((part.known_usd for part in own), Decimal(0)),
            unknown=sum(part.unknown for part in own),
            estimated=sum(part.estimated for part in own),
            boots=Waits.sum(part.boots for part in own),
        )
        for (begins, model, policy, reason), own in sorted(groups.items())
    )


def call_hours(parts: Iterable[CallSums], zone: ZoneInfo) -> tuple[CallSums, ...]:
    """The same of calls."""
    groups = defaultdict[tuple[datetime, str], list[CallSums]](list)
    for part in parts:
        groups[begin_of(part.begins, zone), part.model].append(part)
    return tuple(
        CallSums(
            model=model,
            begins=begins,
            calls=sum(part.calls for part in own),
            cold=sum(part.cold for part in own),
            unsure=sum(part.unsure for part in own),
            waits=Waits.sum(part.waits for part in own),
            boots=Waits.sum(part.boots for part in own),
        )
        for (begins, model), own in sorted(groups.items())
    )


def _waits(wait_s: float | None, *, counts: bool = True) -> Waits:
    return Waits.of([wait_s]) if counts and wait_s is not None else NO_WAITS

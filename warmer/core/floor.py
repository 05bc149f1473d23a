"""A deployment's floor, `min_instances`: raised for the active hours, put back after, left to whoever else moves it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from warmer.core.policy import lead_of
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState

IN_DOUBT = timedelta(minutes=1)
"""A request whose reply never came is carried out within this time, or never: its connection is given up before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """What a deployment may scale to, as the provider tells it."""

    least: int  # min_instances, the floor: as many are up and billed, used or not
    most: int | None = None  # max_instances
    release: int | None = None  # its number; every change raises it
    hardware: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the file asks of a floor at one moment."""

    instances: int  # at least so many; 0 where nothing is asked for
    until: datetime | None = None  # when that ends; None: never, or nothing is asked for


NOTHING = Wish(instances=0)
"""Outside the hours, and of a deployment that no entry has any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """One raise of a floor, from the intent to its end, as it is written down before each request.

    What may be read of a deployment that nobody else has touched is `held` or `wanted`: the same, but while a request
    is out.
    """

    deployment: str  # owner/name
    number: int  # of the raise, from 1
    revision: int = 1  # of this record: who writes the next one has read this one
    model: str  # the entry's name
    found: int  # before the raise: what is put back
    held: int  # as it was last read back
    wanted: int  # as it was last asked for
    begun_at: datetime  # by our own clock, as all its stamps
    asked_at: datetime
    overruled: int | None = None  # what somebody else set it to: it is theirs until the window is over
    closes_at: datetime | None = None  # that window; None: it never is
    ended_at: datetime | None = None


class News(Enum):
    """What a step brings that its reader would want to know."""

    RAISED = "raised"
    LOWERED = "lowered"
    OVERRULED = "overruled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Write `floor` down, then ask the provider for `floor.wanted`, then look again."""

    floor: Floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Write `floor` down, and look again."""

    floor: Floor
    news: News | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """All is as it should be, or not ours to change."""


Step = Ask | Note | Leave


def wish_of(now: datetime, spec: ModelSpec, state: ModelState) -> Wish:
    """What `spec` asks of its deployment's floor at `now`: its instances in the active hours, and the lead before."""
    opens = None if spec.hours.contains(now) else spec.hours.next_open(now)
    if not spec.hours.contains(now) and (opens is None or now < opens - lead_of(state, spec)):
        return NOTHING
    return Wish(instances=spec.instances, until=spec.hours.next_close(now))


def next_edge(now: datetime, spec: ModelSpec, state: ModelState) -> datetime | None:
    """When the wish of `spec` changes next."""
    if wish_of(now, spec, state).instances:
        return spec.hours.next_close(now)
    opens = spec.hours.next_open(now)
    return None if opens is None else opens - lead_of(state, spec)


def plan_floor(now: datetime, deployment: str, model: str, wish: Wish, known: Floor | None, actual: int) -> Step:
    """What to do at `now` about a floor that stands at `actual`, by its latest record.

    A floor is only ever raised, and put back to what was found. Whatever is neither what was last read back nor what
    was last asked for is somebody else's doing: it is respected until the window is over, and what they left is then
    what is found.
    """
    if known is None or known.ended_at is not None:
        if actual >= wish.instances:
            return Leave()
        begun = Floor(
            deployment=deployment,
            number=known.number + 1 if known else 1,
            model=model,
            found=actual,
            held=actual,
            wanted=wish.instances,
            begun_at=now,
            asked_at=now,
        )
        return Ask(floor=begun)
    goal, revision = max(known.found, wish.instances), known.revision + 1
    if known.overruled is not None:
        over = goal != known.wanted or (known.closes_at is not None and now >= known.closes_at)
        return Note(floor=replace(known, revision=revision, ended_at=now)) if over else Leave()
    if actual not in (known.held, known.wanted):
        theirs = replace(known, revision=revision, overruled=actual, wanted=goal, closes_at=wish.until)
        if not wish.instances:
            theirs = replace(theirs, ended_at=now)
        return Note(floor=theirs, news=News.OVERRULED)
    if actual != goal:
        return Ask(floor=replace(known, revision=revision, held=actual, wanted=goal, asked_at=now))
    if known.wanted != goal and abs(now - known.asked_at) < IN_DOUBT:
        return Leave()  # what was asked for before was never seen: it may still come, and has to be put right then
    seen = replace(known, revision=revision, held=goal, wanted=goal)
    if goal > known.found:
        is_known = known.held == known.wanted == goal
        return Leave() if is_known else Note(floor=seen, news=News.RAISED if known.held != goal else None)
    return Note(floor=replace(seen, ended_at=now), news=News.LOWERED if known.held != goal else None)

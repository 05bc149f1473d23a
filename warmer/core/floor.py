"""A deployment's floor, `min_instances`: raised for the active hours, put back after, left to whoever else moves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

from warmer.core.history import Evidence
from warmer.core.override import binding, heeded
from warmer.core.policy import lead_of
from warmer.core.price import FREE, Cost, Price
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState
from warmer.core.units import to_whole_micros

IN_DOUBT = timedelta(minutes=1)
"""A request whose reply never came is carried out within this time, or never: its connection is given up before."""
EARLY = timedelta(seconds=5)
"""Under a cap a floor is put back so long before its hours end: what is kept for it has to last until it is down."""
_LOOKS_BACK = (timedelta(days=1), timedelta(days=32))
"""For the beginning of a window: first as far as is enough for most, then for a month, which no cap counts beyond."""


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
    since: datetime | None = None  # when that began, the lead included; None: it has no beginning, or no cap binds it


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
    closes_at: datetime | None = None  # until when it is to be held, or left to them; None: without end
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A time for which a floor was raised by one number of instances."""

    deployment: str  # owner/name
    model: str  # the entry's name
    instances: int  # more than were found
    raised_at: datetime  # by our own clock, as both stamps
    lowered_at: datetime | None  # None: it is still raised, as far as is known
    price: Price | None  # of a second of one instance, as it began; None: unknown

    def hides(self, find: Evidence) -> bool:
        """Whether it held instances in the gap before: what was found then tells nothing of an idle time-out."""
        return find.at >= self.raised_at and (self.lowered_at is None or find.idle_since <= self.lowered_at)


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


def held_cost(spells: Iterable[Spell], since: datetime, until: datetime) -> Cost:
    """What `spells` cost from `since` to `until`: every second of every instance that they held, used or not.

    Estimated: nobody tells when exactly a change took effect. `until` is now at the latest, for a spell that lasts is
    thought to go on.
    """
    total = FREE
    for spell in spells:
        seconds = (min(spell.lowered_at or until, until) - max(spell.raised_at, since)).total_seconds()
        if seconds > 0:
            per_second = spell.price.per_second if spell.price is not None else None
            usd = None if per_second is None else spell.instances * Decimal(str(seconds)) * per_second
            total += Cost(usd=usd, is_estimated=True)
    return total if total.usd is None else replace(total, usd=to_whole_micros(total.usd))


def raised_by(floor: Floor) -> int:
    """How many instances more than were found it was last read back to hold; none once it is somebody else's."""
    if floor.ended_at is not None or floor.overruled is not None:
        return 0
    return max(0, floor.held - floor.found)


def reserves_more(floor: Floor, before: Floor | None) -> bool:
    """Whether `floor` asks for more, or for longer, than what `before` stands for already."""
    if floor.overruled is not None or floor.ended_at is not None or floor.wanted <= floor.found:
        return False
    if before is None or before.ended_at is not None or before.overruled is not None or floor.wanted > before.wanted:
        return True
    return before.closes_at is not None and (floor.closes_at is None or floor.closes_at > before.closes_at)


def changed_at(floor: Floor, before: Floor | None, now: datetime) -> datetime:
    """When what it holds came to be so, as far as `before`, the record until `now`, tells.

    What is read back as it was asked for came when it was asked: perhaps by a process that died right after.
    """
    is_answer = before is not None and floor.overruled is None and floor.held == before.wanted
    return before.asked_at if before is not None and is_answer else now


def wish_of(now: datetime, spec: ModelSpec, state: ModelState) -> Wish:
    """What `spec` asks of its deployment's floor at `now`: its instances in the active hours, and the lead before.

    Nothing while it is paused.
    """
    heeding = heeded(spec, state.overrides, now)
    return NOTHING if heeding is None else _wish(now, heeding, state)


def _wish(now: datetime, spec: ModelSpec, state: ModelState) -> Wish:
    hours, lead = spec.hours, lead_of(state, spec)
    moment = now + EARLY if spec.caps and hours.contains(now) else now
    if hours.contains(moment):
        until = hours.next_close(moment)
        since = _opened(now, spec) - lead if spec.caps and until is not None else None
        return Wish(instances=spec.instances, until=until, since=since)
    opens = hours.next_open(moment)
    if opens is None or moment < opens - lead:
        return NOTHING
    return Wish(instances=spec.instances, until=hours.next_close(opens), since=opens - lead if spec.caps else None)


def held_from(wish: Wish, known: Floor | None, now: datetime) -> datetime:
    """Since when a raise to `wish` counts: all of its hours have to fit, but for those that were held already."""
    since = wish.since or now
    return since if known is None or known.ended_at is None else min(now, max(since, known.ended_at))


def as_held(wish: Wish, known: Floor | None, now: datetime) -> Wish:
    """What is left of `wish` where a cap allows no more: what is held already, for as long as was planned."""
    if known is None or not raised_by(known):
        return NOTHING
    if known.closes_at is not None and now >= known.closes_at - EARLY:
        return NOTHING
    return replace(wish, instances=min(wish.instances, known.held), until=known.closes_at)


def put_back_at(floor: Floor, now: datetime) -> datetime | None:
    """When `floor` is to be put back under a cap, if what is kept for it is to last; None: never, or it is due."""
    due = None if floor.closes_at is None else floor.closes_at - EARLY
    return due if due is not None and due > now else None


def next_edge(now: datetime, spec: ModelSpec, state: ModelState) -> datetime | None:
    """When the wish of `spec` changes next."""
    override, heeding = binding(state.overrides, now), heeded(spec, state.overrides, now)
    ends = [None if override is None else override.until, None if heeding is None else _edge(now, heeding, state)]
    return min((at for at in ends if at is not None), default=None)


def _edge(now: datetime, spec: ModelSpec, state: ModelState) -> datetime | None:
    wish = _wish(now, spec, state)
    if wish.instances:
        return wish.until if wish.until is None or not spec.caps else wish.until - EARLY
    opens = spec.hours.next_open(now)
    return None if opens is None else opens - lead_of(state, spec)


def _opened(now: datetime, spec: ModelSpec) -> datetime:
    """When the window that `now` lies in began; a month ago at the earliest."""
    opened = now
    for span in _LOOKS_BACK:
        windows = spec.hours.windows(now - span, now)
        opened = windows[-1][0] if windows and windows[-1][1] == now else now
        if opened > now - span:
            break
    return opened


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
            closes_at=wish.until,
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
    closes_at = wish.until if wish.instances else known.closes_at
    if actual != goal:
        asked = replace(known, revision=revision, held=actual, wanted=goal, asked_at=now, closes_at=closes_at)
        return Ask(floor=asked)
    if known.wanted != goal and abs(now - known.asked_at) < IN_DOUBT:
        return Leave()  # what was asked for before was never seen: it may still come, and has to be put right then
    seen = replace(known, revision=revision, held=goal, wanted=goal, closes_at=closes_at)
    if goal > known.found:
        is_known = known.held == known.wanted == goal and known.closes_at == closes_at
        return Leave() if is_known else Note(floor=seen, news=News.RAISED if known.held != goal else None)
    return Note(floor=replace(seen, ended_at=now), news=News.LOWERED if known.held != goal else None)

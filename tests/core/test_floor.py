from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.floor import (
    IN_DOUBT,
    NOTHING,
    Ask,
    Floor,
    Leave,
    News,
    Note,
    Spell,
    Step,
    Wish,
    held_cost,
    next_edge,
    plan_floor,
    wish_of,
)
from warmer.core.hours import ActiveHours
from warmer.core.learned import Learned
from warmer.core.price import FREE, UNKNOWN, Cost, Price, price_of
from warmer.core.spec import ModelSpec, Target, TargetKind
from warmer.core.state import ModelState

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)  # a Tuesday
CLOSES = NOW + timedelta(hours=3)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
SLUG = "acme/upscaler"
OPEN = Wish(instances=1, until=CLOSES)
TARGET = Target(kind=TargetKind.DEPLOYMENT, owner="acme", name="upscaler")
BERLIN = ZoneInfo("Europe/Berlin")
NOT_KNOWN = ModelState()
T4 = price_of("gpu-t4")


def floor(**facts: object) -> Floor:
    """One that was raised from 0 to 1 and read back."""
    plain: dict[str, object] = {"deployment": SLUG, "number": 1, "model": "up", "found": 0, "held": 1, "wanted": 1}
    plain |= {"begun_at": NOW - HOUR, "asked_at": NOW - HOUR, "closes_at": CLOSES}
    return Floor(**{**plain, **facts})  # type: ignore[arg-type]


RAISED = floor()
RAISING = floor(held=0, asked_at=NOW - SECOND)
LOWERING = floor(wanted=0, asked_at=NOW - SECOND)
OVERRULED = floor(overruled=3, closes_at=CLOSES)
ENDED = floor(held=0, wanted=0, ended_at=NOW - HOUR)


def plan(wish: Wish, known: Floor | None, actual: int, now: datetime = NOW) -> Step:
    return plan_floor(now, SLUG, "up", wish, known, actual)


@pytest.mark.parametrize("known", [None, ENDED])
def test_in_the_hours_the_floor_is_raised_and_what_was_there_is_written_down(known: Floor | None) -> None:
    step = plan(OPEN, known, 0)
    number = 1 if known is None else 2
    assert isinstance(step, Ask)
    assert step.floor == floor(number=number, held=0, begun_at=NOW, asked_at=NOW)


@pytest.mark.parametrize("known", [None, ENDED])
@pytest.mark.parametrize(("wish", "actual"), [(OPEN, 1), (OPEN, 4), (NOTHING, 0), (NOTHING, 3)])
def test_what_is_there_already_and_what_others_hold_is_left_alone(wish: Wish, known: Floor | None, actual: int) -> None:
    assert plan(wish, known, actual) == Leave()


@pytest.mark.parametrize(
    ("wish", "known", "actual", "asks_for"),
    [
        (OPEN, RAISING, 0, 1),  # the request never arrived
        (OPEN, LOWERING, 0, 1),  # the hours began anew after it was lowered
        (Wish(instances=2), RAISED, 1, 2),  # the file asks for more
        (OPEN, floor(held=2, wanted=2), 2, 1),  # and for less
        (NOTHING, RAISED, 1, 0),
        (NOTHING, RAISING, 1, 0),  # it did arrive, and nobody saw
        (NOTHING, LOWERING, 1, 0),
        (NOTHING, floor(found=1, held=3, wanted=3), 3, 1),
        (Wish(instances=1), floor(found=2, held=3, wanted=3), 3, 2),  # never below what was found
    ],
)
def test_what_is_not_as_it_should_be_is_asked_for(wish: Wish, known: Floor, actual: int, asks_for: int) -> None:
    step = plan(wish, known, actual)
    assert isinstance(step, Ask)
    closes_at = wish.until if wish.instances else known.closes_at
    changes = {"held": actual, "wanted": asks_for, "asked_at": NOW, "closes_at": closes_at}
    assert step.floor == replace(known, revision=2, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wish", "known", "actual", "news", "changes"),
    [
        (OPEN, RAISING, 1, News.RAISED, {"held": 1}),
        (OPEN, floor(wanted=0), 1, None, {"wanted": 1}),  # the hours began anew before it was lowered
        (OPEN, floor(closes_at=NOW), 1, None, {"closes_at": CLOSES}),  # the file's hours were changed
        (NOTHING, LOWERING, 0, News.LOWERED, {"held": 0, "ended_at": NOW}),
        (NOTHING, floor(held=0, asked_at=NOW - IN_DOUBT), 0, None, {"wanted": 0, "ended_at": NOW}),
        (OPEN, RAISED, 0, News.OVERRULED, {"overruled": 0, "closes_at": CLOSES}),
        (OPEN, RAISED, 3, News.OVERRULED, {"overruled": 3, "closes_at": CLOSES}),
        (OPEN, RAISING, 2, News.OVERRULED, {"overruled": 2, "closes_at": CLOSES}),
        (NOTHING, RAISED, 2, News.OVERRULED, {"overruled": 2, "wanted": 0, "closes_at": None, "ended_at": NOW}),
        (NOTHING, OVERRULED, 3, None, {"ended_at": NOW}),
        (Wish(instances=2, until=CLOSES), OVERRULED, 3, None, {"ended_at": NOW}),  # the file was changed since
    ],
)
def test_what_is_found_out_is_written_down(
    wish: Wish, known: Floor, actual: int, news: News | None, changes: dict[str, object]
) -> None:
    assert plan(wish, known, actual) == Note(floor=replace(known, revision=2, **changes), news=news)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wish", "known", "actual"),
    [
        (OPEN, RAISED, 1),
        (NOTHING, RAISING, 0),  # the request may still arrive, and has to be put back then
        (OPEN, LOWERING, 1),
        (OPEN, OVERRULED, 3),
        (OPEN, OVERRULED, 1),
        (OPEN, OVERRULED, 0),
    ],
)
def test_what_is_as_it_should_be_or_anothers_is_left_alone(wish: Wish, known: Floor, actual: int) -> None:
    assert plan(wish, known, actual) == Leave()


def test_the_next_window_begins_with_what_somebody_else_left() -> None:
    """Also where nobody looked between the two windows."""
    tomorrow = Wish(instances=1, until=CLOSES + 24 * HOUR)
    step = plan(tomorrow, OVERRULED, 0, CLOSES)
    assert step == Note(floor=replace(OVERRULED, revision=2, ended_at=CLOSES))
    again = plan(tomorrow, step.floor, 0, CLOSES)  # type: ignore[union-attr]
    assert isinstance(again, Ask)
    assert (again.floor.number, again.floor.found, again.floor.wanted) == (2, 0, 1)


def spec(line: str, lead: timedelta | None = None, instances: int = 1) -> ModelSpec:
    return ModelSpec(
        name="up", target=TARGET, hours=ActiveHours(lines=(line,), zone=BERLIN), lead=lead, instances=instances
    )


@pytest.mark.parametrize(
    ("lead", "state", "begins"),
    [
        (None, NOT_KNOWN, "07:00:00"),
        (timedelta(minutes=5), NOT_KNOWN, "06:55:00"),
        (None, ModelState(learned=Learned(boots_s=(90.0,))), "06:58:30"),  # the measured wait for a boot
    ],
)
def test_it_is_wished_for_from_the_lead_before_an_opening_to_the_closing(
    lead: timedelta | None, state: ModelState, begins: str
) -> None:
    entry = spec("Mo-Fr 08:00-12:00", lead, instances=3)
    first = datetime.fromisoformat(f"2026-11-24T{begins}+00:00")
    closes = datetime(2026, 11, 24, 11, tzinfo=UTC)
    assert wish_of(first - SECOND, entry, state) == NOTHING
    assert next_edge(first - SECOND, entry, state) == first
    for moment in (first, first + HOUR, closes - SECOND):
        assert wish_of(moment, entry, state) == Wish(instances=3, until=closes)
        assert next_edge(moment, entry, state) == closes
    assert wish_of(closes, entry, state) == NOTHING


def test_hours_without_end_wish_for_it_without_end() -> None:
    assert wish_of(NOW, spec("24/7"), NOT_KNOWN) == Wish(instances=1, until=None)
    assert next_edge(NOW, spec("24/7"), NOT_KNOWN) is None


class Host:
    """One deployment, of which only warmer and one other person know; requests may be late, and replies lost."""

    def __init__(self, least: int) -> None:
        self.least = self.theirs = least  # what others last left there
        self.late: list[tuple[datetime, int]] = []
        self.record: Floor | None = None

    def arrive(self, now: datetime) -> None:
        for due in sorted(one for one in self.late if one[0] <= now):
            self.least = due[1]
        self.late = [one for one in self.late if one[0] > now]

    def sweep(self, now: datetime, wish: Wish, fate: str) -> None:
        """One pass of warmer. `fate` says how far it comes."""
        for _ in range(5):
            self.arrive(now)
            step = plan_floor(now, SLUG, "up", wish, self.record, self.least)
            if isinstance(step, Leave) or fate == "dies first":
                return
            assert step.floor.revision == (self.record.revision + 1 if step.floor.number == self._number else 1)
            self.record = step.floor
            if isinstance(step, Note):
                continue
            assert step.floor.wanted <= max(step.floor.found, wish.instances)  # never more than the plan
            if fate == "dies before it asks":
                return
            if fate == "is answered late":
                self.late.append((now + 30 * SECOND, step.floor.wanted))
                return
            self.least = step.floor.wanted
            if fate == "dies before the reply":
                return

    @property
    def _number(self) -> int:
        return self.record.number if self.record else 0


FATES = st.sampled_from(["ends well", "dies first", "dies before it asks", "dies before the reply", "is answered late"])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3), st.integers(1, 5), st.lists(st.tuples(FATES, st.integers(1, 200)), max_size=20))
def test_whatever_dies_it_is_back_to_what_was_found_two_passes_after_the_hours(
    found: int, instances: int, passes: list[tuple[str, int]]
) -> None:
    host, now = Host(found), NOW
    for fate, minutes in passes:
        opens = now.hour % 4 >= 2
        host.sweep(now, Wish(instances=instances, until=now + HOUR) if opens else NOTHING, fate)
        now += timedelta(minutes=minutes)
    for _ in range(2):
        host.sweep(now, NOTHING, "ends well")
        now += IN_DOUBT
    host.arrive(now)
    host.sweep(now, NOTHING, "ends well")
    assert host.least == found
    assert host.record is None or host.record.ended_at is not None


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3), st.lists(st.tuples(st.booleans(), st.none() | st.integers(0, 5)), max_size=20))
def test_what_somebody_else_sets_is_never_changed_in_the_same_window(
    found: int, passes: list[tuple[bool, int | None]]
) -> None:
    host, now, was_open, until = Host(found), NOW, False, NOW
    respected: int | None = None
    for is_open, set_to in passes:
        if is_open != was_open:
            respected, until = None, now + 10 * HOUR
        host.sweep(now, Wish(instances=2, until=until) if is_open else NOTHING, "ends well")
        assert respected in (None, host.least)
        if set_to is not None and set_to != host.least:
            host.least = set_to
            # Below the floor of a window in which nothing had to be raised yet, it is as found at its opening.
            raised = host.record is not None and host.record.ended_at is None
            respected = set_to if raised or not is_open else None
        now, was_open = now + timedelta(minutes=2), is_open


def spell(begin: int, end: int | None, *, instances: int = 1, price: Price | None = T4) -> Spell:
    """From and until so many hours from NOW."""
    lowered_at = None if end is None else NOW + end * HOUR
    return Spell(
        deployment=SLUG,
        model="up",
        instances=instances,
        raised_at=NOW + begin * HOUR,
        lowered_at=lowered_at,
        price=price,
    )


@pytest.mark.parametrize(
    ("spells", "usd"),
    [
        ([spell(-5, -1)], None),
        ([spell(3, 4)], None),
        ([spell(0, 1)], "0.81"),
        ([spell(-1, 1)], "0.81"),
        ([spell(1, 9, instances=2)], "1.62"),
        ([spell(-9, None)], "1.62"),
        ([spell(0, 1), spell(1, None, instances=3)], "3.24"),
    ],
)
def test_a_floor_costs_every_second_of_every_instance_it_held(spells: list[Spell], usd: str | None) -> None:
    expected = FREE if usd is None else Cost(usd=Decimal(usd), is_estimated=True)
    assert held_cost(spells, NOW, NOW + 2 * HOUR) == expected


def test_a_floor_of_unknown_price_has_no_known_cost() -> None:
    by_output = Price(per_output=Decimal("0.003"), source="file")
    for price in (None, by_output):
        assert held_cost([spell(0, 1), spell(1, 2, price=price)], NOW, NOW + 2 * HOUR).usd is UNKNOWN.usd
        assert held_cost([spell(0, 1), spell(1, 2, price=price)], NOW, NOW + HOUR).usd == Decimal("0.81")

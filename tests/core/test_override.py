from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.beat import Reason
from warmer.core.floor import NOTHING, next_edge, wish_of
from warmer.core.hours import ActiveHours
from warmer.core.override import LONGEST, Kind, OpenedHours, Override, Overrides, binding, heeded, lasting, windows
from warmer.core.policy import Rest, Warm, decide
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.state import Hold, ModelState

UTC_ZONE = ZoneInfo("UTC")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)  # a Tuesday
NIGHT = datetime(2026, 11, 24, 23, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OFFICE = ActiveHours(lines=("Mo-Fr 08:00-20:00",), zone=UTC_ZONE)
OPENS = datetime(2026, 11, 25, 8, tzinfo=UTC)
ALL = pytest.mark.parametrize("policy", list(PolicyName))


def spec(policy: PolicyName = PolicyName.AWARE, hours: ActiveHours = OFFICE) -> ModelSpec:
    kind = TargetKind.DEPLOYMENT if policy is PolicyName.FLOOR else TargetKind.MODEL
    return ModelSpec(
        name="m",
        target=Target(kind=kind, owner="a", name="b"),
        hours=hours,
        policy=policy,
        every=timedelta(seconds=30),
        lead=timedelta(0),
    )


def pause(until: datetime | None = None) -> Override:
    return Override(kind=Kind.PAUSE, since=NOON, until=until)


def warm(until: datetime, since: datetime = NIGHT) -> Override:
    return Override(kind=Kind.WARM, since=since, until=until)


# -- what the one decision makes of them -----------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("now", [NOON, NIGHT], ids=["open", "closed"])
def test_a_paused_model_rests_whatever_else_holds(policy: PolicyName, now: datetime) -> None:
    held = ModelState(overrides=(pause(),), hold=Hold(reason=Reason.THROTTLED, until=None), in_flight_since=NOON)

    assert decide(now, held, spec(policy)) == Rest(reason=Reason.PAUSED, until=None)


def test_a_pause_ends_at_its_time() -> None:
    state = ModelState(overrides=(pause(NOON + HOUR),))

    assert decide(NOON, state, spec()) == Rest(reason=Reason.PAUSED, until=NOON + HOUR)
    assert decide(NOON + HOUR, state, spec()) == Warm(reason=Reason.FIRST_SIGHT)


@pytest.mark.parametrize("policy", [PolicyName.AWARE, PolicyName.FIXED, PolicyName.ADAPTIVE, PolicyName.OBSERVE])
def test_a_model_that_is_to_be_warm_beats_outside_its_hours(policy: PolicyName) -> None:
    state = ModelState(overrides=(warm(NIGHT + 2 * HOUR),))

    assert decide(NIGHT, ModelState(), spec(policy)).reason is Reason.CLOSED
    assert decide(NIGHT, state, spec(policy)) == Warm(reason=Reason.ORDERED)
    assert decide(NIGHT + 2 * HOUR, state, spec(policy)) == Rest(reason=Reason.CLOSED, until=OPENS)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (PolicyName.AWARE, Reason.FIRST_SIGHT),
        (PolicyName.FIXED, Reason.FIRST_SIGHT),
        (PolicyName.ADAPTIVE, Reason.ORDERED),
        (PolicyName.OBSERVE, Reason.ORDERED),
    ],
)
def test_what_the_file_alone_would_send_bears_its_own_reason(policy: PolicyName, reason: Reason) -> None:
    state = ModelState(overrides=(warm(NOON + HOUR, since=NOON),))

    assert decide(NOON, state, spec(policy)) == Warm(reason=reason)


def test_a_customers_call_puts_off_the_beats_of_a_model_that_is_to_be_warm() -> None:
    state = ModelState(overrides=(warm(NIGHT + HOUR),), last_activity=NIGHT)

    assert decide(NIGHT, state, spec()) == Rest(reason=Reason.RECENT_ACTIVITY, until=NIGHT + timedelta(seconds=30))


@pytest.mark.parametrize(
    "held",
    [
        ModelState(hold=Hold(reason=Reason.MODEL_DISABLED, until=None)),
        ModelState(budget=Hold(reason=Reason.OVER_BUDGET, until=None)),
        ModelState(in_flight_since=NIGHT),
    ],
    ids=["hold", "budget", "in flight"],
)
def test_holds_and_caps_rule_over_the_wish_to_be_warm(held: ModelState) -> None:
    wanted = ModelState(
        overrides=(warm(NIGHT + HOUR),), hold=held.hold, budget=held.budget, in_flight_since=held.in_flight_since
    )

    assert isinstance(decide(NIGHT, wanted, spec()), Rest)


def test_a_rest_is_no_longer_than_what_was_asked_for() -> None:
    state = ModelState(overrides=(warm(NIGHT + MINUTE),), hold=Hold(reason=Reason.THROTTLED, until=NIGHT + HOUR))

    assert decide(NIGHT, state, spec()) == Rest(reason=Reason.THROTTLED, until=NIGHT + MINUTE)


def test_a_floor_is_raised_for_a_deployment_that_is_to_be_warm_and_put_back_in_a_pause() -> None:
    entry = spec(PolicyName.FLOOR)
    warmed, paused = ModelState(overrides=(warm(NIGHT + HOUR),)), ModelState(overrides=(pause(NOON + HOUR),))

    assert wish_of(NIGHT, entry, ModelState()) == NOTHING
    assert (wish_of(NIGHT, entry, warmed).instances, wish_of(NIGHT, entry, warmed).until) == (1, NIGHT + HOUR)
    assert next_edge(NIGHT, entry, warmed) == NIGHT + HOUR
    assert wish_of(NOON, entry, ModelState()).instances == 1
    assert wish_of(NOON, entry, paused) == NOTHING
    assert next_edge(NOON, entry, paused) == NOON + HOUR


def test_windows_have_what_is_to_be_warm_and_not_what_is_paused() -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    day = timedelta(days=1)

    def hours(*overrides: Override) -> list[tuple[float, float]]:
        found = windows(spec(), overrides, midnight, midnight + day)
        return [((since - midnight) / HOUR, (until - midnight) / HOUR) for since, until in found]

    assert hours() == [(8, 20)]
    assert hours(warm(midnight + 9 * HOUR, since=midnight)) == [(0, 20)]
    assert hours(pause(midnight + 10 * HOUR)) == [(10, 20)]
    assert hours(pause()) == []
    assert hours(warm(midnight + 2 * HOUR, since=midnight), pause(midnight + 9 * HOUR)) == [(0, 2), (9, 20)]


# -- how one word goes with the next ---------------------------------------------------------------------------------


def test_the_last_word_about_a_model_counts() -> None:
    asked = Overrides().paused(["m"], NOON).warmed(["m"], NOON, NOON + HOUR)

    assert [one.kind for one in asked.of("m")] == [Kind.WARM]
    assert asked.resumed(["m"], NOON).of("m") == ()


def test_a_word_about_one_model_goes_before_that_about_all() -> None:
    asked = Overrides().paused([], NOON).warmed(["m"], NOON, NOON + HOUR)

    assert heeded(spec(), asked.of("m"), NOON) is not None
    assert heeded(spec(), asked.of("other"), NOON) is None
    assert heeded(spec(), asked.of("m"), NOON + HOUR) is None, "all are paused still"


def test_one_model_can_be_resumed_while_all_others_are_paused() -> None:
    asked = Overrides().paused([], NOON, NOON + HOUR).resumed(["m"], NOON)

    assert heeded(spec(), asked.of("m"), NOON) == spec()
    assert heeded(spec(), asked.of("other"), NOON) is None
    assert asked.left(NOON + HOUR) == Overrides()


def test_to_pause_all_stops_what_was_to_be_warm_and_keeps_the_pauses_there_are() -> None:
    asked = Overrides().paused(["a"], NOON).warmed(["b"], NOON, NOON + 3 * HOUR).paused([], NOON, NOON + HOUR)

    assert [heeded(spec(), asked.of(name), NOON) for name in "abc"] == [None] * 3
    assert [heeded(spec(), asked.of(name), NOON + HOUR) is None for name in "abc"] == [True, False, False]


def test_to_resume_all_takes_everything_back() -> None:
    asked = Overrides().paused(["a"], NOON).warmed(["b"], NOON, NOON + HOUR).paused([], NOON)

    assert asked.resumed([], NOON) == Overrides()


WORDS = st.lists(
    st.tuples(
        st.sampled_from(["pause", "warm", "resume"]),
        st.sampled_from([(), ("a",), ("a", "b")]),
        st.integers(1, 5),
        st.integers(0, 2),
    ),
    max_size=6,
)


def said(asked: Overrides, word: str, names: tuple[str, ...], now: datetime, until: datetime) -> Overrides:
    if word == "pause":
        return asked.paused(names, now, until)
    return asked.warmed(names, now, until) if word == "warm" else asked.resumed(names, now)


@given(WORDS)
def test_to_say_a_thing_twice_is_to_say_it_once_and_nothing_that_is_over_is_kept(
    words: list[tuple[str, tuple[str, ...], int, int]],
) -> None:
    asked, now = Overrides(), NOON
    for word, names, lasts, later in words:
        now += later * HOUR
        until = now + lasts * HOUR
        asked = said(asked, word, names, now, until)
        assert said(asked, word, names, now, until) == asked
        assert asked.left(now) == asked
        for name in names:
            found = binding(asked.of(name), now)
            wanted = {"pause": Kind.PAUSE, "warm": Kind.WARM}.get(word)
            assert (found.kind if found else None) in (wanted, *((Kind.RESUME,) if word == "resume" else ()))


@pytest.mark.parametrize("given_", [timedelta(0), -HOUR, LONGEST + MINUTE])
def test_a_time_that_cannot_be_is_refused_with_what_to_write(given_: timedelta) -> None:
    with pytest.raises(ValueError, match="such as 2h"):
        lasting(given_)


# -- hours with one stretch more, against an oracle that goes minute by minute ----------------------------------------

LINES = st.sampled_from(["Mo-Fr 08:00-20:00", "24/7", "Tu 10:00-11:00,12:00-13:00", "Sa 22:00-02:00", "Mo 00:00-24:00"])
BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
SPAN = 2 * 24 * 4  # quarters of an hour


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(0, SPAN), st.integers(1, SPAN))
def test_hours_with_a_stretch_more_are_the_union_of_both(line: str, begins: int, lasts: int) -> None:
    quarter = timedelta(minutes=15)
    plain = ActiveHours(lines=(line,), zone=UTC_ZONE)
    stretch = (BEGIN + begins * quarter, BEGIN + (begins + lasts) * quarter)
    hours = OpenedHours(lines=plain.lines, zone=UTC_ZONE, opened=stretch)
    moments = [BEGIN + at * quarter for at in range(-4, 2 * SPAN + 8)]
    is_open = [plain.contains(at) or stretch[0] <= at < stretch[1] for at in moments]

    assert [hours.contains(at) for at in moments] == is_open
    for at, moment in enumerate(moments[:SPAN:7]):
        later = range(at * 7 + 1, len(moments))
        for turns_to, found in ((True, hours.next_open(moment)), (False, hours.next_close(moment))):
            turns = (moments[i] for i in later if is_open[i] is turns_to and is_open[i - 1] is not turns_to)
            wanted = next(turns, None)
            assert found == wanted or (wanted is None and (found is None or found > moments[-1]))
    inside = [a for a in moments for since, until in hours.windows(moments[0], moments[-1]) if since <= a < until]
    assert inside == [a for a, opened in zip(moments[:-1], is_open, strict=False) if opened]

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.adaptive import Adaptive
from warmer.core.beat import BeatKey, BeatRequest, OpenBeat, Reason
from warmer.core.history import Evidence, History
from warmer.core.hours import ActiveHours
from warmer.core.learned import Learned
from warmer.core.policy import Rest, Warm, decide
from warmer.core.policy.gap import gap_of
from warmer.core.price import Billing
from warmer.core.prospect import Prospect, local_seconds, offset_at
from warmer.core.spec import AUTO_INTERVAL, ModelSpec, PolicyName, Target, TargetKind
from warmer.core.state import RUNNING_AT_MOST, Hold, ModelState, fold

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)  # a Friday, in Berlin
NIGHT = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
OPENS = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)  # Monday, 08:00 in Berlin
SECOND = timedelta(seconds=1)
EVERY = timedelta(seconds=30)
TARGET = Target(kind=TargetKind.MODEL, owner="meta", name="llama")


@cache
def spec(
    policy: PolicyName = PolicyName.AWARE,
    line: str = "Mo-Fr 08:00-20:00",
    every: timedelta | None = EVERY,
) -> ModelSpec:
    hours = ActiveHours(lines=(line,), zone=BERLIN)
    target = replace(TARGET, kind=TargetKind.DEPLOYMENT) if policy is PolicyName.FLOOR else TARGET
    return ModelSpec(name="llama", target=target, hours=hours, policy=policy, every=every)


ALL = pytest.mark.parametrize("policy", list(PolicyName))
BOTH = pytest.mark.parametrize("policy", [PolicyName.FIXED, PolicyName.AWARE])
HOLD = Hold(reason=Reason.THROTTLED, until=NOON + 5 * SECOND)
# Everything speaks against a beat at once; one thing less each time.
STATES = {
    "all": ModelState(hold=HOLD, in_flight_since=NOON - SECOND, last_beat_at=NOON, last_activity=NOON),
    "in flight and recent": ModelState(in_flight_since=NOON - SECOND, last_beat_at=NOON, last_activity=NOON),
    "recent": ModelState(last_beat_at=NOON, last_activity=NOON),
    "long ago": ModelState(last_beat_at=NOON - EVERY, last_activity=NOON - EVERY),
    "nothing known": ModelState(),
}


@ALL
@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_outside_the_hours_nothing_else_counts(policy: PolicyName, state: ModelState) -> None:
    assert decide(NIGHT, state, spec(policy)) == Rest(reason=Reason.CLOSED, until=OPENS)


@ALL
def test_a_hold_goes_before_the_beat_that_is_out_and_the_policy(policy: PolicyName) -> None:
    assert decide(NOON, STATES["all"], spec(policy)) == Rest(reason=Reason.THROTTLED, until=HOLD.until)


@ALL
def test_a_hold_without_an_end_waits_for_a_change_from_outside(policy: PolicyName) -> None:
    held = ModelState(hold=Hold(reason=Reason.MODEL_DISABLED, until=None))

    assert decide(NOON, held, spec(policy)) == Rest(reason=Reason.MODEL_DISABLED, until=None)


@ALL
def test_a_beat_that_is_out_goes_before_the_policy(policy: PolicyName) -> None:
    for state in (STATES["in flight and recent"], ModelState(in_flight_since=NOON - timedelta(hours=1))):
        assert decide(NOON, state, spec(policy)) == Rest(reason=Reason.IN_FLIGHT, until=NOON + EVERY)


@pytest.mark.parametrize(
    ("policy", "state", "expected"),
    [
        (PolicyName.FIXED, STATES["recent"], Rest(reason=Reason.NOT_DUE, until=NOON + EVERY)),
        (PolicyName.FIXED, STATES["long ago"], Warm(reason=Reason.INTERVAL_OVER)),
        (PolicyName.FIXED, STATES["nothing known"], Warm(reason=Reason.FIRST_SIGHT)),
        (PolicyName.AWARE, STATES["recent"], Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + EVERY)),
        (PolicyName.AWARE, STATES["long ago"], Warm(reason=Reason.IDLE)),
        (PolicyName.AWARE, STATES["nothing known"], Warm(reason=Reason.FIRST_SIGHT)),
        # a customer called, warmer did not
        (PolicyName.FIXED, ModelState(last_activity=NOON), Warm(reason=Reason.FIRST_SIGHT)),
        (
            PolicyName.FIXED,
            ModelState(last_beat_at=NOON - EVERY, last_activity=NOON),
            Warm(reason=Reason.INTERVAL_OVER),
        ),
        (PolicyName.AWARE, ModelState(last_activity=NOON), Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + EVERY)),
        # a beat was sent, and used nothing or nobody knows what: it is not followed at once
        (PolicyName.AWARE, ModelState(last_beat_at=NOON), Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + EVERY)),
        (PolicyName.AWARE, ModelState(last_beat_at=NOON - EVERY), Warm(reason=Reason.IDLE)),
        (
            PolicyName.AWARE,
            ModelState(last_beat_at=NOON, last_activity=NOON - EVERY),
            Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + EVERY),
        ),
    ],
)
def test_a_policy_decides_by_what_it_looks_at(policy: PolicyName, state: ModelState, expected: Warm | Rest) -> None:
    assert decide(NOON, state, spec(policy)) == expected


@BOTH
def test_the_interval_is_over_on_the_microsecond(policy: PolicyName) -> None:
    state = STATES["recent"]

    assert isinstance(decide(NOON + EVERY - timedelta(microseconds=1), state, spec(policy)), Rest)
    assert isinstance(decide(NOON + EVERY, state, spec(policy)), Warm)


@BOTH
def test_auto_means_the_default_interval_where_nothing_can_be_learned(policy: PolicyName) -> None:
    action = decide(NOON, STATES["recent"], spec(policy, every=None))

    assert isinstance(action, Rest)
    assert action.until == NOON + AUTO_INTERVAL


@ALL
def test_hours_that_do_not_open_again_are_waited_for_in_vain(policy: PolicyName) -> None:
    past = spec(policy, line="2026 Jan 01-31 08:00-20:00")

    assert decide(NOON, ModelState(), past) == Rest(reason=Reason.CLOSED, until=None)


# -- for any state -----------------------------------------------------------------------------------------------------

LINES = ("24/7", "Mo-Fr 08:00-20:00", "Sa 22:00-02:00", "Mo-Su 12:00-12:05")
NOWS = st.datetimes(datetime(2026, 3, 1), datetime(2026, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001 - made aware
SPECS = st.builds(
    spec,
    st.sampled_from([PolicyName.FIXED, PolicyName.AWARE]),
    st.sampled_from(LINES),
    st.none() | st.sampled_from([SECOND, EVERY, 400 * SECOND]),
)
AGO = st.none() | st.timedeltas(timedelta(0), timedelta(minutes=20))
AHEAD = st.none() | st.timedeltas(timedelta(microseconds=1), timedelta(hours=6))
HOLD_REASONS = st.sampled_from([Reason.THROTTLED, Reason.MODEL_DISABLED, Reason.ACCOUNT_REFUSED, Reason.BACKING_OFF])


@st.composite
def situations(draw: st.DrawFn) -> tuple[datetime, ModelState, ModelSpec]:
    """A moment, a state that `fold` may give at that moment under a standing hold, and an entry."""
    now = draw(NOWS)

    def before(ago: timedelta | None) -> datetime | None:
        return None if ago is None else now - ago

    hold = None
    if draw(st.booleans()):
        until = draw(AHEAD)
        hold = Hold(reason=draw(HOLD_REASONS), until=None if until is None else now + until)
    state = ModelState(
        in_flight_since=before(draw(AGO)) if draw(st.booleans()) else None,
        last_beat_at=before(draw(AGO)),
        last_activity=before(draw(AGO)),
        hold=hold,
    )
    return now, state, draw(SPECS)


@given(situations())
def test_a_rest_always_ends_later_than_now(situation: tuple[datetime, ModelState, ModelSpec]) -> None:
    now, state, entry = situation
    action = decide(now, state, entry)

    if isinstance(action, Rest):
        assert not action.reason.sends
        assert action.until is None or action.until > now
    else:
        assert action.reason.sends


@given(situations())
def test_a_beat_goes_out_only_in_hours_without_a_hold_and_with_nothing_in_flight(
    situation: tuple[datetime, ModelState, ModelSpec],
) -> None:
    now, state, entry = situation
    if isinstance(decide(now, state, entry), Warm):
        assert entry.hours.contains(now)
        assert state.hold is None
        assert state.in_flight_since is None


@given(situations(), st.timedeltas(timedelta(0), timedelta(minutes=30)))
def test_what_is_due_stays_due_while_the_window_lasts(
    situation: tuple[datetime, ModelState, ModelSpec], later: timedelta
) -> None:
    now, state, entry = situation
    closes = entry.hours.next_close(now)
    if isinstance(decide(now, state, entry), Warm) and (closes is None or now + later < closes):
        assert decide(now + later, state, entry) == decide(now, state, entry)


@given(situations())
def test_at_the_end_of_a_rest_for_the_policys_sake_a_beat_is_due_or_the_hours_are_over(
    situation: tuple[datetime, ModelState, ModelSpec],
) -> None:
    now, state, entry = situation
    action = decide(now, state, entry)
    if isinstance(action, Rest) and action.reason in (Reason.NOT_DUE, Reason.RECENT_ACTIVITY):
        assert action.until is not None
        then = decide(action.until, state, entry)
        assert isinstance(then, Warm) or then.reason is Reason.CLOSED


# -- the state it is decided by ----------------------------------------------------------------------------------------


def test_a_state_is_on_our_own_clock_and_never_in_the_future() -> None:
    history = History(slots=3, last_beat_at=NOON - EVERY, last_activity=NOON)

    ahead = fold(history, now=NOON, skew=timedelta(minutes=5))
    assert (ahead.last_beat_at, ahead.last_activity) == (
        NOON - EVERY - timedelta(minutes=5),
        NOON - timedelta(minutes=5),
    )
    behind = fold(history, now=NOON, skew=timedelta(seconds=-50))
    assert (behind.last_beat_at, behind.last_activity) == (NOON, NOON)
    assert behind.slots == 3


def test_a_stamp_far_ahead_is_of_another_clock_and_tells_nothing() -> None:
    history = History(last_beat_at=NOON + timedelta(hours=1), last_activity=NOON + timedelta(hours=1))

    assert fold(history, now=NOON, skew=timedelta(0)).last_activity is None
    assert fold(history, now=NOON, skew=timedelta(0)).last_beat_at == NOON  # rather one too late
    claimed = replace(history, last_claim_at=NOON - SECOND)
    assert fold(claimed, now=NOON, skew=timedelta(0)).last_beat_at == NOON - SECOND


@pytest.mark.parametrize("skew", [timedelta(0), timedelta(hours=1), timedelta(hours=-1)])
@pytest.mark.parametrize("claim_ago", [timedelta(minutes=2), timedelta(hours=1), timedelta(hours=-1)])
def test_a_beat_is_as_young_as_its_stamp_or_its_claim_says(skew: timedelta, claim_ago: timedelta) -> None:
    made_ago = timedelta(minutes=2)
    history = History(last_beat_at=NOON - made_ago, last_claim_at=NOON - claim_ago)

    found = fold(history, now=NOON, skew=skew).last_beat_at
    ages = [age for age in (made_ago + skew, claim_ago) if age >= timedelta(0)]
    assert found == (NOON - min(ages) if ages else NOON)


def test_a_call_that_runs_is_activity_at_this_very_moment() -> None:
    running = History(running_since=NOON - timedelta(minutes=10), last_activity=NOON - timedelta(hours=1))

    assert fold(running, now=NOON, skew=timedelta(0)).last_activity == NOON


def test_a_call_that_was_never_seen_to_end_is_over_after_the_longest_run() -> None:
    stuck = History(running_since=NOON - RUNNING_AT_MOST, last_activity=NOON - timedelta(hours=1))

    assert fold(stuck, now=NOON, skew=timedelta(0)).last_activity == NOON - timedelta(hours=1)
    younger = replace(stuck, running_since=NOON - RUNNING_AT_MOST + SECOND)
    assert fold(younger, now=NOON, skew=timedelta(0)).last_activity == NOON


def test_a_beat_that_is_out_was_claimed_by_our_own_clock() -> None:
    beat = OpenBeat(
        key=BeatKey(model="llama", slot=1),
        claimed_at=NOON - SECOND,
        policy="aware",
        reason=Reason.IDLE,
        request=BeatRequest(target=TARGET, version=None, billing=Billing.PUBLIC, input={}, deadline=EVERY),
        prediction_id=None,
    )

    state = fold(History(open_beat=beat), now=NOON, skew=timedelta(minutes=5), hold=HOLD)
    assert state.in_flight_since == NOON - SECOND
    assert state.hold == HOLD


@BOTH
def test_a_hold_that_is_over_holds_nothing(policy: PolicyName) -> None:
    over = Hold(reason=Reason.THROTTLED, until=NOON)
    assert isinstance(decide(NOON, ModelState(hold=over), spec(policy)), Warm)
    for_good = Hold(reason=Reason.MODEL_DISABLED, until=None)
    assert decide(NOON, ModelState(hold=for_good), spec(policy)) == Rest(reason=Reason.MODEL_DISABLED, until=None)


# -- what was learned -------------------------------------------------------------------------------------------------

WARM_FOR = 100.0
KNOWN = Learned().after_all(
    Evidence(at=NIGHT, gap_s=gap_s, cold=gap_s > 1.2 * WARM_FOR, wait_s=8.0)
    for gap_s in [*([100.0, 121, 122, 110] * 5), *([105.0] * 40)]
)
INTERVAL = gap_of(ModelState(learned=KNOWN), spec(every=None)).length


def known(ago: timedelta = timedelta(0), **more: Any) -> ModelState:
    return ModelState(last_beat_at=NOON - ago, last_activity=NOON - ago, learned=KNOWN, **more)


def until(action: Warm | Rest) -> datetime:
    assert isinstance(action, Rest)
    assert action.until is not None
    return action.until


def test_auto_is_the_interval_that_was_learned() -> None:
    assert timedelta(seconds=90) < INTERVAL < timedelta(seconds=121)
    assert decide(NOON, known(), spec(every=None)) == Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + INTERVAL)
    assert decide(NOON, known(INTERVAL), spec(every=None)) == Warm(reason=Reason.IDLE)


def test_every_is_an_upper_bound() -> None:
    longer, shorter = spec(every=timedelta(minutes=10)), spec(every=EVERY)
    assert decide(NOON, known(), longer) == Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + INTERVAL)
    assert decide(NOON, known(), shorter) == Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + EVERY)
    assert decide(NOON, known(EVERY), shorter) == Warm(reason=Reason.IDLE)


def test_fixed_keeps_to_every_whatever_was_learned() -> None:
    entry = spec(PolicyName.FIXED, every=timedelta(minutes=10))
    assert decide(NOON, known(), entry) == Rest(reason=Reason.NOT_DUE, until=NOON + timedelta(minutes=10))
    assert until(decide(NOON, known(), spec(PolicyName.FIXED, every=None))) == NOON + INTERVAL


def test_what_is_not_known_is_probed_and_less_boldly_where_customers_call_often() -> None:
    fresh = replace(known(), learned=Learned())
    quiet = gap_of(fresh, spec(every=None))
    busy = gap_of(replace(fresh, calls_per_s=0.1), spec(every=None))
    assert quiet.least == busy.least <= busy.length < quiet.length
    assert decide(NOON + quiet.length, fresh, spec(every=None)) == Warm(reason=Reason.PROBE)


@pytest.mark.parametrize("policy", [PolicyName.AWARE, PolicyName.ADAPTIVE])
def test_a_rest_ends_before_a_call_of_meanwhile_could_have_asked_for_a_beat(policy: PolicyName) -> None:
    fresh, entry = replace(known(), learned=Learned(), prospect=prospect([NOON])), spec(policy, every=None)
    gap, now = gap_of(fresh, entry), NOON
    assert gap.length > 2 * gap.least
    assert decide(now, fresh, entry) == Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + gap.least)
    late = NOON + gap.length - gap.least / 2
    assert decide(late, fresh, entry) == Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + gap.length)


def test_a_window_begins_early_by_the_lead() -> None:
    late = replace(known(), last_beat_at=NIGHT, last_activity=NIGHT)
    boots_s = 8 * SECOND  # the p95 wait for one
    assert decide(NIGHT, late, spec(every=None)) == Rest(reason=Reason.CLOSED, until=OPENS - boots_s)
    assert decide(OPENS - boots_s, late, spec(every=None)) == Warm(reason=Reason.OPENING)
    beaten = replace(late, last_beat_at=OPENS - boots_s, last_activity=OPENS - SECOND)
    assert decide(OPENS - SECOND, beaten, spec(every=None)).reason is Reason.RECENT_ACTIVITY


def test_a_lead_in_the_file_goes_before_the_measured_one() -> None:
    entry = replace(spec(every=None), lead=timedelta(minutes=2))
    assert decide(NIGHT, known(), entry) == Rest(reason=Reason.CLOSED, until=OPENS - timedelta(minutes=2))
    assert decide(NIGHT, known(), replace(entry, lead=timedelta(0))) == Rest(reason=Reason.CLOSED, until=OPENS)


def test_observe_never_sends() -> None:
    for state in (*STATES.values(), known(INTERVAL)):
        action = decide(NOON, replace(state, hold=None, in_flight_since=None), spec(PolicyName.OBSERVE))
        assert action == Rest(reason=Reason.OBSERVING, until=None)


# -- adaptive ---------------------------------------------------------------------------------------------------------


def prospect(calls: Iterable[datetime], *, worth: float = 80.0) -> Prospect:
    decider = Adaptive(interval_s=KNOWN.trusted_s, boot_s=8.0, worth=worth)
    for at_s in local_seconds(calls, BERLIN, NOON):
        decider.seen(at_s)
    return Prospect(decider=decider, offset=offset_at(NOON, BERLIN))


ADAPTIVE = spec(PolicyName.ADAPTIVE, every=None)
PRICED = replace(ADAPTIVE, cold_start_price=Decimal("0.01"))
OFTEN = [NOON - timedelta(minutes=4) * number for number in range(3000, -1, -1)]
SELDOM = [NOON - timedelta(hours=31) * number for number in range(40, -1, -1)]


def test_adaptive_keeps_a_model_warm_where_the_next_call_is_likely() -> None:
    state = known(prospect=prospect(OFTEN))
    assert decide(NOON, state, ADAPTIVE) == Rest(reason=Reason.RECENT_ACTIVITY, until=NOON + INTERVAL)
    assert decide(NOON + INTERVAL, state, ADAPTIVE) == Warm(reason=Reason.LIKELY)
    assert decide(NOON + INTERVAL + SECOND, state, ADAPTIVE) == Warm(reason=Reason.LIKELY)  # a little late


def test_adaptive_lets_a_model_go_where_it_is_not_and_says_when_it_looks_again() -> None:
    action = decide(NOON + INTERVAL, known(prospect=prospect(SELDOM)), ADAPTIVE)
    assert action.reason is Reason.UNLIKELY
    assert until(action) > NOON + INTERVAL


def test_adaptive_says_that_a_model_is_not_worth_warming() -> None:
    state = known(prospect=prospect(SELDOM, worth=1.5))
    assert decide(NOON + INTERVAL, state, PRICED).reason is Reason.NOT_WORTH_WARMING


def test_adaptive_sends_nothing_before_the_first_call() -> None:
    for nobody in (None, prospect([])):
        assert decide(NOON, known(INTERVAL, prospect=nobody), ADAPTIVE).reason is Reason.UNLIKELY


@given(
    st.lists(st.timedeltas(timedelta(0), timedelta(days=9)), max_size=60),
    st.timedeltas(timedelta(0), timedelta(days=3)),
    st.sampled_from([ADAPTIVE, PRICED]),
)
def test_adaptive_always_rests_until_later(ago: list[timedelta], idle: timedelta, entry: ModelSpec) -> None:
    calls = sorted(NOON - span for span in ago)
    action = decide(NOON, known(idle, prospect=prospect(calls)), entry)
    assert isinstance(action, Warm) or until(action) > NOON

"""What every ledger does, through the `Ledger` port alone: `database` runs it over each kind of database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from warmer.core.beat import Reason, Request, Status, Verdict
from warmer.core.history import History
from warmer.ports import Ledger


def ids(found: Any) -> list[str]:
    return [one.prediction_id if hasattr(one, "prediction_id") else one.id for one in found]


# -- claims and ends ---------------------------------------------------------------------------------------------------


def test_a_beat_is_claimed_once(ledger: Ledger, facts: Any) -> None:
    assert ledger.claim(facts.claim())
    assert not ledger.claim(facts.claim())
    assert not ledger.claim(facts.claim(at=99))


def test_another_slot_instance_or_model_is_another_beat(ledger: Ledger, facts: Any) -> None:
    claims = [facts.claim(1), facts.claim(2), facts.claim(1, instance=1), facts.claim(1, model="acme/other")]

    assert [bool(ledger.claim(claim)) for claim in claims] == [True] * 4
    assert [bool(ledger.claim(claim)) for claim in claims] == [False] * 4


def test_a_finished_beat_cannot_be_claimed_again(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=1)

    assert not ledger.claim(facts.claim(1))


def test_eight_threads_claim_each_beat_once(database: Any, facts: Any) -> None:
    ledgers = [database.open(), database.open()]
    together = threading.Barrier(8)

    def claims(thread: int) -> list[int]:
        together.wait(timeout=30)
        return [slot for slot in range(1, 26) if ledgers[thread % 2].claim(facts.claim(slot))]

    with ThreadPoolExecutor(8) as threads:
        won = [slot for slots in threads.map(claims, range(8)) for slot in slots]

    assert sorted(won) == list(range(1, 26))


def test_a_claim_is_an_open_beat_until_it_is_finished(ledger: Ledger, facts: Any) -> None:
    claim = facts.claim()
    ledger.claim(claim)

    (beat,) = ledger.open_beats()
    assert (beat.key, beat.claimed_at, beat.policy, beat.reason) == (claim.key, claim.at, claim.policy, claim.reason)
    assert beat.request == claim.request
    assert beat.prediction_id is None

    ledger.sent(claim.key, facts.prediction())
    assert ids(ledger.open_beats()) == ["beat-1"]
    assert ledger.history(facts.model).open_beat == ledger.open_beats()[0]

    ledger.finish(claim.key, facts.observation())
    assert ledger.open_beats() == ()
    assert ledger.history(facts.model).open_beat is None


def test_open_beats_come_oldest_first(ledger: Ledger, facts: Any) -> None:
    for slot, at in ((1, 30), (2, 10), (3, 20)):
        ledger.claim(facts.claim(slot, at=at, model=f"m/{slot}"))

    assert [beat.key.slot for beat in ledger.open_beats()] == [2, 3, 1]


def test_a_beat_ends_once_and_the_first_end_stands(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim())
    first = facts.observation()

    assert ledger.finish(facts.key(), first)
    assert not ledger.finish(facts.key(), first)
    assert not ledger.finish(facts.key(), replace(first, status=Status.FAILED, cost_usd=None))
    assert list(ledger.beats()) == [first]


def test_a_late_reply_does_not_reopen_a_finished_beat(ledger: Ledger, facts: Any) -> None:
    seen = facts.record(ledger, 1, created=1)
    ledger.sent(facts.key(1), facts.prediction("another", created=7))

    assert list(ledger.beats()) == [seen]


def test_what_was_never_claimed_cannot_be_finished(ledger: Ledger, facts: Any) -> None:
    assert not ledger.finish(facts.key(), facts.observation())
    assert list(ledger.beats()) == []


def test_every_fact_of_a_beat_comes_back(ledger: Ledger, facts: Any) -> None:
    full = facts.observation(error="“odd” – text\nof two lines", gap_s=0.1 + 0.2)
    bare = facts.observation(
        None, created=9, started=None, completed=None, gap_s=None, cost_usd=None, price=None, billing=None
    )
    for slot, seen in ((1, full), (2, bare)):
        ledger.claim(facts.claim(slot, at=9))
        ledger.finish(facts.key(slot), seen)

    assert list(ledger.beats()) == [full, bare]


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_status_and_verdict_comes_back(ledger: Ledger, facts: Any, status: Status, verdict: Verdict) -> None:
    seen = facts.record(ledger, 1, created=1, status=status, verdict=verdict)

    assert list(ledger.beats()) == [seen]


def test_a_beat_that_never_reached_the_provider_is_dated_by_its_claim(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim(at=5))
    ledger.finish(facts.key(), facts.observation(None, created=77, started=None, completed=None))

    (seen,) = ledger.beats()
    assert seen.created_at == facts.at(5)
    assert ledger.history(facts.model).last_beat_at is None


def test_a_beat_that_may_have_reached_the_provider_counts_as_one_and_as_no_use(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim(at=5))
    lost = facts.observation(None, created=5, started=None, completed=None, status=Status.UNKNOWN, cost_usd=None)
    ledger.finish(facts.key(), lost)

    assert list(ledger.beats()) == [lost]
    assert ledger.history(facts.model).last_beat_at == facts.at(5)
    assert ledger.history(facts.model).last_activity is None
    assert ledger.uses(facts.model, facts.at(5), facts.at(9)) == ()


# -- money and time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usd", ["0.000001", "0", "0.1", "123456789.000001", "9007199254.740993"])
def test_money_is_kept_to_the_micro_dollar(ledger: Ledger, facts: Any, usd: str) -> None:
    facts.record(ledger, 1, created=1, cost_usd=Decimal(usd))

    (seen,) = ledger.beats()
    assert seen.cost_usd == Decimal(usd)


def test_unknown_money_comes_back_unknown_and_free_as_nothing(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=1, cost_usd=None)
    facts.record(ledger, 2, created=2, cost_usd=Decimal(0))

    assert [seen.cost_usd for seen in ledger.beats()] == [None, 0]


def test_ten_thousandths_add_up_without_drift(ledger: Ledger, facts: Any) -> None:
    for slot in range(1, 101):
        facts.record(ledger, slot, created=slot, cost_usd=Decimal("0.000100"))

    assert sum(seen.cost_usd for seen in ledger.beats() if seen.cost_usd is not None) == Decimal("0.01")


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 21, 9, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 11, 21, 9, 0, 0, 999_999, tzinfo=UTC),
        datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2))),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2999, 1, 1, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
    ],
)
def test_an_instant_comes_back_to_the_microsecond_in_utc(ledger: Ledger, facts: Any, moment: datetime) -> None:
    ledger.add_requests([facts.call(created_at=moment)])

    (seen,) = ledger.requests()
    assert seen.created_at == moment
    assert seen.created_at.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused(ledger: Ledger, facts: Any) -> None:
    with pytest.raises(Exception, match="aware instants only"):
        ledger.add_requests([facts.call(created_at=datetime(2026, 11, 21, 9, 0))])  # noqa: DTZ001 - that is the point

    assert list(ledger.requests()) == []


# -- history -----------------------------------------------------------------------------------------------------------


def test_nothing_is_known_of_a_new_model(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=1, model="acme/other")
    ledger.add_requests([facts.call(model="acme/other")])

    assert ledger.history(facts.model) == History()


def test_slots_count_the_beats_claimed_of_this_model(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=1)
    ledger.claim(facts.claim(2))
    ledger.claim(facts.claim(9, model="acme/other"))

    assert ledger.history(facts.model).slots == 2


def test_the_last_beat_is_the_last_that_reached_the_provider(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=10)
    ledger.claim(facts.claim(2, at=70))
    assert ledger.history(facts.model).last_beat_at == facts.at(10)

    ledger.sent(facts.key(2), facts.prediction("beat-2", created=70.5))
    assert ledger.history(facts.model).last_beat_at == facts.at(70.5)


def test_the_last_activity_is_the_end_of_the_last_use_of_either_kind(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=10, started=10, completed=12)
    assert ledger.history(facts.model).last_activity == facts.at(12)

    ledger.add_requests([facts.call(created=3, started=4, completed=30)])
    assert ledger.history(facts.model).last_activity == facts.at(30)

    facts.record(ledger, 2, created=20, started=20, completed=21)
    assert ledger.history(facts.model).last_activity == facts.at(30)


@pytest.mark.parametrize("status", [Status.ABORTED, Status.CANCELED, Status.FAILED])
def test_what_ended_without_a_start_was_no_activity(ledger: Ledger, facts: Any, status: Status) -> None:
    facts.record(ledger, 1, created=1, started=None, completed=600, status=status)
    ledger.add_requests([facts.call(created=1, started=None, completed=600, status=status)])

    history = ledger.history(facts.model)
    assert history.last_activity is None
    assert history.running_since is None


def test_what_succeeded_was_activity_even_where_its_start_is_not_shown(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests([facts.call(started=None, completed=5, status=Status.SUCCEEDED)])

    assert ledger.history(facts.model).last_activity == facts.at(5)


def test_the_youngest_unfinished_call_is_running(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests(
        [
            facts.call("old", created=1, completed=None),
            facts.call("young", created=7, started=None, completed=None),
            facts.call("ended", created=9),
            facts.call("elsewhere", created=11, completed=None, model="acme/other"),
        ]
    )

    assert ledger.history(facts.model).running_since == facts.at(7)


def test_an_odd_status_is_not_running(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests([facts.call(completed=None, status=Status.UNKNOWN)])

    assert ledger.history(facts.model).running_since is None


def test_warm_waits_are_the_newest_finds_that_were_not_cold(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=10, started=10.125)
    facts.record(ledger, 2, created=30, started=60, completed=61, verdict=Verdict.COLD)
    facts.record(ledger, 3, created=90, started=91.5, completed=92, verdict=Verdict.UNSURE)
    facts.record(ledger, 4, created=100, started=None, completed=None)
    ledger.add_requests([facts.call(created=20, started=20.25), facts.call("other", model="acme/other")])

    assert ledger.history(facts.model).warm_waits == pytest.approx((1.5, 0.25, 0.125))


def test_warm_waits_go_back_fifty_finds_of_both_kinds_together(ledger: Ledger, facts: Any) -> None:
    for slot in range(1, 41):
        facts.record(ledger, slot, created=2 * slot, started=2 * slot + slot / 1000, completed=2 * slot + 0.5)
    ledger.add_requests(
        facts.call(f"call-{n}", created=2 * n + 1, started=2 * n + 1 + n / 1000 + 0.5) for n in range(1, 41)
    )

    waits = ledger.history(facts.model).warm_waits
    expected = [n / 1000 + extra for n in range(40, 15, -1) for extra in (0.5, 0)]
    assert waits == pytest.approx(expected)


# -- customers' calls --------------------------------------------------------------------------------------------------


def test_a_call_is_recorded_once_and_every_fact_comes_back(ledger: Ledger, facts: Any) -> None:
    calls = [
        facts.call("one", gap_s=12.5),
        facts.call("two", created=2, started=None, completed=None),
        facts.call("three", created=3, verdict=Verdict.COLD, status=Status.FAILED),
    ]

    assert ledger.add_requests(calls) == 3
    assert ledger.add_requests(calls) == 0
    assert list(ledger.requests()) == calls


def test_the_same_call_twice_in_one_reading_is_one(ledger: Ledger, facts: Any) -> None:
    assert ledger.add_requests([facts.call(), facts.call()]) == 1
    assert ledger.add_requests([]) == 0
    assert len(list(ledger.requests())) == 1


def test_one_prediction_may_concern_two_models_of_the_file(ledger: Ledger, facts: Any) -> None:
    assert ledger.add_requests([facts.call(model="a"), facts.call(model="b")]) == 2
    assert [call.model for call in ledger.requests()] == ["a", "b"]


def test_a_later_reading_completes_an_earlier_one(ledger: Ledger, facts: Any) -> None:
    waiting = facts.call(started=None, completed=None)
    running = facts.call(started=2, completed=None, verdict=Verdict.COLD)
    ended = facts.call(started=2, completed=3, verdict=Verdict.COLD)

    for reading in (waiting, running, ended):
        ledger.add_requests([reading])
        assert list(ledger.requests()) == [reading]


def test_an_older_reading_that_comes_late_does_not_undo_the_end(ledger: Ledger, facts: Any) -> None:
    ended = facts.call()
    ledger.add_requests([ended])
    ledger.add_requests([facts.call(started=None, completed=None), facts.call(completed=None)])

    assert list(ledger.requests()) == [ended]


def test_an_ended_call_may_be_judged_anew(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests([facts.call(verdict=Verdict.UNSURE)])
    better = facts.call(verdict=Verdict.COLD)
    ledger.add_requests([better])

    assert list(ledger.requests()) == [better]


def test_a_hash_of_an_input_outlives_a_reading_that_does_not_show_it(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests([facts.call(completed=None, input_hash="abcd")])
    ledger.add_requests([facts.call()])

    assert list(ledger.requests()) == [facts.call(input_hash="abcd")]


def test_the_salt_of_a_ledger_is_its_own_and_stays(database: Any, open_at: Any, tmp_path: Path) -> None:
    salt = database.open().salt()

    assert len(salt) == 16
    assert database.open().salt() == salt
    assert open_at(tmp_path / "other.db").salt() != salt


def test_open_requests_are_those_last_seen_unfinished_since_then(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests(
        [
            facts.call("before", created=1, completed=None),
            facts.call("at", created=2, started=None, completed=None),
            facts.call("after", created=3, completed=None, model="acme/other"),
            facts.call("ended", created=4),
            facts.call("odd", created=5, completed=None, status=Status.UNKNOWN),
        ]
    )

    assert sorted(ids(ledger.open_requests(facts.at(2)))) == ["after", "at"]


def test_a_beat_taken_for_a_strangers_call_is_taken_back(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim())
    ledger.add_requests([facts.call("beat-1"), facts.call("call-1")])
    ledger.finish(facts.key(), facts.observation("beat-1"))

    assert ids(ledger.requests()) == ["call-1"]


def test_a_beat_taken_for_a_strangers_call_is_taken_back_as_soon_as_it_is_named(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim())
    ledger.add_requests([facts.call("beat-1", completed=None), facts.call("call-1", completed=None)])
    ledger.sent(facts.key(), facts.prediction("beat-1"))

    assert ids(ledger.requests()) == ["call-1"]
    assert ids(ledger.uses(facts.model, facts.at(1), facts.at(1))) == ["call-1", "beat-1"]


def test_a_beat_of_ours_is_not_recorded_as_a_call(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim())
    ledger.sent(facts.key(), facts.prediction("beat-1"))

    assert ledger.add_requests([facts.call("beat-1"), facts.call("call-1")]) == 1
    assert ledger.add_requests([facts.call("beat-1")]) == 0
    assert ids(ledger.requests()) == ["call-1"]


def test_known_beats_are_ours_sent_or_finished(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=1)
    ledger.claim(facts.claim(2))
    ledger.sent(facts.key(2), facts.prediction("beat-2"))
    ledger.add_requests([facts.call("call-1")])

    many = [f"stranger-{n}" for n in range(1200)]
    assert ledger.known_beats(["beat-1", "call-1", *many, "beat-2", "beat-1"]) == {"beat-1", "beat-2"}
    assert ledger.known_beats([]) == frozenset()


def test_many_calls_are_recorded_at_once(ledger: Ledger, facts: Any) -> None:
    calls = [facts.call(f"call-{n:04}", created=n, started=n, completed=n + 1) for n in range(1100)]

    assert ledger.add_requests(calls) == 1100
    assert ledger.add_requests([*calls, facts.call("new", created=2000)]) == 1
    assert len(list(ledger.requests())) == 1101


def test_the_newest_call_is_over_all_models(ledger: Ledger, facts: Any) -> None:
    assert ledger.newest_request_at() is None

    ledger.add_requests([facts.call("a", created=5), facts.call("b", created=9, model="x"), facts.call("c", created=7)])
    facts.record(ledger, 1, created=50)
    assert ledger.newest_request_at() == facts.at(9)


# -- what was going on -------------------------------------------------------------------------------------------------


def test_uses_are_those_that_waited_or_ran_in_the_stretch(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests(
        [
            facts.call("over", created=0, started=1, completed=99),
            facts.call("until", created=1, started=2, completed=100),
            facts.call("across", created=50, started=60, completed=150),
            facts.call("within", created=110, started=111, completed=112),
            facts.call("open", created=90, started=None, completed=None),
            facts.call("from", created=120, started=121, completed=200),
            facts.call("later", created=120.000001, started=121, completed=200),
            facts.call("elsewhere", created=110, completed=112, model="acme/other"),
        ]
    )
    facts.record(ledger, 1, created=115, started=115, completed=116)
    ledger.claim(facts.claim(2, at=118))  # not sent: it has used nothing yet

    found = ledger.uses(facts.model, facts.at(100), facts.at(120))
    assert ids(found) == ["until", "across", "open", "within", "beat-1", "from"]


def test_a_use_has_the_facts_of_its_call_or_beat(ledger: Ledger, facts: Any) -> None:
    call: Request = facts.call(created=1, started=4, completed=6)
    ledger.add_requests([call])
    ledger.claim(facts.claim())
    ledger.sent(facts.key(), facts.prediction("beat-1", created=2))

    first, second = ledger.uses(facts.model, facts.at(5), facts.at(5))
    assert (first.created_at, first.started_at, first.completed_at) == (facts.at(1), facts.at(4), facts.at(6))
    assert (first.wait_s, first.status) == (3.0, Status.SUCCEEDED)
    assert (second.id, second.created_at, second.started_at, second.wait_s) == ("beat-1", facts.at(2), None, None)
    assert second.status.is_open


def test_the_activity_before_a_moment_is_the_last_end_by_then(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests([facts.call("a", created=1, started=1, completed=4), facts.call("b", created=20)])
    facts.record(ledger, 1, created=5, started=5, completed=6)

    def before(seconds: float) -> datetime | None:
        return ledger.last_activity_before(facts.model, facts.at(seconds))

    assert before(0.5) is None
    assert before(1) is None
    assert before(4) == facts.at(4)
    assert before(4.5) == facts.at(4)
    assert before(6) == facts.at(6)
    assert before(19) == facts.at(6)
    assert ledger.last_activity_before("acme/other", facts.at(19)) is None


def test_what_is_still_going_on_is_activity_at_that_very_moment(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests(
        [facts.call("ended", created=1, started=2, completed=30), facts.call("open", created=40, completed=None)]
    )

    assert ledger.last_activity_before(facts.model, facts.at(10)) == facts.at(10)
    assert ledger.last_activity_before(facts.model, facts.at(35)) == facts.at(30)
    assert ledger.last_activity_before(facts.model, facts.at(41)) == facts.at(41)


def test_what_comes_at_the_moment_itself_is_not_before_it(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests([facts.call(created=10, started=11, completed=12)])

    assert ledger.last_activity_before(facts.model, facts.at(10)) is None


# -- ticks -------------------------------------------------------------------------------------------------------------


def test_ticks_add_up_by_model_and_reason(ledger: Ledger, facts: Any) -> None:
    for seconds, model, reason in (
        (0, "a", Reason.IDLE),
        (1, "a", Reason.IDLE),
        (4000, "a", Reason.IDLE),
        (2, "a", Reason.CLOSED),
        (3, "b", Reason.IDLE),
    ):
        ledger.count_tick(model, reason, facts.at(seconds))

    assert ledger.ticks(facts.at(0)) == {("a", Reason.IDLE): 3, ("a", Reason.CLOSED): 1, ("b", Reason.IDLE): 1}


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30))])
def test_ticks_are_kept_by_the_full_hour_of_utc(ledger: Ledger, zone: timezone) -> None:
    for minute in (0, 59):
        ledger.count_tick("a", Reason.IDLE, datetime(2026, 11, 21, 9, minute, tzinfo=UTC).astimezone(zone))
    ledger.count_tick("a", Reason.IDLE, datetime(2026, 11, 21, 10, 0, tzinfo=UTC).astimezone(zone))

    def since(hour: int, minute: int) -> int:
        moment = datetime(2026, 11, 21, hour, minute, tzinfo=UTC).astimezone(zone)
        return ledger.ticks(moment).get(("a", Reason.IDLE), 0)

    assert [since(9, 0), since(9, 59), since(10, 0), since(10, 59), since(11, 0)] == [3, 3, 1, 1, 0]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_can_be_counted(ledger: Ledger, facts: Any, reason: Reason) -> None:
    ledger.count_tick("a", reason, facts.at(0))

    assert ledger.ticks(facts.at(0)) == {("a", reason): 1}


# -- reading -----------------------------------------------------------------------------------------------------------


def test_beats_and_calls_come_oldest_first_and_can_be_narrowed(ledger: Ledger, facts: Any) -> None:
    for slot, created, model in ((1, 30, "a"), (2, 10, "a"), (3, 20, "b")):
        facts.record(ledger, slot, created=created, started=created, completed=created + 1, model=model)
    ledger.add_requests(
        facts.call(f"call-{created}", created=created, model=model) for created, model in ((5, "b"), (3, "a"), (4, "a"))
    )

    assert ids(ledger.beats()) == ["beat-2", "beat-3", "beat-1"]
    assert ids(ledger.beats(since=facts.at(20))) == ["beat-3", "beat-1"]
    assert ids(ledger.beats(since=facts.at(20.000001))) == ["beat-1"]
    assert ids(ledger.beats(model="a")) == ["beat-2", "beat-1"]
    assert ids(ledger.beats(model="a", since=facts.at(20))) == ["beat-1"]
    assert ids(ledger.requests()) == ["call-3", "call-4", "call-5"]
    assert ids(ledger.requests(since=facts.at(4))) == ["call-4", "call-5"]
    assert ids(ledger.requests(model="a")) == ["call-3", "call-4"]
    assert ids(ledger.requests(model="a", since=facts.at(4))) == ["call-4"]


def test_a_beat_that_is_out_is_not_among_the_finished(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim())
    ledger.sent(facts.key(), facts.prediction())

    assert list(ledger.beats()) == []


def test_one_may_write_while_another_reads(database: Any, facts: Any) -> None:
    ledger, other = database.open(), database.open()
    for slot in range(1, 301):
        facts.record(ledger, slot, created=slot, started=slot, completed=slot + 0.5)
    ledger.add_requests(facts.call(f"call-{n}", created=n) for n in range(300))

    read = 0
    for place, _ in enumerate(zip(ledger.beats(), ledger.requests(), strict=True)):
        if place % 50 == 0:
            facts.record(other, 1000 + place, created=1000 + place, started=1000 + place, completed=2000)
            facts.record(ledger, 2000 + place, created=1000 + place, started=1000 + place, completed=2000)
            other.count_tick("a", Reason.IDLE, facts.at(place))
        read += 1

    assert read == 300
    assert len(list(ledger.beats())) == 312


def test_a_reading_that_is_given_up_holds_nobody_up(ledger: Ledger, facts: Any) -> None:
    for slot in range(1, 11):
        facts.record(ledger, slot, created=slot, started=slot, completed=slot + 0.5)
    for _ in range(20):
        assert next(iter(ledger.beats())).prediction_id == "beat-1"

    assert ledger.claim(facts.claim(11))


def test_what_one_ledger_wrote_another_reads(database: Any, facts: Any) -> None:
    writer, reader = database.open(), database.open()
    seen = facts.record(writer, 1, created=1)

    assert list(reader.beats()) == [seen]
    assert not reader.claim(facts.claim(1))


def test_to_try_writing_changes_nothing(database: Any, facts: Any) -> None:
    ledger = database.open()
    seen = facts.record(ledger, 1, created=1)
    for _ in range(3):
        ledger.try_writing()

    assert list(database.open().beats()) == [seen]


def test_a_closed_ledger_has_lost_nothing(database: Any, facts: Any) -> None:
    ledger = database.open()
    seen = facts.record(ledger, 1, created=1)
    ledger.close()

    assert list(database.open().beats()) == [seen]


def test_the_latest_beat_is_the_one_created_last(ledger: Ledger, facts: Any) -> None:
    assert ledger.latest_beat(facts.model) is None
    facts.record(ledger, 1, created=10)
    newest = facts.record(ledger, 2, created=70)
    ledger.claim(facts.claim(3, at=130))
    facts.record(ledger, 4, created=200, model="another")
    assert ledger.latest_beat(facts.model) == newest

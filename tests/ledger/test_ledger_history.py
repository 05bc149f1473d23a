"""Every ledger, through its port alone: what is known of a model, and what was going on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from harness.records import ids_of

from warmer.core.beat import Request, Status, Verdict
from warmer.core.history import Glance, History
from warmer.ports import Ledger

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
    assert ids_of(found) == ["until", "across", "open", "within", "beat-1", "from"]


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
        return ledger.before(facts.model, facts.at(seconds)).last_activity

    assert before(0.5) is None
    assert before(1) is None
    assert before(4) == facts.at(4)
    assert before(4.5) == facts.at(4)
    assert before(6) == facts.at(6)
    assert before(19) == facts.at(6)
    assert ledger.before("acme/other", facts.at(19)).last_activity is None


def test_what_is_still_going_on_is_activity_at_that_very_moment(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests(
        [facts.call("ended", created=1, started=2, completed=30), facts.call("open", created=40, completed=None)]
    )

    assert ledger.before(facts.model, facts.at(10)).last_activity == facts.at(10)
    assert ledger.before(facts.model, facts.at(35)).last_activity == facts.at(30)
    assert ledger.before(facts.model, facts.at(41)).last_activity == facts.at(41)


def test_what_comes_at_the_moment_itself_is_not_before_it(ledger: Ledger, facts: Any) -> None:
    ledger.add_requests([facts.call(created=10, started=11, completed=12)])

    assert ledger.before(facts.model, facts.at(10)).last_activity is None


def test_a_glance_tells_at_once_what_would_be_asked_for_by_and_by(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=1, started=2, completed=3)
    facts.record(ledger, 2, created=80, started=81, completed=82, verdict=Verdict.COLD)
    facts.record(ledger, 9, created=1, model="acme/other")
    calls = [facts.call("a", created=10, started=11, completed=12), facts.call("b", created=20, completed=None)]
    ledger.add_requests([*calls, facts.call("c", created=30), facts.call("d", created=20, model="acme/other")])
    ledger.keep_import(facts.import_(finished_at=facts.at(4)))
    ledger.claim(facts.claim(3, at=100))

    whole = ledger.glance(facts.model, finds=10)

    assert whole.history == ledger.history(facts.model)
    assert whole.history.open_beat is not None
    assert whole.imported_at == ledger.imported_at() == facts.at(4)
    assert whole.evidence == ledger.evidence(facts.model, limit=10)
    assert len(whole.evidence) == 2
    assert whole.calls == ledger.call_times(facts.model) == (facts.at(10), facts.at(20), facts.at(30))


def test_a_glance_tells_no_more_than_is_asked_for(ledger: Ledger, facts: Any) -> None:
    for slot in range(1, 5):
        facts.record(ledger, slot, created=80 * slot, started=80 * slot, completed=80 * slot + 1)
    ledger.add_requests([facts.call(str(number), created=number) for number in (10, 20, 30)])

    def glance(**asked: Any) -> Glance:
        return ledger.glance(facts.model, finds=2, **asked)

    assert glance().evidence == ledger.evidence(facts.model, limit=2)
    assert glance(finds_since=facts.at(300)).evidence == ledger.evidence(facts.model, limit=10)[-1:]
    assert glance(calls_after=facts.at(20)).calls == (facts.at(30),)
    assert glance(calls_after=facts.at(20), and_one_before=True).calls == (facts.at(20), facts.at(30))
    assert glance(calls_after=facts.at(9), and_one_before=True).calls == (facts.at(10), facts.at(20), facts.at(30))


def test_what_was_before_is_told_with_the_waits_of_those_that_were_not_cold(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=1, started=1.5, completed=3)
    ledger.add_requests([facts.call("a", created=10, started=11, completed=30)])

    before = ledger.before(facts.model, facts.at(20), timedelta(seconds=5))

    assert [use.id for use in before.uses] == ["a"]
    assert before.last_activity == facts.at(20)
    assert before.warm_waits == ledger.history(facts.model).warm_waits == (1.0, 0.5)
    assert [use.id for use in ledger.before(facts.model, facts.at(20), timedelta(seconds=18)).uses] == ["beat-1", "a"]

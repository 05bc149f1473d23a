"""Every ledger, through its port alone: customers' calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from harness.records import ids_of

from warmer.core.beat import Status, Verdict
from warmer.ledger import SqlLedger
from warmer.ports import Ledger


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

    assert sorted(ids_of(ledger.open_requests(facts.at(2)))) == ["after", "at"]


def test_a_beat_taken_for_a_strangers_call_is_taken_back(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim())
    ledger.add_requests([facts.call("beat-1"), facts.call("call-1")])
    ledger.finish(facts.key(), facts.observation("beat-1"))

    assert ids_of(ledger.requests()) == ["call-1"]


def test_a_beat_taken_for_a_strangers_call_is_taken_back_as_soon_as_it_is_named(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim())
    ledger.add_requests([facts.call("beat-1", completed=None), facts.call("call-1", completed=None)])
    ledger.sent(facts.key(), facts.prediction("beat-1"))

    assert ids_of(ledger.requests()) == ["call-1"]
    assert ids_of(ledger.uses(facts.model, facts.at(1), facts.at(1))) == ["call-1", "beat-1"]


def test_a_beat_of_ours_is_not_recorded_as_a_call(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim())
    ledger.sent(facts.key(), facts.prediction("beat-1"))

    assert ledger.add_requests([facts.call("beat-1"), facts.call("call-1")]) == 1
    assert ledger.add_requests([facts.call("beat-1")]) == 0
    assert ids_of(ledger.requests()) == ["call-1"]


def test_known_beats_are_ours_sent_or_finished(ledger: Ledger, facts: Any) -> None:
    facts.record(ledger, 1, created=1)
    ledger.claim(facts.claim(2))
    ledger.sent(facts.key(2), facts.prediction("beat-2"))
    ledger.add_requests([facts.call("call-1")])

    many = [f"stranger-{n}" for n in range(1200)]
    assert ledger.known_beats(["beat-1", "call-1", *many, "beat-2", "beat-1"]) == {"beat-1", "beat-2"}
    assert ledger.known_beats([]) == frozenset()


def test_however_many_are_asked_for_few_statements_are_kept(ledger: Ledger, facts: Any) -> None:
    texts = set[str]()
    assert isinstance(ledger, SqlLedger)
    sa.event.listen(
        ledger._engine,
        "before_cursor_execute",
        lambda connection, cursor, text, values, context, many: texts.add(text),
    )
    for count in range(1, 300, 7):
        assert ledger.known_beats(f"stranger-{number}" for number in range(count)) == frozenset()
    assert len(texts) <= 12


def test_many_calls_are_recorded_at_once(ledger: Ledger, facts: Any) -> None:
    calls = [facts.call(f"call-{n:04}", created=n, started=n, completed=n + 1) for n in range(1100)]

    assert ledger.add_requests(calls) == 1100
    assert ledger.add_requests([*calls, facts.call("new", created=2000)]) == 1
    assert len(list(ledger.requests())) == 1101


def test_the_newest_call_is_over_all_models(ledger: Ledger, facts: Any) -> None:
    assert ledger.newest_request_at() is None

    ledger.add_requests([facts.call("a", created=5), facts.call("b", created=9, model="x"), facts.call("c", created=7)])
    facts.record(ledger, 1, created=50)
    assert ledger.newest_request_at() == ledger.newest_request_at(facts.at(9)) == facts.at(9)
    assert ledger.newest_request_at(facts.at(9.1)) is None

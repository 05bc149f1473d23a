"""Imports of past predictions, for every database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from warmer.core.beat import Verdict
from warmer.ports import Ledger


def test_there_is_no_import_at_first(ledger: Ledger) -> None:
    assert (ledger.unfinished_imports(), ledger.imported_at()) == ((), None)


def test_an_unfinished_import_comes_back_as_far_as_it_has_come(ledger: Ledger, facts: Any) -> None:
    begun = facts.import_()
    ledger.keep_import(begun)
    assert ledger.unfinished_imports() == (begun,)
    further = replace(begun, newest_at=facts.at(-1), cursor="cursor=a%3D&x=1")
    ledger.keep_import(further)
    assert ledger.unfinished_imports() == (further,)
    assert ledger.imported_at() is None


def test_a_finished_import_is_known_by_when_and_the_latest_counts(ledger: Ledger, facts: Any) -> None:
    for started in (5, 0):
        ledger.keep_import(facts.import_(started, cursor="a"))
        ledger.keep_import(facts.import_(started, finished_at=facts.at(started + 1)))
    assert ledger.unfinished_imports() == ()
    assert ledger.imported_at() == facts.at(6)


def test_unfinished_imports_come_latest_first_and_end_with_one_that_is_finished(ledger: Ledger, facts: Any) -> None:
    ledger.keep_import(facts.import_(0, finished_at=facts.at(1)))
    first, second = facts.import_(2, cursor="a"), facts.import_(3, cursor="b")
    ledger.keep_import(second)
    ledger.keep_import(first)
    assert ledger.unfinished_imports() == (second, first)
    ledger.keep_import(replace(first, finished_at=facts.at(4)))
    assert ledger.unfinished_imports() == ()
    assert ledger.imported_at() == facts.at(4)


def test_imported_calls_are_recorded_once_and_counted_by_model(ledger: Ledger, facts: Any) -> None:
    calls = [facts.call("a"), facts.call("b"), facts.call("a", model="acme/other")]
    assert ledger.keep_import(facts.import_(), calls) == {facts.model: 2, "acme/other": 1}
    assert ledger.keep_import(facts.import_(), [*calls, facts.call("c")]) == {facts.model: 1}
    assert len(list(ledger.requests())) == 4


def test_an_import_completes_what_was_running_and_leaves_what_had_ended(ledger: Ledger, facts: Any) -> None:
    judged = facts.call("ended", gap_s=61.0, verdict=Verdict.COLD)
    ledger.add_requests([judged, facts.call("running", completed=None)])
    known = {"gap_s": None, "verdict": Verdict.UNSURE}
    ended = facts.call("running", **known)
    assert ledger.keep_import(facts.import_(), [facts.call("ended", **known), ended]) == {}
    assert list(ledger.requests()) == [judged, ended]


def test_an_import_records_no_beat_of_ours_as_a_call(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim())
    ledger.sent(facts.key(), facts.prediction("beat-1"))
    assert ledger.keep_import(facts.import_(), [facts.call("beat-1"), facts.call("call-1")]) == {facts.model: 1}
    assert [call.prediction_id for call in ledger.requests()] == ["call-1"]


def test_calls_are_settled_in_gap_and_verdict_alone(ledger: Ledger, facts: Any) -> None:
    calls = [facts.call("a"), facts.call("a", model="acme/other"), facts.call("b")]
    ledger.add_requests(calls)
    told = replace(calls[1], gap_s=7.5, verdict=Verdict.COLD)
    ledger.settle([replace(told, run_s=99.0)])
    ledger.settle([])
    assert list(ledger.requests(model="acme/other")) == [told]
    assert list(ledger.requests(model=facts.model)) == [calls[0], calls[2]]


def test_what_is_not_on_record_is_not_settled_into_being(ledger: Ledger, facts: Any) -> None:
    ledger.settle([facts.call("gone")])
    assert list(ledger.requests()) == []

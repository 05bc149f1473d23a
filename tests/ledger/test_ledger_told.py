"""Calls that were told, on record: completed by what is seen, and never the other way round."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from warmer.core.beat import Request, Status, Verdict
from warmer.core.told import Told, request_of
from warmer.ledger import SqlLedger, open_ledger

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ZULU = ZoneInfo("UTC")


@pytest.fixture
def ledger(address: str) -> SqlLedger:
    return open_ledger(address)


def told(name: str | None = "abc", begins: int = 0, ends: int | None = None) -> Request:
    completed_at = None if ends is None else NOON + ends * SECOND
    call = Told(model="m", created_at=NOON + begins * SECOND, completed_at=completed_at, prediction_id=name)
    return request_of(call, "1")


def seen(status: Status = Status.SUCCEEDED, name: str = "abc") -> Request:
    ended = None if status.is_open else NOON + 30 * SECOND
    return replace(
        told(name),
        started_at=NOON + 10 * SECOND,
        completed_at=ended,
        wait_s=10.0,
        verdict=Verdict.COLD,
        status=status,
    )


def only(ledger: SqlLedger) -> Request:
    (one,) = ledger.requests()
    return one


def test_a_note_that_nobody_wrote_is_empty(ledger: SqlLedger) -> None:
    ledger.change_note("one", lambda text, now: ("a", None))
    assert (ledger.note("one"), ledger.note("two")) == ("a", "")


def test_a_told_call_is_a_use_at_once_and_is_told_once(ledger: SqlLedger) -> None:
    assert ledger.tell(told(ends=3))
    assert not ledger.tell(told(ends=3))
    assert ledger.history("m").last_activity == NOON + 3 * SECOND
    assert ledger.call_times("m") == (NOON,)
    assert ledger.evidence("m", limit=10) == ()


def test_its_end_may_be_told_later(ledger: SqlLedger) -> None:
    ledger.tell(told())
    assert not ledger.tell(told(ends=20))
    assert only(ledger).completed_at == NOON + 20 * SECOND


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.PROCESSING])
def test_what_is_seen_takes_its_place_and_is_not_changed_by_what_is_told(ledger: SqlLedger, status: Status) -> None:
    ledger.tell(told())
    assert ledger.add_requests([seen(status)]) == 0
    assert only(ledger) == seen(status)
    assert not ledger.tell(told(ends=5))
    assert only(ledger) == seen(status)


def test_the_next_reading_begins_where_the_list_was_last_seen(ledger: SqlLedger) -> None:
    ledger.tell(told("late", begins=500))
    assert ledger.newest_request_at() is None
    ledger.add_requests([seen()])
    assert ledger.newest_request_at() == NOON


def test_only_what_was_told_can_be_forgotten(ledger: SqlLedger) -> None:
    ledger.tell(told(None))
    ledger.add_requests([seen()])
    ledger.forget_told("m", [call.prediction_id for call in ledger.requests()])
    assert only(ledger) == seen()


def counted(ledger: SqlLedger) -> list[tuple[datetime, int]]:
    return [(one.begins, one.calls) for one in ledger.call_sums(NOON - 5 * HOUR, ZULU)]


def test_what_was_told_and_seen_counts_once_though_its_hour_was_added_up(ledger: SqlLedger) -> None:
    ledger.tell(told("abc", begins=-2))
    ledger.tell(told(None, begins=-1))
    while ledger.add_up(NOON + 9 * HOUR, ZULU):
        pass
    assert counted(ledger) == [(NOON - HOUR, 2)]

    ledger.add_requests([seen()])  # a moment later, by the provider's stamp: in the next hour
    assert counted(ledger) == [(NOON - HOUR, 1), (NOON, 1)]
    ledger.forget_told("m", ["told-1"])
    assert counted(ledger) == [(NOON, 1)]


def test_what_is_asked_for_beside_the_file_outlives_all_rows(ledger: SqlLedger) -> None:
    ledger.change_note("overrides", lambda text, now: ("a pause", None))
    ledger.add_requests([seen()])
    late, none = NOON + 999 * HOUR, timedelta(0)
    ledger.add_requests([replace(seen(name="new"), created_at=late)])
    while ledger.add_up(late, ZULU) or ledger.let_go("m", late, beats=none, calls=none, newest_calls=1):
        pass
    while ledger.condense(late):
        pass
    assert [call.prediction_id for call in ledger.requests()] == ["new"]
    assert ledger.note("overrides") == "a pause"

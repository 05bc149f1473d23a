"""Every ledger, through its port alone: ticks, exports, and reading beside writing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from harness.records import ids_of

from warmer.core.beat import Reason, Verdict
from warmer.ports import Ledger

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

    assert ids_of(ledger.beats()) == ["beat-2", "beat-3", "beat-1"]
    assert ids_of(ledger.beats(since=facts.at(20))) == ["beat-3", "beat-1"]
    assert ids_of(ledger.beats(since=facts.at(20.000001))) == ["beat-1"]
    assert ids_of(ledger.beats(model="a")) == ["beat-2", "beat-1"]
    assert ids_of(ledger.beats(model="a", since=facts.at(20))) == ["beat-1"]
    assert ids_of(ledger.requests()) == ["call-3", "call-4", "call-5"]
    assert ids_of(ledger.requests(since=facts.at(4))) == ["call-4", "call-5"]
    assert ids_of(ledger.requests(model="a")) == ["call-3", "call-4"]
    assert ids_of(ledger.requests(model="a", since=facts.at(4))) == ["call-4"]


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


def test_the_last_verdicts_are_those_that_could_tell(ledger: Ledger, facts: Any) -> None:
    assert ledger.verdicts(facts.model, 3) == ()
    found = (Verdict.COLD, Verdict.WARM, Verdict.UNSURE, Verdict.COLD, Verdict.COLD)
    for number, verdict in enumerate(found, start=1):
        facts.record(ledger, number, created=60 * number, verdict=verdict)
    ledger.claim(replace(facts.claim(6, at=399), reason=Reason.PROBE))
    ledger.finish(facts.key(6), facts.observation("beat-6", created=400, verdict=Verdict.COLD, reason=Reason.PROBE))
    facts.record(ledger, 7, created=460, verdict=Verdict.WARM, model="another")
    ledger.claim(facts.claim(8, at=500))
    assert ledger.verdicts(facts.model, 3) == (Verdict.COLD, Verdict.COLD, Verdict.WARM)

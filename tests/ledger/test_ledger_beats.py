"""Every ledger, through its port alone: claims, ends, and what is kept of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from harness.records import ids_of

from warmer.core.beat import Status, Verdict
from warmer.ports import Ledger

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
    assert ids_of(ledger.open_beats()) == ["beat-1"]
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


def test_a_prediction_is_one_beats_and_no_others(ledger: Ledger, facts: Any) -> None:
    ledger.claim(facts.claim(1))
    ledger.claim(facts.claim(2))
    assert ledger.sent(facts.key(1), facts.prediction("p"))
    assert ledger.sent(facts.key(1), facts.prediction("p"))  # told twice
    assert not ledger.sent(facts.key(2), facts.prediction("p"))
    assert [beat.prediction_id for beat in ledger.open_beats()] == ["p", None]

"""Sums by the hour, whatever of the rows was added up, changed afterwards, or is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from warmer.core.beat import Observation, Reason, Request, Status, Verdict
from warmer.core.budget import Cap, Period, limits
from warmer.core.price import Cost
from warmer.core.rollup import BeatSums, CallSums, beat_hours, beats_by_hour, call_hours, calls_by_hour, hour_of
from warmer.ports import Ledger

KOLKATA, ZULU = ZoneInfo("Asia/Kolkata"), ZoneInfo("UTC")  # days of the one begin at half past six in the evening, UTC
MODELS = ("meta/llama", "b")
HOUR = timedelta(hours=1)
AGE = timedelta(0)


def alike(sums: Iterable[BeatSums], zone: ZoneInfo) -> list[BeatSums]:
    return [replace(one, boots=one.boots.compact()) for one in beat_hours(sums, zone)]


def alike_calls(sums: Iterable[CallSums], zone: ZoneInfo) -> list[CallSums]:
    return [replace(one, waits=one.waits.compact(), boots=one.boots.compact()) for one in call_hours(sums, zone)]


class Life:
    """A ledger to which everything happens in no particular order, and a list of what did."""

    def __init__(self, ledger: Ledger, facts: Any, seed: int) -> None:
        self.ledger, self.facts, self.random = ledger, facts, Random(seed)
        self.beats = dict[str, Observation]()
        self.calls = dict[str, Request]()
        self.gone = dict.fromkeys(MODELS, 0.0)  # seconds after the start
        self.slots = dict.fromkeys(MODELS, 0)

    def some_time(self) -> float:
        return self.random.uniform(0, 40_000)

    def beat(self) -> None:
        model = self.random.choice(MODELS)
        at = max(self.some_time(), self.gone[model] + 3600)
        self.slots[model] += 1
        cost = self.random.choice((Decimal("0.000225"), Decimal(0), None))
        seen = self.facts.observation(
            f"{model}-{self.slots[model]}",
            model=model,
            created=at,
            started=at + self.random.choice((0.1, 0.25, 31.7)),
            completed=at + 40,
            verdict=self.random.choice(list(Verdict)),
            status=self.random.choice((Status.SUCCEEDED, Status.FAILED)),
            reason=self.random.choice((Reason.IDLE, Reason.OPENING)),
            cost_usd=cost,
            cost_is_estimated=cost is not None and self.random.random() < 0.3,
        )
        claim = replace(self.facts.claim(self.slots[model], at=at, model=model), reason=seen.reason)
        assert self.ledger.claim(claim)
        settled = {}
        on_record = [one for one in self.beats.values() if one.created_at >= self.facts.at(self.gone[one.model] + 3600)]
        if on_record and self.random.random() < 0.3:
            earlier = self.random.choice(on_record)
            settled[earlier.prediction_id] = cost = Cost(usd=Decimal("0.001"), is_estimated=True)
            self.beats[earlier.prediction_id] = replace(earlier, cost_usd=cost.usd, cost_is_estimated=True)
        assert self.ledger.finish(self.facts.key(self.slots[model], model=model), seen, settled)
        self.beats[seen.prediction_id] = seen

    def call(self) -> None:
        model = self.random.choice(MODELS)
        at = max(self.some_time(), self.gone[model] + 3600)
        call = self.facts.call(
            f"call-{len(self.calls)}",
            model=model,
            created=at,
            started=self.random.choice((None, at + 0.3, at + 12.34)),
            completed=at + 50,
            verdict=self.random.choice(list(Verdict)),
            status=Status.SUCCEEDED,
        )
        self.ledger.add_requests([call])
        self.calls[call.prediction_id] = call

    def judge_anew(self) -> None:
        if self.calls:
            call = self.random.choice(list(self.calls.values()))
            if call.created_at >= self.facts.at(self.gone[call.model] + 3600):
                call = self.calls[call.prediction_id] = replace(call, verdict=self.random.choice(list(Verdict)))
                self.ledger.settle([call])

    def add_up(self, zone: ZoneInfo) -> None:
        self.ledger.add_up(self.facts.at(self.some_time()), zone)

    def let_go(self) -> None:
        model, until = self.random.choice(MODELS), self.random.uniform(0, 30_000)
        self.gone[model] = max(self.gone[model], until)
        self.ledger.let_go(model, self.facts.at(until), beats=AGE, calls=AGE, newest_beats=3, newest_calls=3)

    def check(self, since: datetime, zone: ZoneInfo) -> None:
        gone = self.ledger.on_record()

        def counts(model: str, at: datetime, first: datetime | None) -> bool:
            whole = first is not None and first > hour_of(since)
            return at >= (hour_of(since) if whole else since)

        beats = [one for one in self.beats.values() if counts(one.model, one.created_at, gone.get(one.model))]
        assert alike(self.ledger.beat_sums(since, zone), zone) == alike(beats_by_hour(beats, zone), zone)
        calls = list(self.calls.values())
        hour = hour_of(since)
        found = alike_calls(self.ledger.call_sums(hour, zone), zone)
        assert found == alike_calls(calls_by_hour([one for one in calls if one.created_at >= hour], zone), zone)
        assert alike(self.ledger.beat_sums(hour, zone, model="b"), zone) == [
            one for one in alike(self.ledger.beat_sums(hour, zone), zone) if one.model == "b"
        ]


@pytest.mark.parametrize(("seed", "zone"), [(seed, (KOLKATA, ZULU)[seed % 2]) for seed in range(8)])
def test_each_row_counts_once_however_far_it_was_added_up_and_whatever_is_gone(
    ledger: Ledger, facts: Any, seed: int, zone: ZoneInfo
) -> None:
    life = Life(ledger, facts, seed)
    deeds = (life.beat, life.beat, life.call, life.call, life.judge_anew, lambda: life.add_up(zone), life.let_go)
    for number in range(150):
        life.random.choice(deeds)()
        if number % 10 == 9:
            life.check(facts.at(life.some_time()), zone)
    while ledger.add_up(facts.at(1e6), zone):
        pass
    for model in MODELS:
        while ledger.let_go(model, facts.at(1e6), beats=AGE, calls=AGE, newest_beats=3, newest_calls=3):
            pass
    life.check(facts.start - HOUR, zone)
    assert len(list(ledger.beats())) < len(life.beats) * 0.7


def hours_of(ledger: Ledger, facts: Any) -> Sequence[BeatSums]:
    while ledger.add_up(facts.at(1e6), ZULU):
        pass
    return ledger.beat_sums(facts.start - HOUR, ZULU)


def test_what_is_out_stays_and_what_is_older_with_it_goes(ledger: Ledger, facts: Any) -> None:
    for slot in range(1, 9):
        if slot == 4:
            assert ledger.claim(facts.claim(4, at=4 * 3600))
        else:
            facts.record(ledger, slot, created=slot * 3600)
    whole = hours_of(ledger, facts)
    while ledger.let_go(facts.model, facts.at(1e6), beats=AGE, calls=AGE, newest_beats=1, newest_calls=1):
        pass
    assert [beat.prediction_id for beat in ledger.beats()] == ["beat-5", "beat-6", "beat-7", "beat-8"]
    assert [beat.key.slot for beat in ledger.open_beats()] == [4]
    assert ledger.on_record() == {facts.model: hour_of(facts.at(4 * 3600))}
    assert ledger.beat_sums(facts.start - HOUR, ZULU) == whole

    assert ledger.finish(facts.key(4), facts.observation("beat-4", created=4 * 3600, completed=4 * 3600 + 2))
    assert sum(one.beats for one in hours_of(ledger, facts)) == 8


def test_what_was_not_added_up_stays(ledger: Ledger, facts: Any) -> None:
    for slot in range(1, 9):
        facts.record(ledger, slot, created=slot * 3600)
    assert not ledger.let_go(facts.model, facts.at(1e6), beats=AGE, calls=AGE, newest_beats=1, newest_calls=1)
    assert len(list(ledger.beats())) == 8


def test_the_newest_stay_whatever_their_age(ledger: Ledger, facts: Any) -> None:
    for slot in range(1, 9):
        facts.record(ledger, slot, created=slot * 3600)
        ledger.add_requests([facts.call(f"call-{slot}", created=slot * 3600)])
    hours_of(ledger, facts)
    while ledger.let_go(facts.model, facts.at(8 * 3600), beats=AGE, calls=3 * HOUR, newest_beats=3, newest_calls=3):
        pass
    assert [beat.prediction_id for beat in ledger.beats()] == ["beat-6", "beat-7", "beat-8"]
    assert [call.prediction_id for call in ledger.requests()] == [f"call-{number}" for number in (5, 6, 7, 8)]
    assert ledger.history(facts.model).slots == 8


def test_a_cap_counts_what_is_gone(ledger: Ledger, facts: Any) -> None:
    caps = [Cap(model=model, period=Period.MONTHLY, usd=Decimal(9)) for model in (None, facts.model)]
    reserved = Decimal("0.0007")
    for slot, cost in enumerate((Decimal("0.0002"), None, None, Decimal("0.0001")), start=1):
        claim = replace(facts.claim(slot, at=slot * 3600), reserve_usd=None if slot == 3 else reserved)
        assert ledger.claim(claim)
        ledger.finish(facts.key(slot), facts.observation(f"beat-{slot}", created=slot * 3600 + 0.25, cost_usd=cost))
    before = ledger.spendings(limits(caps, facts.start, ZULU), facts.at(9e4))
    assert [one.settled_usd for one in before] == [Decimal("0.001")] * 2
    assert [one.unknown_beats for one in before] == [1, 1]
    hours_of(ledger, facts)
    while ledger.let_go(facts.model, facts.at(1e6), beats=AGE, calls=AGE, newest_beats=1, newest_calls=1):
        pass
    assert len(list(ledger.beats())) == 1
    assert ledger.spendings(limits(caps, facts.start, ZULU), facts.at(9e4)) == before


def test_a_call_of_which_nobody_can_tell_any_more_whether_it_was_there_is_not_taken(ledger: Ledger, facts: Any) -> None:
    for slot in range(1, 9):
        facts.record(ledger, slot, created=slot * 3600)
    hours_of(ledger, facts)
    while ledger.let_go(facts.model, facts.at(1e6), beats=AGE, calls=AGE, newest_beats=1, newest_calls=1):
        pass
    before_all, ours, after = (facts.call(name, created=at) for name, at in (("a", 1800), ("b", 9000), ("c", 30_000)))
    assert ledger.add_requests([before_all, ours, after]) == 2
    assert ledger.keep_import(facts.import_(), [ours]) == {}
    assert [call.prediction_id for call in ledger.requests()] == ["a", "c"]


def test_old_ticks_are_counted_by_the_day(ledger: Ledger, facts: Any) -> None:
    day = 86_400
    for hour in range(0, 60 * 24, 5):
        ledger.count_tick(facts.model, Reason.IDLE, facts.at(hour * 3600))
        ledger.count_tick("b", Reason.CLOSED, facts.at(hour * 3600))
    since = facts.start.replace(hour=0, minute=0, second=0, microsecond=0)
    before = [ledger.ticks(since + number * timedelta(days=1)) for number in range(60)]
    steps = 0
    while ledger.condense(facts.at(61 * day)):
        steps += 1
    assert 20 < steps < 35
    assert [ledger.ticks(since + number * timedelta(days=1)) for number in range(60)] == before

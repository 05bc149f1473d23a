from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from warmer.core.floor import Floor
from warmer.ports import Ledger

SLUG = "acme/upscaler"


def begun(facts: Any, **other: Any) -> Floor:
    plain = {"deployment": SLUG, "number": 1, "model": "up", "found": 0, "held": 0, "wanted": 1}
    return Floor(**{**plain, "begun_at": facts.start, "asked_at": facts.start, **other})


def test_a_raise_is_kept_as_it_was_written_down(ledger: Ledger, facts: Any) -> None:
    whole = begun(facts, overruled=3, closes_at=facts.at(60), ended_at=facts.at(61))
    assert ledger.floor(SLUG) is None
    assert ledger.keep_floor(whole)
    assert ledger.floor(SLUG) == whole
    assert ledger.keep_floor(begun(facts, number=2))
    assert ledger.floor(SLUG) == begun(facts, number=2)


def test_one_that_is_begun_twice_is_begun_once(ledger: Ledger, facts: Any) -> None:
    assert ledger.keep_floor(begun(facts))
    assert not ledger.keep_floor(begun(facts, found=1))
    assert ledger.floor(SLUG) == begun(facts)


def test_whoever_goes_on_from_an_older_reading_changes_nothing(ledger: Ledger, facts: Any) -> None:
    first = begun(facts)
    second = replace(first, revision=2, held=1)
    ledger.keep_floor(first)
    assert ledger.keep_floor(second)
    assert not ledger.keep_floor(replace(first, revision=2, wanted=0))
    assert not ledger.keep_floor(replace(first, revision=4))
    assert not ledger.keep_floor(replace(second, number=2, revision=2))  # of which there is none
    assert ledger.floor(SLUG) == second


def test_those_that_have_not_ended_are_open(ledger: Ledger, facts: Any) -> None:
    ended = begun(facts, ended_at=facts.at(5))
    other = begun(facts, deployment="acme/other", overruled=2)
    for floor in (
        ended,
        replace(ended, number=2, ended_at=None),
        other,
        begun(facts, deployment="b", ended_at=facts.start),
    ):
        ledger.keep_floor(floor)
    assert ledger.open_floors() == (other, begun(facts, number=2))


def test_it_outlives_the_process(database: Any, facts: Any, open_at: Callable[..., Any]) -> None:
    database.open().keep_floor(begun(facts))
    assert database.open().floor(SLUG) == begun(facts)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from warmer.core.floor import Floor, Spell
from warmer.core.price import Price, price_of
from warmer.ports import Ledger

SLUG = "acme/upscaler"


def begun(facts: Any, **other: Any) -> Floor:
    plain = {"deployment": SLUG, "number": 1, "model": "up", "found": 0, "held": 0, "wanted": 1}
    return Floor(**{**plain, "begun_at": facts.start, "asked_at": facts.start, **other})


def test_a_raise_is_kept_as_it_was_written_down(ledger: Ledger, facts: Any) -> None:
    whole = begun(facts, overruled=3, closes_at=facts.at(60), ended_at=facts.at(61))
    assert ledger.floor(SLUG) is None
    assert ledger.keep_floor(whole, at=facts.start)
    assert ledger.floor(SLUG) == whole
    assert ledger.keep_floor(begun(facts, number=2), at=facts.start)
    assert ledger.floor(SLUG) == begun(facts, number=2)


def test_one_that_is_begun_twice_is_begun_once(ledger: Ledger, facts: Any) -> None:
    assert ledger.keep_floor(begun(facts), at=facts.start)
    assert not ledger.keep_floor(begun(facts, found=1), at=facts.start)
    assert ledger.floor(SLUG) == begun(facts)


def test_whoever_goes_on_from_an_older_reading_changes_nothing(ledger: Ledger, facts: Any) -> None:
    first = begun(facts)
    second = replace(first, revision=2, held=1)
    ledger.keep_floor(first, at=facts.start)
    assert ledger.keep_floor(second, at=facts.start)
    assert not ledger.keep_floor(replace(first, revision=2, wanted=0), at=facts.start)
    assert not ledger.keep_floor(replace(first, revision=4), at=facts.start)
    assert not ledger.keep_floor(replace(second, number=2, revision=2), at=facts.start)  # of which there is none
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
        ledger.keep_floor(floor, at=facts.start)
    assert ledger.open_floors() == (other, begun(facts, number=2))


def test_it_outlives_the_process(database: Any, facts: Any, open_at: Callable[..., Any]) -> None:
    database.open().keep_floor(begun(facts), at=facts.start)
    assert database.open().floor(SLUG) == begun(facts)


def spell(facts: Any, begun_s: float, ended_s: float | None, **other: Any) -> Spell:
    lowered_at = None if ended_s is None else facts.at(ended_s)
    plain = {"deployment": SLUG, "model": "up", "instances": 1, "price": price_of("gpu-t4")}
    return Spell(**{**plain, "raised_at": facts.at(begun_s), "lowered_at": lowered_at, **other})


def test_what_is_read_back_begins_and_ends_a_spell_when_it_was_asked_for(ledger: Ledger, facts: Any) -> None:
    t4, dearer = price_of("gpu-t4"), Price(per_second=Decimal("0.001"), source="file")
    life = [
        (1, begun(facts, found=1, held=1, wanted=3), t4),  # asked for at 0
        (2, begun(facts, found=1, held=3, wanted=3), t4),
        (100, begun(facts, found=1, held=3, wanted=2, asked_at=facts.at(100)), t4),
        (160, begun(facts, found=1, held=2, wanted=2, asked_at=facts.at(100)), dearer),
        (300, begun(facts, found=1, held=2, wanted=1, asked_at=facts.at(300)), t4),
    ]
    for revision, (at, floor, price) in enumerate(life, start=1):
        assert ledger.keep_floor(replace(floor, revision=revision), at=facts.at(at), price=price)
    lasting = spell(facts, 100, None, price=dearer)
    assert ledger.floor_spells(facts.start) == (spell(facts, 0, 100, instances=2), lasting)
    assert ledger.floor_spells(facts.at(100)) == (lasting,)

    ended = begun(facts, revision=6, found=1, held=1, wanted=1, ended_at=facts.at(340))
    assert ledger.keep_floor(ended, at=facts.at(340), price=t4)
    assert ledger.floor_spells(facts.at(99.9))[1] == replace(lasting, lowered_at=facts.at(300))
    assert ledger.floor_spells(facts.at(300)) == ()


def test_a_spell_ends_when_somebody_else_is_seen_to_have_moved_the_floor(ledger: Ledger, facts: Any) -> None:
    for at, revision, more in [(0, 1, {}), (2, 2, {"held": 1}), (70, 3, {"held": 1, "overruled": 0})]:
        assert ledger.keep_floor(begun(facts, revision=revision, **more), at=facts.at(at))
    assert ledger.floor_spells(facts.start) == (spell(facts, 0, 70, price=None),)
    assert ledger.keep_floor(begun(facts, revision=4, held=1, overruled=0, ended_at=facts.at(90)), at=facts.at(90))
    assert ledger.floor_spells(facts.start) == (spell(facts, 0, 70, price=None),)


def test_what_was_asked_for_and_refused_is_no_spell(ledger: Ledger, facts: Any) -> None:
    for revision in range(1, 4):
        asked = begun(facts, revision=revision, asked_at=facts.at(revision))
        assert ledger.keep_floor(asked, at=facts.at(revision))
    assert ledger.floor_spells(facts.start) == ()


def test_who_was_too_late_to_write_changes_no_spell(ledger: Ledger, facts: Any) -> None:
    assert ledger.keep_floor(begun(facts), at=facts.start)
    assert ledger.keep_floor(begun(facts, revision=2, held=1), at=facts.start)
    assert not ledger.keep_floor(begun(facts, revision=2, held=2), at=facts.at(5))
    assert ledger.floor_spells(facts.start) == (spell(facts, 0, None, price=None),)

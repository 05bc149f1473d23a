"""What was learned is kept: a start goes on from there, and comes to what reading all of it anew comes to."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from random import Random

import pytest
from engine.stage import START
from engine.told import ENTRY, Told, facts

from warmer.core.history import Evidence
from warmer.engine.learning import Learning
from warmer.engine.lesson import AT_ONCE, SETTLES_IN

MINUTE = timedelta(minutes=1)


def finds(count: int, seed: int) -> list[Evidence]:
    """Of a host that lets go after five minutes, seen a minute apart."""
    chance = Random(seed)
    return [
        Evidence(
            at=START + number * MINUTE,
            gap_s=(gap_s := round(chance.uniform(10, 600), 3)),
            cold=(cold := (gap_s > 300) != (chance.random() < 0.02)),
            wait_s=9.0 if cold else 0.1,
            version="b" if number > 2 * count // 3 else "a",
        )
        for number in range(count)
    ]


def learning(*, tells: bool = False) -> Learning:
    return Learning(lambda: (ENTRY,), tells=tells)


def anew(told: Told, now: datetime) -> tuple[object, ...]:
    """What reading all of it comes to."""
    bare = Told()
    bare.known = told.known
    return facts(learning(), bare, now)


def after(told: Told) -> datetime:
    return told.known[-1].at + MINUTE


@pytest.mark.parametrize("seed", range(4))
def test_processes_of_one_look_each_come_to_what_one_reading_comes_to(seed: int) -> None:
    """As `once` has them; a tenth of the finds comes to light late, before and after notes."""
    chance, told = Random(seed), Told()
    late: list[Evidence] = []
    for number, one in enumerate(finds(160, seed)):
        (late if chance.random() < 0.1 else told.known).append(one)
        if number % 4 == 3:
            told.known, late = sorted([*told.known, *late], key=lambda find: find.at), []
            if chance.random() < 0.7:
                assert facts(learning(tells=True), told, after(told)) == anew(told, after(told))
    assert told.notes


def test_a_start_reads_what_came_since_the_note_alone() -> None:
    told = Told()
    told.known = finds(100, 1)
    now = after(told)
    facts(learning(tells=True), told, now)
    told.asked.clear()
    assert facts(learning(), told, now) == anew(told, now)
    assert told.asked == [now - SETTLES_IN]


def test_who_only_looks_writes_nothing() -> None:
    told = Told()
    told.known = finds(100, 1)
    facts(learning(), told, after(told))
    assert not told.notes


def test_a_hurried_start_without_a_note_catches_up_look_by_look() -> None:
    told, one = Told(), learning(tells=True)
    told.known = finds(2 * AT_ONCE + 50, 2)
    # Many may end in one moment: none of them is passed over, or counted twice.
    told.known[AT_ONCE - 3 : AT_ONCE + 4] = [
        Evidence(at=told.known[AT_ONCE].at, gap_s=20.0 + extra, cold=False, wait_s=0.1) for extra in range(7)
    ]
    counts = [facts(one, told, after(told))[3] for _ in range(3)]
    assert counts[0] == AT_ONCE
    assert counts[-1] == len(told.known)
    assert facts(one, told, after(told)) == anew(told, after(told))


def test_a_process_that_ends_while_it_catches_up_is_gone_on_from() -> None:
    told = Told()
    told.known = finds(2 * AT_ONCE + 50, 3)
    for _ in range(3):
        last = facts(learning(tells=True), told, after(told))
    assert last == anew(told, after(told))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],
        lambda text: "7",
        lambda text: "{}",
        lambda text: changed(text, rules="0"),
        lambda text: changed(text, mass="AAAA"),
        lambda text: changed(text, mass="eJwDAAAAAAE="),
        lambda text: changed(text, interval_s="long"),
        lambda text: changed(text, interval_s=None),
        lambda text: text.replace('"until": "2', '"until": "9'),
        lambda text: text.replace('"read": ["model"', '"read": ["deployment"'),
    ],
)
def test_a_note_that_does_not_fit_is_as_good_as_none(damage: object) -> None:
    told = Told()
    told.known = finds(60, 4)
    facts(learning(tells=True), told, after(told))
    ((name, text),) = told.notes.items()
    told.notes[name] = damage(text)  # type: ignore[operator] # a table of lambdas
    assert told.notes[name] != text
    assert facts(learning(), told, after(told)) == anew(told, after(told))


def changed(text: str, **values: object) -> str:
    note = json.loads(text)
    note["latest"]["idle_timeout"] |= values
    return json.dumps(note)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from warmer.core.budget import Cap, Limit, Period
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


# -- what is kept for them under caps ----------------------------------------------------------------------------------


def day(facts: Any, usd: str, number: int = 0) -> Limit:
    start = facts.start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=number)
    cap = Cap(model=None, period=Period.DAILY, usd=Decimal(usd))
    return Limit(cap=cap, start=start, end=start + timedelta(days=1))


T4 = price_of("gpu-t4")  # 0.000225 USD a second


def counts(ledger: Ledger, limit: Limit, at: datetime) -> tuple[Decimal, Decimal, int]:
    (found,) = ledger.spendings([limit], at)
    assert found.floors_usd == found.reserved_usd
    return found.settled_usd, found.reserved_usd, found.unknown_beats


def test_what_is_asked_for_is_reserved_at_once_until_its_end_and_spent_as_time_goes_by(
    ledger: Ledger, facts: Any
) -> None:
    limit, asked = day(facts, "0.0225"), begun(facts, closes_at=facts.at(100))
    assert ledger.keep_floor(asked, at=facts.start, price=T4, limits=[limit])
    assert counts(ledger, limit, facts.at(40)) == (0, Decimal("0.0225"), 0)
    assert ledger.keep_floor(replace(asked, revision=2, held=1), at=facts.at(1), price=T4)
    assert counts(ledger, limit, facts.at(40)) == (Decimal("0.009"), Decimal("0.0135"), 0)
    assert counts(ledger, limit, facts.at(120)) == (Decimal("0.027"), 0, 0)  # nobody has put it back
    ended = replace(asked, revision=3, held=0, wanted=0, asked_at=facts.at(60), ended_at=facts.at(61))
    assert ledger.keep_floor(ended, at=facts.at(61))
    assert counts(ledger, limit, facts.at(120))[1:] == (0, 0)


def test_a_raise_that_would_pass_a_cap_is_not_written_down_and_the_cap_is_told(ledger: Ledger, facts: Any) -> None:
    limit, asked = day(facts, "0.022499"), begun(facts, closes_at=facts.at(100))
    answer = ledger.keep_floor(asked, at=facts.start, price=T4, limits=[limit])
    assert (bool(answer), answer.stopped_by and answer.stopped_by.limit) == (False, limit)
    assert (ledger.floor(SLUG), counts(ledger, limit, facts.start)) == (None, (0, 0, 0))
    shorter = replace(asked, closes_at=facts.at(99))
    assert not ledger.keep_floor(shorter, at=facts.start, price=T4, limits=[limit], since=facts.at(-1))
    assert ledger.keep_floor(shorter, at=facts.start, price=T4, limits=[limit])


def test_each_window_counts_its_part_and_a_hold_without_end_all_of_it(ledger: Ledger, facts: Any) -> None:
    today, tomorrow = day(facts, "99"), day(facts, "19.44", 1)
    assert ledger.keep_floor(begun(facts), at=facts.start, price=T4, limits=[today, tomorrow])
    _, first, _ = counts(ledger, today, facts.start)
    assert Decimal("12") < first < Decimal("12.15")
    assert counts(ledger, tomorrow, facts.start) == (0, Decimal("19.44"), 0)
    other = begun(facts, deployment="acme/other", closes_at=tomorrow.start + timedelta(seconds=1))
    assert not ledger.keep_floor(other, at=facts.start, price=T4, limits=[today, tomorrow])


def test_a_floor_without_a_price_may_cost_anything(ledger: Ledger, facts: Any) -> None:
    limit = day(facts, "99")
    assert ledger.keep_floor(begun(facts, closes_at=facts.at(100)), at=facts.start)
    assert counts(ledger, limit, facts.start) == (0, 0, 1)
    assert not ledger.keep_floor(begun(facts, deployment="b"), at=facts.start, price=T4, limits=[limit])


RACING = """
import random, sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from warmer.core.beat import BeatKey, BeatRequest, Claim, Reason
from warmer.core.budget import Cap, Limit, Period
from warmer.core.floor import Floor
from warmer.core.price import Billing, price_of
from warmer.core.spec import Target, TargetKind
from warmer.ledger import open_ledger

path, me, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance, t4 = random.Random(me), price_of("gpu-t4")
day = datetime(2026, 11, 21, tzinfo=UTC)
request = BeatRequest(
    target=Target(kind=TargetKind.MODEL, owner="a", name="b"), version=None, billing=Billing.PUBLIC, input={},
    deadline=timedelta(days=2),
)
cap = Cap(model=None, period=Period.DAILY, usd=Decimal("0.5"))
limits = [Limit(cap=cap, start=day + timedelta(days=n), end=day + timedelta(days=n + 1)) for n in (0, 1)]
ledger = open_ledger(f"sqlite:///{path}")
print("ready", flush=True)
sys.stdin.readline()
floors = {}
for step in range(steps):
    at = day + timedelta(hours=23, seconds=2 * step)
    slug = f"acme/{me}-{chance.randrange(3)}"
    known = floors.get(slug)
    if chance.random() < 0.3:
        claim = Claim(
            key=BeatKey(model=f"m{me}", slot=step), at=at, policy="fixed", reason=Reason.IDLE, request=request,
            reserve_usd=Decimal(chance.randrange(1, 3000)) / 1_000_000, limits=tuple(limits[:1]),
        )
        print("beat", bool(ledger.claim(claim)), flush=True)
    elif known is None:
        asked = Floor(
            deployment=slug, number=step, model="up", found=0, held=0, wanted=chance.randrange(1, 3), begun_at=at,
            asked_at=at, closes_at=at + timedelta(seconds=chance.randrange(1, 7200)),
        )
        taken = bool(ledger.keep_floor(asked, at=at, price=t4, limits=limits))
        print("floor", taken, flush=True)
        if taken:
            floors[slug] = asked
    elif known.held == 0:
        floors[slug] = replace(known, revision=2, held=known.wanted)
        ledger.keep_floor(floors[slug], at=at, price=t4)
    elif at >= known.closes_at - timedelta(seconds=5) or chance.random() < 0.1:
        down = replace(known, revision=3, wanted=0, asked_at=min(at, known.closes_at))
        ledger.keep_floor(down, at=at, price=t4)
        ledger.keep_floor(replace(down, revision=4, held=0, ended_at=at), at=at, price=t4)
        del floors[slug]
    for limit, one in zip(limits, ledger.spendings(limits, at), strict=True):
        # What one of us was too late to put back is spent beyond its plan, and no matter of claims.
        late = sum(
            Decimal((at - floor.closes_at).total_seconds()) * 2 * Decimal("0.000225")
            for floor in ledger.open_floors() if floor.closes_at < at
        )
        if one.settled_usd + one.reserved_usd > cap.usd + late:
            print("passed", limit, one, flush=True)
"""


def test_beats_and_floors_of_two_processes_never_come_to_more_than_the_cap(
    spawn: Callable[..., Any], tmp_path: Path, open_at: Callable[..., Any]
) -> None:
    path = tmp_path / "ledger.db"
    open_at(path).close()
    processes = [spawn(RACING, str(path), str(number), "200") for number in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    told = [process.communicate("go\n", timeout=120)[0].splitlines() for process in processes]
    assert {line for lines in told for line in lines} == {"beat True", "beat False", "floor True", "floor False"}

"""Old rows go while processes die, clocks jump and others write; what they added up to is the same afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from subprocess import Popen
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from warmer.core.beat import Reason
from warmer.core.rollup import beats_by_hour
from warmer.ledger import SqlLedger, open_ledger
from warmer.ledger.sums import Kind, touch
from warmer.ledger.tables import beats
from warmer.ports import Ledger

ZULU = ZoneInfo("UTC")
AGE = timedelta(0)
KEEP_HOUSE = """
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo
from warmer.ledger import open_ledger

ledger, late = open_ledger(sys.argv[1]), datetime(2027, 1, 1, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
while ledger.add_up(late, ZoneInfo("UTC")) or ledger.let_go(
    "meta/llama", late, beats=timedelta(0), calls=timedelta(0), newest_beats=1, newest_calls=1
):
    print("step", flush=True)
print("done", flush=True)
"""


def fill(ledger: SqlLedger, facts: Any, count: int, every: float) -> None:
    """So many beats that ended, one after the other."""
    rows = [
        {
            "model": facts.model,
            "slot": number,
            "instance": 0,
            "policy": "aware",
            "reason": "idle",
            "claimed_at": facts.at(number * every),
            "prediction_id": f"beat-{number}",
            "created_at": facts.at(number * every),
            "completed_at": facts.at(number * every + 1),
            "wait_s": number / 100,
            "verdict": "cold" if number % 9 == 0 else "warm",
            "status": "succeeded",
            "cost_micros": None if number % 11 == 0 else number,
        }
        for number in range(1, count + 1)
    ]
    with ledger._write() as connection:
        connection.execute(sa.insert(beats), rows)
        touch(connection, ledger._insert, Kind.BEATS, [(row["model"], row["created_at"]) for row in rows])


def totals(ledger: Ledger, facts: Any) -> tuple[int, int, int, Any]:
    found = ledger.beat_sums(facts.start - timedelta(hours=1), ZULU)
    return tuple(
        sum(values) for values in zip(*((o.beats, o.cold, o.unknown, o.known_usd) for o in found), strict=True)
    )


def test_whoever_keeps_house_is_killed_at_any_instant_and_nothing_counts_twice_or_is_lost(
    tmp_path: Path, facts: Any, spawn: Callable[..., Popen[str]]
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger, chance = open_ledger(url), Random(3)
    fill(ledger, facts, 3000, 60.0)
    whole = totals(ledger, facts)
    done = False
    while not done:
        process = spawn(KEEP_HOUSE, url)
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        for _ in range(chance.randint(5, 25)):
            done = process.stdout.readline() == "done\n"
            if done:
                break
        process.kill()  # between two steps, or in the middle of the next
        process.wait()
        assert totals(ledger, facts) == whole
    left = list(ledger.beats())
    assert len(left) < 200
    assert left[-1].prediction_id == "beat-3000"
    ledger.close()


def test_two_keep_house_while_others_write(database: Any, facts: Any) -> None:
    first, second, writer = (database.open() for _ in range(3))
    fill(first, facts, 1000, 120.0)
    late = facts.at(4e6)

    def keep_house(ledger: Ledger) -> None:
        while ledger.add_up(late, ZULU) or ledger.let_go(
            facts.model, late, beats=AGE, calls=AGE, newest_beats=20, newest_calls=20
        ):
            pass

    threads = [threading.Thread(target=keep_house, args=[ledger]) for ledger in (first, second)]
    for thread in threads:
        thread.start()
    for slot in range(1001, 1016):
        facts.record(writer, slot, created=130_000 + slot)
        writer.count_tick(facts.model, Reason.IDLE, facts.at(slot))
    for thread in threads:
        thread.join()
    assert totals(writer, facts)[0] == 1015
    keep_house(writer)
    assert totals(writer, facts)[0] == 1015
    assert len(list(writer.beats())) < 100


def test_a_clock_that_is_set_ahead_makes_nothing_old(ledger: SqlLedger, facts: Any) -> None:
    fill(ledger, facts, 50, 3600.0)
    while ledger.add_up(facts.at(1e6), ZULU):
        pass
    day, in_ten_years = timedelta(days=1), facts.start + timedelta(days=3650)
    while ledger.let_go(facts.model, in_ten_years, beats=day, calls=day, newest_beats=1, newest_calls=1):
        pass
    newest = facts.at(50 * 3600)
    assert next(iter(ledger.beats())).created_at <= newest - day
    assert len(list(ledger.beats())) >= 24


def test_sums_tell_what_the_beats_do_to_the_last_wait(ledger: SqlLedger, facts: Any) -> None:
    fill(ledger, facts, 200, 97.0)
    told = list(beats_by_hour(ledger.beats(), ZULU))
    while ledger.add_up(facts.at(1e6), ZULU):
        pass
    found = ledger.beat_sums(facts.start - timedelta(hours=1), ZULU)
    assert sorted(one.boots.ranks(50, 95, 99) for one in found) == sorted(one.boots.ranks(50, 95, 99) for one in told)

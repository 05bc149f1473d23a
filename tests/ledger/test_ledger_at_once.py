"""Many on one ledger at the same time: what each decides by stays true until it has decided."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from warmer.core.budget import Cap, Limit, Period
from warmer.core.price import Cost
from warmer.ports import Ledger

THREADS = 4
ROUNDS = 60
PRICE = Decimal("0.001")


def test_of_all_who_claim_the_last_of_the_money_at_once_one_gets_it(database: Any, facts: Any) -> None:
    ledgers: list[Ledger] = [database.open() for _ in range(THREADS)]
    together = threading.Barrier(THREADS, timeout=60)

    def limit(slot: int) -> Limit:
        cap = Cap(model=None, period=Period.DAILY, usd=slot * PRICE)  # one more each round
        return Limit(cap=cap, start=facts.start - timedelta(hours=1), end=facts.start + timedelta(hours=23))

    def claims(thread: int) -> list[bool]:
        taken = []
        for slot in range(1, ROUNDS + 1):
            plain = facts.claim(slot, model=f"m/{thread}")
            claim = replace(plain, reserve_usd=PRICE, limits=(limit(slot),))
            together.wait()
            taken.append(bool(ledgers[thread].claim(claim)))
            if taken[-1] and slot % 2:  # what is out counts, and what has ended
                ended = facts.observation(f"{thread}-{slot}", model=f"m/{thread}", cost_usd=PRICE)
                assert ledgers[thread].finish(claim.key, ended)
        return taken

    with ThreadPoolExecutor(THREADS) as threads:
        won = list(threads.map(claims, range(THREADS)))
    assert [sum(round_) for round_ in zip(*won, strict=True)] == [1] * ROUNDS


def test_all_of_a_history_is_of_one_instant(database: Any, facts: Any) -> None:
    writer, reader = database.open(), database.open()
    done = threading.Event()

    def write() -> None:
        try:
            for slot in range(1, 151):
                facts.record(writer, slot, created=slot, started=slot, completed=slot)
        finally:
            done.set()

    odd = []
    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write)
        while not done.is_set():
            seen = reader.history(facts.model)
            ended = seen.slots - (seen.open_beat is not None)
            last = facts.at(ended) if ended else None
            if (seen.open_beat and seen.open_beat.key.slot != seen.slots) or seen.last_activity != last:
                odd.append(seen)
        writing.result()
    assert odd == []


def test_costs_that_are_put_right_at_once_add_up(database: Any, facts: Any) -> None:
    ledgers: list[Ledger] = [database.open() for _ in range(THREADS)]
    facts.record(ledgers[0], 1, created=1, cost_usd=Decimal(0))
    for slot in range(2, 2 + 25 * THREADS):
        assert ledgers[0].claim(facts.claim(slot, at=slot))

    def settle(thread: int) -> None:
        for step in range(25):
            slot = 2 + 25 * thread + step
            cost = Cost(usd=PRICE * slot, is_estimated=True)
            assert ledgers[thread].finish(facts.key(slot), facts.observation(f"beat-{slot}"), {"beat-1": cost})

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(settle, range(THREADS)))
    cap = Cap(model=None, period=Period.DAILY, usd=Decimal(9))
    day = Limit(cap=cap, start=facts.start - timedelta(hours=1), end=facts.start + timedelta(hours=1))
    (spent,) = ledgers[0].spendings([day], facts.start)
    assert spent.settled_usd == sum(beat.cost_usd or 0 for beat in ledgers[0].beats())

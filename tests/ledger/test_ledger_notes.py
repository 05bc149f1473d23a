from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from warmer.ledger import SqlLedger, open_ledger


def test_a_note_is_kept_under_its_name(address: str) -> None:
    first, second = open_ledger(address), open_ledger(address)
    first.change_note("one", lambda text, now: (f"{text}a", None))
    second.change_note("one", lambda text, now: (f"{text}b", None))
    assert (first.note("one"), second.note("one"), second.note("two")) == ("ab", "ab", "")
    first.close()
    second.close()


def test_the_time_is_that_of_the_database_s_clock(address: str) -> None:
    ledger = open_ledger(address)
    times = [ledger.change_note("one", lambda text, now: (text, now)) for _ in range(3)]
    assert times == sorted(times)
    assert times[0] == pytest.approx(time.time(), abs=60)
    ledger.close()


def test_a_change_that_fails_changes_nothing(address: str) -> None:
    ledger = open_ledger(address)
    ledger.change_note("one", lambda text, now: ("kept", None))

    def fail(text: str, now: float) -> tuple[str, None]:
        raise RuntimeError(text)

    with pytest.raises(RuntimeError, match="kept"):
        ledger.change_note("one", fail)
    assert ledger.note("one") == "kept"
    ledger.close()


def test_no_change_is_lost_where_many_come_at_once(address: str) -> None:
    ledgers = [open_ledger(address) for _ in range(4)]

    def count(ledger: SqlLedger) -> None:
        for _ in range(50):
            ledger.change_note("sum", lambda text, now: (str(int(text or 0) + 1), None))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, ledgers * 2))
    assert ledgers[0].note("sum") == "400"
    for ledger in ledgers:
        ledger.close()

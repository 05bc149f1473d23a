"""Real processes on one ledger: started in the same instant, racing for beats, killed while they write."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from warmer.ledger import open_ledger

PRELUDE = """
import sys
from datetime import UTC, datetime, timedelta
from warmer.core.beat import BeatKey, BeatRequest, Claim, Reason
from warmer.core.price import Billing
from warmer.core.spec import Target, TargetKind
from warmer.errors import LedgerError
from warmer.ledger import open_ledger

def claim(slot, model="meta/llama"):
    return Claim(
        key=BeatKey(model=model, slot=slot), at=datetime(2026, 11, 21, tzinfo=UTC), policy="aware", reason=Reason.IDLE,
        request=BeatRequest(
            target=Target(kind=TargetKind.MODEL, owner="meta", name="llama"), version=None, billing=Billing.PUBLIC,
            input={"prompt": "hi" * 200}, deadline=timedelta(minutes=10),
        ),
    )

def say(*words):
    print(*words, flush=True)

say("ready")
"""
OPEN = """
for line in sys.stdin:
    try:
        ledger = open_ledger(line.strip())
        say("won" if ledger.claim(claim(1)) else "lost")
        ledger.close()
    except Exception as exc:
        say(repr(exc))
"""
RACE = """
ledger = open_ledger(sys.argv[1])
sys.stdin.readline()
won = [slot for slot in range(1, 101) if ledger.claim(claim(slot))]
say(*won)
"""
WRITE = """
ledger = open_ledger(sys.argv[1])
for slot in range(int(sys.argv[2]), 10**9):
    if ledger.claim(claim(slot)):
        say(slot)
"""
WRITE_TO_A_FULL_DISK = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = open_ledger(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
slot = 0
try:
    while slot < 10_000:
        slot += bool(ledger.claim(claim(slot + 1)))
except LedgerError as exc:
    say(slot, exc)
"""

Spawn = Callable[..., Any]


def started(spawn: Spawn, program: str, *arguments: str) -> Popen[str]:
    process: Popen[str] = spawn(PRELUDE + program, *arguments)
    assert line_of(process) == "ready"
    return process


def line_of(process: Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def tell(process: Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def slots_in(address: str) -> set[int]:
    ledger = open_ledger(address)
    try:
        return {beat.key.slot for beat in ledger.open_beats()}
    finally:
        ledger.close()


def integrity(address: str) -> str:
    """What SQLite says of its file; a server looks after its own."""
    if not address.startswith("sqlite:///"):
        return "ok"
    connection = sqlite3.connect(address.removeprefix("sqlite:///"))
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.thorough), 4])
def test_processes_that_make_the_ledger_in_the_same_instant_all_succeed(
    spawn: Spawn, fresh: Callable[[], str], count: int
) -> None:
    processes = [started(spawn, OPEN) for _ in range(count)]
    for _ in range(20):
        address = fresh()
        for process in processes:
            tell(process, address)
        assert Counter(line_of(process) for process in processes) == {"won": 1, "lost": count - 1}


def test_four_processes_claim_each_beat_once(spawn: Spawn, address: str) -> None:
    open_ledger(address).close()
    processes = [started(spawn, RACE, address) for _ in range(4)]
    for process in processes:
        tell(process, "go")
    won = Counter(int(slot) for process in processes for slot in line_of(process).split())

    assert won == Counter(range(1, 101))
    assert slots_in(address) == set(range(1, 101))


def test_a_killed_writer_loses_no_committed_row(spawn: Spawn, address: str) -> None:
    committed = set[int]()
    for life in range(5):
        process = started(spawn, WRITE, address, str(life * 10_000 + 1))
        for _ in range(10 + 7 * life):
            committed.add(int(line_of(process)))
        process.kill()  # SIGKILL, somewhere in a transaction
        while line := line_of(process):  # `communicate` would not see what was read ahead
            committed.add(int(line))
        process.wait()

        kept = slots_in(address)
        assert committed <= kept
        assert len(kept - committed) <= life + 1  # committed, and killed before it could say so
        assert integrity(address) == "ok"
        committed = kept


def test_a_disk_that_is_full_is_said_and_loses_no_committed_row(spawn: Spawn, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    address = f"sqlite:///{path}"
    slot, _, message = line_of(started(spawn, WRITE_TO_A_FULL_DISK, address)).partition(" ")

    assert message.startswith(f"ledger {path}: ")
    assert "disk" in message
    assert slots_in(address) == set(range(1, int(slot) + 1))
    assert integrity(address) == "ok"

"""What is left of a ledger when the power goes: a beginning of what was written, never a half of anything."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from engine.stage import BLIP, LLAMA, START, Stage, fixed, model

from warmer.core.beat import BeatKey, BeatRequest, Claim, Reason
from warmer.core.price import Billing
from warmer.core.spec import Target, TargetKind
from warmer.ledger import open_ledger
from warmer.testing import run

CUTS = 200
SIDE_FILES = ("ledger.db", "ledger.db-wal", "ledger.db-shm")
Contents = dict[str, list[tuple[object, ...]]]


def contents(path: Path) -> Contents:
    connection = sqlite3.connect(path)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(connection.execute(f'SELECT * FROM "{table}"'), key=repr) for table in tables}
    finally:
        connection.close()


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


def next_claim(slot: int) -> Claim:
    target = Target(kind=TargetKind.MODEL, owner="a", name="b")
    deadline = timedelta(minutes=10)
    request = BeatRequest(target=target, version="f00", billing=Billing.PUBLIC, input={}, deadline=deadline)
    return Claim(key=BeatKey(model="a/b", slot=slot), at=START, policy="fixed", reason=Reason.IDLE, request=request)


@pytest.fixture
def lived(db: Path, tmp_path: Path) -> tuple[Path, list[Contents]]:
    """A ledger as it lies there while a daemon works on it, and all that it has ever held."""
    states = [contents(db)]
    left = tmp_path / "left"
    left.mkdir()

    def note(_: object) -> None:
        if (now := contents(db)) != states[-1]:
            states.append(now)

    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 20), model(LLAMA, every=45))
        sa.event.listen(stage.ledger._engine, "begin", note)
        stage.start()
        await stage.customers(LLAMA, range(100, 250, 50), max_tokens=1)
        await stage.until(480)
        note(None)
        for name in SIDE_FILES:
            shutil.copy(db.with_name(name), left)
        await stage.leave()

    run(scene())
    return left, states


def found_after(left: Path, folder: Path, wal: bytes | None) -> Contents:
    """What a daemon finds that starts on the file and on that much of its log; it must be able to go on."""
    folder.mkdir()
    shutil.copy(left / "ledger.db", folder)
    if wal is not None:
        (folder / "ledger.db-wal").write_bytes(wal)
    ledger = open_ledger(f"sqlite:///{folder}/ledger.db")
    found = contents(folder / "ledger.db")
    assert integrity(folder / "ledger.db") == "ok"
    assert ledger.claim(next_claim(1))
    ledger.close()
    return found


def test_wherever_the_log_is_cut_a_whole_beginning_of_the_history_is_left(
    lived: tuple[Path, list[Contents]], tmp_path: Path
) -> None:
    left, states = lived
    chance = Random(4)
    wal = (left / "ledger.db-wal").read_bytes()
    assert len(states) > 100
    held = dict[int, int]()  # by the length of the log that was left: which of the states
    for number in range(CUTS):
        length = chance.randrange(len(wal) + 1)
        tail = chance.choice([b"", b"\0" * (len(wal) - length), chance.randbytes(min(4096, len(wal) - length))])
        found = found_after(left, tmp_path / str(number), wal[:length] + tail)
        assert found in states
        held[length] = states.index(found)
    in_order = [held[length] for length in sorted(held)]
    assert in_order == sorted(in_order)
    assert len(set(in_order)) > 50
    assert found_after(left, tmp_path / "whole", wal) == states[-1]


def test_a_ledger_without_its_side_files_opens(lived: tuple[Path, list[Contents]], tmp_path: Path) -> None:
    left, states = lived
    without_shared_memory = found_after(left, tmp_path / "no-shm", (left / "ledger.db-wal").read_bytes())
    assert without_shared_memory == states[-1]
    assert found_after(left, tmp_path / "no-wal", None) in states
    folder = tmp_path / "shm-alone"
    folder.mkdir()
    shutil.copy(left / "ledger.db", folder)
    shutil.copy(left / "ledger.db-shm", folder)
    assert contents(folder / "ledger.db") in states
    assert integrity(folder / "ledger.db") == "ok"

"""A SQLite ledger on a disk that is full, or where its user may not write: said, and nothing lost."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from warmer.errors import LedgerError
from warmer.ledger import SqlLedger, open_ledger

AS_A_USER = """
import os, sys
from warmer.errors import LedgerError
from warmer.ledger import open_ledger

open_ledger(f"sqlite:///{sys.argv[1]}/other.db").close()  # all that is imported on the way is there by now
if os.geteuid() == 0:  # who is refused nothing
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    open_ledger(f"sqlite:///{sys.argv[2]}").history("a")
    print("done")
except LedgerError as exc:
    print(exc)
"""
ON_A_SMALL_DISK = """
import resource, signal, sys
from warmer.errors import LedgerError
from warmer.ledger import open_ledger

open_ledger(f"sqlite:///{sys.argv[1]}/other.db").close()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    open_ledger(f"sqlite:///{sys.argv[2]}").close()
    print("done")
except LedgerError as exc:
    print(exc)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that every user may enter, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="warmer-ledger-"))
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "words"),
    [
        (0o444, 0o755, "Permission denied. Let this user read and write it, or give `ledger` another path"),
        (0o000, 0o755, "Permission denied. Let this user read and write it, or give `ledger` another path"),
        (0o666, 0o555, "Make the file and its folder writable for this user"),
    ],
)
def test_where_its_user_may_not_write_it_says_so_and_changes_nothing(
    spawn: Callable[..., Any], folder: Path, tmp_path: Path, facts: Any, file_mode: int, folder_mode: int, words: str
) -> None:
    path = folder / "ledger.db"
    ledger = open_ledger(f"sqlite:///{path}")
    facts.record(ledger, 1, created=1)
    ledger.close()
    before = everything_in(folder)
    path.chmod(file_mode)
    folder.chmod(folder_mode)

    said = spawn(AS_A_USER, str(tmp_path), str(path)).communicate(timeout=60)[0]
    assert said.startswith(f"ledger {path}: ")
    assert said.endswith(f"{words}\n")
    path.chmod(0o600)
    assert everything_in(folder) == before


def test_a_full_disk_is_said_and_what_was_written_before_is_kept(
    tmp_path: Path, open_at: Callable[..., SqlLedger], facts: Any
) -> None:
    ledger = open_at(tmp_path / "ledger.db")
    facts.record(ledger, 1, created=1)

    def room(pages: int) -> None:
        connection = ledger._engine.raw_connection()
        connection.cursor().execute(f"PRAGMA max_page_count = {pages}")
        connection.close()

    room(1)  # as many as there are
    slot = 1
    with pytest.raises(LedgerError, match=r"is full\. Free some space on its disk"):
        while slot < 10_000:
            facts.record(ledger, slot + 1, created=slot + 1)
            slot += 1
    assert ledger.history(facts.model).slots in (slot, slot + 1)  # the claim may have fitted, and its end not
    assert len(list(ledger.beats())) == slot
    room(1_000_000)
    facts.record(ledger, slot + 2, created=slot + 2)


@pytest.mark.parametrize("room", [0, 10_000, 60_000])
def test_a_ledger_that_cannot_be_made_on_a_full_disk_is_made_once_there_is_room(
    spawn: Callable[..., Any], tmp_path: Path, facts: Any, room: int
) -> None:
    path = tmp_path / "new" / "ledger.db"
    said = spawn(ON_A_SMALL_DISK, str(tmp_path), str(path), str(room)).communicate(timeout=60)[0]
    assert said.startswith(f"ledger {path}: ")
    assert "disk" in said.partition(": ")[2]

    ledger = open_ledger(f"sqlite:///{path}")
    assert ledger.claim(facts.claim())
    ledger.close()

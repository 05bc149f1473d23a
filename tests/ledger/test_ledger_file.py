"""The file that a SQLite ledger lives in: made, refused, left alone."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from warmer.errors import LedgerError
from warmer.ledger import open_ledger, queries
from warmer.ledger.opening import HEAD, default_url

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def everything_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def refusal(path: Path) -> str:
    with pytest.raises(LedgerError) as refused:
        open_ledger(f"sqlite:///{path}")
    assert str(path) in str(refused.value)
    return str(refused.value)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_and_its_folders_are_made_and_only_the_owner_may_read_the_file(
    tmp_path: Path, open_at: Callable[..., Any], facts: Any
) -> None:
    path = tmp_path / "new" / "folders" / "ledger.db"
    before = os.umask(0)
    try:
        ledger = open_at(path)
        ledger.claim(facts.claim())
        made = {file.name: mode(file) for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert made == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}


def test_the_mode_of_a_file_that_is_there_is_its_owners_business(tmp_path: Path, open_at: Callable[..., Any]) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    path.chmod(0o640)
    open_at(path)

    assert mode(path) == 0o640


def test_an_empty_file_becomes_a_ledger(tmp_path: Path, open_at: Callable[..., Any], facts: Any) -> None:
    (tmp_path / "ledger.db").touch()

    assert open_at(tmp_path / "ledger.db").claim(facts.claim())


def test_readers_and_a_writer_work_at_once_and_what_is_written_is_on_disk(
    tmp_path: Path, open_at: Callable[..., Any], facts: Any
) -> None:
    path = tmp_path / "ledger.db"
    open_at(path).claim(facts.claim())

    with sqlite(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://db/warmer", "nonsense", ""])
def test_an_address_that_names_no_file_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(LedgerError, match=r"write sqlite:////absolute/path/ledger\.db"):
        open_ledger(url)


def test_the_address_of_another_kind_of_database_is_refused_without_its_password() -> None:
    with pytest.raises(LedgerError, match="the ledger's address is none") as refused:
        open_ledger("mysql://warmer:s3cret-pw@db/warmer")

    assert "s3cret-pw" not in str(refused.value)


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    assert "Is a directory. Add the name of a file to it" in refusal(tmp_path)


def test_nothing_can_be_made_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    assert "Give `ledger` a path" in refusal(tmp_path / "file" / "ledger.db")
    assert everything_in(tmp_path) == {"file": b"in the way"}


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    assert "Give `ledger` a path" in refusal(tmp_path / ("n" * 300) / "ledger.db")


@pytest.mark.parametrize("size", [20, 4096, 100_000])
def test_some_other_file_is_refused_and_left_as_it_is(tmp_path: Path, size: int) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0" * (size // 4))
    before = everything_in(tmp_path)

    assert "It is some other file: name another one under `ledger`" in refusal(path)
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("tables", [("customers",), ("requests", "alembic_version"), ("alembic_version",)])
def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path, tables: tuple[str, ...]) -> None:
    path = tmp_path / "shop.db"
    with sqlite(path) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (version_num TEXT)")
            connection.execute(f"INSERT INTO {table} VALUES ('ae1027a6acf')")
    before = everything_in(tmp_path)

    assert "another program's database: name another file under `ledger`" in refusal(path)
    assert everything_in(tmp_path) == before


def test_a_ledger_of_a_newer_warmer_is_refused_and_left_as_it_is(tmp_path: Path, facts: Any) -> None:
    path = tmp_path / "ledger.db"
    ledger = open_ledger(f"sqlite:///{path}")
    ledger.claim(facts.claim())
    ledger.close()
    newer = f"{int(HEAD) + 1:04}"
    with sqlite(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [newer])
    before = everything_in(tmp_path)

    message = refusal(path)
    assert f"written by a newer warmer (schema {newer}, this one knows {HEAD})" in message
    assert "Upgrade warmer" in message
    assert everything_in(tmp_path) == before


def test_a_schema_that_warmer_never_had_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(f"sqlite:///{path}").close()
    with sqlite(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")

    assert "name another file under `ledger`" in refusal(path)


def test_a_damaged_ledger_is_refused_with_what_to_do(tmp_path: Path, facts: Any) -> None:
    path = tmp_path / "ledger.db"
    ledger = open_ledger(f"sqlite:///{path}")
    for slot in range(1, 200):
        facts.record(ledger, slot, created=slot)
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x7f" * (len(whole) - 4096))

    with pytest.raises(LedgerError, match="put a backup in its place, or move it away"):
        open_ledger(f"sqlite:///{path}").history(facts.model)


def test_a_writer_gives_up_when_another_program_holds_the_ledger_for_too_long(
    tmp_path: Path, open_at: Callable[..., Any], spawn: Callable[..., Any], facts: Any
) -> None:
    path = tmp_path / "ledger.db"
    ledger = open_at(path, busy_s=0.1)
    holder = spawn(HOLDER, str(path))
    assert holder.stdout.readline() == "held\n"

    with pytest.raises(LedgerError, match="Another program holds it: stop that one, or wait"):
        ledger.claim(facts.claim())
    with pytest.raises(LedgerError, match="Another program holds it"):
        ledger.try_writing()
    assert ledger.history(facts.model).slots == 0  # reading goes on

    holder.communicate("\n", timeout=30)
    ledger.try_writing()
    assert ledger.claim(facts.claim())


def test_a_new_ledger_that_another_program_holds_is_given_up_too(
    tmp_path: Path, open_at: Callable[..., Any], spawn: Callable[..., Any], facts: Any
) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    holder = spawn(HOLDER, str(path))
    assert holder.stdout.readline() == "held\n"

    with pytest.raises(LedgerError, match="Another program holds it"):
        open_at(path, busy_s=0.1)

    holder.communicate("\n", timeout=30)
    assert open_at(path).claim(facts.claim())


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"STATE_DIRECTORY": "/var/lib/warmer", "HOME": "/root"}, "sqlite:////var/lib/warmer/ledger.db"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "sqlite:////var/lib/a/ledger.db"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "sqlite:////x/warmer/ledger.db"),
        ({"XDG_STATE_HOME": "", "HOME": "/h"}, "sqlite:////h/.local/state/warmer/ledger.db"),
    ],
)
def test_the_ledgers_own_place_is_the_state_directory(environ: dict[str, str], url: str) -> None:
    assert default_url(environ) == url


def test_without_a_home_the_ledgers_place_is_below_the_working_directory() -> None:
    assert default_url({}) == f"sqlite:///{Path.cwd() / '.local' / 'state' / 'warmer' / 'ledger.db'}"


def test_what_every_tick_asks_goes_by_indexes_however_many_beats_there_are(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    with ledger._engine.connect() as connection:
        for query in (queries.HISTORY, queries.OPEN_BEAT):
            statement = query.params(model="a").compile(connection, compile_kwargs={"render_postcompile": True})
            values = [None] * str(statement).count("?")
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(values))]
            reads = [step for step in plan if "beats" in step or "requests" in step]
            assert reads
            assert all(step.startswith("SEARCH ") and "(model=?" in step for step in reads)
            assert any("beats_open" in step for step in reads)  # one row, or none, of thousands
            assert not any("TEMP B-TREE" in step for step in plan)
    ledger.close()

"""A ledger in a file of SQLite."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from warmer.errors import LedgerError, UsageError
from warmer.ledger.database import Access, access_of

_ADVICE = {  # by the name of the code, or its beginning, https://www.sqlite.org/rescode.html
    "SQLITE_BUSY": "Another program holds it: stop that one, or wait",
    "SQLITE_LOCKED": "Another program holds it: stop that one, or wait",
    "SQLITE_READONLY": "Make the file and its folder writable for this user",
    "SQLITE_CANTOPEN": "Make the file and its folder writable for this user",
    "SQLITE_FULL": "Free some space on its disk",
    "SQLITE_IOERR": "Look whether its disk is full, or fails",
    "SQLITE_NOTADB": "It is some other file: name another one under `ledger`",
    "SQLITE_ERROR": "Its tables are not as warmer made them: put a backup in its place, or name another file",
    "SQLITE_CORRUPT": "It is damaged: put a backup in its place, or move it away to start anew",
}


class SqliteFile:
    """Implements `Database`."""

    now = "(julianday('now') - 2440587.5) * 86400.0"
    elsewhere = "name another file under `ledger`"
    errors = sqlite3.Error
    insert = staticmethod(sqlite.insert)

    def __init__(self, url: sa.URL, busy_s: float) -> None:
        """`busy_s`: seconds to wait for another process that holds the file. Raises LedgerError without a file."""
        if not url.database or url.database == ":memory:":
            raise LedgerError(f"ledger {url!r} names no file: write sqlite:////absolute/path/ledger.db")
        self._url, self._busy_s = url, busy_s
        self.name = url.database

    def connect(self) -> sa.Engine:
        """The file is made where there is none."""
        self._make_file()
        engine = sa.create_engine(
            self._url,
            connect_args={"timeout": self._busy_s, "check_same_thread": False},
            poolclass=sa.pool.QueuePool,
            pool_size=1,
            max_overflow=4,
        )
        sa.event.listen(engine, "connect", _on_connect)
        sa.event.listen(engine, "begin", _on_begin)
        return engine

    def _make_file(self) -> None:
        path = Path(self.name)
        try:
            for folder in reversed([folder for folder in path.parents if not folder.exists()]):
                folder.mkdir(mode=0o700, exist_ok=True)
            # Made here and not by SQLite, which gives its log and index the same mode: only its owner may read who
            # called what.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as exc:
            if isinstance(exc, IsADirectoryError):
                advice = "Add the name of a file to it"
            elif os.path.lexists(path):
                advice = "Let this user read and write it, or give `ledger` another path"
            else:
                advice = "Give `ledger` a path in a folder that this user may write to"
            raise LedgerError(f"ledger {path}: {exc.strerror}. {advice}") from exc

    def before_making(self, engine: sa.Engine) -> None:
        """Let readers and a writer work at once. The file remembers: it is enough to do it where the file is made."""
        give_up_at = time.monotonic() + self._busy_s
        with _raw(engine) as connection:
            while True:
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                except sqlite3.OperationalError as exc:
                    # The switch does not wait for another process as other statements do.
                    if "locked" not in str(exc) or time.monotonic() >= give_up_at:
                        raise
                    time.sleep(0.05)
                else:
                    return

    def is_of_others(self, table: str) -> bool:
        """A file is for one program."""
        return True

    def is_there(self) -> bool:
        """Whether the file is."""
        return Path(self.name).exists()

    def problems(self, connection: sa.Connection) -> Iterator[str]:
        """Each page, each row and each index. What cannot even be read is a problem too."""
        try:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        except sa.exc.DatabaseError as exc:
            found = [str(exc.orig)]
        yield from (problem for problem in found if problem != "ok")

    def size_bytes(self, connection: sa.Connection) -> int:
        """Of the file and of its log."""
        return sum(path.stat().st_size for path in (Path(self.name), Path(f"{self.name}-wal")) if path.exists())

    def vacuum(self, engine: sa.Engine) -> None:
        """Writes the file anew, which takes as much room again for as long as it lasts."""
        with _raw(engine) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy(self, engine: sa.Engine, to: Path) -> int:
        """By SQLite's own backup: one instant of the ledger, however much is written meanwhile."""
        if to.exists():
            raise UsageError(f"{to} is there already: name a new file, it is not overwritten")
        half = to.with_name(f".{to.name}.{os.getpid()}.tmp")
        try:
            os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            try:
                with _raw(engine) as connection, closing(sqlite3.connect(half)) as copied:
                    connection.backup(copied)
                    copied.execute("SELECT version_num FROM alembic_version").fetchone()  # raises where it is no ledger
                    ((found,),) = copied.execute("PRAGMA quick_check(1)").fetchall()
                if found != "ok":  # pages are copied as they are, damage and all
                    raise LedgerError(f"ledger {self.name}: {found}. {_ADVICE['SQLITE_CORRUPT']}")
                _to_disk(half)
                # Unlike a renaming, a link takes no other file's name.
                os.link(half, to)
            finally:
                half.unlink()
            _to_disk(to.parent)
        except FileExistsError:
            raise UsageError(f"{to} is there already: name a new file, it is not overwritten") from None
        except OSError as exc:
            raise LedgerError(
                f"backup {to}: {exc.strerror}. Name a file in a folder that this user may write to"
            ) from exc
        return to.stat().st_size

    def explain(self, error: Any) -> tuple[str, str]:
        """By SQLite's code; what Python itself refuses has none."""
        code = getattr(error, "sqlite_errorname", "")
        advice = (advice for start, advice in _ADVICE.items() if code.startswith(start))
        return str(error), next(advice, "Check the path under `ledger` and its disk")


@contextmanager
def _raw(engine: sa.Engine) -> Iterator[sqlite3.Connection]:
    """A connection without a transaction around it."""
    pooled = engine.raw_connection()
    try:
        yield cast("sqlite3.Connection", pooled.dbapi_connection)
    finally:
        pooled.close()


def _to_disk(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _on_connect(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, not guessed from the SQL
    # An intent must be on disk before its create is sent, even if the power goes.
    connection.execute("PRAGMA synchronous = FULL")


def _on_begin(connection: sa.Connection) -> None:
    access = access_of(connection)
    if access is Access.GLANCE:
        return
    # A writer takes its lock at once: upgrading from a read would fail instead of waiting. There is one at a time.
    # To the driver itself: a statement of SQLAlchemy's takes longer than what most transactions are begun for.
    driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
    driver.execute("BEGIN" if access is Access.READ else "BEGIN IMMEDIATE")

"""From a database URL to a ledger whose tables are up to date."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from warmer.errors import LedgerError
from warmer.ledger.sql import SqlLedger, explained

HEAD = "0010"
"""The newest revision in `migrations/versions`."""

_BUSY_S = 30.0
"""How long one process waits for another to finish writing."""


def default_url(environ: Mapping[str, str]) -> str:
    """`ledger.db` in the state directory: systemd's, else the XDG state home's `warmer`."""
    if state := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        folder = Path(state)
    elif xdg := environ.get("XDG_STATE_HOME"):
        folder = Path(xdg) / "warmer"
    else:
        folder = Path(environ.get("HOME") or ".") / ".local" / "state" / "warmer"
    return f"sqlite:///{folder.absolute() / 'ledger.db'}"


def open_ledger(url: str, *, busy_s: float = _BUSY_S) -> SqlLedger:
    """Open the ledger at `url`, making or migrating it first where needed.

    `busy_s`: seconds to wait for another process that holds it. Raises LedgerError, with what to do, where the file
    cannot be used; nothing is changed then.
    """
    path = _prepare_file(url)
    engine = sa.create_engine(
        url,
        connect_args={"timeout": busy_s, "check_same_thread": False},
        poolclass=sa.pool.QueuePool,
        pool_size=1,
        max_overflow=4,
    )
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    try:
        with explained(path):
            _bring_up_to_date(engine, path, busy_s)
    except BaseException:
        engine.dispose()
        raise
    return SqlLedger(engine, path)


def _prepare_file(url: str) -> str:
    try:
        parsed = sa.engine.make_url(url)
    except sa.exc.ArgumentError:
        raise LedgerError("the ledger's address is no URL: write sqlite:////absolute/path/ledger.db") from None
    database = parsed.database
    if parsed.get_backend_name() != "sqlite" or not database or database == ":memory:":
        # Without its password, where it has one.
        raise LedgerError(f"ledger {parsed!r} names no SQLite file: write sqlite:////absolute/path/ledger.db")
    path = Path(database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made here and not by SQLite: only its owner may read who called what.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as exc:
        raise LedgerError(
            f"ledger {path}: {exc.strerror}. Give `ledger:` a path in a folder that this user may write to"
        ) from exc
    return str(path)


def _on_connect(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, not guessed from the SQL
    # An intent must be on disk before its create is sent, even if the power goes.
    connection.execute("PRAGMA synchronous = FULL")


def _on_begin(connection: sa.Connection) -> None:
    # A writer takes its lock at once: upgrading from a read would fail instead of waiting.
    reads = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _bring_up_to_date(engine: sa.Engine, path: str, busy_s: float) -> None:
    with engine.connect().execution_options(reads_only=True) as connection:
        # Before anything is written: a file that is not for us stays as it is, to the byte.
        if _revision(connection, path) == HEAD:
            return
    _switch_to_wal(engine, busy_s)
    # One process migrates; another that starts in the same second waits here, and finds it done.
    with engine.begin() as connection:
        if _revision(connection, path) != HEAD:
            _migrate(connection, path)


def _revision(connection: sa.Connection, path: str) -> str | None:
    """The schema's revision; None of a new file. Raises LedgerError for a file that is not for us."""
    tables = sa.inspect(connection).get_table_names()
    if not tables:
        return None
    if "alembic_version" not in tables or "beats" not in tables:
        raise LedgerError(f"ledger {path}: another program's database. Name another file under `ledger:`")
    found = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
    if found > HEAD:
        raise LedgerError(
            f"ledger {path}: written by a newer warmer (schema {found}, this one knows {HEAD}). "
            "Upgrade warmer, or name another file under `ledger:`"
        )
    return found


def _switch_to_wal(engine: sa.Engine, busy_s: float) -> None:
    """Let readers and a writer work at once. The file remembers: it is enough to do it where the file is made."""
    give_up_at = time.monotonic() + busy_s
    connection = engine.raw_connection()
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as exc:
                # The switch does not wait for another process as other statements do.
                if "locked" not in str(exc) or time.monotonic() >= give_up_at:
                    raise
                time.sleep(0.05)
            else:
                return
    finally:
        connection.close()


def _migrate(connection: sa.Connection, path: str) -> None:
    # Imported where it is used: a ledger that is up to date does not pay for it.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "warmer.ledger:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as exc:
        raise LedgerError(f"ledger {path}: {exc}. Name another file under `ledger:`") from exc

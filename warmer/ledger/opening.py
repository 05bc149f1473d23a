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

HEAD = "0001"
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


def open_ledger(url: str) -> SqlLedger:
    """Open the ledger at `url`, making or migrating it first where needed.

    Raises LedgerError, with what to do, where the file cannot be used; nothing is changed then.
    """
    path = _prepare_file(url)
    engine = sa.create_engine(
        url,
        connect_args={"timeout": _BUSY_S, "check_same_thread": False},
        poolclass=sa.pool.QueuePool,
        pool_size=1,
        max_overflow=4,
    )
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    with explained(path):
        _bring_up_to_date(engine, path)
    return SqlLedger(engine, path)


def _prepare_file(url: str) -> str:
    database = sa.engine.make_url(url).database
    if not database or database == ":memory:":
        raise LedgerError(f"ledger {url!r} names no file: write sqlite:////absolute/path/ledger.db")
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
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    # An intent must be on disk before its create is sent, even if the power goes.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _on_begin(connection: sa.Connection) -> None:
    # A writer takes its lock at once: upgrading from a read would fail instead of waiting.
    reads = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    # The switch does not wait for another process as other statements do.
    for attempt in range(100):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or attempt == 99:
                raise
            time.sleep(0.05)
        else:
            return


def _bring_up_to_date(engine: sa.Engine, path: str) -> None:
    with engine.connect().execution_options(reads_only=True) as connection:
        if _revision(connection) == HEAD:
            return
    # One process migrates; another that starts in the same second waits here, and finds it done.
    with engine.begin() as connection:
        found = _revision(connection)
        if found is not None and found > HEAD:
            raise LedgerError(
                f"ledger {path}: written by a newer warmer (schema {found}, this one knows {HEAD}). "
                "Upgrade warmer, or name another file under `ledger:`"
            )
        if found != HEAD:
            _migrate(connection)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return str(row[0]) if row else None


def _migrate(connection: sa.Connection) -> None:
    # Imported where it is used: a ledger that is up to date does not pay for it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "warmer.ledger:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

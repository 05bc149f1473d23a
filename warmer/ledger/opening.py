"""From a database URL to a ledger whose tables are up to date."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from warmer.core.address import POSTGRES
from warmer.errors import LedgerError
from warmer.ledger.database import OPTION, Access, Database, explained
from warmer.ledger.sql import SqlLedger
from warmer.ledger.sqlite import SqliteFile

HEAD = "0015"
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


def open_ledger(url: str, *, password: str | None = None, busy_s: float = _BUSY_S) -> SqlLedger:
    """Open the ledger at `url`, making or migrating it first where needed.

    `password`: of a server, where libpq does not know it by itself. `busy_s`: seconds to wait for another process that
    holds the ledger. Raises LedgerError, with what to do, where it cannot be used; nothing is changed then.
    """
    database = database_at(url, password, busy_s)
    engine = database.connect()
    try:
        with explained(database):
            _bring_up_to_date(engine, database)
    except BaseException:
        engine.dispose()
        raise
    return SqlLedger(engine, database)


def database_at(url: str, password: str | None, busy_s: float = _BUSY_S) -> Database:
    """The database that an address names. Raises LedgerError where it names none."""
    if url.startswith(POSTGRES):
        # Imported where it is used: a ledger in a file does not pay for it.
        from warmer.ledger.postgres import PostgresDatabase

        return PostgresDatabase(url, password, busy_s)
    try:
        parsed = sa.engine.make_url(url)
    except sa.exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "sqlite":
        raise LedgerError(
            "the ledger's address is none: write sqlite:////absolute/path/ledger.db or postgresql://user@host/database"
        )
    return SqliteFile(parsed, busy_s)


def _bring_up_to_date(engine: sa.Engine, database: Database) -> None:
    with engine.connect().execution_options(**{OPTION: Access.READ}) as connection:
        # Before anything is written: a place that is not for us stays as it is, to the byte.
        if revision_of(connection, database) == HEAD:
            return
    database.before_making(engine)
    # One process migrates; another that starts in the same second waits here, and finds it done.
    with engine.begin() as connection:
        if revision_of(connection, database) != HEAD:
            _migrate(connection, database)


def revision_of(connection: sa.Connection, database: Database) -> str | None:
    """The schema's revision; None of a new ledger. Raises LedgerError for a place that is not for us."""
    tables = [table for table in sa.inspect(connection).get_table_names() if database.is_of_others(table)]
    if not tables:
        return None
    if "alembic_version" not in tables or "beats" not in tables:
        raise LedgerError(f"ledger {database.name}: another program's database: {database.elsewhere}")
    found = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
    if found > HEAD:
        raise LedgerError(
            f"ledger {database.name}: written by a newer warmer (schema {found}, this one knows {HEAD}). "
            f"Upgrade warmer, or {database.elsewhere}"
        )
    return found


def _migrate(connection: sa.Connection, database: Database) -> None:
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
        raise LedgerError(f"ledger {database.name}: {exc}: {database.elsewhere}") from exc

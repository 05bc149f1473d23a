"""A ledger in a database of PostgreSQL, over psycopg 3: for many processes on many machines."""

from __future__ import annotations

import re
import select
import shlex
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from warmer.core.address import holds_password
from warmer.errors import LedgerError, UsageError
from warmer.ledger.database import OPTION, Access, access_of
from warmer.ledger.tables import metadata

LOCK = int.from_bytes(b"warmer")
"""The advisory lock of a ledger: a number that no other program of the database is likely to have chosen."""
_IDLE_S = 10
"""A process that was stopped in the middle of a transaction, or whose machine is gone, holds the lock for so long."""
_DEFAULTS = {
    "fallback_application_name": "warmer",
    "connect_timeout": 10,
    # A network that swallows everything is noticed within a minute, not in hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_CHECK_ADDRESS = "Check the address under `ledger`, and whether the server runs and lets this machine in"
_ADVICE = (  # by SQLSTATE, or its class, https://www.postgresql.org/docs/current/errcodes-appendix.html
    ("28", "Check the user in `ledger`, its password under `ledger_password`, and the server's pg_hba.conf"),
    ("3D000", "Create it, with `createdb` for instance, or name another one under `ledger`"),
    ("3F000", "Create that schema, or name another one under `ledger`"),
    ("08", _CHECK_ADDRESS),
    ("42501", "Let the user of `ledger` do so: on the server, GRANT ALL ON SCHEMA and on its tables"),
    ("25006", "Name a server under `ledger` that takes writes: this one is a replica, or was made read-only"),
    (
        "42",
        "Its tables are not as warmer made them: put a backup in its place, or name another database",
    ),
    ("53100", "Free some space on the server's disk"),
    ("53300", "Let the server have more connections (max_connections), or stop what holds them"),
    ("55P03", "Another process holds it: stop that one, or wait"),
    ("57P", "The server is on its way down or up: wait, or start it"),
    ("58", "Look into the server's log: its disk fails it"),
    ("XX", "Look into the server's log, and put a backup in its place where it is damaged"),
)
_UNREACHED = (  # libpq's own words: a connection that was never made has no SQLSTATE
    (re.compile(r"password|authentication|pg_hba|no encryption"), "28"),
    (re.compile(r'database ".*" does not exist'), "3D000"),
    (re.compile(r'role ".*" does not exist'), "28"),
    (re.compile(r"too many (clients|connections)"), "53300"),
    (re.compile(r"the database system is"), "57P"),
)


class PostgresDatabase:
    """Implements `Database`."""

    now = "extract(epoch FROM clock_timestamp())::float8"
    elsewhere = "name another database under `ledger`, or a schema of its own, as in ?options=-csearch_path%3Dwarmer"
    insert = staticmethod(postgresql.insert)

    def __init__(self, url: str, password: str | None, busy_s: float) -> None:
        """`url` is as libpq has it, without a password.

        `busy_s`: seconds to wait for another process that writes. Raises UsageError where psycopg is not installed.
        """
        try:
            import psycopg
        except ImportError as exc:
            raise UsageError(
                "a ledger in PostgreSQL needs psycopg: install it with `pip install 'warmer[postgres]'`"
            ) from exc
        if holds_password(url):
            raise LedgerError(
                "the ledger's address holds a password: take it out, and say where it is, for instance "
                "`ledger_password: env:WARMER_LEDGER_PASSWORD`"
            )
        self._driver, self.errors = psycopg, psycopg.Error
        self._url, self._password, self._busy_s = url, password, busy_s
        self.name = url

    @property
    def parameters(self) -> dict[str, Any]:
        """What libpq connects by, the password among it. May raise LedgerError."""
        try:
            given = self._driver.conninfo.conninfo_to_dict(self._url)
        except self._driver.ProgrammingError as exc:
            raise LedgerError(
                f"ledger {self.name}: {str(exc).strip()}. Write postgresql://user@host/database"
            ) from None
        if self._password is not None:
            given["password"] = self._password
        return {**_DEFAULTS, **given}

    def connect(self) -> sa.Engine:
        """Nothing is asked of the server yet."""
        parameters = self.parameters
        engine = sa.create_engine(
            "postgresql+psycopg://",
            # libpq reads the address itself: sockets, services, several hosts, certificates are all its own.
            # As for psycopg, it commits by itself: transactions are begun here.
            creator=lambda: self._driver.connect(**parameters, autocommit=True),
            pool_size=3,  # the desk's, and those of the notes: a connection has its statements prepared
            pool_use_lifo=True,
            max_overflow=2,
        )
        sa.event.listen(engine, "checkout", _on_checkout)
        sa.event.listen(engine, "begin", self._on_begin)
        return engine

    def _on_begin(self, connection: sa.Connection) -> None:
        # At once with the lock: each way to the server and back takes as long as what is asked there.
        driver: Any = connection.connection.dbapi_connection
        if (begin := self._begin.get(access_of(connection))) is not None:
            driver.execute(begin, prepare=False)

    @cached_property
    def _begin(self) -> Mapping[Access, str]:
        # One lock for all that is spent and all that is recorded, and not SERIALIZABLE: whoever decides by sums would
        # clash with everyone and had to try again and again, here it waits its turn, once. Whoever only adds shares it.
        # It ends with the transaction, and so with the process. A writer sees what was committed until it had its lock.
        # Nothing is said of READ WRITE: whoever made the server read-only, for a disk that fills, is not overruled.
        off = "set_config('synchronous_commit', 'off', true)"
        write = (
            "BEGIN ISOLATION LEVEL READ COMMITTED; "
            f"SELECT set_config('lock_timeout', '{round(self._busy_s * 1000)}ms', true), "
            f"set_config('idle_in_transaction_session_timeout', '{_IDLE_S}s', true), "
        )
        return {
            # All statements see one instant, as in SQLite: a slot that is counted after another process has claimed it
            # would be claimed twice.
            Access.READ: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Access.ALONE: f"{write}pg_advisory_xact_lock({LOCK})",
            # A server that crashes may forget the last half second of these, each as a whole: a beat whose claim stands
            # is open again then and found at the provider, as after a crash of ours.
            Access.BESIDE: f"{write}{off}, pg_advisory_xact_lock_shared({LOCK})",
        }

    def before_making(self, engine: sa.Engine) -> None:
        """Nothing: the server was made by whoever runs it."""

    def is_of_others(self, table: str) -> bool:
        """The queue of the beats that many processes share stands beside the ledger."""
        return not table.startswith("procrastinate_")

    def is_there(self) -> bool:
        """Whoever connects finds out."""
        return True

    def problems(self, connection: sa.Connection) -> Iterator[str]:
        """What the server has noticed; it checks each page as it reads it."""
        for (index,) in connection.exec_driver_sql(
            "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid "
            "WHERE relnamespace = current_schema()::regnamespace AND NOT indisvalid"
        ):
            yield f"index {index} is not valid: REINDEX INDEX {index}"
        failures = connection.exec_driver_sql(
            "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"
        ).scalar()
        if failures:
            yield f"{failures} pages of the database had a wrong checksum: look into the server's log"

    def size_bytes(self, connection: sa.Connection) -> int:
        """Of the tables with their indexes."""
        names = ", ".join(f"('{name}')" for name in metadata.tables)
        query = f"SELECT sum(pg_total_relation_size(to_regclass(name))) FROM (VALUES {names}) AS ours (name)"  # noqa: S608 - our names
        return int(connection.exec_driver_sql(query).scalar() or 0)

    def vacuum(self, engine: sa.Engine) -> None:
        """Beside whoever uses it: the room is free for new rows, and given back to the disk where it is at the end."""
        with engine.connect().execution_options(**{OPTION: Access.READ}) as connection:
            there = set(sa.inspect(connection).get_table_names())
        pooled = engine.raw_connection()
        driver: Any = pooled.dbapi_connection
        try:
            for name in sorted(there & metadata.tables.keys()):
                driver.execute(f"VACUUM (ANALYZE) {name}")
        finally:
            pooled.close()

    def copy(self, engine: sa.Engine, to: Path) -> int:
        """The server's own tool does it better, and can bring it back."""
        command = shlex.join(["pg_dump", "--format=custom", f"--file={to}", f"--dbname={self._url}"])
        raise UsageError(
            f"a ledger in PostgreSQL is backed up by PostgreSQL's own tool: {command} "
            "(`pg_restore` brings it back; both ask for the password, or take it from $PGPASSWORD or ~/.pgpass)"
        )

    def explain(self, error: Any) -> tuple[str, str]:
        """By SQLSTATE, which is the same in every language."""
        cause = " ".join(str(error).split()).rstrip(".")
        state = error.sqlstate or next((state for words, state in _UNREACHED if words.search(cause)), "")
        otherwise = "Look into the server's log" if state else _CHECK_ADDRESS
        return cause, next((advice for start, advice in _ADVICE if state.startswith(start)), otherwise)


def _on_checkout(driver: Any, record: Any, proxy: Any) -> None:
    # That a server has gone is there to be read, where nothing was asked: to ask first would take as long as the query.
    look = select.poll()
    look.register(driver.fileno(), select.POLLIN)
    if look.poll(0):
        raise sa.exc.DisconnectionError  # the pool makes another one

"""Looking after a ledger: whether it is whole, a copy of it, and the room that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from warmer.errors import LedgerError
from warmer.ledger.database import OPTION, Access, explained
from warmer.ledger.opening import HEAD, database_at, revision_of
from warmer.ledger.tables import metadata, spending


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a look at a ledger found."""

    name: str
    kind: str  # sqlite, postgresql
    revision: str  # of its tables
    size_bytes: int
    rows: tuple[tuple[str, int], ...]  # by table
    problems: tuple[str, ...]  # empty where it is whole

    @property
    def is_current(self) -> bool:
        """Whether its tables are those of this warmer; an older ledger is brought up to date when it is opened."""
        return self.revision == HEAD


class Upkeep:
    """A ledger from outside, by its address. Unlike opening it, this makes and migrates nothing."""

    def __init__(self, url: str, *, password: str | None = None) -> None:
        self._database = database_at(url, password)

    def check(self) -> Findings:
        """Go through all of it. Raises LedgerError where there is none, or it is not for this warmer."""
        engine = self._connect()
        try:
            with explained(self._database), engine.connect().execution_options(**{OPTION: Access.READ}) as connection:
                revision = self._revision(connection)
                problems = list(self._database.problems(connection))
                # What is damaged may fail any reading of it: that is told, and no reason to read on.
                return Findings(
                    name=self._database.name,
                    kind=engine.dialect.name,
                    revision=revision,
                    size_bytes=self._database.size_bytes(connection),
                    rows=() if problems else _rows(connection),
                    problems=tuple(problems or (*_missing(connection, revision), *_sums(connection))),
                )
        finally:
            engine.dispose()

    def back_up(self, to: Path) -> int:
        """Copy it, while it is in use, into a new file, which is there whole or not at all. Returns its bytes.

        Raises LedgerError where the copy cannot be made, and UsageError where there is a file already or the database
        is one that its own tools copy.
        """
        engine = self._connect()
        try:
            with explained(self._database):
                return self._database.copy(engine, to)
        finally:
            engine.dispose()

    def vacuum(self) -> tuple[int, int]:
        """Give back the room of what was deleted. Returns its bytes before and after."""
        engine = self._connect()
        try:
            with explained(self._database):
                before = self._size(engine)
                self._database.vacuum(engine)
                return before, self._size(engine)
        finally:
            engine.dispose()

    def _connect(self) -> sa.Engine:
        if not self._database.is_there():
            raise LedgerError(f"ledger {self._database.name}: there is none yet. `warmer run` makes it")
        return self._database.connect()

    def _size(self, engine: sa.Engine) -> int:
        with engine.connect().execution_options(**{OPTION: Access.READ}) as connection:
            self._revision(connection)
            return self._database.size_bytes(connection)

    def _revision(self, connection: sa.Connection) -> str:
        revision = revision_of(connection, self._database)
        if revision is None:
            raise LedgerError(f"ledger {self._database.name}: it is empty. `warmer run` makes its tables")
        return revision


def _rows(connection: sa.Connection) -> tuple[tuple[str, int], ...]:
    there = set(sa.inspect(connection).get_table_names())
    return tuple(
        (name, connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
        for name, table in metadata.tables.items()
        if name in there
    )


def _missing(connection: sa.Connection, revision: str) -> list[str]:
    """What the code sees and the ledger does not have; an older ledger is not expected to."""
    if revision != HEAD:
        return []
    found = sa.inspect(connection)
    tables = set(found.get_table_names())
    missing = [f"table {name} is missing" for name in metadata.tables if name not in tables]
    for name in sorted(tables & metadata.tables.keys()):
        columns = {column["name"] for column in found.get_columns(name)}
        wanted = metadata.tables[name].columns.keys()
        missing += [f"column {name}.{column} is missing" for column in wanted if column not in columns]
    return missing


def _sums(connection: sa.Connection) -> list[str]:
    """What all models spent has to be what each of them spent."""
    if "spending" not in sa.inspect(connection).get_table_names():
        return []
    total, each = (
        connection.execute(sa.select(sa.func.coalesce(sa.func.sum(spending.c.micros), 0)).where(which)).scalar_one()
        for which in (spending.c.scope == "", spending.c.scope != "")
    )
    return [] if total == each else [f"the sums do not add up: {total} micro-dollars in all, {each} by model"]

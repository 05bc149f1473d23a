"""How every method of a ledger comes to its connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from warmer.ledger.database import OPTION, Access, Database, explained


class Transactions:
    """On one database."""

    def __init__(self, engine: sa.Engine, database: Database) -> None:
        self._engine, self._database = engine, database
        # Whether a row was inserted or was there is told by their number, which not every driver keeps by itself.
        self._by_access = {
            access: engine.execution_options(**{OPTION: access, "preserve_rowcount": True}) for access in Access
        }
        self._insert = database.insert
        self._here = threading.local()  # the transaction that this thread reads in

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process, to which it is sent, it is opened anew."""
        return _opened, (type(self), self._database)

    @contextmanager
    def _write(self, access: Access = Access.ALONE) -> Iterator[sa.Connection]:
        with explained(self._database), self._by_access[access].begin() as connection:
            yield connection

    @contextmanager
    def _read(self, access: Access = Access.READ) -> Iterator[sa.Connection]:
        if (reading := getattr(self._here, "reading", None)) is not None:
            yield reading
            return
        # Committed in the end: of one that is rolled back psycopg would forget the statements it has prepared.
        with explained(self._database), self._by_access[access].begin() as connection:
            yield connection

    @contextmanager
    def at_one_instant(self) -> Iterator[None]:
        """What this thread reads within is read in one transaction."""
        with self._read() as connection:
            self._here.reading = connection
            try:
                yield
            finally:
                self._here.reading = None

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def _opened(kind: type[Transactions], database: Database) -> Transactions:
    return kind(database.connect(), database)

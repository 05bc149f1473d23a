"""All in which one kind of database differs from another: what `sqlite` and `postgres` implement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from warmer.errors import LedgerError

OPTION = "ledger_access"
"""The execution option that says how a transaction goes about the ledger; without it ALONE."""


class Access(StrEnum):
    """What a transaction does, and so what may go on beside it."""

    GLANCE = "glance"  # asks one thing, which sees one instant by itself
    READ = "read"  # sees the ledger as it was at one instant; holds nobody up
    ALONE = "alone"  # decides by what it reads: from its begin to its end nobody else writes
    BESIDE = "beside"  # changes rows of its own and adds to sums: others that do so may too


def access_of(connection: sa.Connection) -> Access:
    """How the transaction that begins on `connection` goes about the ledger."""
    return Access(connection.get_execution_options().get(OPTION, Access.ALONE))


class Database(Protocol):
    """One kind of database, and one of that kind."""

    name: str
    """As it stands in every error. Holds no password."""
    now: str
    """The expression for the time by the one clock of all who use it, in seconds since 1970."""
    elsewhere: str
    """What to do where this one is not for us, as the end of a sentence."""

    @property
    def errors(self) -> type[Exception]:
        """What its driver raises."""
        ...

    @property
    def insert(self) -> Callable[[sa.Table], Any]:
        """Its INSERT, which knows `on_conflict_do_…`."""
        ...

    def connect(self) -> sa.Engine:
        """Connections to it, which begin their transactions by `access_of`. May raise LedgerError."""
        ...

    def before_making(self, engine: sa.Engine) -> None:
        """What has to be done before the tables of a new ledger, or of an older one, are made."""
        ...

    def is_of_others(self, table: str) -> bool:
        """Whether a table that is there before ours shows that the place is another program's."""
        ...

    def is_there(self) -> bool:
        """Whether there is something to connect to that is not made by connecting."""
        ...

    def problems(self, connection: sa.Connection) -> Iterator[str]:
        """What the database itself finds wrong with its tables and indexes, going through all of them."""
        ...

    def size_bytes(self, connection: sa.Connection) -> int:
        """The room that the ledger takes."""
        ...

    def vacuum(self, engine: sa.Engine) -> None:
        """Give back the room of what was deleted."""
        ...

    def copy(self, engine: sa.Engine, to: Path) -> int:
        """Write a copy into a new file, whole or not at all; its bytes. Raises LedgerError and UsageError."""
        ...

    def explain(self, error: Any) -> tuple[str, str]:
        """What one of its `errors` says, on one line, and what to do."""
        ...


@contextmanager
def explained(database: Database) -> Iterator[None]:
    """Turn the database's errors into one that says what to do."""
    try:
        yield
    except (sa.exc.DBAPIError, database.errors) as exc:
        cause, advice = database.explain(exc.orig if isinstance(exc, sa.exc.DBAPIError) else exc)
        # None: the statement, with its values, is nobody's business but the ledger's.
        raise LedgerError(f"ledger {database.name}: {cause}. {advice}") from None

"""What the processes of one ledger tell each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import sqlalchemy as sa

from warmer.ledger.database import Access
from warmer.ledger.tables import notes
from warmer.ledger.transactions import Transactions

T = TypeVar("T")
_IS_NAMED = notes.c.name == sa.bindparam("sought")
_NOTE = sa.select(notes.c.value).where(_IS_NAMED)
_REWRITE = sa.update(notes).where(_IS_NAMED)


class Notebook(Transactions):
    """The part of `SqlLedger` that keeps notes."""

    def note(self, name: str) -> str:
        """What is kept under `name`; empty where nothing is."""
        with self._read(Access.GLANCE) as connection:
            return connection.execute(_NOTE, {"sought": name}).scalar() or ""

    def change_note(self, name: str, change: Callable[[str, float], tuple[str, T]]) -> T:
        """Put what `change` makes of it in the place of what is kept under `name`, in one step over all processes."""
        asked = {"sought": name}
        with self._write(Access.BESIDE) as connection:
            row = connection.execute(self._now_kept, asked).first()
            if row is None:
                connection.execute(self._insert(notes).values(name=name, value="").on_conflict_do_nothing())
                row = connection.execute(self._now_kept, asked).one()
            value, result = change(row.value, row.now)
            if value != row.value:
                connection.execute(_REWRITE, {**asked, "value": value})
            return result

    @cached_property
    def _now_kept(self) -> sa.Select[Any]:
        now: sa.Label[float] = sa.literal_column(self._database.now).label("now")
        return sa.select(notes.c.value, now).where(_IS_NAMED).with_for_update()

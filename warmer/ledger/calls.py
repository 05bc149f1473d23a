"""Customers' calls, and the imports that brought some of them in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from warmer.core.beat import Request
from warmer.core.listing import Import
from warmer.ledger import queries
from warmer.ledger.archive import refused
from warmer.ledger.database import Access
from warmer.ledger.rows import request_of, request_row
from warmer.ledger.sums import BEGINNING, Kind, touch
from warmer.ledger.tables import beats, imports, requests, salts
from warmer.ledger.transactions import Transactions

_Call = tuple[Any, ...]  # prediction id and model


class Calls(Transactions):
    """The part of `SqlLedger` that keeps what customers called."""

    def add_requests(self, calls: Iterable[Request]) -> int:
        """Record customers' calls, once each; a later reading completes an earlier one. Returns how many were new."""
        with self._write() as connection:
            return len(self._add(connection, calls, self._recording))

    def tell(self, call: Request) -> bool:
        """Record a call that was told, or its end. Whether it is new."""
        with self._write() as connection:
            return bool(self._add(connection, [call], self._telling))

    def forget_told(self, model: str, prediction_ids: Iterable[str]) -> None:
        """Those calls were seen under their own ids."""
        which = sa.and_(requests.c.model == model, requests.c.prediction_id.in_(list(prediction_ids)))
        with self._write() as connection:
            found = connection.execute(sa.select(requests.c.created_at).where(which, queries.WAS_TOLD)).scalars()
            touch(connection, self._insert, Kind.REQUESTS, [(model, at) for at in found])
            connection.execute(sa.delete(requests).where(which, queries.WAS_TOLD))

    @cached_property
    def _recording(self) -> Any:
        # An older reading, written late by another process, does not undo the end of a call.
        has_ended = sa.and_(*(self._insert(requests).excluded.status != status for status in queries.OPEN))
        return self._adding(sa.or_(queries.MAY_CHANGE, has_ended))

    @cached_property
    def _telling(self) -> Any:
        return self._adding(queries.WAS_TOLD)

    @cached_property
    def _importing(self) -> Any:
        return self._adding(queries.MAY_CHANGE)

    def _adding(self, changes: sa.ColumnElement[bool]) -> Any:
        """Inserts calls, or changes those on record of which `changes` is true."""
        insert = self._insert(requests)
        changing: dict[str, Any] = {
            column.name: insert.excluded[column.name] for column in requests.columns if not column.primary_key
        }
        # A later reading may not show the input any more.
        changing["input_hash"] = sa.func.coalesce(insert.excluded.input_hash, requests.c.input_hash)
        return insert.on_conflict_do_update(index_elements=[*requests.primary_key], set_=changing, where=changes)

    def _add(self, connection: sa.Connection, calls: Iterable[Request], adding: Any) -> set[_Call]:
        """Execute `adding` for the calls that are no beats of ours. Returns those that are new."""
        rows = [request_row(call) for call in calls]
        ids = [row["prediction_id"] for row in rows]
        # Asked here again, not by the caller alone: another process may have sent one of them meanwhile.
        ours = queries.among(connection, ids, beats.c.prediction_id)
        on_record = queries.among(connection, ids, requests.c.prediction_id, requests.c.model, requests.c.created_at)
        known = {(prediction_id, model): at for prediction_id, model, at in on_record}
        late = refused(connection, [(call["model"], call["created_at"]) for call in rows])
        rows = [
            row for row in rows if (row["prediction_id"],) not in ours and (row["model"], row["created_at"]) not in late
        ]
        if rows:
            connection.execute(adding, rows if len(rows) > 1 else rows[0])
            changed = [(row["model"], row["created_at"]) for row in rows]
            # One that was told counted to the hour that it was told of.
            was = [(row["model"], known.get((row["prediction_id"], row["model"]))) for row in rows]
            touch(connection, self._insert, Kind.REQUESTS, [*changed, *((name, at) for name, at in was if at)])
        return {(row["prediction_id"], row["model"]) for row in rows} - known.keys()

    def keep_import(self, progress: Import, calls: Iterable[Request] = ()) -> Mapping[str, int]:
        """Record how far an import has come, and the calls it came upon. Returns how many were new, by model."""
        row = {field.name: getattr(progress, field.name) for field in fields(progress)}
        keeping = self._insert(imports).values(row).on_conflict_do_update(index_elements=["started_at"], set_=row)
        with self._write() as connection:
            connection.execute(keeping)
            if progress.finished_at is not None:
                connection.execute(sa.delete(imports).where(imports.c.finished_at.is_(None)))
            return Counter(model for _, model in self._add(connection, calls, self._importing))

    def unfinished_imports(self) -> tuple[Import, ...]:
        """The imports that were begun and not finished, the latest first."""
        query = sa.select(imports).where(imports.c.finished_at.is_(None)).order_by(imports.c.started_at.desc())
        with self._read() as connection:
            return tuple(Import(**row) for row in connection.execute(query).mappings())

    def imported_at(self) -> datetime | None:
        """When an import was last finished."""
        with self._read(Access.GLANCE) as connection:
            last: datetime | None = connection.execute(queries.IMPORTED_AT).scalar()
            return last

    def settle(self, calls: Iterable[Request]) -> None:
        """Put the gaps and the verdicts of calls that are on record to those given."""
        judged = list(calls)
        rows = [
            {"of_id": call.prediction_id, "of_model": call.model, "gap": call.gap_s, "found": call.verdict.value}
            for call in judged
        ]
        update = (
            sa.update(requests)
            .where(
                requests.c.prediction_id == sa.bindparam("of_id"),
                requests.c.model == sa.bindparam("of_model"),
            )
            .values(gap_s=sa.bindparam("gap"), verdict=sa.bindparam("found"))
        )
        if rows:
            with self._write() as connection:
                connection.execute(update, rows)
                touch(connection, self._insert, Kind.REQUESTS, [(call.model, call.created_at) for call in judged])

    def open_requests(self, since: datetime) -> tuple[Request, ...]:
        """Customers' calls created at or after `since` that were last seen unfinished."""
        with self._read(Access.GLANCE) as connection:
            found = connection.execute(queries.OPEN_REQUESTS, {"since": since})
            return tuple(request_of(row) for row in found.mappings())

    def salt(self) -> bytes:
        """What hashes of inputs are salted with in this ledger, and in no other."""
        with self._read(Access.GLANCE) as connection:
            return bytes(connection.execute(sa.select(salts.c.salt)).scalar_one())

    def newest_request_at(self, since: datetime | None = None) -> datetime | None:
        """Creation of the newest customer call on record that was seen; of those since then."""
        asked = {"since": since or BEGINNING}
        with self._read(Access.GLANCE) as connection:
            newest: datetime | None = connection.execute(queries.NEWEST_REQUEST_AT, asked).scalar()
            return newest

    def requests(self, *, since: datetime | None = None, model: str | None = None) -> Iterator[Request]:
        """Customers' calls, oldest first."""
        query = sa.select(requests).order_by(requests.c.created_at, requests.c.model, requests.c.prediction_id)
        if since is not None:
            query = query.where(requests.c.created_at >= since)
        if model is not None:
            query = query.where(requests.c.model == model)
        with self._read() as connection:
            for row in connection.execute(query, execution_options=queries.BY_AND_BY).mappings():
                yield request_of(row)

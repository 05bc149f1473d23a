"""What becomes of old rows: they are added up, and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from warmer.core.board import Calls, Marks, Met
from warmer.core.rollup import NEWEST_BEATS, NEWEST_CALLS, BeatSums, CallSums, hour_of, quarter_of
from warmer.ledger import queries, sums
from warmer.ledger.money import ALL_MODELS
from warmer.ledger.rows import met_of
from warmer.ledger.sums import AT, BEGINNING, ROWS, SUMS, Insert, Kind
from warmer.ledger.tables import beats, kept, spending, ticks, touched
from warmer.ledger.transactions import Transactions

TICKS_BY_HOUR = timedelta(days=32)
"""Older ticks are counted by the day, UTC."""
SPENDING_FOR = 4000
"""Quarters of an hour: a month, the longest window of a cap, has 2,980 at most. Not told from the clock, which may be
set: a cap holds all the same."""
_ADD_UP = 20  # models at a time
_LET_GO = 500  # rows at a time
_DAY = timedelta(days=1)
_DAY_US = 24 * sums.HOUR_US
_PARTLY_GONE = sa.select(kept.c.model, kept.c.since).where(
    kept.c.kind == sa.bindparam("kind"), kept.c.since > BEGINNING
)
_OF_THESE = _PARTLY_GONE.where(kept.c.model.in_(sa.bindparam("models", expanding=True)))
_hours = SUMS[Kind.BEATS]
_FIRST_BEAT_AT = (
    sa.select(_hours.c.first_at).where(_hours.c.model == sa.bindparam("model")).order_by(_hours.c.begins).limit(1)
)


class Archive(Transactions):
    """The part of `SqlLedger` that looks after old rows."""

    def beat_sums(self, since: datetime, zone: ZoneInfo, *, model: str | None = None) -> Sequence[BeatSums]:
        """What beats since then add up to, by model, hour, policy and reason."""
        with self._read() as connection:
            return sums.beat_sums(connection, since, zone, model)

    def call_sums(self, since: datetime, zone: ZoneInfo, *, model: str | None = None) -> Sequence[CallSums]:
        """What customers' calls since then add up to, by model and hour."""
        with self._read() as connection:
            return sums.call_sums(connection, since, zone, model)

    def beat_totals(self, since: datetime, until: datetime) -> Sequence[BeatSums]:
        """What finished beats of the hours between add up to, by model, policy and reason."""
        with self._read() as connection:
            return sums.beat_totals(connection, since, until)

    def call_counts(self, since: datetime) -> Mapping[str, Calls]:
        """How many calls customers made of each model, from the full hour of `since` on."""
        with self._read() as connection:
            return sums.call_counts(connection, since)

    def marks(self, model: str, since: datetime) -> Marks:
        """When `model` was used since then, to the SLOT."""
        with self._read() as connection:
            rows = connection.execute(queries.MARKS, {"model": model, "since": since}).all()
        return Marks(
            beats=tuple(row.begins for row in rows if row.is_beat),
            calls=tuple(row.begins for row in rows if not row.is_beat),
            cold=tuple(row.begins for row in rows if row.is_cold),
            beat_count=sum(row.number for row in rows if row.is_beat),
            call_count=sum(row.number for row in rows if not row.is_beat),
        )

    def met(
        self, since: datetime, *, limit: int, model: str | None = None, only_cold_calls: bool = False
    ) -> tuple[Met, ...]:
        """What the latest `limit` beats and calls since then met, oldest first."""
        query = queries.met(limit, one=model is not None, only_cold_calls=only_cold_calls)
        asked = {"since": since} | ({} if model is None else {"model": model})
        with self._read() as connection:
            rows = connection.execute(query, asked).all()
        return tuple(map(met_of, reversed(rows)))

    def add_up(self, before: datetime, zone: ZoneInfo) -> bool:
        """Add up some more of the hours that ended before then. False where none is left."""
        with self._write() as connection:
            return sums.add_up(connection, self._insert, hour_of(before), zone, _ADD_UP)

    def models_on_record(self) -> Sequence[str]:
        """The models of which something was added up."""
        with self._read() as connection:
            return connection.execute(sa.select(kept.c.model).distinct().order_by(kept.c.model)).scalars().all()

    def on_record(self) -> Mapping[str, datetime]:
        """Since when all beats of each model are on record; what was before is gone, but for its sums."""
        with self._read() as connection:
            return _since(connection, Kind.BEATS)

    def let_go(
        self,
        model: str,
        now: datetime,
        *,
        beats: timedelta,
        calls: timedelta,
        newest_beats: int = NEWEST_BEATS,
        newest_calls: int = NEWEST_CALLS,
    ) -> bool:
        """Let some more of the model's rows go that are so old and no more needed. False where none is left.

        Only what was added up goes, by whole hours, and the newest stay whatever their age. From one moment to the next
        the sums count instead of the rows of such an hour; to delete those is of no consequence, so it may take long.
        """
        with self._write() as connection:
            now = _no_later_than_known(connection, now)
            return any(
                _let_go(connection, self._insert, kind, model, now - age, newest)
                for kind, age, newest in (
                    (Kind.BEATS, beats, newest_beats),
                    (Kind.REQUESTS, calls, newest_calls),
                )
            )

    def condense(self, now: datetime) -> bool:
        """Count a day of old ticks by the day, and let the sums of caps go that no cap goes by. False: nothing left."""
        with self._write() as connection:
            of_all = sa.select(spending.c.quarter).where(spending.c.scope == ALL_MODELS)
            first = of_all.order_by(spending.c.quarter.desc()).offset(SPENDING_FOR).limit(1)
            connection.execute(sa.delete(spending).where(spending.c.quarter <= first.scalar_subquery()))
            return _condense_ticks(connection, self._insert, now - TICKS_BY_HOUR)


def _no_later_than_known(connection: sa.Connection, now: datetime) -> datetime:
    """`now`, or the last thing that the provider put its stamp on: nothing grows old by a clock that is set ahead."""
    stamps = (
        sa.select(at).where(at > BEGINNING, table.c.created_at.is_not(None)).order_by(at.desc()).limit(1)
        for table, at in ((ROWS[kind], AT[kind]) for kind in Kind)
    )
    known = [at for stamp in stamps if (at := connection.execute(stamp).scalar()) is not None]
    return min(now, max(known, default=now))


def refused(connection: sa.Connection, calls: Iterable[tuple[str, datetime]]) -> set[tuple[str, datetime]]:
    """Those of the calls, by model and time, that cannot be taken any more.

    Of what is gone nobody can tell any more whether it was there; nor whether it was a beat of ours.
    """
    asked = set(calls)
    models = sorted({model for model, _ in asked})
    gone = _since(connection, Kind.REQUESTS, models)
    ours = _since(connection, Kind.BEATS, models)
    first: dict[str, datetime] = {}
    for model in ours:
        begins = connection.execute(_FIRST_BEAT_AT, {"model": model}).scalar()
        if begins is not None:
            first[model] = begins
    return {
        (model, at)
        for model, at in asked
        if (model in gone and at < gone[model]) or (model in first and first[model] <= at < ours[model])
    }


def _since(connection: sa.Connection, kind: Kind, models: Sequence[str] | None = None) -> dict[str, datetime]:
    """Since when the rows are there, of models of which some are gone."""
    asked = {"kind": kind, "models": models}
    rows = connection.execute(_PARTLY_GONE, {"kind": kind}) if models is None else connection.execute(_OF_THESE, asked)
    return {row.model: row.since for row in rows}


def _let_go(connection: sa.Connection, insert: Insert, kind: Kind, model: str, before: datetime, newest: int) -> bool:
    table, at = ROWS[kind], AT[kind]
    own = sa.select(at).where(table.c.model == model)
    oldest = connection.execute(own.order_by(at).limit(1)).scalar()
    if oldest is None or oldest >= before:
        return False
    since = _seal(connection, insert, kind, model, before, newest)
    some = connection.execute(own.where(at < since).order_by(at).offset(_LET_GO - 1).limit(1)).scalar()
    go = (table.c.model == model, at < since, *([] if some is None else [at <= some]))
    if kind is Kind.BEATS:
        _hold(connection, insert, go)
    return connection.execute(sa.delete(table).where(*go)).rowcount > 0


def _seal(connection: sa.Connection, insert: Insert, kind: Kind, model: str, before: datetime, newest: int) -> datetime:
    """From when on the model's rows are kept: of what was before only the sums count from now on."""
    table, at = ROWS[kind], AT[kind]
    own = sa.select(at).where(table.c.model == model)
    marked = sa.select(touched.c.hour).where(touched.c.kind == kind, touched.c.model == model)
    first_kept = connection.execute(own.order_by(at.desc()).offset(newest - 1).limit(1)).scalar()
    ends = [before, first_kept or BEGINNING, connection.execute(marked.order_by(touched.c.hour).limit(1)).scalar()]
    if kind is Kind.BEATS:  # one that is out has an end to come
        ends.append(connection.execute(own.where(beats.c.status.is_(None)).order_by(at).limit(1)).scalar())
    since = _since(connection, kind, [model]).get(model, BEGINNING)
    until = hour_of(min(end for end in ends if end is not None))
    if until <= since:
        return since
    keeping = insert(kept).values(kind=kind, model=model, since=until)
    connection.execute(keeping.on_conflict_do_update(index_elements=["kind", "model"], set_={"since": until}))
    return until


def _hold(connection: sa.Connection, insert: Insert, go: Iterable[sa.ColumnElement[bool]]) -> None:
    """Keep counting what beats reserved whose cost nobody knows: they did run."""
    uncosted = sa.select(beats.c.model, beats.c.claimed_at, beats.c.reserved_micros).where(
        beats.c.cost_micros.is_(None), beats.c.prediction_id.is_not(None), *go
    )
    held: dict[tuple[str, datetime], dict[str, Any]] = {}
    for model, claimed_at, reserved in connection.execute(uncosted):
        for scope in (model, ALL_MODELS):
            quarter = quarter_of(claimed_at)
            row = held.setdefault(
                (scope, quarter),
                {"scope": scope, "quarter": quarter, "micros": 0, "held_micros": 0, "unknown_beats": 0},
            )
            row["held_micros"] += reserved or 0
            row["unknown_beats"] += reserved is None
    if held:
        adding = insert(spending)
        change = {name: spending.c[name] + adding.excluded[name] for name in ("held_micros", "unknown_beats")}
        connection.execute(
            adding.on_conflict_do_update(index_elements=["scope", "quarter"], set_=change), list(held.values())
        )


def _condense_ticks(connection: sa.Connection, insert: Insert, before: datetime) -> bool:
    hour = sums.micros(ticks.c.hour)
    is_hour = hour % sa.literal_column(str(_DAY_US)) != 0
    first = connection.execute(sa.select(sa.func.min(ticks.c.hour)).where(is_hour, ticks.c.hour < before)).scalar()
    if first is None:
        return False
    day = first.astimezone(UTC).replace(hour=0)
    of_day = (ticks.c.hour >= day, ticks.c.hour < day + _DAY)
    counts = sa.select(ticks.c.model, ticks.c.reason, sa.func.sum(ticks.c.count).label("count"))
    rows = [
        {"model": row.model, "hour": day, "reason": row.reason, "count": int(row[2])}
        for row in connection.execute(counts.where(*of_day).group_by(ticks.c.model, ticks.c.reason))
    ]
    connection.execute(sa.delete(ticks).where(*of_day))
    connection.execute(insert(ticks), rows)
    return True

"""The ledger over SQLAlchemy Core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from warmer.core.beat import (
    Answer,
    BeatKey,
    Claim,
    Observation,
    OpenBeat,
    Prediction,
    Reason,
    Request,
    Status,
    Use,
)
from warmer.core.budget import Limit, Spending, in_the_way
from warmer.core.floor import Floor, Spell
from warmer.core.history import Evidence, History
from warmer.core.listing import Import
from warmer.core.past import LONGEST_USE
from warmer.core.price import Cost, Price
from warmer.core.stake import unheld
from warmer.core.units import to_micros
from warmer.core.verdict import BASELINE_WAITS
from warmer.ledger import queries
from warmer.ledger.database import OPTION, Access, Database, explained
from warmer.ledger.money import add_up, spendings
from warmer.ledger.rows import (
    cost_columns,
    dump_request,
    evidence_of,
    floor_of,
    floor_row,
    observation_of,
    open_beat_of,
    request_of,
    request_row,
    use_of,
)
from warmer.ledger.spells import OPEN_FLOORS, keep_spell, spells_of
from warmer.ledger.tables import beat_at, beats, floors, imports, notes, requests, salts, ticks

_BATCH = 500
_BY_AND_BY = {"yield_per": 1000}  # a year of beats is not held in memory
_Call = tuple[Any, ...]  # prediction id and model
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class SqlLedger:
    """Implements the `Ledger` port. Every method is one transaction."""

    def __init__(self, engine: sa.Engine, database: Database) -> None:
        self._engine, self._database = engine, database
        # Whether a row was inserted or was there is told by their number, which not every driver keeps by itself.
        self._by_access = {
            access: engine.execution_options(**{OPTION: access, "preserve_rowcount": True}) for access in Access
        }
        self._insert = database.insert

    @contextmanager
    def _write(self, access: Access = Access.ALONE) -> Iterator[sa.Connection]:
        with explained(self._database), self._by_access[access].begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with explained(self._database), self._by_access[Access.READ].connect() as connection:
            yield connection

    # -- beats -------------------------------------------------------------------------------------------------------

    def claim(self, claim: Claim) -> Answer:
        """Write down the intent to send and reserve its money, unless the beat is claimed already or passes a cap."""
        key, reserve = claim.key, claim.reserve_usd
        row = {
            "model": key.model,
            "instance": key.instance,
            "slot": key.slot,
            "policy": claim.policy,
            "reason": claim.reason.value,
            "claimed_at": claim.at,
            "request": dump_request(claim.request),
            "reserved_micros": None if reserve is None else to_micros(reserve),
            "reserved_until": claim.at + claim.request.deadline,
        }
        with self._write() as connection:  # nobody else writes from here to the end: what is left stays left
            if reserve is not None:
                stopped_by = in_the_way(spendings(connection, claim.limits, claim.at), reserve)
                if stopped_by is not None:
                    is_known = connection.execute(sa.select(beats.c.slot).where(*_is(key))).first() is not None
                    return Answer(taken=False, stopped_by=None if is_known else stopped_by)
            result = connection.execute(self._insert(beats).values(row).on_conflict_do_nothing())
            return Answer(taken=result.rowcount == 1)

    def sent(self, key: BeatKey, prediction: Prediction) -> bool:
        """The provider accepted the beat. False, and nothing is changed, where the prediction is another beat's."""
        of_another = sa.select(beats.c.slot).where(beats.c.prediction_id == prediction.id, sa.not_(sa.and_(*_is(key))))
        with self._write(Access.BESIDE) as connection:
            if connection.execute(of_another).first() is not None:
                return False
            # The account's list may have shown it as a stranger's before its id was known to be ours.
            connection.execute(sa.delete(requests).where(requests.c.prediction_id == prediction.id))
            connection.execute(
                sa.update(beats)
                .where(*_is(key), sa.or_(beats.c.status.is_(None), _given_up()))
                .values(prediction_id=prediction.id, created_at=prediction.created_at)
            )
            return True

    def finish(self, key: BeatKey, observation: Observation, settled: Mapping[str, Cost] | None = None) -> bool:
        """Record how the beat ended, and what earlier ones are known to have cost. False where that was on record."""
        may_be_out = observation.status is Status.UNKNOWN
        micros = None if observation.cost_usd is None else to_micros(observation.cost_usd)
        facts = {
            "prediction_id": observation.prediction_id,
            # None where it never reached the provider; where that is not known, it counts as a beat.
            "created_at": observation.created_at if observation.prediction_id or may_be_out else None,
            "started_at": observation.started_at,
            "completed_at": observation.completed_at,
            "gap_s": observation.gap_s,
            "wait_s": observation.wait_s,
            "run_s": observation.run_s,
            "verdict": observation.verdict.value,
            "status": observation.status.value,
            "error": observation.error,
            **cost_columns(observation.cost),
            "price": observation.price,
            "billing": observation.billing.value if observation.billing else None,
            "version": observation.version,
            "request": None,
        }
        # What an earlier beat cost is changed by what it was.
        with self._write(Access.ALONE if settled else Access.BESIDE) as connection:
            if observation.prediction_id:
                connection.execute(sa.delete(requests).where(requests.c.prediction_id == observation.prediction_id))
            # Whoever sent it knows better than who gave it up for lost, by a clock that was ahead.
            is_open = sa.or_(beats.c.status.is_(None), sa.and_(_given_up(), sa.literal(not may_be_out)))
            result = connection.execute(sa.update(beats).where(*_is(key), is_open).values(facts))
            is_news = result.rowcount == 1
            if is_news and micros:
                add_up(connection, self._insert, key, micros)
            for prediction_id, cost in (settled or {}).items() if is_news else ():
                self._settle_cost(connection, prediction_id, cost)
            return is_news

    def spendings(self, limits: Iterable[Limit], at: datetime) -> tuple[Spending, ...]:
        """What counts against each of the limits at `at`, our own clock."""
        with self._read() as connection:
            return spendings(connection, limits, at)

    def _settle_cost(self, connection: sa.Connection, prediction_id: str, cost: Cost) -> None:
        by_id = beats.c.prediction_id == prediction_id
        columns = cost_columns(cost)
        was = connection.execute(sa.select(beats).where(by_id)).mappings().one()
        connection.execute(sa.update(beats).where(by_id).values(columns))
        if change := (columns["cost_micros"] or 0) - (was["cost_micros"] or 0):
            key = BeatKey(model=was["model"], slot=was["slot"], instance=was["instance"])
            add_up(connection, self._insert, key, change)

    def open_beats(self) -> tuple[OpenBeat, ...]:
        """Beats that were claimed and are not finished, oldest first."""
        query = sa.select(beats).where(beats.c.status.is_(None)).order_by(beats.c.claimed_at)
        with self._read() as connection:
            return tuple(open_beat_of(row) for row in connection.execute(query).mappings())

    def history(self, model: str) -> History:
        """What is known of one model."""
        asked = {"model": model}
        with self._read() as connection:
            open_row = connection.execute(queries.OPEN_BEAT, asked).mappings().first()
            ends = connection.execute(queries.LAST_ENDS, asked).scalars()
            return History(
                slots=connection.execute(queries.LAST_SLOT, asked).scalar() or 0,
                open_beat=open_beat_of(open_row) if open_row else None,
                last_beat_at=connection.execute(queries.LAST_BEAT_AT, asked).scalar(),
                last_activity=max((end for end in ends if end is not None), default=None),
                running_since=max(connection.execute(queries.RUNNING_SINCE, asked).scalars(), default=None),
                warm_waits=tuple(connection.execute(queries.WARM_WAITS, asked).scalars().fetchmany(BASELINE_WAITS)),
            )

    def known_beats(self, prediction_ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids that are beats of ours."""
        with self._read() as connection:
            return frozenset(known for (known,) in _among(connection, list(prediction_ids), beats.c.prediction_id))

    def beats(self, *, since: datetime | None = None, model: str | None = None) -> Iterator[Observation]:
        """Finished beats, oldest first."""
        query = sa.select(beats).where(beats.c.status.is_not(None)).order_by(beat_at, beats.c.model, beats.c.slot)
        if since is not None:
            query = query.where(beat_at >= since)
        if model is not None:
            query = query.where(beats.c.model == model)
        with self._read() as connection:
            for row in connection.execute(query, execution_options=_BY_AND_BY).mappings():
                yield observation_of(row)

    def latest_beat(self, model: str, *, sent: bool = False) -> Observation | None:
        """The finished beat of `model` that was created last. `sent`: of those that reached the provider."""
        query = (
            sa.select(beats)
            .where(beats.c.model == model, beats.c.status.is_not(None))
            .order_by(beat_at.desc(), beats.c.slot.desc())
            .limit(1)
        )
        if sent:
            query = query.where(beats.c.prediction_id.is_not(None))
        with self._read() as connection:
            row = connection.execute(query).mappings().first()
            return observation_of(row) if row else None

    # -- customers' calls --------------------------------------------------------------------------------------------

    def add_requests(self, calls: Iterable[Request]) -> int:
        """Record customers' calls, once each; a later reading completes an earlier one. Returns how many were new."""
        insert = self._insert(requests)
        # An older reading, written late by another process, does not undo the end of a call.
        has_ended = sa.and_(*(insert.excluded.status != status for status in queries.OPEN))
        with self._write() as connection:
            return len(self._add(connection, calls, sa.or_(_is_open(requests), has_ended)))

    def _add(self, connection: sa.Connection, calls: Iterable[Request], changes: sa.ColumnElement[bool]) -> set[_Call]:
        """Insert the calls that are no beats of ours, or change those on record of which `changes` is true."""
        rows = [request_row(call) for call in calls]
        ids = [row["prediction_id"] for row in rows]
        # Asked here again, not by the caller alone: another process may have sent one of them meanwhile.
        ours = _among(connection, ids, beats.c.prediction_id)
        known = _among(connection, ids, requests.c.prediction_id, requests.c.model)
        rows = [row for row in rows if (row["prediction_id"],) not in ours]
        if rows:
            insert = self._insert(requests)
            keys = ("model", "prediction_id")
            changing: dict[str, Any] = {name: insert.excluded[name] for name in rows[0] if name not in keys}
            # A later reading may not show the input any more.
            changing["input_hash"] = sa.func.coalesce(insert.excluded.input_hash, requests.c.input_hash)
            connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changing, where=changes), rows)
        return {(row["prediction_id"], row["model"]) for row in rows} - known

    def keep_import(self, progress: Import, calls: Iterable[Request] = ()) -> Mapping[str, int]:
        """Record how far an import has come, and the calls it came upon. Returns how many were new, by model."""
        row = {field.name: getattr(progress, field.name) for field in fields(progress)}
        keeping = self._insert(imports).values(row).on_conflict_do_update(index_elements=["started_at"], set_=row)
        with self._write() as connection:
            connection.execute(keeping)
            if progress.finished_at is not None:
                connection.execute(sa.delete(imports).where(imports.c.finished_at.is_(None)))
            return Counter(model for _, model in self._add(connection, calls, _is_open(requests)))

    def unfinished_imports(self) -> tuple[Import, ...]:
        """The imports that were begun and not finished, the latest first."""
        query = sa.select(imports).where(imports.c.finished_at.is_(None)).order_by(imports.c.started_at.desc())
        with self._read() as connection:
            return tuple(Import(**row) for row in connection.execute(query).mappings())

    def imported_at(self) -> datetime | None:
        """When an import was last finished."""
        with self._read() as connection:
            last: datetime | None = connection.execute(sa.select(sa.func.max(imports.c.finished_at))).scalar()
            return last

    def settle(self, calls: Iterable[Request]) -> None:
        """Put the gaps and the verdicts of calls that are on record to those given."""
        rows = [
            {"of_id": call.prediction_id, "of_model": call.model, "gap": call.gap_s, "found": call.verdict.value}
            for call in calls
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

    def open_requests(self, since: datetime) -> tuple[Request, ...]:
        """Customers' calls created at or after `since` that were last seen unfinished."""
        query = sa.select(requests).where(requests.c.status.in_(queries.OPEN), requests.c.created_at >= since)
        with self._read() as connection:
            return tuple(request_of(row) for row in connection.execute(query).mappings())

    def salt(self) -> bytes:
        """What hashes of inputs are salted with in this ledger, and in no other."""
        with self._read() as connection:
            return bytes(connection.execute(sa.select(salts.c.salt)).scalar_one())

    def newest_request_at(self) -> datetime | None:
        """Creation of the newest customer call on record."""
        with self._read() as connection:
            newest: datetime | None = connection.execute(sa.select(sa.func.max(requests.c.created_at))).scalar()
            return newest

    def requests(self, *, since: datetime | None = None, model: str | None = None) -> Iterator[Request]:
        """Customers' calls, oldest first."""
        query = sa.select(requests).order_by(requests.c.created_at, requests.c.model, requests.c.prediction_id)
        if since is not None:
            query = query.where(requests.c.created_at >= since)
        if model is not None:
            query = query.where(requests.c.model == model)
        with self._read() as connection:
            for row in connection.execute(query, execution_options=_BY_AND_BY).mappings():
                yield request_of(row)

    # -- both --------------------------------------------------------------------------------------------------------

    def uses(self, model: str, start: datetime, end: datetime) -> tuple[Use, ...]:
        """Beats and calls of `model` that were waiting or running at some time from `start` to `end`."""
        # Nothing runs longer than the provider allows, which makes an index range of the earliest.
        asked = {"model": model, "earliest": start - LONGEST_USE, "start": start, "end": end}
        with self._read() as connection:
            found = [use_of(row) for query in queries.USES for row in connection.execute(query, asked).mappings()]
        return tuple(sorted(found, key=lambda use: use.created_at))

    def last_activity_before(self, model: str, moment: datetime) -> datetime | None:
        """End of the model's last use that had ended by `moment`; `moment` itself where one was still going on."""
        if any(use.created_at < moment and _reaches(use, moment) for use in self.uses(model, moment, moment)):
            return moment
        with self._read() as connection:
            ends = connection.execute(queries.LAST_ENDS_BEFORE, {"model": model, "moment": moment}).scalars()
            return max((end for end in ends if end is not None), default=None)

    def evidence(self, model: str, *, since: datetime | None = None, limit: int) -> tuple[Evidence, ...]:
        """What the latest `limit` beats and calls that ended after `since` met, oldest first; unsure ones left out."""
        asked = {"model": model, "since": since or _BEGINNING, "limit": limit}
        with self._read() as connection:
            rows = connection.execute(queries.EVIDENCE, asked).mappings().all()
        return tuple(map(evidence_of, reversed(rows)))

    def call_times(self, model: str, *, after: datetime | None = None) -> tuple[datetime, ...]:
        """When customers called `model`, later than `after`, in order."""
        with self._read() as connection:
            return tuple(
                connection.execute(queries.CALL_TIMES, {"model": model, "after": after or _BEGINNING}).scalars()
            )

    # -- floors ------------------------------------------------------------------------------------------------------

    def floor(self, deployment: str) -> Floor | None:
        """The latest raise of that deployment's floor, whether it has ended or not."""
        query = sa.select(floors).where(floors.c.deployment == deployment).order_by(floors.c.number.desc()).limit(1)
        with self._read() as connection:
            row = connection.execute(query).mappings().first()
            return floor_of(row) if row else None

    def open_floors(self) -> tuple[Floor, ...]:
        """The raises that have not ended."""
        with self._read() as connection:
            return tuple(floor_of(row) for row in connection.execute(OPEN_FLOORS).mappings())

    def keep_floor(
        self,
        floor: Floor,
        *,
        at: datetime,
        price: Price | None = None,
        limits: Iterable[Limit] = (),
        since: datetime | None = None,
    ) -> Answer:
        """Write a raise down, or how it goes on, and what it holds. Not taken where another process has meanwhile.

        `at`: now, by our own clock. `price`: of a second of one of its instances. Nor taken where it would pass one of
        `limits`, counted as if it were held from `since` on.
        """
        row = floor_row(floor, price)
        before = (
            floors.c.deployment == floor.deployment,
            floors.c.number == floor.number,
            floors.c.revision == floor.revision - 1,
        )
        known = None
        with self._write() as connection:
            if floor.revision == 1:
                result = connection.execute(self._insert(floors).values(row).on_conflict_do_nothing())
            else:
                known = connection.execute(sa.select(floors).where(*before)).mappings().first()
                result = connection.execute(sa.update(floors).where(*before).values(row))
            if result.rowcount != 1:
                return Answer(taken=False)
            was = floor_of(known) if known else None
            keep_spell(connection, self._insert, floor, was, at=at, price=price)
            counting = spendings(connection, limits, at, unheld(floor, price, since, at))
            over = in_the_way(counting, Decimal(0))
            if over is not None:
                connection.rollback()
            return Answer(taken=over is None, stopped_by=over)

    def floor_spells(self, since: datetime) -> tuple[Spell, ...]:
        """For how long floors were raised, by how many instances: what went on after `since`, our own clock."""
        with self._read() as connection:
            return spells_of(connection, since)

    # -- ticks -------------------------------------------------------------------------------------------------------

    def count_tick(self, model: str, reason: Reason, at: datetime) -> None:
        """One more tick of `model` ended with `reason`."""
        insert = self._insert(ticks).values(model=model, hour=_hour(at), reason=reason.value, count=1)
        upsert = insert.on_conflict_do_update(
            index_elements=["model", "hour", "reason"], set_={"count": ticks.c.count + 1}
        )
        with self._write(Access.BESIDE) as connection:
            connection.execute(upsert)

    def ticks(self, since: datetime) -> Mapping[tuple[str, Reason], int]:
        """How many ticks ended with which reason, by model, in the hours from `since` on."""
        query = (
            sa.select(ticks.c.model, ticks.c.reason, sa.func.sum(ticks.c.count))
            .where(ticks.c.hour >= _hour(since))
            .group_by(ticks.c.model, ticks.c.reason)
        )
        with self._read() as connection:
            return {(model, Reason(reason)): int(count) for model, reason, count in connection.execute(query)}

    def try_writing(self) -> None:
        """Write the schema's revision over itself: through to disk, as a claim is."""
        with self._write(Access.BESIDE) as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")

    # -- notes -------------------------------------------------------------------------------------------------------

    def change_note(self, name: str, change: Callable[[str, float], str]) -> None:
        """Put what `change` makes of it in the place of what is kept under `name`, in one step over all processes."""
        mine = notes.c.name == name
        with self._write(Access.BESIDE) as connection:
            connection.execute(self._insert(notes).values(name=name, value="").on_conflict_do_nothing())
            kept: str = connection.execute(sa.select(notes.c.value).where(mine).with_for_update()).scalar_one()
            now: float = connection.exec_driver_sql(self._database.now).scalar_one()
            value = change(kept, now)
            if value != kept:
                connection.execute(sa.update(notes).where(mine).values(value=value))

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def _is_open(table: sa.Table) -> sa.ColumnElement[bool]:
    # No IN: it cannot be executed for many rows at once.
    return sa.or_(*(table.c.status == status for status in queries.OPEN))


def _given_up() -> sa.ColumnElement[bool]:
    """Whether a beat was closed because nobody found it: its end, and what it cost, were never seen."""
    return sa.and_(
        beats.c.status == Status.UNKNOWN.value, beats.c.completed_at.is_(None), beats.c.cost_micros.is_(None)
    )


def _is(key: BeatKey) -> tuple[sa.ColumnElement[bool], ...]:
    return (beats.c.model == key.model, beats.c.instance == key.instance, beats.c.slot == key.slot)


def _among(
    connection: sa.Connection, ids: Sequence[str], by: sa.ColumnElement[Any], *others: sa.ColumnElement[Any]
) -> set[tuple[Any, ...]]:
    """`by` and `others` of the rows whose `by` is one of `ids`: asked in batches, a statement takes so many values."""
    found = set[tuple[Any, ...]]()
    for start in range(0, len(ids), _BATCH):
        rows = connection.execute(sa.select(by, *others).where(by.in_(ids[start : start + _BATCH])))
        found.update(tuple(row) for row in rows)
    return found


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _reaches(use: Use, moment: datetime) -> bool:
    return use.status.is_open or (use.completed_at is not None and use.completed_at > moment)

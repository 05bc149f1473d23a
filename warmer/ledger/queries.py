"""What is asked for every tick and beat, put together once: to build a statement takes longer than to run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import IntEnum
from functools import cache
from typing import Any, cast

import sqlalchemy as sa

from warmer.core.beat import Reason, Status, Verdict
from warmer.core.board import SLOT
from warmer.core.idle_timeout import TELLS_FROM_S
from warmer.core.verdict import BASELINE_WAITS
from warmer.ledger.tables import Instant, beat_at, beats, floors, imports, requests

BY_AND_BY = {"yield_per": 1000}
"""An option of what may be long: a year of beats is not held in memory."""
_BATCH = 512
OPEN = (Status.STARTING.value, Status.PROCESSING.value)
"""The statuses of what may still change."""
_SURE = (Verdict.WARM.value, Verdict.COLD.value)
_MODEL = sa.bindparam("model", type_=sa.Text)
_NULL: sa.ColumnElement[Any] = sa.literal_column("NULL")
_IS_OPEN = sa.and_(beats.c.model == _MODEL, beats.c.status.is_(None))
_TABLES = ((beats, beat_at), (requests, requests.c.created_at))


def _fixed(value: str | float) -> sa.ColumnElement[Any]:
    """`value` in the text of a statement: what is bound is handed over, and looked at, each time."""
    kind = sa.Text if isinstance(value, str) else sa.Integer if isinstance(value, int) else sa.Float
    return sa.literal_column(f"'{value}'" if isinstance(value, str) else str(value), kind)


def _is_one_of(column: sa.ColumnElement[Any], values: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.or_(*(column == _fixed(value) for value in values))


def ran(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a row used its model: what was canceled or aborted before it started has used nothing."""
    return sa.or_(table.c.started_at.is_not(None), table.c.status == _fixed(Status.SUCCEEDED.value))


LAST_ENDS_BEFORE = sa.union_all(
    *(
        sa.select(sa.func.max(table.c.completed_at).label("at")).where(
            table.c.model == _MODEL, table.c.completed_at <= sa.bindparam("moment", type_=Instant), ran(table)
        )
        for table, _ in _TABLES
    )
)
USES = sa.union_all(
    *(
        sa.select(
            table.c.prediction_id,
            table.c.status,
            table.c.created_at,
            table.c.started_at,
            table.c.completed_at,
            table.c.wait_s,
        ).where(
            table.c.model == _MODEL,
            table.c.created_at.is_not(None),
            table.c.prediction_id.is_not(None),
            at <= sa.bindparam("end", type_=Instant),
            at >= sa.bindparam("earliest", type_=Instant),
            sa.or_(table.c.completed_at.is_(None), table.c.completed_at >= sa.bindparam("start", type_=Instant)),
        )
        for table, at in _TABLES
    )
)


class Fact(IntEnum):
    """What a row of `HISTORY`, `GLANCE` or `BEFORE` tells."""

    SLOTS = 1  # `number`
    OPEN_SLOT = 2  # `number`
    LAST_BEAT = 3  # `at`, as in the next three
    LAST_CLAIM = 4
    LAST_END = 5
    RUNNING = 6
    WARM_WAIT = 7  # `number`, of what was `at`
    IMPORTED = 8  # `at`
    FIND = 9  # the columns of `rows.evidence_of`
    CALL = 10  # `at`
    USE = 11  # the columns of `rows.use_of`
    END_BEFORE = 12  # `at`


_COLUMNS = {"at": Instant, "number": sa.Float}
_FIND = {"gap_s": sa.Float, "wait_s": sa.Float, "verdict": sa.Text, "version": sa.Text, "price": sa.Text}
_USE = {
    "prediction_id": sa.Text,
    "status": sa.Text,
    "created_at": Instant,
    "started_at": Instant,
    "completed_at": Instant,
    "wait_s": sa.Float,
}
_Parts = tuple[tuple[Fact, sa.Select[Any] | sa.CompoundSelect[Any]], ...]


def _told(parts: _Parts, columns: Mapping[str, Any]) -> sa.CompoundSelect[Any]:
    """One statement: each has a price of its own, and these are asked for several times a beat.

    A part's columns are told by name; what it does not have is null.
    """

    def part(fact: Fact, has: Mapping[str, sa.ColumnElement[Any]], *, is_first: bool) -> sa.Select[Any]:
        # The first one tells of what type each column is. The text is kept short: psycopg reads a long one each time.
        cells = [has.get(name, _NULL) for name in columns]
        if is_first:
            cells = [sa.cast(cell, kind).label(name) for cell, (name, kind) in zip(cells, columns.items(), strict=True)]
        which = _fixed(int(fact))
        return sa.select(which.label("fact") if is_first else which, *cells)

    found = [(fact, dict(query.subquery(f"q{number}").c)) for number, (fact, query) in enumerate(parts)]
    return sa.union_all(*(part(fact, has, is_first=number == 0) for number, (fact, has) in enumerate(found)))


_WARM_WAITS: _Parts = tuple(
    (
        Fact.WARM_WAIT,
        sa.select(at.label("at"), table.c.wait_s.label("number"))
        .where(table.c.model == _MODEL, table.c.wait_s.is_not(None), table.c.verdict != _fixed(Verdict.COLD.value))
        .order_by(at.desc())
        .limit(_fixed(BASELINE_WAITS)),
    )
    for table, at in _TABLES
)
_PARTS: _Parts = (
    (Fact.SLOTS, sa.select(sa.func.max(beats.c.slot).label("number")).where(beats.c.model == _MODEL)),
    (Fact.OPEN_SLOT, sa.select(beats.c.slot.label("number")).where(_IS_OPEN)),
    # The last by its slot: stamps are the provider's, and may be of a clock that was wrong.
    *(
        (
            fact,
            sa.select(at.label("at"))
            .where(beats.c.model == _MODEL, beats.c.created_at.is_not(None))
            .order_by(beats.c.slot.desc())
            .limit(_fixed(1)),
        )
        for fact, at in ((Fact.LAST_BEAT, beats.c.created_at), (Fact.LAST_CLAIM, beats.c.claimed_at))
    ),
    (
        Fact.LAST_END,
        sa.select(beats.c.completed_at.label("at"))
        .where(beats.c.model == _MODEL, beats.c.completed_at.is_not(None), ran(beats))
        .order_by(beats.c.slot.desc())
        .limit(_fixed(1)),
    ),
    (
        Fact.LAST_END,
        sa.select(sa.func.max(requests.c.completed_at).label("at")).where(requests.c.model == _MODEL, ran(requests)),
    ),
    # By having no end, which few of a model's calls have and an index knows; the newest of them is sought by the
    # caller, because a MAX would lead SQLite to go through all calls by time.
    (
        Fact.RUNNING,
        sa.select(requests.c.created_at.label("at")).where(
            requests.c.model == _MODEL, requests.c.completed_at.is_(None), _is_one_of(requests.c.status, OPEN)
        ),
    ),
    *_WARM_WAITS,
)
HISTORY = _told(_PARTS, _COLUMNS)
BEFORE = _told(((Fact.USE, USES), (Fact.END_BEFORE, LAST_ENDS_BEFORE), *_WARM_WAITS), _COLUMNS | _USE)
OPEN_BEAT = sa.select(beats).where(_IS_OPEN).order_by(beats.c.slot)
OPEN_BEATS = sa.select(beats).where(beats.c.status.is_(None)).order_by(beats.c.claimed_at)
_IS_SINCE = requests.c.created_at >= sa.bindparam("since", type_=Instant)
OPEN_REQUESTS = sa.select(requests).where(_is_one_of(requests.c.status, OPEN), _IS_SINCE)
FLOOR = (
    sa.select(floors)
    .where(floors.c.deployment == sa.bindparam("deployment", type_=sa.Text))
    .order_by(floors.c.number.desc())
    .limit(_fixed(1))
)
_MET = sa.union_all(
    *(
        sa.select(
            table.c.completed_at.label("at"),
            table.c.gap_s,
            table.c.verdict,
            table.c.wait_s,
            table.c.version,
            price.label("price"),
        ).where(
            table.c.model == _MODEL,
            table.c.completed_at > sa.bindparam("since", type_=Instant),
            _is_one_of(table.c.verdict, _SURE),
            # What says nothing of a time-out is most of a busy model's calls.
            sa.or_(
                table.c.gap_s >= _fixed(TELLS_FROM_S),
                sa.and_(table.c.gap_s.is_(None), table.c.verdict == _fixed(Verdict.COLD.value)),
            ),
        )
        for table, price in ((beats, beats.c.price), (requests, sa.null()))
    )
)
EVIDENCE = _MET.order_by(sa.desc("at")).limit(sa.bindparam("limit", type_=sa.Integer))
IMPORTED_AT = sa.select(sa.func.max(imports.c.finished_at).label("at"))
_CALL_AT = sa.select(requests.c.created_at.label("at")).where(requests.c.model == _MODEL)
_AFTER = sa.bindparam("after", type_=Instant)
_AFTERWARDS = _CALL_AT.where(requests.c.created_at > _AFTER)
CALL_TIMES = _AFTERWARDS.order_by(requests.c.created_at)
_BEFORE = (
    _CALL_AT.where(requests.c.created_at <= _AFTER)
    .order_by(requests.c.created_at.desc())
    .limit(sa.bindparam("before", type_=sa.Integer))
)
GLANCE = _told(
    (*_PARTS, (Fact.IMPORTED, IMPORTED_AT), (Fact.FIND, EVIDENCE), (Fact.CALL, _AFTERWARDS), (Fact.CALL, _BEFORE)),
    _COLUMNS | _FIND,
)


@cache
def met(limit: int, *, one: bool, only_cold_calls: bool = False) -> sa.Select[Any]:
    """The latest `limit` of what beats and calls met since `since`; of one model, or of all."""
    parts = []
    for table, at in _TABLES:
        is_beat = table is beats
        wanted = [at >= sa.bindparam("since", type_=Instant)]
        if one:
            wanted.append(table.c.model == _MODEL)
        wanted.append(table.c.status.is_not(None))
        newest = (
            sa.select(
                table.c.model,
                at.label("at"),
                table.c.wait_s,
                table.c.gap_s,
                table.c.verdict,
                (table.c.reason if is_beat else sa.cast(sa.null(), sa.Text)).label("reason"),
                table.c.status,
                (table.c.error if is_beat else sa.cast(sa.null(), sa.Text)).label("error"),
                (table.c.cost_micros if is_beat else sa.cast(sa.null(), sa.BigInteger)).label("cost_micros"),
            )
            .where(*wanted)
            .order_by(at.desc())
            .limit(limit)
        ).subquery()
        which = sa.select(newest)
        if only_cold_calls and not is_beat:
            which = which.where(newest.c.verdict == _fixed(Verdict.COLD.value))
        parts.append(which)
    both = sa.union_all(*parts).subquery()
    return sa.select(both).order_by(both.c.at.desc()).limit(limit)


_SLOT_US = SLOT // timedelta(microseconds=1)


def _slots(table: sa.Table, at: sa.ColumnElement[Any], is_beat: int) -> sa.Select[Any]:
    number = sa.type_coerce(at, sa.BigInteger)
    begins = number - number % sa.literal_column(str(_SLOT_US))
    is_cold = sa.func.max(sa.case((table.c.verdict == _fixed(Verdict.COLD.value), _fixed(1)), else_=_fixed(0)))
    found: Any = (
        sa.select(
            _fixed(is_beat).label("is_beat"),
            sa.type_coerce(begins, Instant).label("begins"),
            sa.func.count().label("number"),
            is_cold.label("is_cold"),
        )
        .where(table.c.model == _MODEL, at >= sa.bindparam("since", type_=Instant))
        .group_by(begins)
    )
    return cast("sa.Select[Any]", found)


MARKS = sa.union_all(*(_slots(table, at, int(table is beats)) for table, at in _TABLES))
_IS = sa.and_(
    beats.c.model == sa.bindparam("of_model"),
    beats.c.slot == sa.bindparam("of_slot"),
    beats.c.instance == sa.bindparam("of_instance"),
)
_SOUGHT = sa.bindparam("sought", type_=sa.Text)
# Closed because nobody found it: its end, and what it cost, were never seen.
_is_given_up = sa.and_(
    beats.c.status == _fixed(Status.UNKNOWN.value), beats.c.completed_at.is_(None), beats.c.cost_micros.is_(None)
)


class Kept(IntEnum):
    """What a row of `KEPT_OF` is."""

    OWN = 1  # the beat, of when it was claimed and `at` the hour of which it counts
    OTHERS = 2  # another beat, which has the prediction that is sought
    STRANGER = 3  # a customer's call that is the prediction which is sought


def _kept(kept: Kept, table: sa.Table, at: sa.ColumnElement[Any], claimed_at: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(
        _fixed(int(kept)).label("kept"),
        table.c.model,
        sa.type_coerce(at, Instant).label("at"),
        sa.cast(claimed_at, Instant).label("claimed_at"),
    )


CLAIMED = sa.select(beats.c.claimed_at).where(_IS)
KEPT_OF = sa.union_all(
    _kept(Kept.OWN, beats, beat_at, beats.c.claimed_at).where(_IS),
    _kept(Kept.OTHERS, beats, beat_at, sa.null()).where(beats.c.prediction_id == _SOUGHT, sa.not_(_IS)),
    _kept(Kept.STRANGER, requests, requests.c.created_at, sa.null()).where(requests.c.prediction_id == _SOUGHT),
)
SENT = sa.update(beats).where(_IS, beats.c.status.is_(None))
FOUND = sa.update(beats).where(_IS, _is_given_up)
# Whoever sent it knows better than who gave it up for lost, by a clock that was ahead.
FINISH = sa.update(beats).where(
    _IS, sa.or_(beats.c.status.is_(None), sa.and_(_is_given_up, sa.bindparam("is_seen", type_=sa.Boolean)))
)
LATEST_BEAT = (
    sa.select(beats)
    .where(beats.c.model == _MODEL, beats.c.status.is_not(None))
    .order_by(beat_at.desc(), beats.c.slot.desc())
    .limit(_fixed(1))
)
LATEST_BEATS = LATEST_BEAT.limit(None).limit(sa.bindparam("limit", type_=sa.Integer))
LATEST_SENT = LATEST_BEAT.where(beats.c.prediction_id.is_not(None))
VERDICTS = (
    sa.select(beats.c.verdict)
    .where(
        beats.c.model == _MODEL,
        beats.c.reason != _fixed(Reason.PROBE.value),
        _is_one_of(beats.c.verdict, _SURE),
    )
    .order_by(beat_at.desc(), beats.c.slot.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
WAS_TOLD = requests.c.status == _fixed(Status.UNKNOWN.value)
"""Whether nobody has seen a call but who made it."""
NEWEST_REQUEST_AT = (
    sa.select(requests.c.created_at)
    .where(sa.not_(WAS_TOLD), _IS_SINCE)
    .order_by(requests.c.created_at.desc())
    .limit(_fixed(1))
)
# No IN: it cannot be executed for many rows at once.
MAY_CHANGE = sa.or_(WAS_TOLD, *(requests.c.status == _fixed(status) for status in OPEN))
"""Whether a later reading of the account's list may know more of a call."""


def among(
    connection: sa.Connection, ids: Sequence[str], by: sa.ColumnElement[Any], *others: sa.ColumnElement[Any]
) -> set[tuple[Any, ...]]:
    """`by` and `others` of the rows whose `by` is one of `ids`: asked in batches, a statement takes so many values."""
    found = set[tuple[Any, ...]]()
    for start in range(0, len(ids), _BATCH):
        batch = [*ids[start : start + _BATCH]]
        # Filled up, so that there are few lengths: a statement of each is kept, with room for all of its values.
        batch += batch[:1] * ((1 << (len(batch) - 1).bit_length()) - len(batch))
        found.update(tuple(row) for row in connection.execute(_sought(by, *others), {"ids": batch}))
    return found


@cache
def _sought(by: sa.ColumnElement[Any], *others: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(by, *others).where(by.in_(sa.bindparam("ids", expanding=True)))

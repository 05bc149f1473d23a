"""What is asked for every tick, put together once: to build a statement takes longer than to run it."""

from __future__ import annotations

import sqlalchemy as sa

from warmer.core.beat import Status, Verdict
from warmer.core.idle_timeout import TELLS_FROM_S
from warmer.core.verdict import BASELINE_WAITS
from warmer.ledger.tables import Instant, beat_at, beats, requests

OPEN = (Status.STARTING.value, Status.PROCESSING.value)
"""The statuses of what may still change."""
_MODEL = sa.bindparam("model", type_=sa.Text)
_TABLES = ((beats, beat_at), (requests, requests.c.created_at))


def ran(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a row used its model: what was canceled or aborted before it started has used nothing."""
    return sa.or_(table.c.started_at.is_not(None), table.c.status == Status.SUCCEEDED.value)


LAST_SLOT = sa.select(sa.func.max(beats.c.slot)).where(beats.c.model == _MODEL)
LAST_BEAT_AT = (
    sa.select(beats.c.created_at)
    .where(beats.c.model == _MODEL, beats.c.created_at.is_not(None))
    .order_by(beat_at.desc())
    .limit(1)
)
OPEN_BEAT = sa.select(beats).where(beats.c.model == _MODEL, beats.c.status.is_(None)).order_by(beats.c.slot)
LAST_ENDS = sa.union_all(
    *(sa.select(sa.func.max(table.c.completed_at)).where(table.c.model == _MODEL, ran(table)) for table, _ in _TABLES)
)
LAST_ENDS_BEFORE = sa.union_all(
    *(
        sa.select(sa.func.max(table.c.completed_at)).where(
            table.c.model == _MODEL, table.c.completed_at <= sa.bindparam("moment", type_=Instant), ran(table)
        )
        for table, _ in _TABLES
    )
)
USES = tuple(
    sa.select(table).where(
        table.c.model == _MODEL,
        table.c.created_at.is_not(None),
        table.c.prediction_id.is_not(None),
        at <= sa.bindparam("end", type_=Instant),
        at >= sa.bindparam("earliest", type_=Instant),
        sa.or_(table.c.completed_at.is_(None), table.c.completed_at >= sa.bindparam("start", type_=Instant)),
    )
    for table, at in _TABLES
)
# By having no end, which few of a model's calls have and an index knows; the newest of them is sought by the caller,
# because a MAX would lead SQLite to go through all calls by time.
RUNNING_SINCE = sa.select(requests.c.created_at).where(
    requests.c.model == _MODEL, requests.c.completed_at.is_(None), requests.c.status.in_(OPEN)
)
_waits = sa.union_all(
    *(
        sa.select(
            sa.select(at.label("at"), table.c.wait_s)
            .where(table.c.model == _MODEL, table.c.wait_s.is_not(None), table.c.verdict != Verdict.COLD.value)
            .order_by(at.desc())
            .limit(BASELINE_WAITS)
            .subquery()
        )
        for table, at in _TABLES
    )
).subquery()
WARM_WAITS = sa.select(_waits.c.wait_s).order_by(_waits.c.at.desc())
_met = sa.union_all(
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
            table.c.verdict.in_((Verdict.WARM.value, Verdict.COLD.value)),
            # What says nothing of a time-out is most of a busy model's calls.
            sa.or_(
                table.c.gap_s >= TELLS_FROM_S,
                sa.and_(table.c.gap_s.is_(None), table.c.verdict == Verdict.COLD.value),
            ),
        )
        for table, price in ((beats, beats.c.price), (requests, sa.null()))
    )
).subquery()
EVIDENCE = sa.select(_met).order_by(_met.c.at.desc()).limit(sa.bindparam("limit", type_=sa.Integer))
CALL_TIMES = (
    sa.select(requests.c.created_at)
    .where(requests.c.model == _MODEL, requests.c.created_at > sa.bindparam("after", type_=Instant))
    .order_by(requests.c.created_at)
)

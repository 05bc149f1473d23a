"""What beats and floors cost, added up against the limits that they are claimed under."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from warmer.core.budget import Limit, Spending
from warmer.core.rollup import quarter_of
from warmer.core.stake import Stake, counted
from warmer.core.units import from_micros
from warmer.ledger.spells import stakes_of
from warmer.ledger.tables import Instant, beats, spending

ALL_MODELS = ""
_SCOPE, _START, _END, _AT = (
    sa.bindparam(name, type_=kind)
    for name, kind in (("scope", sa.Text), ("start", Instant), ("end", Instant), ("at", Instant))
)
_KNOWN = sa.select(
    sa.func.coalesce(sa.func.sum(spending.c.micros + spending.c.held_micros), 0),
    sa.func.coalesce(sa.func.sum(spending.c.unknown_beats), 0),
).where(spending.c.scope == _SCOPE, spending.c.quarter >= _START, spending.c.quarter < _END)
# Out, or lost on its way: until its deadline it may yet turn out to have reached the provider.
_may_be_out = sa.or_(beats.c.status.is_(None), sa.and_(beats.c.prediction_id.is_(None), beats.c.reserved_until > _AT))
# It did run, and nobody will ever know for what.
_is_held = sa.and_(beats.c.status.is_not(None), beats.c.prediction_id.is_not(None))
# The most it may have cost is not known either: it was sent without a price, when no cap bound it.
_is_beyond_reckoning = sa.and_(beats.c.reserved_micros.is_(None), sa.or_(_is_held, _may_be_out))
_UNCOSTED_OF_ALL = sa.select(
    *(
        sa.func.coalesce(sa.func.sum(sa.case((counts, micros), else_=0)), 0)
        for counts, micros in (
            (_is_held, beats.c.reserved_micros),
            (_may_be_out, beats.c.reserved_micros),
            (_is_beyond_reckoning, 1),
        )
    )
).where(
    beats.c.cost_micros.is_(None),
    beats.c.claimed_at >= _START,
    beats.c.claimed_at < _END,
)
_UNCOSTED_OF_ONE = _UNCOSTED_OF_ALL.where(beats.c.model == _SCOPE)


def _spent(uncosted: sa.Select[Any]) -> sa.Select[Any]:
    """One row of both."""
    parts = _KNOWN.subquery("known"), uncosted.subquery("uncosted")
    return sa.select(*(column for part in parts for column in part.c)).select_from(parts[0].join(parts[1], sa.true()))


_SPENT_BY_ONE, _SPENT_BY_ALL = _spent(_UNCOSTED_OF_ONE), _spent(_UNCOSTED_OF_ALL)


def spendings(connection: sa.Connection, limits: Iterable[Limit], at: datetime, *more: Stake) -> tuple[Spending, ...]:
    """What counts against each limit at `at`: known costs, the reservations of beats whose cost is not, and floors.

    `more` counts as if it were held, too.
    """
    asked = tuple(limits)
    if not asked:
        return ()
    held = (*stakes_of(connection, min(limit.start for limit in asked), at), *more)
    return tuple(_of_beats(connection, limit, at) + counted(held, limit, at) for limit in asked)


def _of_beats(connection: sa.Connection, limit: Limit, at: datetime) -> Spending:
    asked = {"scope": limit.cap.model or ALL_MODELS, "start": limit.start, "end": limit.end, "at": at}
    query = _SPENT_BY_ONE if limit.cap.model else _SPENT_BY_ALL
    known, beyond, held, reserved, unknown = connection.execute(query, asked).one()
    return Spending(
        limit=limit, settled_usd=_usd(known + held), reserved_usd=_usd(reserved), unknown_beats=int(beyond + unknown)
    )


def add_up(
    connection: sa.Connection, insert: Callable[[sa.Table], Any], model: str, claimed_at: datetime, micros: int
) -> None:
    """Count the cost of a beat that has just ended, in the quarter of an hour that it was claimed in."""
    quarter = quarter_of(claimed_at)
    adding = insert(spending).values(
        [{"scope": scope, "quarter": quarter, "micros": micros} for scope in (model, ALL_MODELS)]
    )
    connection.execute(
        adding.on_conflict_do_update(
            index_elements=["scope", "quarter"], set_={"micros": spending.c.micros + adding.excluded.micros}
        )
    )


def _usd(micros: int) -> Decimal:
    return from_micros(int(micros))

"""What raised floors held, kept as it changes: for how long, how many instances, at which price."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from warmer.core.floor import Floor, Spell, changed_at, raised_by
from warmer.core.price import Price
from warmer.core.stake import Stake, stakes
from warmer.ledger.rows import dump_price, floor_of, price_in
from warmer.ledger.tables import Instant, floor_spells, floors

OPEN_FLOORS = sa.select(floors).where(floors.c.ended_at.is_(None)).order_by(floors.c.deployment)
_SPELLS = (
    sa.select(floor_spells)
    .where(
        sa.or_(floor_spells.c.lowered_at.is_(None), floor_spells.c.lowered_at > sa.bindparam("since", type_=Instant))
    )
    .order_by(floor_spells.c.raised_at, floor_spells.c.deployment)
)


def keep_spell(
    connection: sa.Connection,
    insert: Callable[[sa.Table], Any],
    floor: Floor,
    before: Floor | None,
    *,
    at: datetime,
    price: Price | None,
) -> None:
    """Where `floor`, written at `at`, holds another number of instances than `before`: end that spell, begin another.

    The price of a spell is that of its beginning.
    """
    held = raised_by(floor)
    if held == (raised_by(before) if before is not None else 0):
        return
    moment = changed_at(floor, before, at)
    is_open = (floor_spells.c.deployment == floor.deployment, floor_spells.c.lowered_at.is_(None))
    connection.execute(sa.update(floor_spells).where(*is_open).values(lowered_at=moment))
    if held:
        row = {
            "deployment": floor.deployment,
            "raised_at": moment,
            "model": floor.model,
            "instances": held,
            "price": None if price is None else dump_price(price),
        }
        begin = insert(floor_spells).values(row)
        # One that began at this very moment has lasted for no time.
        begin = begin.on_conflict_do_update(index_elements=["deployment", "raised_at"], set_=row | {"lowered_at": None})
        connection.execute(begin)


def spells_of(connection: sa.Connection, since: datetime) -> tuple[Spell, ...]:
    """Those that went on after `since`, in order of their beginning."""
    rows = connection.execute(_SPELLS, {"since": since}).mappings()
    return tuple(Spell(**{**row, "price": price_in(row)}) for row in rows)


def stakes_of(connection: sa.Connection, since: datetime, at: datetime) -> tuple[Stake, ...]:
    """What floors have held after `since`, and what they are to hold from `at` on."""
    raises = [(floor_of(row), price_in(row)) for row in connection.execute(OPEN_FLOORS).mappings()]
    return tuple(stakes(spells_of(connection, since), raises, at))

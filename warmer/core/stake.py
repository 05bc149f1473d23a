"""What raised floors count for under caps: what they have cost, and what is kept for the rest of their hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from warmer.core.budget import Limit, Spending
from warmer.core.floor import Floor, Spell, raised_by
from warmer.core.price import Price
from warmer.core.spec import ModelSpec
from warmer.core.units import MICRO

NEVER = datetime.max.replace(tzinfo=UTC)
"""When a hold without an end ends."""
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """Instances that are paid for from one moment to another."""

    model: str  # the entry's name
    instances: int
    begins: datetime
    ends: datetime
    price: Price | None  # of a second of one of them; None: unknown
    is_seen: bool = False  # read back as raised: what is over of it is spent. Otherwise it may yet turn out for nothing

    def usd(self, begins: datetime, ends: datetime) -> Decimal | None:
        """What it costs between two moments, not rounded; None: unknown."""
        span = max(min(self.ends, ends) - max(self.begins, begins), timedelta(0))
        if not span:
            return Decimal(0)
        if self.price is None or self.price.per_second is None:
            return None
        return self.instances * self.price.per_second * (span // _MICROSECOND) * MICRO


def asked_by(floor: Floor) -> int:
    """How many instances it asks for beyond those that it was last read back to hold."""
    if floor.ended_at is not None or floor.overruled is not None:
        return 0
    return max(0, floor.wanted - floor.found - raised_by(floor))


def stakes(spells: Iterable[Spell], raises: Iterable[tuple[Floor, Price | None]], at: datetime) -> Iterator[Stake]:
    """What `spells` and the `raises` that have not ended, each with its price, come to at `at`.

    A raise whose request is out may be held since it was asked for. What should have ended goes on until it is seen to
    have.
    """
    planned = dict[str, datetime]()
    for floor, price in raises:
        ends = planned[floor.deployment] = max(floor.closes_at or NEVER, at)
        if asked := asked_by(floor):
            yield Stake(model=floor.model, instances=asked, begins=floor.asked_at, ends=ends, price=price)
    for spell in spells:
        yield Stake(
            model=spell.model,
            instances=spell.instances,
            begins=spell.raised_at,
            ends=spell.lowered_at or planned.get(spell.deployment, at),
            price=spell.price,
            is_seen=True,
        )


def stake_of(spec: ModelSpec, price: Price | None, begins: datetime, ends: datetime | None) -> Stake:
    """What the floor of `spec` is to hold, where nothing was found; until NEVER where it has no end."""
    return Stake(model=spec.name, instances=spec.instances, begins=begins, ends=ends or NEVER, price=price)


def unheld(floor: Floor, price: Price | None, since: datetime | None, at: datetime) -> Stake:
    """What `floor` would have held from `since` until `at`, had it been raised then.

    It is raised where all of its hours fit: not for a last part of them that still does.
    """
    return Stake(model=floor.model, instances=asked_by(floor), begins=since or at, ends=at, price=price)


def counted(held: Iterable[Stake], limit: Limit, at: datetime) -> Spending:
    """What `held` counts against `limit` at `at`; rounded up, so that what fits does to the micro-dollar."""
    settled, total, unknown = Decimal(0), Decimal(0), 0
    for stake in held:
        if limit.cap.model not in (None, stake.model):
            continue
        usd = stake.usd(limit.start, limit.end)
        if usd is None:
            unknown += 1
            continue
        total += usd
        if stake.is_seen:
            settled += stake.usd(limit.start, min(limit.end, at)) or 0
    settled = settled.quantize(MICRO, rounding=ROUND_CEILING)
    kept = total.quantize(MICRO, rounding=ROUND_CEILING) - settled
    return Spending(limit=limit, settled_usd=settled, reserved_usd=kept, floors_usd=kept, unknown_beats=unknown)

"""What the caps of the file leave for each model; says once when one is reached."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import AwareDatetime

from warmer.core.afford import afford, afford_floor, stopped
from warmer.core.budget import Cap, Limit, Spending, in_the_way, limits, limits_until
from warmer.core.floor import held_from, wish_of
from warmer.core.note import read_note
from warmer.core.price import Price
from warmer.core.spec import ModelSpec, Spec
from warmer.core.stake import Stake, counted, stake_of
from warmer.core.state import Hold, ModelState
from warmer.engine.desk import Desk
from warmer.errors import LedgerError
from warmer.log import Event, get
from warmer.ports import Clock, Ledger

_SAID = "budgets that were said to be reached"
FLOORS_EVERY = timedelta(minutes=1)
"""Between two looks at a floor."""
_BATCH = 50
"""Limits asked for at a time: ticks that need the ledger go in between."""


async def spendings_of(desk: Desk, spec: Spec, now: datetime) -> tuple[Spending, ...]:
    """What counts at `now` against every cap of the file. Raises LedgerError."""
    binding = limits(spec.caps, now, spec.zone)
    found = list[Spending]()
    for start in range(0, len(binding), _BATCH):
        batch = binding[start : start + _BATCH]

        def ask(ledger: Ledger, batch: tuple[Limit, ...] = batch) -> tuple[Spending, ...]:
            return ledger.spendings(batch, now)

        found += await desk.do(ask)
    return tuple(found)


class Budgets:
    """Asks the ledger, which every process writes to, what is left."""

    def __init__(self, desk: Desk, clock: Clock, *, tells_others: bool = False) -> None:
        """`tells_others`: what one process of the ledger has said, the others do not say again."""
        self._desk, self._clock, self._tells_others = desk, clock, tells_others
        self._said = set[Limit]()
        self._floor_prices = dict[str, Price | None]()  # by deployment: what the provider told of its hardware

    def limits(self, spec: ModelSpec) -> tuple[Limit, ...]:
        """The caps that bind `spec` now."""
        return limits(spec.caps, self._clock.now(), spec.hours.zone)

    async def hold(self, spec: ModelSpec, reserve_usd: Decimal | None) -> Hold | None:
        """Why no beat of `spec` that reserves so much may be sent now, or None."""
        now, binding = self._clock.now(), self.limits(spec)
        spendings = await self._desk.do(lambda ledger: ledger.spendings(binding, now))
        if reserve_usd is not None and (by := in_the_way(spendings, reserve_usd)) is not None:
            await self._say_once(by, reserve_usd)
        return afford(spendings, reserve_usd, now, spec.interval)

    async def stopped(self, spec: ModelSpec, by: Spending, reserve_usd: Decimal) -> Hold:
        """What a claim that the ledger refused comes to."""
        await self._say_once(by, reserve_usd)
        return stopped(by, reserve_usd, self._clock.now(), spec.interval)

    async def floor_hold(self, spec: ModelSpec, state: ModelState) -> Hold | None:
        """Why the floor of `spec` is not raised now though its hours ask for it, or None."""
        now, told = self._clock.now(), self._floor_prices
        if spec.price is None and spec.target.slug not in told:
            return None  # its price is known with the first look at it
        price = spec.price or told[spec.target.slug]
        return await self._desk.do(lambda ledger: floor_hold(ledger, spec, state, price, now))

    async def floor_stopped(self, spec: ModelSpec, by: Spending, hold: Stake) -> Hold:
        """What a raise to `hold` that the ledger refused comes to. `by` counts it."""
        now = self._clock.now()
        told = by if by.limit.start <= now else replace(by, limit=limits([by.limit.cap], now, spec.hours.zone)[0])
        own = counted([hold], by.limit, now).reserved_usd
        await self._say_once(told, Decimal(0), told_usd=own)
        return stopped(by, Decimal(0), now, FLOORS_EVERY)

    def floor_costs(self, spec: ModelSpec, price: Price | None) -> None:
        """What a second of an instance of its deployment costs, as was found out."""
        self._floor_prices[spec.target.slug] = price

    def reached(self, caps: Collection[Cap]) -> tuple[Limit, ...]:
        """Those of `caps` that were said to be reached, in windows that are not over."""
        now = self._clock.now()
        return tuple(limit for limit in self._said if limit.cap in caps and limit.end > now)

    async def _say_once(self, by: Spending, reserve_usd: Decimal, *, told_usd: Decimal | None = None) -> None:
        if by.limit in self._said or not by.stops_for_good(reserve_usd):
            return
        now = self._clock.now()
        self._said = {limit for limit in self._said if limit.end > now} | {by.limit}
        if self._tells_others and not await self._is_news(by.limit, now):
            return
        get().warning(
            Event.BUDGET_REACHED,
            scope=by.limit.cap.scope,
            period=by.limit.cap.period,
            cap_usd=by.limit.cap.usd,
            spent_usd=by.settled_usd,
            reserve_usd=reserve_usd if told_usd is None else told_usd,
            unknown_beats=by.unknown_beats,
            until=by.limit.end,
        )

    async def _is_news(self, limit: Limit, now: datetime) -> bool:
        """Whether no other process has said so; from now on one has."""
        name = f"{limit.cap.scope} {limit.cap.period} {limit.cap.usd} until {limit.end.isoformat()}"

        def rewrite(text: str, _: float) -> tuple[str, bool]:
            said = read_note(text, dict[str, AwareDatetime]) or {}
            current = {one: end.isoformat() for one, end in said.items() if end > now}
            return json.dumps(current | {name: limit.end.isoformat()}), name not in said

        try:
            return await self._desk.do(lambda ledger: ledger.change_note(_SAID, rewrite))
        except LedgerError:  # said by the desk
            return True


def floor_hold(ledger: Ledger, spec: ModelSpec, state: ModelState, price: Price | None, now: datetime) -> Hold | None:
    """Why the caps do not let the floor of `spec` be raised at `now`; None where they do, or where it is."""
    wish, known = wish_of(now, spec, state), ledger.floor(spec.target.slug)
    if not wish.instances or (known is not None and known.ended_at is None):
        return None
    spendings = ledger.spendings(limits_until(spec.caps, now, wish.until, spec.hours.zone), now)
    hold = stake_of(spec, price, held_from(wish, known, now), wish.until)
    return afford_floor(spendings, hold, now, FLOORS_EVERY)

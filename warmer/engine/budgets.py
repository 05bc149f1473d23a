"""What the caps of the file leave for each model; says once when one is reached."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from warmer.core.afford import afford, stopped
from warmer.core.budget import Cap, Limit, Spending, in_the_way, limits
from warmer.core.spec import ModelSpec
from warmer.core.state import Hold
from warmer.engine.desk import Desk
from warmer.log import Event, get
from warmer.ports import Clock


class Budgets:
    """Asks the ledger, which every process writes to, what is left."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk, self._clock = desk, clock
        self._said = set[Limit]()

    def limits(self, spec: ModelSpec) -> tuple[Limit, ...]:
        """The caps that bind `spec` now."""
        return limits(spec.caps, self._clock.now(), spec.hours.zone)

    async def hold(self, spec: ModelSpec, reserve_usd: Decimal | None) -> Hold | None:
        """Why no beat of `spec` that reserves so much may be sent now, or None."""
        now, binding = self._clock.now(), self.limits(spec)
        spendings = await self._desk.do(lambda ledger: ledger.spendings(binding, now))
        if reserve_usd is not None and (by := in_the_way(spendings, reserve_usd)) is not None:
            self._say_once(by, reserve_usd)
        return afford(spendings, reserve_usd, now, spec.interval)

    def stopped(self, spec: ModelSpec, by: Spending, reserve_usd: Decimal) -> Hold:
        """What a claim that the ledger refused comes to."""
        self._say_once(by, reserve_usd)
        return stopped(by, reserve_usd, self._clock.now(), spec.interval)

    def reached(self, caps: Collection[Cap]) -> tuple[Limit, ...]:
        """Those of `caps` that were said to be reached, in windows that are not over."""
        now = self._clock.now()
        return tuple(limit for limit in self._said if limit.cap in caps and limit.end > now)

    def _say_once(self, by: Spending, reserve_usd: Decimal) -> None:
        if by.limit in self._said or not by.stops_for_good(reserve_usd):
            return
        now = self._clock.now()
        self._said = {limit for limit in self._said if limit.end > now} | {by.limit}
        get().warning(
            Event.BUDGET_REACHED,
            scope=by.limit.cap.scope,
            period=by.limit.cap.period,
            cap_usd=by.limit.cap.usd,
            spent_usd=by.settled_usd,
            reserve_usd=reserve_usd,
            until=by.limit.end,
        )

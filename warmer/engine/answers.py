"""Which models are likely warm now: answered from memory, and from the ledger where that has nothing good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from warmer.core.spec import ModelSpec
from warmer.core.warmth import Sight, Warmth, best_first, warmth
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.errors import LedgerError, ProviderError
from warmer.log import Event, get
from warmer.ports import Clock, Ledger

READ_EVERY_S = 10.0
"""While somebody asks, customers' calls are looked at as often, so that what they have warmed is known."""


class Answers:
    """One instance serves every model of an account."""

    def __init__(self, desk: Desk, clock: Clock, account: Callable[[], Account]) -> None:
        self._desk, self._clock, self._account = desk, clock, account
        self._reading: asyncio.Task[None] | None = None

    async def warmth(self, models: Sequence[ModelSpec]) -> tuple[Warmth, ...]:
        """How warm each of `models` is, best first. Raises LedgerError."""
        sights, account = self._account().sights, self._account()
        unread = [model for model in models if sights.get(model.name) is None]
        if unread:
            skew = account.provider.skew

            def read(ledger: Ledger) -> Mapping[str, Sight]:
                return {model.name: sights.read(ledger, model, skew) for model in unread}

            fresh = await self._desk.do(read)
        else:
            fresh = {}
        self._look(models)
        found = [(model, fresh.get(model.name) or sights.get(model.name)) for model in models]
        return best_first(self._answer(model, sight) for model, sight in found if sight is not None)

    def at_hand(self, model: ModelSpec) -> Warmth | None:
        """The same of one model where memory has it."""
        sight = self._account().sights.get(model.name)
        return None if sight is None else self._answer(model, sight)

    async def close(self) -> None:
        """Leave what is being read."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _answer(self, model: ModelSpec, sight: Sight) -> Warmth:
        now, unseen_s = self._clock.now(), self._account().traffic.unseen_s
        if model.traffic and unseen_s is not None:
            sight = replace(sight, seen_at=now - timedelta(seconds=unseen_s))
        return warmth(sight, now)

    def _look(self, models: Sequence[ModelSpec]) -> None:
        """Have the list read, for the next who asks, where that was not done lately."""
        unseen_s = self._account().traffic.unseen_s
        is_old = unseen_s is None or unseen_s > READ_EVERY_S
        is_free = self._reading is None or self._reading.done()
        if is_old and is_free and any(model.traffic for model in models):
            self._reading = asyncio.ensure_future(self._read(self._account()))

    async def _read(self, account: Account) -> None:
        if account.standing.account_hold is not None:
            return
        try:
            await account.traffic.refresh(READ_EVERY_S)
        except (ProviderError, LedgerError) as exc:
            get().warning(Event.TRAFFIC_FAILED, error=str(exc))

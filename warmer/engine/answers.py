"""Which models are likely warm now: answered from memory, and from the ledger where that has nothing good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from warmer.core.spec import ModelSpec
from warmer.core.warmth import Sight, Warmth, best_first, warmth
from warmer.engine.account import Account
from warmer.engine.accounts import Accounts
from warmer.engine.desk import Desk
from warmer.errors import LedgerError, ProviderError
from warmer.log import Event, get
from warmer.ports import Clock, Ledger

READ_EVERY_S = 10.0
"""While somebody asks, customers' calls are looked at as often, so that what they have warmed is known."""


class Answers:
    """One instance serves every model of a file."""

    def __init__(self, desk: Desk, clock: Clock, accounts: Callable[[], Accounts]) -> None:
        self._desk, self._clock, self._accounts = desk, clock, accounts
        self._reading = dict[Account, asyncio.Task[None]]()

    async def warmth(self, models: Sequence[ModelSpec]) -> tuple[Warmth, ...]:
        """How warm each of `models` is, best first. Raises LedgerError."""
        accounts = self._accounts()
        unread = [model for model in models if accounts.of(model).sights.get(model.name) is None]
        if unread:

            def read(ledger: Ledger) -> Mapping[str, Sight]:
                served = [(model, accounts.of(model)) for model in unread]
                return {model.name: by.sights.read(ledger, model, by.provider.skew) for model, by in served}

            fresh = await self._desk.do(read)
        else:
            fresh = {}
        self._look(models)
        found = [(model, fresh.get(model.name) or accounts.of(model).sights.get(model.name)) for model in models]
        return best_first(self._answer(model, sight) for model, sight in found if sight is not None)

    def at_hand(self, model: ModelSpec) -> Warmth | None:
        """The same of one model where memory has it."""
        sight = self._accounts().of(model).sights.get(model.name)
        return None if sight is None else self._answer(model, sight)

    async def close(self) -> None:
        """Leave what is being read."""
        for reading in self._reading.values():
            reading.cancel()
        await asyncio.gather(*self._reading.values(), return_exceptions=True)

    def _answer(self, model: ModelSpec, sight: Sight) -> Warmth:
        now, unseen_s = self._clock.now(), self._accounts().of(model).traffic.unseen_s
        if model.traffic and unseen_s is not None:
            sight = replace(sight, seen_at=now - timedelta(seconds=unseen_s))
        return warmth(sight, now)

    def _look(self, models: Sequence[ModelSpec]) -> None:
        """Have the lists read, for the next who asks, where that was not done lately."""
        for account in {self._accounts().of(model) for model in models if model.traffic} - self._reading.keys():
            unseen_s = account.traffic.unseen_s
            if unseen_s is None or unseen_s > READ_EVERY_S:
                reading = self._reading[account] = asyncio.ensure_future(self._read(account))
                reading.add_done_callback(lambda _, account=account: self._reading.pop(account))  # type: ignore[misc]

    async def _read(self, account: Account) -> None:
        if account.standing.account_hold is not None:
            return
        try:
            await account.traffic.refresh(READ_EVERY_S)
        except (ProviderError, LedgerError) as exc:
            get().warning(Event.TRAFFIC_FAILED, error=str(exc))

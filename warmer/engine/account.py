"""All that serves one account at the provider, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warmer.core.spec import ModelSpec
from warmer.engine.budgets import Budgets
from warmer.engine.contracts import Contracts
from warmer.engine.desk import Desk
from warmer.engine.heartbeat import Heartbeat
from warmer.engine.inputs import Inputs
from warmer.engine.learning import Learning
from warmer.engine.outgoing import Outgoing
from warmer.engine.readings import OwnReadings, SharedReadings
from warmer.engine.sights import Sights
from warmer.engine.standing import Standing
from warmer.engine.traffic import Traffic
from warmer.engine.trouble import SharedTrouble
from warmer.ports import UNMETERED, Clock, Meter, Provider


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Account:
    """One provider, and what is known of it."""

    title: str  # what people call it
    provider: Provider
    standing: Standing
    traffic: Traffic
    learning: Learning
    contracts: Contracts
    sights: Sights
    outgoing: Outgoing
    heartbeat: Heartbeat

    @classmethod
    def over(
        cls,
        provider: Provider,
        desk: Desk,
        clock: Clock,
        models: Callable[[], Sequence[ModelSpec]],
        *,
        title: str = "replicate",
        budgets: Budgets | None = None,
        called: Callable[[str], None] = lambda name: None,
        meter: Meter = UNMETERED,
        shared_as: str | None = None,
        holds_as: str | None = None,
        lifts: bool = False,
        before: Account | None = None,
    ) -> Account:
        """Everything over `provider`. `models` gives the entries in force that go by it; `called` is told whom
        customers called. `budgets`: those of all accounts of the file, where there are others.

        `shared_as`: what the account is called by all processes that read its list together. `holds_as`: by all that
        keep to its holds, and say once what is said of it and of budgets; None: each by itself. `lifts`: a hold that
        stands there is over, for somebody has started this. `before`: the account until now, as the file had it.
        """
        shared = None if holds_as is None else SharedTrouble(desk, clock, holds_as, provider.token_mark)
        standing = Standing(
            clock, title=title, shared=shared, lifts=lifts, before=None if before is None else before.standing
        )
        contracts = Contracts(provider, clock)
        learning = Learning(models, tells=True)
        sights = Sights(clock, learning, contracts, is_shared=shared_as is not None)
        readings = OwnReadings(clock) if shared_as is None else SharedReadings(desk, clock, shared_as)
        traffic = Traffic(
            provider,
            desk,
            clock,
            contracts,
            models,
            readings=readings,
            sights=sights,
            called=called,
            meter=meter,
            before=None if before is None else before.traffic,
        )
        inputs = Inputs(desk, contracts)
        outgoing = Outgoing(
            provider,
            desk,
            clock,
            inputs=inputs,
            standing=standing,
            traffic=traffic,
            contracts=contracts,
            learning=learning,
            meter=meter,
            is_shared=shared_as is not None,
        )
        heartbeat = Heartbeat(
            provider,
            desk,
            clock,
            inputs=inputs,
            standing=standing,
            traffic=traffic,
            contracts=contracts,
            learning=learning,
            budgets=budgets or Budgets(desk, clock, tells_others=holds_as is not None),
            sights=sights,
            outgoing=outgoing,
            models=models,
        )
        return cls(
            title=title,
            provider=provider,
            standing=standing,
            traffic=traffic,
            learning=learning,
            contracts=contracts,
            sights=sights,
            outgoing=outgoing,
            heartbeat=heartbeat,
        )

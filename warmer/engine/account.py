"""All that serves one account at the provider, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warmer.core.spec import ModelSpec
from warmer.engine.budgets import Budgets
from warmer.engine.contracts import Contracts
from warmer.engine.desk import Desk
from warmer.engine.heartbeat import Heartbeat
from warmer.engine.learning import Learning
from warmer.engine.readings import OwnReadings, SharedReadings
from warmer.engine.standing import Standing
from warmer.engine.traffic import Traffic
from warmer.ports import UNMETERED, Clock, Meter, Provider


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Account:
    """One provider, and what is known of it."""

    provider: Provider
    standing: Standing
    traffic: Traffic
    learning: Learning
    heartbeat: Heartbeat

    @classmethod
    def over(
        cls,
        provider: Provider,
        desk: Desk,
        clock: Clock,
        models: Callable[[], Sequence[ModelSpec]],
        *,
        called: Callable[[str], None] = lambda name: None,
        meter: Meter = UNMETERED,
        shared_as: str | None = None,
    ) -> Account:
        """Everything over `provider`. `models` gives the entries in force; `called` is told whom customers called.

        `shared_as`: what the account is called by all processes that read its list together.
        """
        standing = Standing(clock)
        contracts = Contracts(provider, clock)
        learning = Learning(models, tells=True)
        readings = OwnReadings(clock) if shared_as is None else SharedReadings(desk, clock, shared_as)
        traffic = Traffic(provider, desk, clock, contracts, models, readings=readings, called=called, meter=meter)
        heartbeat = Heartbeat(
            provider,
            desk,
            clock,
            standing=standing,
            traffic=traffic,
            contracts=contracts,
            learning=learning,
            budgets=Budgets(desk, clock),
            meter=meter,
        )
        return cls(provider=provider, standing=standing, traffic=traffic, learning=learning, heartbeat=heartbeat)

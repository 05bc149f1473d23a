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
    ) -> Account:
        """Everything over `provider`. `models` gives the entries in force; `called` is told whom customers called."""
        standing = Standing(clock)
        contracts = Contracts(provider, clock)
        traffic = Traffic(provider, desk, clock, contracts, models, called=called, meter=meter)
        learning = Learning(models, tells=True)
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

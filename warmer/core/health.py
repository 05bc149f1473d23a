"""How the daemon is doing, as values: whether it can do its work, and what its gauges show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from warmer.core.beat import Reason
from warmer.core.budget import Limit, Spending
from warmer.core.state import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Whether one thing that the daemon needs is there."""

    ok: bool
    detail: str | None = None  # what is wrong, and what to do; None where nothing is


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A process that takes part in a shared schedule."""

    number: int  # as in the log: `worker.joined`
    silent_s: float  # since its last sign of life
    is_self: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the daemon can do now.

    A budget that is reached and an account that is paused are states, not faults: no restart mends them, and they end
    by themselves.
    """

    config: Check
    ledger: Check
    schedule: Check
    reached: tuple[Limit, ...]  # caps that leave too little for another beat until their window is over
    account: Hold | None  # None: not paused
    models: int  # entries in force
    members: tuple[Member, ...] = ()  # the processes that divide the beats; empty where this one has them all

    @property
    def ready(self) -> bool:
        """Whether beats are sent when they are due."""
        return self.config.ok and self.ledger.ok and self.schedule.ok


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelGauges:
    """What is measured of one model now."""

    next_at: datetime | None  # when it is decided next; None: only a change from outside can help
    idle_timeout_s: Mapping[str, float]  # low, median and high; empty until a gap told something
    interval_s: float | None = None  # the gap that beats leave at most; None: none are owed now
    held: Reason | None = None  # why the provider's answers keep it alone from being warmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What is measured now."""

    models: Mapping[str, ModelGauges]  # those of the file, by name
    remaining_usd: Mapping[str, Decimal]  # by scope, the least that one of its caps leaves; empty where nobody can tell
    config_is_latest: bool  # the latest reading of the file succeeded
    config_read_at: datetime  # when it last did
    members: int | None = None  # how many processes divide the beats; None: this one has them all
    spendings: tuple[Spending, ...] = ()  # against every cap of the file, in its window of now; empty as above
    reached: tuple[Limit, ...] = ()  # of the caps, those that leave too little for another beat
    account_held: Reason | None = None  # why no model may be warmed

"""A model as it is now, for who asks the daemon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warmer.core.beat import Observation, Reason
from warmer.core.idle_timeout import IdleTimeout
from warmer.core.override import Override
from warmer.core.spec import PolicyName
from warmer.core.warmth import Warmth


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNow:
    """What the daemon has in memory of it."""

    model: str
    policy: PolicyName
    next_at: datetime | None  # when it is decided next; None: only a change from outside can help
    reason: Reason | None  # what its last tick in this process came to; None before the first
    override: Override | None  # that is in force
    warmth: Warmth | None  # None: it was not looked at lately


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDetail:
    """And what the ledger has."""

    now: ModelNow
    last_beat: Observation | None
    last_use: datetime | None  # end of its last use, ours or a customer's
    idle_timeout: IdleTimeout | None  # None: nothing can be learned of it

"""What a decision says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warmer.core.beat import Reason
from warmer.core.budget import Cap


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """Send one heartbeat now."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Do nothing; decide again at `until`. None: only a change from outside can help."""

    reason: Reason
    until: datetime | None
    cap: Cap | None = None  # that stopped a beat which was due


Action = Warm | Rest

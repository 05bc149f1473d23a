"""How often the account may ask: a bucket of creates and a bucket of everything else.

Source: replicate.com/docs/topics/predictions/rate-limits (600 creates and 3,000 others a minute), and 429
bodies reported by users for accounts with less than $5 of credit (6 creates a minute, burst 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

LOW_CREDIT_PER_MINUTE = 6
LOW_CREDIT_BURST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the bucket says to one request."""

    allowed: bool
    remaining: int  # requests left
    reset_s: int  # until the bucket is full again; where refused, until the next request is allowed

    @property
    def headers(self) -> dict[str, str]:
        """As recorded on replies."""
        return {"ratelimit-remaining": str(self.remaining), "ratelimit-reset": str(self.reset_s)}


class Bucket:
    """Requests drip in at `per_minute`, up to `burst` of them."""

    def __init__(self, *, per_minute: int, burst: int | None = None) -> None:
        self._burst = float(per_minute if burst is None else burst)
        self._per_second = per_minute / 60
        self._left = self._burst
        self._filled_at: datetime | None = None

    def take(self, now: datetime) -> Grant:
        """Ask for one request at `now`."""
        if self._filled_at is not None:
            dripped = (now - self._filled_at).total_seconds() * self._per_second
            self._left = min(self._burst, self._left + dripped)
        self._filled_at = now
        # A millionth less than one, so that asking exactly at the promised second is not refused for rounding.
        allowed = self._left >= 1 - 1e-6
        if allowed:
            self._left = max(0.0, self._left - 1)
        missing = self._burst - self._left if allowed else 1 - self._left
        return Grant(
            allowed=allowed,
            remaining=int(self._left),
            reset_s=max(1, math.ceil(missing / self._per_second - 1e-6)),
        )

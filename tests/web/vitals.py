"""A daemon that is as told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from warmer.core.health import Check, Gauges, Health

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
WELL = Check(ok=True)
HEALTH = Health(config=WELL, ledger=WELL, schedule=WELL, reached=(), account=None, models=2)
GAUGES = Gauges(models={}, remaining_usd={}, config_is_latest=True, config_read_at=NOON)


class Told:
    """Implements the `Vitals` port."""

    def __init__(self, health: Health = HEALTH, gauges: Gauges = GAUGES) -> None:
        self.now, self.measured = health, gauges

    @classmethod
    def but(cls, **changes: Any) -> Told:
        return cls(replace(HEALTH, **changes))

    async def health(self) -> Health:
        return self.now

    async def gauges(self) -> Gauges:
        return self.measured

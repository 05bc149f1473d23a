"""Finishes beats that were left open by a process that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from warmer.core.beat import OpenBeat
from warmer.core.spec import Spec
from warmer.engine.desk import Desk
from warmer.engine.heartbeat import ORPHANED_AFTER, Heartbeat
from warmer.errors import LedgerError, ProviderError
from warmer.log import Event, get
from warmer.ports import Clock


class Recovery:
    """Sweeps the ledger for open beats."""

    def __init__(self, desk: Desk, clock: Clock, on_end: Callable[[str], None] = lambda _: None) -> None:
        """`on_end` is called with the model of each beat that was finished here."""
        self._desk, self._clock, self._on_end = desk, clock, on_end
        self.waiting = False  # whether the last sweep left a beat that is too young to be called abandoned

    async def sweep(self, heartbeat: Heartbeat, spec: Spec, *, at_start: bool = False) -> None:
        """See every abandoned beat to its end.

        `at_start`: whatever has a prediction is ours to follow now. Later, a young one is some living process's.
        """
        now = self._clock.now()
        found = [
            beat for beat in await self._desk.do(lambda ledger: ledger.open_beats()) if beat.key not in heartbeat.out
        ]
        due = [b for b in found if (at_start and b.prediction_id) or now - b.claimed_at >= ORPHANED_AFTER]
        self.waiting = len(due) < len(found)
        await asyncio.gather(*(self._finish(beat, heartbeat, spec) for beat in due))

    async def _finish(self, beat: OpenBeat, heartbeat: Heartbeat, spec: Spec) -> None:
        try:
            await heartbeat.resume(beat, spec.model(beat.key.model))
        except (ProviderError, LedgerError) as exc:
            # Still open: the next sweep tries again.
            get().warning(
                Event.BEAT_FAILED,
                model=beat.key.model,
                prediction_id=beat.prediction_id,
                reason=beat.reason,
                error=f"not picked up yet: {exc}",
            )
        else:
            self._on_end(beat.key.model)

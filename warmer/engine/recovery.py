"""Finishes beats that were left open by a process that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from warmer.core.beat import BeatKey, OpenBeat
from warmer.engine.accounts import Accounts
from warmer.engine.desk import Desk
from warmer.engine.outgoing import ORPHANED_AFTER
from warmer.errors import LedgerError, ProviderError
from warmer.log import Event, get
from warmer.ports import Clock

_EVERY_S = 10.0
_QUIET_S = ORPHANED_AFTER.total_seconds()
"""Where nothing is open: what is claimed from now on is no younger than that when it is abandoned."""


class Recovery:
    """Sweeps the ledger for open beats."""

    def __init__(
        self, desk: Desk, clock: Clock, out: Callable[[], frozenset[BeatKey]], on_end: Callable[[str], None]
    ) -> None:
        """`out` gives what this process has out itself; `on_end` is called with the model of each beat ended here."""
        self._desk, self._clock, self._out, self._on_end = desk, clock, out, on_end
        self.following = set[asyncio.Task[None]]()
        self._put_off = set[BeatKey]()  # said of each once, however long it takes
        self._is_quiet = False  # nothing was open, anywhere

    async def sweep(self, accounts: Accounts, *, at_start: bool = False) -> bool:
        """Begin to follow every abandoned beat. Returns whether one was left alone for being too young.

        `at_start`: whatever has a prediction is ours to follow now. Later, a young one is some living process's.
        """
        open_beats = await self._desk.do(lambda ledger: ledger.open_beats())
        self._is_quiet = not open_beats
        now, out = self._clock.now(), self._out()
        found = [beat for beat in open_beats if beat.key not in out]
        # A claim from the future was made before the wall clock was set back: it is no younger for that.
        due = [b for b in found if (at_start and b.prediction_id) or abs(now - b.claimed_at) >= ORPHANED_AFTER]
        for beat in due:
            task = asyncio.get_running_loop().create_task(self._finish(beat, accounts))
            self.following.add(task)
            task.add_done_callback(self.following.discard)
        return len(due) < len(found)

    async def keep_on(self, accounts: Callable[[], Accounts], *, at_start: bool) -> None:
        """Sweep now and again, until cancelled. A beat that takes long to end holds up no other."""
        while True:
            try:
                await self.sweep(accounts(), at_start=at_start)
                at_start = False
            except LedgerError:  # said by the desk; the next sweep looks again
                self._is_quiet = False
            await self._clock.sleep(_QUIET_S if self._is_quiet else _EVERY_S)

    async def settled(self) -> None:
        """Return when every beat that is followed here has ended, or could not be picked up."""
        if self.following:
            await asyncio.wait(self.following)

    async def abandon(self) -> None:
        """Leave what is followed where it is: it stays open in the ledger."""
        tasks = list(self.following)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, beat: OpenBeat, accounts: Accounts) -> None:
        try:
            await accounts.of_beat(beat).outgoing.resume(beat, accounts.spec.model(beat.key.model))
        except (ProviderError, LedgerError) as exc:
            # Still open: the next sweep tries again.
            if beat.key not in self._put_off:
                self._put_off.add(beat.key)
                get().warning(
                    Event.BEAT_FAILED,
                    model=beat.key.model,
                    prediction_id=beat.prediction_id,
                    reason=beat.reason,
                    error=f"not picked up yet: {exc}",
                )
        else:
            self._put_off.discard(beat.key)
            self._on_end(beat.key.model)

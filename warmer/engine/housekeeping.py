"""Keeps the ledger small: rows are added up by the hour, and go when they are old."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count

from warmer.core.spec import Retention, Spec
from warmer.engine.desk import Desk
from warmer.errors import LedgerError
from warmer.ports import Clock, Ledger

EVERY_S = 300.0
SETTLES_IN = timedelta(minutes=10)
"""An hour is added up so long after its end: what comes of it later is told by its mark, and costs a second time."""
_LET_GO_EVERY = 12
Step = Callable[[Ledger], bool]
"""Does some of it, and says whether that was not all."""
_REST = 4.0
"""So many times as long as a step took, beats have the ledger for themselves."""
_REST_AT_LEAST_S = 0.02


class Housekeeping:
    """Step by step: each is one short transaction, and to die between two of them is harmless."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk, self._clock = desk, clock

    async def keep_on(self, spec: Callable[[], Spec], *, at_once: bool = False) -> None:
        """Look after it now and again, until cancelled. A start has better to do, unless there is not much time."""
        for number in count():
            if number or not at_once:
                await self._clock.sleep(EVERY_S)
            with suppress(LedgerError):  # said by the desk; the next sweep goes on where this one ended
                await self.sweep(spec(), lets_go=number % _LET_GO_EVERY == 0)

    async def sweep(self, spec: Spec, *, lets_go: bool = True, within_s: float | None = None) -> None:
        """Whatever there is to do, or what can be done in so many seconds. May raise LedgerError."""
        now, ends = self._clock.now(), None if within_s is None else self._clock.monotonic() + within_s
        await self._all(lambda ledger: ledger.add_up(now - SETTLES_IN, spec.zone), ends)
        if not lets_go:
            return
        models = list(await self._desk.do(lambda ledger: ledger.models_on_record()))
        # Where there is not time for all of them, each comes to be the first.
        first = int(now.timestamp() // 60) % max(len(models), 1)
        for model in models[first:] + models[:first]:
            await self._all(_letting_go(model, now, spec.retention), ends)
        await self._all(lambda ledger: ledger.condense(now), ends)

    async def _all(self, step: Step, ends: float | None) -> None:
        """One step after another, until there is nothing more to do or `ends` is over."""
        clock = self._clock
        while ends is None or clock.monotonic() < ends:
            begun = clock.monotonic()
            if not await self._desk.do(step):
                return
            if ends is None:
                await clock.sleep(max(_REST_AT_LEAST_S, _REST * (clock.monotonic() - begun)))


def _letting_go(model: str, now: datetime, kept: Retention) -> Step:
    return lambda ledger: ledger.let_go(model, now, beats=kept.beats, calls=kept.requests)

"""Where the ledger is used from the event loop: in threads, so that a slow disk never stalls a beat.

Whoever uses it says nothing of its failures: that it cannot be used is one fact, however many models find it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from warmer.errors import LedgerError
from warmer.log import Event, get
from warmer.ports import Ledger

T = TypeVar("T")


class Desk:
    """Runs ledger calls off the loop: one after another, and beside them, one after another too, what only looks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._onlooker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="onlooker")
        self._failures = 0  # since it last worked

    async def do(self, work: Callable[[Ledger], T]) -> T:
        """The result of `work(ledger)`. Not cut short by a cancellation: what is begun is written."""
        return await self._on(self._thread, work)

    async def look(self, work: Callable[[Ledger], T]) -> T:
        """The same for people who look: no beat waits for it, nor it for beats. `work` reads, and shares no memory."""
        return await self._on(self._onlooker, work)

    async def _on(self, thread: ThreadPoolExecutor, work: Callable[[Ledger], T]) -> T:
        try:
            done = await asyncio.shield(asyncio.get_running_loop().run_in_executor(thread, work, self._ledger))
        except LedgerError as exc:
            self._failures += 1
            if self._failures == 1:
                get().error(Event.LEDGER_FAILED, error=str(exc))
            raise
        if self._failures:
            get().info(Event.LEDGER_RESUMED, failures=self._failures)
            self._failures = 0
        return done

    def close(self) -> None:
        """Finish what was begun, then let go of the ledger."""
        self._onlooker.shutdown(wait=True, cancel_futures=True)
        self._thread.shutdown(wait=True)
        self._ledger.close()

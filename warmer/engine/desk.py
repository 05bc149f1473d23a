"""Where the ledger is used from the event loop: one thread, so that a slow disk never stalls a beat.

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
    """Runs ledger calls one after another, off the loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._failures = 0  # since it last worked

    async def do(self, work: Callable[[Ledger], T]) -> T:
        """The result of `work(ledger)`. Not cut short by a cancellation: what is begun is written."""
        try:
            done = await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work, self._ledger))
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
        self._thread.shutdown(wait=True)
        self._ledger.close()

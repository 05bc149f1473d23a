"""What the engine says of a ledger that cannot be used."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from warmer.engine.desk import Desk
from warmer.errors import LedgerError

PATIENCE_S = 30.0


class Shelf:
    """Stands for a ledger: all that the desk does with it is to pass it on, and to close it."""

    is_lost = False

    def look(self) -> int:
        if self.is_lost:
            raise LedgerError("ledger gone: look for it")
        return 7

    def close(self) -> None:
        pass


def test_that_the_ledger_cannot_be_used_is_said_once_and_so_is_its_return(lines: list[Any]) -> None:
    shelf: Any = Shelf()
    desk = Desk(shelf)

    async def use(*, times: int, fails: bool) -> None:
        shelf.is_lost = fails
        for _ in range(times):
            if fails:
                with pytest.raises(LedgerError):
                    await desk.do(lambda ledger: ledger.look())  # type: ignore[attr-defined]  # of the shelf
            else:
                assert await desk.do(lambda ledger: ledger.look()) == 7  # type: ignore[attr-defined]  # of the shelf

    async def through() -> None:
        for _ in range(2):
            await use(times=3, fails=False)
            await use(times=5, fails=True)
        await use(times=3, fails=False)

    asyncio.run(through())
    desk.close()
    failed = {"event": "ledger.failed", "log_level": "error", "error": "ledger gone: look for it"}
    resumed = {"event": "ledger.resumed", "log_level": "info", "failures": 5}
    assert lines == [failed, resumed, failed, resumed]


def test_who_looks_waits_for_no_beat_and_no_beat_for_who_looks() -> None:
    shelf: Any = Shelf()
    desk, free = Desk(shelf), threading.Event()

    async def through() -> None:
        writing = asyncio.ensure_future(desk.do(lambda _: free.wait(PATIENCE_S)))
        assert await desk.look(lambda ledger: ledger.look()) == 7  # type: ignore[attr-defined]  # of the shelf
        assert not writing.done()
        free.set()
        assert await writing
        free.clear()
        looking = asyncio.ensure_future(desk.look(lambda _: free.wait(PATIENCE_S)))
        assert await desk.do(lambda ledger: ledger.look()) == 7  # type: ignore[attr-defined]
        free.set()
        assert await looking

    asyncio.run(through())
    desk.close()

"""What the engine says of a ledger that cannot be used."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from warmer.engine.desk import Desk
from warmer.errors import LedgerError


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

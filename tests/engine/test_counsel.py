"""What is worked out aside: once, and not at every look where it fails."""

from __future__ import annotations

import asyncio
from typing import cast

from engine.stage import START, file_of, model

from warmer.engine.counsel import Counsellor
from warmer.engine.desk import Desk
from warmer.errors import LedgerError
from warmer.ports import Ledger
from warmer.testing import VirtualClock, run


class Broken:
    """A ledger that cannot be handed over."""

    def __init__(self) -> None:
        self.tries = 0

    def __reduce__(self) -> str:
        self.tries += 1
        raise LedgerError("the disk is gone")

    def close(self) -> None:
        """Nothing is open."""


def test_what_fails_is_tried_again_after_some_minutes_and_not_at_every_look() -> None:
    ledger = Broken()

    async def scene() -> list[int]:
        desk, clock = Desk(cast("Ledger", ledger)), VirtualClock(START)
        spec = file_of(model("acme/caption"))
        counsellor = Counsellor(desk, clock)
        tries = []
        for _ in range(400):  # as the page looks
            assert counsellor.counsel(spec, ["acme/caption"]) is None
            await asyncio.sleep(2)
            tries.append(ledger.tries)
        counsellor.close()
        desk.close()
        return tries

    tries = run(scene())
    assert tries[:2] == [0, 1]  # not before the page is there
    assert tries[-1] == 3

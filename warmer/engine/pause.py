"""Time that passes unless something happens."""

from __future__ import annotations

import asyncio

from warmer.ports import Clock


async def pause(clock: Clock, seconds: float, call: asyncio.Event) -> None:
    """Return after so many seconds, or as soon as `call` is set."""
    waits = [asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(call.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()

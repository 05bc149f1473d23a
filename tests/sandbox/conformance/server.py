"""A sandbox in a process of its own: its address is the first line; it ends when its input does."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

from warmer.sandbox.server import SandboxServer
from warmer.sandbox.world import World


async def main() -> None:
    async with SandboxServer(World(begin=datetime.now(UTC), seed=1), speed=20) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())

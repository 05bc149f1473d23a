from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from warmer.sandbox.server import SandboxServer
from warmer.sandbox.world import World

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)

Story = Callable[[SandboxServer, httpx.AsyncClient], Awaitable[None]]


@pytest.fixture
def serve() -> Callable[..., None]:
    """Runs a story against a server on a free port; virtual minutes pass in real seconds."""

    def run(story: Story, *, speed: float = 100.0, **world: Any) -> None:
        async def main() -> None:
            headers = {"Authorization": "Bearer r8_warmer_canary"}
            async with (
                SandboxServer(World(begin=BEGIN, **world), speed=speed) as server,
                httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20) as client,
                asyncio.timeout(30),
            ):
                await story(server, client)

        asyncio.run(main())

    return run

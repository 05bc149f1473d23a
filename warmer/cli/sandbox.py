"""`warmer sandbox`."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from warmer.errors import UsageError


def sandbox(
    port: Annotated[int, typer.Option(help="Where to listen on 127.0.0.1. 0: any free port.", min=0, max=65535)] = 0,
    world: Annotated[
        Path | None, typer.Option(help="A TOML file of models, deployments and limits.", show_default=False)
    ] = None,
    speed: Annotated[float, typer.Option(help="How many times as fast as real time its world runs.", min=0.01)] = 1.0,
) -> None:
    """Run the look-alike of Replicate alone. The first line on stdout says where it listens."""
    parts = wiring.sandbox_parts()

    async def serve() -> None:
        server = parts.server(parts.world(world), port=port, speed=speed)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with server:
            typer.echo(f"listening {server.url}")
            await stop.wait()

    asyncio.run(serve())

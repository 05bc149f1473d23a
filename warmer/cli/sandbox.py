"""`warmer sandbox`."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from warmer.cli import wiring


def sandbox(
    port: Annotated[int, typer.Option(help="Where to listen on 127.0.0.1. 0: any free port.", min=0, max=65535)] = 0,
    world: Annotated[
        Path | None, typer.Option(help="A TOML file of models, deployments and limits.", show_default=False)
    ] = None,
    speed: Annotated[float, typer.Option(help="How many times as fast as real time its world runs.", min=0.01)] = 1.0,
) -> None:
    """Run the look-alike of Replicate alone. The first line on stdout says where it listens."""
    wiring.require_sandbox()

    from warmer.clock import SystemClock
    from warmer.sandbox.server import SandboxServer
    from warmer.sandbox.world import World
    from warmer.sandbox.world_file import read_world

    begin = SystemClock().now()
    hosted = read_world(world, begin=begin) if world else World(begin=begin)

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with SandboxServer(hosted, port=port, speed=speed) as server:
            typer.echo(f"listening {server.url}")
            await stop.wait()

    try:
        asyncio.run(serve())
    except OSError as exc:
        raise typer.BadParameter(
            f"port {port}: {exc.strerror}. Choose another, or 0 for any", param_hint="--port"
        ) from exc

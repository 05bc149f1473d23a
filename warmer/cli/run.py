"""`warmer run`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from warmer.cli.options import ConfigOption


def run(
    config: ConfigOption = None,
    log_to: Annotated[str, typer.Option("--log-to", help="stdout or stderr.", metavar="STREAM")] = "stdout",
) -> None:
    """Keep the file's models warm until told to stop: the daemon.

    Follows edits of the file while it runs; SIGHUP reads it (and the token) again, SIGTERM leaves within 5 s.
    """
    from warmer import config as configuration
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.engine.daemon import Daemon
    from warmer.web.metrics import Metrics
    from warmer.web.serve import HttpListener

    if log_to not in ("stdout", "stderr"):
        raise typer.BadParameter("write stdout or stderr", param_hint="--log-to")
    spec = wiring.load(config, only_file=True)
    stream = sys.stdout if log_to == "stdout" else sys.stderr
    wiring.start_log(spec, stream)
    clock, metrics = SystemClock(), Metrics()

    async def serve() -> None:
        ledger = wiring.ledger_of(spec)
        daemon = Daemon(
            spec,
            load=lambda: configuration.load(Path(spec.path), only_file=True),
            connect=wiring.hosts_of(spec, clock, ledger),
            ledger=ledger,
            clock=clock,
            listener=HttpListener(metrics),
            meter=metrics,
            schedule=wiring.schedule_of(spec),
            admin_token=wiring.admin_token_of,
            contacts=wiring.contacts_of,
        )
        await daemon.run()

    asyncio.run(serve())

"""`warmer once`."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Annotated

import typer

from warmer.cli.options import ConfigOption, duration
from warmer.core.shard import Shard, parse_shard


def _shard(given: str) -> Shard:
    try:
        return parse_shard(given, os.environ.get("JOB_COMPLETION_INDEX"))
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc


def once(
    config: ConfigOption = None,
    lasting: Annotated[
        timedelta | None,
        typer.Option(
            "--for",
            parser=duration,
            metavar="DURATION",
            help="Keep going for that long, such as 55s in a job that starts every minute. Default: one pass.",
            show_default=False,
        ),
    ] = None,
    shard: Annotated[
        Shard | None,
        typer.Option(
            parser=_shard,
            metavar="PART/COUNT",
            help="Tick this part of the models alone, such as 2/5; auto/5 in an Indexed Job. Default: all of them.",
            show_default=False,
        ),
    ] = None,
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Try at once where the account is held: credit was added, for instance."),
    ] = False,
) -> None:
    """Warm what is due, then leave: for cron and for a Kubernetes CronJob. Safe when two start at once.

    Exits 0 when all went well (also where nothing was due), 3 when some beats failed, 4 when the provider refused the
    account, 5 when a budget alone kept a beat that was due from going out.
    """
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.engine.once import once as pass_over

    spec = wiring.load(config, only_file=True)
    wiring.start_log(spec)
    clock = SystemClock()

    async def work() -> int:
        ledger = wiring.ledger_of(spec)
        return await pass_over(
            spec,
            connect=wiring.hosts_of(spec, clock, ledger),
            ledger=ledger,
            clock=clock,
            lasting=lasting,
            shard=shard,
            keeps_holds=True,
            retry=retry,
            contacts=wiring.contacts_of(spec),
        )

    raise typer.Exit(asyncio.run(work()))

"""`warmer backfill`."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption, duration
from warmer.cli.progress import progress
from warmer.core.spec import ModelSpec, Spec
from warmer.core.units import format_duration
from warmer.errors import ProviderError, Throttled, UsageError

if TYPE_CHECKING:
    from warmer.engine.backfill import Imported, Told

INTERRUPTED = 130
_GO_ON = "What was imported stays on record. `warmer backfill` again goes on from there"


def backfill(
    config: ConfigOption = None,
    since: Annotated[
        timedelta, typer.Option("--since", parser=duration, metavar="DURATION", help="How far back to go.")
    ] = timedelta(days=14),
    as_json: JsonOption = False,
) -> None:
    """Import the account's own predictions into the ledger: what customers called before warmer came.

    Sends nothing, only reads. Can be interrupted, and run again, at any time.
    """
    from warmer import report
    from warmer.cli import wiring

    spec = wiring.load(config)
    models = [model for model in spec.models if model.traffic and spec.host_of(model) == spec.account]
    if not models:
        raise UsageError(
            f"{spec.path}: `traffic` is off for every model of the account under `replicate`. Leave it out where calls "
            "are to be imported"
        )
    wiring.start_log(spec, sys.stderr)
    with progress("asking", 1.0) as step:

        def told(what: str, share: float) -> None:
            step(description=what, completed=share)

        try:
            done = asyncio.run(_import(spec, models, since, told))
        except ProviderError as exc:
            typer.echo(f"warmer: {_problem(exc)}. {_GO_ON}", err=True)
            raise typer.Exit(exc.exit_code) from exc
        except asyncio.CancelledError:
            typer.echo(f"warmer: interrupted. {_GO_ON}", err=True)
            raise typer.Exit(INTERRUPTED) from None
    for name, refusal in done.refused:
        typer.echo(f"warmer: {name}: nothing imported: {refusal} ({refusal.hint})", err=True)
    if as_json:
        document = {
            "schema": 1,
            "since": done.since,
            "seen": done.seen,
            "new": sum(share.new for share in done.shares),
            "from": done.oldest,
            "to": done.newest,
            "complete": done.is_complete,
            "models": done.shares,
        }
        report.write_json(document, sys.stdout)
    else:
        typer.echo(_told(done, spec))
    if done.refused:
        raise typer.Exit(ProviderError.exit_code)


def _problem(error: ProviderError) -> str:
    if isinstance(error, Throttled):
        return f"the provider wants to be left alone for {format_duration(error.retry_after)}"
    return str(error)


async def _import(spec: Spec, models: list[ModelSpec], back: timedelta, told: Told) -> Imported:
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.engine.backfill import Backfill
    from warmer.engine.desk import Desk

    clock = SystemClock()
    provider = wiring.hosts_of(spec, clock)(spec.account)
    desk = Desk(wiring.ledger_of(spec))
    work = asyncio.ensure_future(Backfill(models, provider, desk, clock, told).run(back))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        return await work
    finally:
        await provider.close()
        desk.close()


def _told(done: Imported, spec: Spec) -> str:
    """One line: what was looked at, what of it is new, and where the list ended."""
    from warmer import report

    if done.oldest is None or done.newest is None:
        return f"the account's list has no prediction since {report.local(done.since, spec.zone)}"
    first, last = report.local(done.oldest, spec.zone), report.local(done.newest, spec.zone)
    shares = ", ".join(f"{share.model} {share.new:,} of {share.calls:,}" for share in done.shares)
    end = "" if done.is_complete else "; the list shows nothing older"
    return f"looked at {done.seen:,} predictions from {first} to {last}; new calls: {shares}{end}"

"""All commands, gathered."""

from __future__ import annotations

from typing import Annotated

import typer

from warmer.cli.advise import advise
from warmer.cli.backfill import backfill
from warmer.cli.backtest import backtest
from warmer.cli.check import check
from warmer.cli.demo import demo
from warmer.cli.export import export
from warmer.cli.health import health
from warmer.cli.inspect import inspect
from warmer.cli.ledger import app as ledger
from warmer.cli.once import once
from warmer.cli.overrides import pause, resume, warm
from warmer.cli.plan import plan
from warmer.cli.report import report
from warmer.cli.run import run
from warmer.cli.sandbox import sandbox
from warmer.cli.schema import schema
from warmer.cli.status import status
from warmer.cli.tune import tune
from warmer.version import __version__

app = typer.Typer(
    name="warmer",
    help="Keeps models hosted on Replicate warm with the fewest heartbeats; shows the cost, and whether it worked.",
    no_args_is_help=True,
    # Its tracebacks print local variables, and a token can be one.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"warmer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


for command in (
    run,
    once,
    backfill,
    backtest,
    check,
    plan,
    advise,
    tune,
    status,
    health,
    pause,
    resume,
    warm,
    report,
    export,
    inspect,
    demo,
    sandbox,
    schema,
):
    app.command()(command)
app.add_typer(ledger, name="ledger")

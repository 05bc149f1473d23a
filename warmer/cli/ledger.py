"""`warmer ledger`: its upkeep."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption

app = typer.Typer(help="Look after the ledger: check it, back it up, give back its room.", no_args_is_help=True)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Go through the whole ledger and say whether it is as it should be. Changes nothing. Exits 1 where it is not."""
    from warmer import report
    from warmer.cli import wiring

    found = wiring.upkeep_of(wiring.load(config)).check()
    if as_json:
        document = {
            "schema": 1,
            "ok": not found.problems,
            "ledger": found.name,
            "database": found.kind,
            "revision": found.revision,
            "is_current": found.is_current,
            "bytes": found.size_bytes,
            "tables": [{"name": name, "rows": count} for name, count in found.rows],
            "problems": list(found.problems),
        }
        report.write_json(document, sys.stdout)
    else:
        state = "up to date" if found.is_current else "older, brought up to date when it is next used"
        typer.echo(f"{found.name} ({found.kind}), {found.size_bytes:,} bytes, schema {found.revision}: {state}")
        if found.rows:
            report.write_table(["table", "rows"], [(name, f"{count:,}") for name, count in found.rows], sys.stdout)
        for problem in found.problems:
            typer.echo(problem)
        typer.echo("something is wrong: put a backup in its place" if found.problems else "nothing is wrong")
    raise typer.Exit(1 if found.problems else 0)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The new file.", show_default=False)], config: ConfigOption = None
) -> None:
    """Copy the ledger, while it is in use, into a new file, which is there whole or not at all."""
    from warmer.cli import wiring

    size = wiring.upkeep_of(wiring.load(config)).back_up(file)
    typer.echo(f"{file}: {size:,} bytes")


@app.command()
def vacuum(config: ConfigOption = None) -> None:
    """Give back the room of what was deleted."""
    from warmer.cli import wiring

    before, after = wiring.upkeep_of(wiring.load(config)).vacuum()
    typer.echo(f"{before:,} bytes before, {after:,} after")

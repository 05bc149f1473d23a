"""Options that several commands share, spelled once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from warmer.core.units import parse_duration


def duration(given: str | timedelta) -> timedelta:
    """A duration given on the command line; a default is one already."""
    if isinstance(given, timedelta):
        return given
    try:
        return parse_duration(given)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc


def names_in_file(ctx: typer.Context, incomplete: str) -> list[str]:
    """The models of the file in force that begin so, for the shell to complete; none where the file is wrong."""
    from warmer.cli import wiring
    from warmer.errors import WarmerError

    try:
        spec = wiring.load(ctx.params.get("config"), only_file=True)
    except WarmerError:
        return []
    return [model.name for model in spec.models if model.name.startswith(incomplete)]


TracesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[TRACE]...",
        help="Past calls: csv files with the header `t,model`, .gz too. Default: the ledger's.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The file. Default: $WARMER_CONFIG, ./config/warmer.yaml, /etc/warmer/warmer.yaml.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SinceOption = Annotated[
    timedelta,
    typer.Option("--since", parser=duration, metavar="DURATION", help="How far to look back, such as 12h or 7d."),
]

"""`warmer pause`, `warmer resume`, `warmer warm`: what is asked for beside the file, for a while."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption, duration, names_in_file
from warmer.core.spec import Spec
from warmer.errors import UsageError

if TYPE_CHECKING:
    from warmer.core.override import Override, Overrides

_SHOWN = 20
"""Names in an error: enough to find the one that was meant."""


def _lasting(given: str | timedelta) -> timedelta:
    from warmer.core.override import lasting

    try:
        return lasting(duration(given))
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc


ModelsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL]...", help="By their names in the file. Default: all of them.", autocompletion=names_in_file
    ),
]


def pause(
    models: ModelsArgument = None,
    config: ConfigOption = None,
    lasting: Annotated[
        timedelta | None,
        typer.Option(
            "--for",
            parser=_lasting,
            metavar="DURATION",
            help="For how long, such as 2h. Default: until `warmer resume`.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send nothing to these models, and put their floors back, until they are resumed. Beats that are out go on."""

    def change(overrides: Overrides, now: datetime) -> Overrides:
        return overrides.paused(models or (), now, None if lasting is None else now + lasting)

    _change(config, models or [], change, as_json=as_json)


def resume(models: ModelsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Go by the file again: take back what `pause` and `warm` have asked for."""
    _change(config, models or [], lambda overrides, now: overrides.resumed(models or (), now), as_json=as_json)


def warm(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="By their names in the file.", autocompletion=names_in_file),
    ],
    lasting: Annotated[
        timedelta,
        typer.Option(
            "--for", parser=_lasting, metavar="DURATION", help="For how long, such as 2h.", show_default=False
        ),
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep these models warm for a while, as in their active hours. Budgets hold as ever."""
    _change(config, models, lambda overrides, now: overrides.warmed(models, now, now + lasting), as_json=as_json)


def _change(
    config: Path | None, names: list[str], change: Callable[[Overrides, datetime], Overrides], *, as_json: bool
) -> None:
    from warmer import report
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.engine.overriding import change_overrides

    spec = wiring.load(config)
    _check(names, spec)
    ledger = wiring.ledger_of(spec)
    now = SystemClock().now()
    overrides = change_overrides(ledger, lambda known: change(known, now))
    in_force = {model.name: _in_force(overrides, model.name, now) for model in spec.models}
    if as_json:
        models = [{"model": name, "override": one} for name, one in in_force.items()]
        report.write_json({"schema": 1, "at": now, "all": overrides.every, "models": models}, sys.stdout)
        return
    for name in names or ["all models"]:
        typer.echo(f"{name}: {told(in_force[name] if names else overrides.every, spec)}")


def _in_force(overrides: Overrides, model: str, now: datetime) -> Override | None:
    from warmer.core.override import binding

    return binding(overrides.of(model), now)


def told(override: Override | None, spec: Spec) -> str:
    """An override in words."""
    from warmer import report
    from warmer.core.override import Kind

    if override is None or override.kind is Kind.RESUME:
        return "as the file says"
    until = "until it is resumed" if override.until is None else f"until {report.local(override.until, spec.zone)}"
    return f"{'paused' if override.kind is Kind.PAUSE else 'kept warm'} {until}"


def _check(names: list[str], spec: Spec) -> None:
    known = [model.name for model in spec.models]
    if unknown := [name for name in names if spec.model(name) is None]:
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        raise UsageError(
            f"{spec.path} has no model {', '.join(map(repr, unknown))}: it has {', '.join(known[:_SHOWN])}{more}"
        )

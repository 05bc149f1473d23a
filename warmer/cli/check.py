"""`warmer check`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from warmer.cli.options import ConfigOption, JsonOption
from warmer.core.beat import Contract
from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec, PolicyName, Spec
from warmer.errors import AccountRefused, ConfigError, CreditExhausted, Fault, ModelRefused, ProviderError, UsageError

_FINE: Final = "fine"


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Any number of files, in the place of `--config`.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
    online: Annotated[
        bool, typer.Option("--online", help="Ask the API too: token, models, versions, billing, inputs. Runs nothing.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the effective file, secrets as references.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether the file is right, when its hours open in the coming week, and what is likely not meant.

    Exits 2, naming every fault's place, where the file is wrong. Of several files the faults of all are named.
    """
    from warmer import report

    if files and config is not None:
        raise UsageError("`check FILE` and `check --config FILE` are one and the same: write one of them")
    if as_json and files and len(files) > 1:
        raise UsageError("`--json` is one document of one file: name one")
    try:
        specs = _load(files or [config])
    except ConfigError as exc:
        if as_json:
            report.write_json({"schema": 1, "ok": False, "faults": exc.faults}, sys.stdout)
            raise typer.Exit(exc.exit_code) from exc
        raise
    raise typer.Exit(max(_tell(spec, online=online, show=show, as_json=as_json) for spec in specs))


def _load(files: Sequence[Path | None]) -> list[Spec]:
    """Raises ConfigError with the faults of all of them."""
    from warmer.cli import wiring

    specs, faults = list[Spec](), list[Fault]()
    for file in files:
        try:
            specs.append(wiring.load(file))
        except ConfigError as exc:
            faults += exc.faults
    if faults:
        raise ConfigError(*faults)
    return specs


def _tell(spec: Spec, *, online: bool, show: bool, as_json: bool) -> int:
    """Print what there is to say of one file; the exit code that this comes to."""
    from warmer import config as configuration
    from warmer import report
    from warmer.clock import SystemClock

    now = SystemClock().now()
    weeks = _weeks(spec, now)
    answers, code = asyncio.run(_ask(spec)) if online else ([], 0)
    if as_json:
        document: dict[str, Any] = {
            "schema": 1,
            "ok": code == 0,
            "file": spec.path,
            "digest": spec.digest,
            "models": [model.name for model in spec.models],
            "hours": weeks,
            "budget": _never_sent(spec, now),
            "online": answers if online else None,
        }
        if show:
            document["effective"] = configuration.show(spec)
        report.write_json(document, sys.stdout)
    else:
        _print(spec, weeks, [*_never_sent(spec, now), *_floors(spec)], answers, show=show)
    return code


def _weeks(spec: Spec, now: datetime) -> list[dict[str, Any]]:
    """Each distinct hours, the models that have it, its coming seven days and what is odd about it."""
    from warmer.core.hours import week
    from warmer.core.hours_hidden import hidden_rules

    models_of = defaultdict[ActiveHours, list[str]](list)
    for model in spec.models:
        models_of[model.hours].append(model.name)
    weeks = []
    for hours, names in models_of.items():
        hidden = [str(rule) for line in hours.lines for rule in hidden_rules(line, hours.zone, hours.country, now)]
        weeks.append(
            {
                "lines": hours.lines,
                "timezone": str(hours.zone),
                "models": names,
                "days": [str(day) for day in week(hours, now)],
                "next_open": hours.next_open(now),
                "warnings": hidden,
            }
        )
    return weeks


def _never_sent(spec: Spec, now: datetime) -> list[str]:
    """What the budget keeps from ever being sent, or raised."""
    from warmer.core.afford import never_sent

    return [
        f"{model.where}: {model.name}: {why}" for model in spec.models if (why := never_sent(model, now)) is not None
    ]


def _floors(spec: Spec) -> list[str]:
    """What is billed whether anybody calls or not."""
    return [
        f"{model.where}: {model.name}: its floor holds {model.instances} instances in its hours: every second of "
        f"each is billed{'' if model.caps else ', and no `budget` caps that'}"
        for model in spec.models
        if model.policy is PolicyName.FLOOR
    ]


def _print(
    spec: Spec, weeks: list[dict[str, Any]], warnings: list[str], answers: list[dict[str, Any]], *, show: bool
) -> None:
    from warmer import config as configuration
    from warmer import report

    if show:
        typer.echo(configuration.dump(configuration.show(spec)))
    for item in weeks:
        names = item["models"]
        typer.echo(
            f"hours {' | '.join(item['lines'])}  ({item['timezone']}; {len(names)} of {len(spec.models)} models)"
        )
        for day in item["days"]:
            typer.echo(f"  {day}")
        for warning in item["warnings"]:
            typer.echo(f"  warning: {warning}")
    for warning in warnings:
        typer.echo(f"warning: {warning}")
    for answer in answers:
        typer.echo(f"{answer['model']}: {answer['answer']}")
        if answer["billing"] is not None:
            facts = ", ".join(f"{key} {answer[key] or report.UNKNOWN}" for key in ("version", "billing", "price"))
            typer.echo(f"  {facts}\n  input {json.dumps(answer['input'], ensure_ascii=False)}")
        if answer["note"] is not None:
            typer.echo(f"  {answer['note']}")
    refused = sum(answer["answer"] != _FINE for answer in answers)
    word = f"the file is fine, the API refuses {refused} of" if refused else "fine,"
    typer.echo(f"{spec.path}: {word} {len(spec.models)} models, digest {spec.digest}")


async def _ask(spec: Spec) -> tuple[list[dict[str, Any]], int]:
    """What the API says of each model, and the exit code: the worst answer's."""
    from warmer.cli import wiring
    from warmer.clock import SystemClock

    connect = wiring.hosts_of(spec, SystemClock())
    answers, code = list[dict[str, Any]](), 0
    providers = {label: connect(host) for label, host in spec.hosts.items()}
    try:
        for model in spec.models:
            provider = providers[spec.host_of(model).label]
            try:
                answers.append(_answer(model, await provider.describe(model.target)))
            except (AccountRefused, CreditExhausted) as exc:
                if len(providers) == 1:
                    raise  # every other model would get the same answer
                answers.append(_refusal(model, str(exc)))
            except ModelRefused as exc:
                answers.append(_refusal(model, f"{exc}; {model.where_of(exc.key)}: {exc.hint}"))
            except ProviderError as exc:
                answers.append(_refusal(model, str(exc)))
            if answers[-1]["answer"] != _FINE:
                code = ProviderError.exit_code
    finally:
        for provider in providers.values():
            await provider.close()
    return answers, code


def _answer(model: ModelSpec, contract: Contract) -> dict[str, Any]:
    from warmer.core.official import ALWAYS_ON, is_left_alone
    from warmer.core.schema_input import validate_input
    from warmer.core.smallest import made_up_input

    beat_input = made_up_input(model, contract) if model.input is None else model.input
    faults = validate_input(beat_input, contract.input_schema)
    price = model.price_on(contract.hardware)
    return {
        "model": model.name,
        "answer": _FINE if not faults else f"{model.where_of('input')}: input: " + "; ".join(faults),
        "version": contract.version,
        "billing": model.billing or contract.billing,
        "price": None if price is None else str(price),
        "input": beat_input,
        "note": ALWAYS_ON if is_left_alone(model, contract.billing) else None,
    }


def _refusal(model: ModelSpec, answer: str) -> dict[str, Any]:
    facts = dict.fromkeys(("version", "billing", "price", "input", "note"))
    return {"model": model.name, "answer": answer, **facts}

"""`warmer inspect`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from warmer.cli.options import ConfigOption, JsonOption
from warmer.core.spec import Spec
from warmer.errors import ConfigError, UsageError, WarmerError


def inspect(
    model: Annotated[str, typer.Argument(help="A model's name in the file, or any owner/name[:version].")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a model takes and what a beat of it would send. Only reads: nothing is run, nothing is billed."""
    from warmer import report
    from warmer.cli import wiring

    try:
        spec: Spec | None = wiring.load(config)
    except UsageError:
        if config is not None:
            raise
        spec = None  # no file is needed to look at a model
    facts = asyncio.run(_facts(model, spec))
    if as_json:
        report.write_json(facts, sys.stdout)
        return
    shown = facts | {
        "versions": f"{len(facts['versions'])} listed" if facts["versions"] else None,
        "schema": ", ".join(_takes(facts["schema"])) or None,
    }
    if facts["note"] is None:
        del shown["note"]  # there is nothing to say, and nothing unknown
    report.write_table(("", model), [(key, _text(value)) for key, value in shown.items()], sys.stdout, left=2)


async def _facts(wanted: str, spec: Spec | None) -> dict[str, Any]:
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.config import parse
    from warmer.core.official import ALWAYS_ON, is_left_alone
    from warmer.core.price import price_of
    from warmer.core.schema_input import smallest_input

    found = spec.model(wanted) if spec else None
    if spec is None or found is None:
        try:
            lone = parse(f"models: [{{model: {wanted!r}}}]".encode(), path="MODEL")
        except ConfigError as exc:
            raise UsageError(f"{wanted!r}: {exc.faults[0].problem} ({exc.faults[0].hint})") from exc
        spec, found = (replace(lone, account=spec.account) if spec else lone), lone.models[0]
    provider = wiring.provider_of(spec, SystemClock())
    try:
        contract = await provider.describe(found.target)
        versions = await provider.versions(found.target)
    finally:
        await provider.close()
    price = found.price or price_of(contract.hardware, found.prices)
    return {
        "model": wanted,
        "kind": contract.kind,
        "input": found.input
        if found.input is not None
        else smallest_input(contract.input_schema, contract.example_input),
        "billing": found.billing or contract.billing,
        "price": None if price is None else str(price),
        "version": contract.version,
        "versions": versions,
        "schema": contract.input_schema,
        "typical_wait_s": _typical_wait_s(found.name, spec),
        "note": ALWAYS_ON if is_left_alone(found, contract.billing) else None,
    }


def _typical_wait_s(name: str, spec: Spec) -> float | None:
    """What beats and calls of it waited when warm, as the ledger has it; None while it has too few."""
    from warmer.cli import wiring
    from warmer.core.verdict import typical_warm_wait_s

    if not spec.path or spec.model(name) is None:
        return None
    try:
        waits = wiring.ledger_of(spec).history(name).warm_waits
    except WarmerError:
        return None  # what is asked is the model, not the ledger
    typical_s = typical_warm_wait_s(waits)
    return None if typical_s is None else round(typical_s, 3)


def _takes(schema: Mapping[str, Any] | None) -> Iterator[str]:
    """The inputs of `schema`, each with its type; the required ones are marked."""
    required = (schema or {}).get("required") or ()
    for name, about in ((schema or {}).get("properties") or {}).items():
        kind = about.get("type") if isinstance(about, Mapping) else None
        yield f"{name}{'*' if name in required else ''} {kind or 'any'}"


def _text(value: object) -> str:
    if value is None:
        return "unknown"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, Mapping)) else str(value)

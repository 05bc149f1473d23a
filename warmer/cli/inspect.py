"""`warmer inspect`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

import typer

from warmer.cli.options import ConfigOption, JsonOption, names_in_file
from warmer.core.beat import Contract, Status
from warmer.core.spec import ModelSpec, Spec
from warmer.errors import ConfigError, ModelRefused, UsageError, WarmerError
from warmer.ports import Ledger

_LATELY = timedelta(days=7)
_ROWS = (
    *("model", "kind", "input", "smallest", "default", "compared", "measured", "billing", "price", "version"),
    *("versions", "schema", "typical_wait_s", "note"),
)
_LONGEST = 60  # letters of a value that is shown in the table; files are longer


def inspect(
    model: Annotated[
        str,
        typer.Argument(help="A model's name in the file, or any owner/name[:version].", autocompletion=names_in_file),
    ],
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
        "smallest": facts["smallest"]["input"],
        "default": facts["default"]["input"],
        "compared": _compared(facts),
        "measured": _measured_in_words(facts["measured"]),
        "versions": f"{len(facts['versions'])} listed" if facts["versions"] else None,
        "schema": ", ".join(_takes(facts["schema"])) or None,
    }
    # No second time what a beat sends; and where there is nothing to note, nothing is unknown.
    same = ["smallest"] if shown["smallest"] == shown["input"] else []
    rows = [key for key in _ROWS if key not in (*same, *(["note"] if facts["note"] is None else []))]
    report.write_table(("", model), [(key, _text(shown[key])) for key in rows], sys.stdout, left=2)


async def _facts(wanted: str, spec: Spec | None) -> dict[str, Any]:
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.config import parse

    found = spec.model(wanted) if spec else None
    if spec is None or found is None:
        try:
            lone = parse(f"models: [{{model: {wanted!r}}}]".encode(), path="MODEL")
        except ConfigError as exc:
            raise UsageError(f"{wanted!r}: {exc.faults[0].problem} ({exc.faults[0].hint})") from exc
        spec, found = (replace(lone, account=spec.account) if spec else lone), lone.models[0]
    provider = wiring.hosts_of(spec, SystemClock())(spec.host_of(found))
    try:
        contract = await provider.describe(found.target)
        versions = await provider.versions(found.target)
    finally:
        await provider.close()
    price, ledger = found.price_on(contract.hardware), _ledger_of(found.name, spec)
    return {
        "model": wanted,
        "kind": contract.kind,
        **_inputs(found, contract),
        "measured": _measured(found.name, ledger),
        "billing": found.billing or contract.billing,
        "price": None if price is None else str(price),
        "version": contract.version,
        "versions": versions,
        "schema": contract.input_schema,
        "typical_wait_s": _typical_wait_s(found.name, ledger),
    }


def _inputs(model: ModelSpec, contract: Contract) -> dict[str, Any]:
    """What a beat sends, the smallest that can be made up, what runs by default, how those compare, what is amiss."""
    from warmer.core.effort import effort_of, share_of
    from warmer.core.official import ALWAYS_ON, is_left_alone
    from warmer.core.smallest import default_input, fitting_input

    schema, note = contract.input_schema, None
    smallest: Mapping[str, Any] | None = None
    try:
        smallest = fitting_input(contract)
    except ModelRefused as exc:
        if model.input is None:
            note = f"{exc}: {exc.hint}"
    if is_left_alone(model, contract.billing):
        note = ALWAYS_ON
    sent = smallest if model.input is None else model.input
    default = default_input(schema, contract.example_input)
    effort, usual = effort_of(sent or {}, schema), effort_of(default, schema)
    return {
        "input": sent,
        "effort": asdict(effort),
        "smallest": {"input": smallest},
        "default": {"input": default, "effort": asdict(usual)},
        "share": None if sent is None else share_of(effort, usual),
        "note": note,
    }


def _ledger_of(name: str, spec: Spec) -> Ledger | None:
    """Where the model is on record; None where it is not of a file, or the ledger cannot be used."""
    from warmer.cli import wiring

    if not spec.path or spec.model(name) is None:
        return None
    try:
        return wiring.ledger_of(spec)
    except WarmerError:
        return None  # what is asked is the model, not the ledger


def _measured(name: str, ledger: Ledger | None) -> dict[str, Any]:
    """What beats and calls of the last days took, as the ledger has it; None where nobody knows."""
    from statistics import median

    from warmer.clock import SystemClock

    beats, costs, calls = list[float](), list[Decimal](), list[float]()
    if ledger is not None:
        since = SystemClock().now() - _LATELY
        try:
            for beat in ledger.beats(since=since, model=name):
                if beat.status is Status.SUCCEEDED and beat.run_s is not None:
                    beats.append(beat.run_s)
                    costs += [beat.cost_usd] if beat.cost_usd is not None else []
            for call in ledger.requests(since=since, model=name):
                if call.status is Status.SUCCEEDED and call.run_s is not None:
                    calls.append(call.run_s)
        except WarmerError:
            pass  # what is asked is the model, not the ledger
    return {
        "beats": len(beats),
        "beat_run_s": round(median(beats), 3) if beats else None,
        "beat_cost_usd": str(median(costs)) if costs else None,
        "calls": len(calls),
        "call_run_s": round(median(calls), 3) if calls else None,
    }


def _typical_wait_s(name: str, ledger: Ledger | None) -> float | None:
    """What beats and calls of it waited when warm, as the ledger has it; None while it has too few."""
    from warmer.core.verdict import typical_warm_wait_s

    if ledger is None:
        return None
    try:
        waits = ledger.history(name).warm_waits
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


def _compared(facts: Mapping[str, Any]) -> str | None:
    """`steps 1 of 50, pixels 65536 of 1048576: 0.00125 of the default's work`."""
    usual = facts["default"]["effort"]
    told = [f"{what} {ours:g} of {usual[what]:g}" for what, ours in facts["effort"].items() if ours and usual[what]]
    if facts["share"] is None:
        return None
    return f"{', '.join(told)}: {facts['share']:.3g} of the default's work"


def _measured_in_words(measured: Mapping[str, Any]) -> str | None:
    beats, calls = measured["beats"], measured["calls"]
    if not beats and not calls:
        return None
    said = []
    if beats:
        cost = measured["beat_cost_usd"]
        price = "nobody knows for how much" if cost is None else f"for {cost} USD"
        said.append(f"{beats} beats in 7 days ran {measured['beat_run_s']} s, {price}")
    if calls:
        said.append(f"{calls} calls ran {measured['call_run_s']} s")
    return "; ".join(said)


def _text(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, Mapping):
        return json.dumps({key: _cut(one) for key, one in value.items()}, ensure_ascii=False)
    return str(value)


def _cut(value: object) -> object:
    return f"{value[:_LONGEST]}…" if isinstance(value, str) and len(value) > _LONGEST else value

"""From the text of a YAML file to a Spec, or every fault of it with its place.

`document` reads strict YAML, `shape` knows keys and `values`, `fitting` holds the one against the other, `entries` what
keys say together; here it becomes a Spec.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from warmer.config import endpoint_entries
from warmer.config.document import MAX_BYTES, Document, read_document
from warmer.config.effective import dump, show
from warmer.config.entries import check_entries, check_public_url
from warmer.config.faults import Faults
from warmer.config.files import read_file
from warmer.config.fitting import read_shape
from warmer.config.ledger import check_ledger
from warmer.config.prices import known_table, read_table
from warmer.config.schema import json_schema
from warmer.config.secret import read_password, read_secret, read_secrets
from warmer.config.servers import host_of, usual_price
from warmer.config.shape import AlertsShape, BudgetShape, ModelShape
from warmer.config.values import read_listen
from warmer.core.budget import Cap, Period
from warmer.core.hours import ActiveHours
from warmer.core.price import Price, PriceTable, price_of
from warmer.core.spec import (
    WEBHOOKS,
    AccountSpec,
    Alerts,
    Engine,
    Listen,
    ModelSpec,
    PolicyName,
    Retention,
    Spec,
    Target,
    TargetKind,
)
from warmer.errors import ConfigError, Fault, UsageError

__all__ = [
    "dump",
    "find",
    "json_schema",
    "listen_of",
    "load",
    "parse",
    "read_password",
    "read_secret",
    "read_secrets",
    "show",
]

LOCAL = Path("config/warmer.yaml")
SYSTEM = Path("/etc/warmer/warmer.yaml")


def find(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """The file to use: as asked for, else `$WARMER_CONFIG`, else LOCAL under `cwd`, else SYSTEM.

    Raises UsageError where none is named and none is there.
    """
    if explicit is not None:
        return explicit
    if named := environ.get("WARMER_CONFIG"):
        return Path(named)
    for path in (cwd / LOCAL, SYSTEM):
        if path.is_file():
            return path
    raise UsageError(
        f"there is no configuration at {LOCAL} or {SYSTEM} "
        "(name one with -c FILE or $WARMER_CONFIG; the smallest is `models: [{model: owner/name}]`)"
    )


def load(path: Path, *, only_file: bool = False) -> Spec:
    """The spec in the file at `path`. Raises ConfigError with every fault, also where the file cannot be read.

    A pipe is read to its end. With `only_file` it is refused, and so is a device: who waits for one may wait for ever.
    """
    try:
        content = read_file(path, MAX_BYTES, only_file=only_file)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        problem = f"the file cannot be read: {error.strerror if isinstance(error, OSError) else error}"
        fault = Fault(file=str(path), line=1, column=1, problem=problem, hint="look at its path and its mode")
        raise ConfigError(fault) from None
    return parse(content, path=str(path))


def listen_of(path: Path) -> Listen | None:
    """What the file at `path` says of `listen`, whatever else is wrong with it; None is `off`.

    Where it says nothing that can be used, the default.
    """
    try:
        document = read_document(read_file(path, MAX_BYTES), Faults(str(path)))
        return read_listen(document.value["listen"])
    except (ConfigError, OSError, ValueError, LookupError, TypeError):
        return Listen()


def parse(text: bytes, *, path: str, in_force: Spec | None = None) -> Spec:
    """The spec in `text`. Raises ConfigError with every fault; `path` names the file in them.

    Given the spec that is `in_force`, nothing but `text` is read, as of somebody who may not look at files here: of
    price tables that one's alone may be named.
    """
    faults = Faults(path)
    document = read_document(text, faults)
    table = read_table(document, path, faults) if in_force is None else known_table(document, in_force, faults)
    shape = read_shape(document, faults, table)
    check_entries(document, faults)
    check_ledger(document, faults)
    check_public_url(document, faults)
    faults.add_tokens(text.decode(), document.texts())
    if shape is None or faults:
        raise faults.error()
    given = _given(shape)
    webhook_url = _webhook_url(given.get("public_url"))
    accounts = {
        name: AccountSpec(name=name, **_given(one), webhook_url=webhook_url)
        for name, one in given.get("accounts", {}).items()
    }
    defaults = _given(given.get("defaults"))
    return Spec(
        zone=given.get("timezone", ZoneInfo("UTC")),
        models=tuple(
            replace(
                _model(entry, defaults, given, accounts, table),
                where=f"{path}:{document.place(('models', at)).line}",
                places=_places(document, at, path),
            )
            for at, entry in enumerate(shape.models)
        ),
        account=AccountSpec(**_given(given.get("replicate")), webhook_url=webhook_url),
        prices=given.get("prices"),
        ledger=given.get("ledger"),
        listen=given.get("listen", Listen()),
        public_url=given.get("public_url"),
        admin_token=given.get("admin_token"),
        ledger_password=given.get("ledger_password"),
        alerts=_alerts(given.get("alerts")),
        retention=Retention(**_given(given.get("retention"))),
        engine=given.get("engine", Engine.LOCAL),
        path=path,
        digest=hashlib.sha256(text).hexdigest()[:12],
    )


def _webhook_url(public_url: str | None) -> str | None:
    return None if public_url is None else f"{public_url}{WEBHOOKS}"


_AS_GIVEN = (
    *("policy", "every", "lead", "instances", "shadow", "input", "billing", "deadline", "cancel_on_start"),
    "alerts",
)


def _model(
    entry: ModelShape,
    defaults: Mapping[str, Any],
    file: Mapping[str, Any],
    accounts: Mapping[str, AccountSpec],
    table: PriceTable,
) -> ModelSpec:
    own = _given(entry)
    target: Target = next(own[kind.value] for kind in TargetKind if kind.value in own)
    name = own.get("name", str(target))
    is_endpoint = target.kind is TargetKind.URL
    if is_endpoint:
        defaults = endpoint_entries.heeded(defaults)
    both = {**defaults, **own}
    if both.get("policy") is PolicyName.FLOOR:
        both.pop("shadow", None)  # of the defaults: there are no beats to compare it with
    # Price and hardware are two ways to say one thing: an entry's own, either of them, goes before the defaults',
    # which are not of a Cog server.
    is_cog = target.kind is TargetKind.COG
    price = _price(own, table) or (usual_price(target, both.get("billing")) if is_cog else _price(defaults, table))
    if is_endpoint:
        both = endpoint_entries.implied(price) | both
    is_listed = target.kind.is_of_an_account
    zone, country = file.get("timezone", ZoneInfo("UTC")), file.get("country")
    return ModelSpec(
        name=name,
        target=target,
        host=host_of(target)
        or (endpoint_entries.endpoint_of(name, target, own) if is_endpoint else accounts.get(both.get("account", ""))),
        hours=ActiveHours(lines=tuple(both.get("hours", ("24/7",))), zone=zone, country=country),
        caps=(*_caps(both.get("budget"), name), *_caps(file.get("budget"), None)),
        price=price,
        prices=table,
        self_host_per_hour=_given(both.get("self_host")).get("per_hour"),
        first_token=both.get("measure", False) and is_listed,
        traffic=both.get("traffic", True) and is_listed,
        **_aim(own) or _aim(defaults),
        **{key: both[key] for key in _AS_GIVEN if key in both},
    )


def _places(document: Document, at: int, path: str) -> dict[str, str]:
    """The "file:line" of what the entry names, and of its input, which may be that of the defaults."""
    ways: dict[str, tuple[tuple[str | int, ...], ...]] = {
        "target": tuple(("models", at, kind.value) for kind in TargetKind),
        "input": (("models", at, "input"), ("models", at, "body"), ("defaults", "input")),
    }
    return {
        key: f"{path}:{document.key_place(way).line}"
        for key, those in ways.items()
        if (way := next(filter(document.has, those), None)) is not None
    }


def _price(given: Mapping[str, Any], table: PriceTable) -> Price | None:
    if "price" in given:
        return Price(source="file", **_given(given["price"]))
    return price_of(given.get("hardware"), table)


def _caps(budget: BudgetShape | None, model: str | None) -> tuple[Cap, ...]:
    given = _given(budget)
    return tuple(Cap(model=model, period=period, usd=given[period]) for period in Period if period in given)


def _aim(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a cold start is worth, or how many may be: two ways to say one thing, like price and hardware."""
    return {key: given[key] for key in ("cold_target", "cold_start_price") if key in given}


def _alerts(shape: AlertsShape | None) -> Alerts:
    given = _given(shape)
    return Alerts(to=tuple(dict.fromkeys(given.get("to", ()))), ping=given.get("ping"))


def _given(shape: BaseModel | None) -> dict[str, Any]:
    """The keys that the file gives; of the others the defaults of the core hold."""
    return {key: getattr(shape, key) for key in shape.model_fields_set} if shape is not None else {}

"""The file that describes a world: TOML in, `World` out. What it does not name is as in the catalogue."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from warmer.errors import UsageError
from warmer.sandbox.catalogue import DEPLOYMENTS, MODELS, schema
from warmer.sandbox.traits import Account, Deployment, Growth, Kind, Traits, Version, version_id
from warmer.sandbox.world import World

_Value = TypeVar("_Value", Traits, Deployment, Account, Growth)

_TOP = {"seed": int, "catalogue": bool, "account": dict, "models": dict, "deployments": dict}
_MOST_VERSIONS = 1000
_SCHEMA_OF = {
    Kind.TEXT: "text",
    Kind.IMAGES: "sdxl",
    Kind.IMAGE: "real-esrgan",
    Kind.TRANSCRIPT: "whisper",
    Kind.CAPTION: "blip",
    Kind.GREETING: "hello-world",
}


def read_world(path: Path, *, begin: datetime) -> World:
    """The world that the file describes, beginning at `begin`. UsageError names the file and the key that is wrong."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); pass a world file that exists") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is not TOML: {error}") from error
    try:
        return world_of(document, begin=begin)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def world_of(document: Mapping[str, Any], *, begin: datetime) -> World:
    """The world that a parsed file describes. ValueError names the key that is wrong."""
    for key, value in document.items():
        if key not in _TOP:
            raise ValueError(f"{key}: unknown key; use one of {', '.join(_TOP)}")
        _expect(key, value, _TOP[key])
    own_catalogue = document.get("catalogue", True)
    models = {model.slug: model for model in MODELS} if own_catalogue else {}
    for slug, table in document.get("models", {}).items():
        where = f'models."{slug}"'
        models[slug] = _model(where, slug, _table(where, table), models.get(slug))
    deployments = {one.slug: one for one in DEPLOYMENTS} if own_catalogue else {}
    for slug, table in document.get("deployments", {}).items():
        where = f'deployments."{slug}"'
        deployments[slug] = _deployment(where, slug, _table(where, table), deployments.get(slug), models)
    account = _build("account", Account, dict(document.get("account", {})))
    try:
        return World(
            begin=begin,
            seed=document.get("seed", 0),
            models=models.values(),
            deployments=deployments.values(),
            account=account,
        )
    except LookupError as error:
        raise ValueError(f"deployments: {error}") from error


def _model(where: str, slug: str, table: dict[str, Any], known: Traits | None) -> Traits:
    owner, name = _split(where, slug)
    for key in ("owner", "name"):
        if key in table:
            raise ValueError(f"{where}.{key}: leave it out; the table's own name says owner/name")
    schema_name = table.pop("schema", None)
    count = table.pop("versions", None)
    if count is not None:
        _expect(f"{where}.versions", count, int)
        if not 1 <= count <= _MOST_VERSIONS:
            raise ValueError(f"{where}.versions is {count}: use 1 to {_MOST_VERSIONS}")
    if known is None:
        kind = table.setdefault("kind", "text")
        table.setdefault("hardware", "gpu-t4")
        if kind not in list(Kind):
            raise ValueError(f"{where}.kind: {kind!r} is unknown; use one of {', '.join(Kind)}")
        schema_name = schema_name or _SCHEMA_OF[Kind(kind)]
    if schema_name is not None or count is not None:
        try:
            document = schema(schema_name) if schema_name is not None else None
        except ValueError as error:
            raise ValueError(f"{where}.schema: {error}") from error
        if document is None and known is not None:
            document = known.latest.openapi_schema
        created_at = MODELS[0].latest.created_at
        table["versions"] = tuple(
            Version(id=version_id(slug, number), created_at=created_at, openapi_schema=document or {})
            for number in range(1 if count is None else count, 0, -1)
        )
    if "growth" in table:
        _expect(f"{where}.growth", table["growth"], list)
        table["growth"] = tuple(
            _build(f"{where}.growth[{index}]", Growth, _table(f"{where}.growth[{index}]", item))
            for index, item in enumerate(table["growth"])
        )
    if known is None:
        return _build(where, Traits, {"owner": owner, "name": name, **table})
    return _build(where, Traits, table, known)


def _deployment(
    where: str, slug: str, table: dict[str, Any], known: Deployment | None, models: Mapping[str, Traits]
) -> Deployment:
    owner, name = _split(where, slug)
    if known is not None:
        return _build(where, Deployment, table, known)
    model = str(table.get("model"))
    if model not in models:
        raise ValueError(f"{where}.model: {model!r} is no model here; use one of {', '.join(models)}")
    table.setdefault("version", models[model].latest.id)
    table.setdefault("hardware", models[model].hardware)
    return _build(where, Deployment, {"owner": owner, "name": name, **table})


def _build(where: str, kind: type[_Value], table: dict[str, Any], base: _Value | None = None) -> _Value:
    """A frozen value from a table: known keys, plain types, and the value's own rules."""
    known = {item.name: item for item in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"{where}.{key}: unknown key; use one of {', '.join(known)}")
        values[key] = _convert(f"{where}.{key}", value, str(known[key].type))
    missing = [name for name, item in known.items() if item.default is MISSING and item.default_factory is MISSING]
    if base is None and (lacking := [name for name in missing if name not in values]):
        raise ValueError(f"{where}: {', '.join(lacking)} missing")
    try:
        return kind(**values) if base is None else replace(base, **values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _convert(where: str, value: Any, wanted: str) -> Any:
    match wanted:
        case "float":
            _expect(where, value, (int, float))
            return float(value)
        case "int" | "bool" | "str":
            _expect(where, value, {"int": int, "bool": bool, "str": str}[wanted])
            return value
        case "Decimal | None":
            _expect(where, value, str, 'money as text, such as "0.003"')
            try:
                return Decimal(value)
            except InvalidOperation:
                raise ValueError(f'{where}: {value!r} is no amount; write it like "0.003"') from None
        case "Kind":
            if value not in list(Kind):
                raise ValueError(f"{where}: {value!r} is unknown; use one of {', '.join(Kind)}")
            return Kind(value)
        case "tuple[str, ...]":
            # The values may be tokens: they are not repeated in the error.
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ValueError(f"{where}: write a list of texts")
            return tuple(value)
        case "Mapping[str, Any] | None":
            _expect(where, value, dict)
            return value
        case "datetime":
            _expect(where, value, datetime, "a time with its offset, such as 2026-01-05T08:00:00Z")
            if value.tzinfo is None:
                raise ValueError(f"{where}: {value} has no offset; write it like 2026-01-05T08:00:00Z")
            return value
        case _:
            return value


def _expect(where: str, value: Any, kind: Any, wish: str = "") -> None:
    # A bool is an int to Python, but never to whoever wrote the file.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = {int: "a whole number", bool: "true or false", str: "text", dict: "a table", list: "a list"}
        raise ValueError(f"{where}: {value!r} does not fit; write {wish or names.get(kind, 'a number or a list')}")


def _table(where: str, value: Any) -> dict[str, Any]:
    _expect(where, value, dict)
    return dict(value)


def _split(where: str, slug: str) -> tuple[str, str]:
    owner, _, name = slug.partition("/")
    if not owner or not name or "/" in name:
        raise ValueError(f'{where}: write the name as "owner/name", in quotes')
    return owner, name

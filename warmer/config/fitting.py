"""From a document to the file's shape, or what does not fit, each with its place."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from warmer.config import endpoints, values
from warmer.config.document import Document
from warmer.config.faults import Faults, WrongValueError, near_miss, quote, suggest
from warmer.config.mapping import Mapped
from warmer.config.shape import (
    AccountShape,
    AlertsShape,
    BudgetShape,
    DefaultsShape,
    FileShape,
    ModelShape,
    OtherAccountShape,
    PriceShape,
    RetentionShape,
    SelfHostShape,
)
from warmer.core.price import TABLE, PriceTable

_BY_KEY: dict[str, type[Mapped]] = {
    "replicate": AccountShape,
    "defaults": DefaultsShape,
    "models": ModelShape,
    "price": PriceShape,
    "budget": BudgetShape,
    "retention": RetentionShape,
    "alerts": AlertsShape,
    "self_host": SelfHostShape,
    "warm": endpoints.WarmShape,
    "poll": endpoints.PollShape,
    "times": endpoints.TimesShape,
}
_ELSEWHERE = (
    ("in an entry of `models`", ModelShape),
    ("under `replicate`", AccountShape),
    ("under `alerts`", AlertsShape),
    ("under `warm` of an entry with `url`", endpoints.WarmShape),
    ("under `poll` of an entry with `url`", endpoints.PollShape),
    ("at the top level, not indented", FileShape),
)


def read_shape(document: Document, faults: Faults, table: PriceTable = TABLE) -> FileShape | None:
    """The document as the file's shape; None, with the faults noted, where it does not fit."""
    zone = _tried(values.read_zone, document, "timezone", ZoneInfo("UTC"))
    # Where the country is wrong, hours are read with any other: the fault is told once, at the country.
    country = _tried(values.read_country, document, "country", "DE")
    try:
        return FileShape.model_validate(document.value, context={"place": (zone, country), "prices": table})
    except ValidationError as error:
        errors = error.errors(include_url=False)
    misspelt = {wrong["loc"][:-1] for wrong in errors if wrong["type"] == "extra_forbidden"}
    for wrong in errors:
        # Beside an unknown key, the one that is missing is that one more likely than not.
        if wrong["type"] != "missing" or wrong["loc"][:-1] not in misspelt:
            _note(wrong, document, faults)
    return None


def _tried(read: Any, document: Document, key: str, otherwise: Any) -> Any:
    if not isinstance(document.value, dict) or key not in document.value:
        return None if key == "country" else otherwise
    try:
        return read(document.value[key])
    except WrongValueError:
        return otherwise


def _note(error: Any, document: Document, faults: Faults) -> None:
    """One error of pydantic as a fault: most are ours and carry their own words."""
    path = error["loc"]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, WrongValueError):
        faults.add(document.place(path), cause.problem, cause.hint)
    elif error["type"] == "extra_forbidden":
        faults.add(document.key_place(path), f"there is no key {quote(path[-1])} here", _known_instead(path))
    elif error["type"] != "missing":
        faults.add(
            document.place(path), "this value does not fit here", f"see `{FileShape.example}` and docs/config.md"
        )
    else:
        faults.add(document.place(path[:-1]), f"`{path[-1]}` is missing", f"write {_shape_of(path[:-1]).example}")


def _shape_of(path: tuple[str | int, ...]) -> type[Mapped]:
    """The mapping that stands at `path`."""
    if path[:1] == ("accounts",):
        return OtherAccountShape
    names = [step for step in path if isinstance(step, str)]
    return _BY_KEY[names[-1]] if names else FileShape


def _known_instead(path: tuple[str | int, ...]) -> str:
    key, here = str(path[-1]), _shape_of(path[:-1])
    if key == "<<":
        return "YAML 1.2 has no merge keys: what many models share goes into `defaults`"
    for where, shape in _ELSEWHERE:
        if key in shape.names() and not near_miss(key, here.names()):
            return f"it belongs {where}"
    return suggest(key, here.names())

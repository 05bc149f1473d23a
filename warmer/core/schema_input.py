"""A model's input schema: read, held against an input, and what kind of model it is of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # heavy: imported where an input is checked, which most passes of `once` never do
    from jsonschema.exceptions import ValidationError

_MAX_DEPTH = 12
_MAX_NODES = 5_000
"""Of a schema with every reference written out. A real one has a few hundred; references can double at every step."""

CUT = "$comment"
"""Marks a place that was too deep or too far in to be written out. No schema can say so: of theirs it is left out."""

_NEVER: dict[str, Any] = {"not": {}}
_FAULTS = 200
"""That are looked at; far fewer are told."""

_CHOICES = 8
"""Of `anyOf` and `oneOf`, in all their combinations, that are looked at."""

_WORDS = """
type enum const default format nullable title description x-order x-cog-array-type x-cog-array-display
minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength
properties required additionalProperties items minItems maxItems allOf anyOf oneOf not
"""
_KEPT = frozenset(_WORDS.split())
_COMBINED = frozenset(("allOf", "anyOf", "oneOf"))


def component(schemas: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The schema called `name` of an OpenAPI document's components, references written out; None where it is missing.

    What points nowhere becomes `{}`, which allows anything; so does what is nested too deep or endless, with the mark
    CUT in it. `true` and `false` are schemas, too. OpenAPI 3.0 words are put
    in JSON Schema's: `nullable`, and limits excluded by a boolean. Any other word is left out: a stranger's `pattern`
    may never end, and a reference in an unusual place may point anywhere.
    """
    root = schemas.get(name)
    if root is False:
        return _NEVER
    return _Writer(schemas).written(root, _MAX_DEPTH) if isinstance(root, Mapping) else None


class _Writer:
    """Writes out references, within a bound on the whole."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self._left = _MAX_NODES

    def written(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        self._left -= 1
        if depth <= 0 or self._left <= 0:
            return {CUT: "too deep or too large to be written out"}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target = self._schemas.get(reference.rsplit("/", 1)[-1])
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            base = self.written(target, depth - 1) if isinstance(target, Mapping) else {}
            return base | self.written(rest, depth - 1) if rest else base
        plain = {key: self._value(key, value, depth) for key, value in schema.items() if key in _KEPT}
        return _in_json_schema_words(plain)

    def _value(self, key: str, value: Any, depth: int) -> Any:
        if key == "properties" and isinstance(value, Mapping):
            return {name: self._schema(inner, depth) for name, inner in value.items()}
        if key in _COMBINED and isinstance(value, list):
            return [self._schema(inner, depth) for inner in value]
        if key in ("items", "additionalProperties", "not") and isinstance(value, Mapping):
            return self._schema(value, depth)
        return value

    def _schema(self, value: Any, depth: int) -> Any:
        if value is False:
            return _NEVER
        return self.written(value, depth - 1) if isinstance(value, Mapping) else {}


def _in_json_schema_words(schema: dict[str, Any]) -> dict[str, Any]:
    for limit, excluded in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(excluded), bool) and schema.pop(excluded) and limit in schema:
            schema[excluded] = schema.pop(limit)
    if schema.pop("nullable", False) is True:
        kept = {key: value for key, value in schema.items() if key in ("title", "description", "default", "x-order")}
        return kept | {"anyOf": [{k: v for k, v in schema.items() if k not in kept}, {"type": "null"}]}
    return schema


def validate_input(given: Mapping[str, Any], schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What is wrong with `given`, a sentence a fault; nothing where there is no schema, or none that can be applied."""
    return () if schema is None else faults_in(given, schema) or ()


def faults_in(given: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The same; None where the schema cannot be applied."""
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry

    formats = FormatChecker(formats=())
    formats.checks("uri")(_is_uri)
    try:
        # With a registry of its own the validator never fetches what a reference names.
        validator = Draft202012Validator(schema, registry=Registry(), format_checker=formats)
        first = islice(validator.iter_errors(dict(given)), _FAULTS)
        errors = sorted(first, key=lambda error: [str(step) for step in error.absolute_path])
    except Exception:  # noqa: BLE001 - the schema is a stranger's; the provider validates again at the create
        return None
    return tuple(_fault(error, given, schema) for error in errors[:20])


def kind_of(takes: Mapping[str, Any] | None, gives: Mapping[str, Any] | None) -> str:
    """What the model is, in a word, guessed from its input and output schemas; `model` where nothing gives it away."""
    names = set(properties_of(takes))
    output = flat(gives)
    if output.get("type") == "array":
        inner = flat(output.get("items"))
        if inner.get("type") in ("number", "integer") or inner.get("type") == "array":
            return "embedding"
        output = inner
    makes_file = output.get("type") == "string" and output.get("format") == "uri"
    if makes_file:
        return _file_kind(names)
    if _has(names, "audio"):
        return "transcription"
    if output.get("type") == "string" and _has(names, "image") and _is_file(takes, "image"):
        return "captioning"
    if output.get("type") == "string" and names & {"prompt", "text", "messages", "message"}:
        return "text"
    return "model"


def flat(schema: Any) -> dict[str, Any]:
    """A property's schema, its `allOf` parts and the first usable choice of `anyOf` or `oneOf` laid over it."""
    if isinstance(schema, Mapping) and not schema.keys() & _COMBINED:
        return dict(schema)
    return next(iter(alternatives(schema)), {})


def alternatives(schema: Any) -> list[dict[str, Any]]:
    """Each way to read a schema without `allOf`, `anyOf` and `oneOf`, null left out; a few of them at the most.

    Each part is read once, and no more than a few ways are kept at any step: choices within choices would double.
    """
    if not isinstance(schema, Mapping):
        return []
    ways: list[dict[str, Any]] = [{}]
    for part in as_list(schema.get("allOf")):
        ways = _combined(ways, alternatives(part))
    for word in ("anyOf", "oneOf"):
        choices = [choice for choice in as_list(schema.get(word)) if isinstance(choice, Mapping)]
        usable = [choice for choice in choices if choice.get("type") != "null"][:_CHOICES]
        ways = _combined(ways, [way for choice in usable for way in alternatives(choice)])
    return _combined(ways, [{key: value for key, value in schema.items() if key not in _COMBINED}])


def _combined(ways: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each of `others` over each of `ways`, the first few."""
    return [_laid_over(one, other) for other in others[:_CHOICES] for one in ways][:_CHOICES] if others else ways


def _laid_over(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**under, **over}
    if "properties" in under and "properties" in over:
        one, other = under["properties"], over["properties"]
        merged["properties"] = {**one, **other} if isinstance(one, Mapping) and isinstance(other, Mapping) else other
    if "required" in under and "required" in over:
        merged["required"] = [*as_list(under["required"]), *as_list(over["required"])]
    return merged


def _fault(error: ValidationError, given: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    where = ".".join(str(step) for step in error.absolute_path)
    message = error.message if len(error.message) <= 200 else error.message[:199] + "…"
    if error.validator == "required":
        missing = next((key for key in as_list(error.validator_value) if f"'{key}'" in error.message), "")
        known = properties_of(schema)
        spare = [key for key in given if key not in known]
        near = get_close_matches(missing, spare, n=1)
        message = f"{missing} is required" + (f" (is {near[0]} meant to be it?)" if near else "")
    if error.validator == "format":
        message += " (write https://… or data:…)"
    return f"{where}: {message}" if where else message


def _file_kind(names: set[str]) -> str:
    is_timed = bool(names & {"duration", "seconds", "seconds_total", "duration_seconds"})
    has_frames = _has(names, "frame") or names & {"fps", "frames_per_second"} or _has(names, "video")
    if has_frames or (is_timed and names & {"resolution", "aspect_ratio", "width"}):
        return "video"
    if is_timed:
        return "audio"
    of_images = {"width", "height", "aspect_ratio", "num_inference_steps", "num_outputs", "negative_prompt"}
    if _has(names, "image") or _has(names, "img") or names & of_images:
        return "image"
    if names & {"voice", "speaker", "language", "sample_rate"} or _has(names, "audio") or _has(names, "speaker"):
        return "audio"
    return "file"


def _is_file(takes: Mapping[str, Any] | None, name: str) -> bool:
    return any(flat(schema).get("format") == "uri" for key, schema in properties_of(takes).items() if _has({key}, name))


def _has(names: Iterable[str], part: str) -> bool:
    return any(re.search(rf"(^|_){part}s?(_|$)", name) for name in names)


def properties_of(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The schemas of an object's keys."""
    found = flat(schema).get("properties")
    return found if isinstance(found, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    """A list that a stranger wrote; empty where it is none."""
    return value if isinstance(value, list) else []


def as_number(value: Any) -> int | float | None:
    """A number that a stranger wrote, of a size that can be reckoned with; None where it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return value if is_number else None


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S", value) is not None

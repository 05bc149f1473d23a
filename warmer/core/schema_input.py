"""A model's input schema: the smallest input that fits it, what is wrong with a given one, what kind of model it is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry

_MAX_DEPTH = 12
_MAX_NODES = 5_000
"""Of a schema with every reference written out. A real one has a few hundred; references can double at every step."""

_WORDS = """
type enum const default format nullable title description x-order x-cog-array-type x-cog-array-display
minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength
properties required additionalProperties items minItems maxItems allOf anyOf oneOf not
"""
_KEPT = frozenset(_WORDS.split())

_PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_SILENCE = "data:audio/wav;base64,UklGRiUAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQEAAAAA"
_NOTE = "data:text/plain;base64,aGk="
_TEXT = "hi"

_LENGTHS = ("max_tokens", "max_new_tokens", "max_length", "max_output_tokens", "max_completion_tokens")
_COUNTS = ("num_outputs", "number_of_images", "num_images")
_SIZES = ("num_inference_steps", "steps", "num_steps", "width", "height")
_PROMPTS = ("prompt", "text")


def component(schemas: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The schema called `name` of an OpenAPI document's components, references written out; None where it is missing.

    What is nested too deep, endless or pointing nowhere becomes `{}`, which allows anything. OpenAPI 3.0 words are put
    in JSON Schema's: `nullable`, and limits excluded by a boolean. Any other word is left out: a stranger's `pattern`
    may never end, and a reference in an unusual place may point anywhere.
    """
    root = schemas.get(name)
    return _Writer(schemas).written(root, _MAX_DEPTH) if isinstance(root, Mapping) else None


class _Writer:
    """Writes out references, within a bound on the whole."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self._left = _MAX_NODES

    def written(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        self._left -= 1
        if depth <= 0 or self._left <= 0:
            return {}
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
        if key in ("allOf", "anyOf", "oneOf") and isinstance(value, list):
            return [self._schema(inner, depth) for inner in value]
        if key in ("items", "additionalProperties", "not") and isinstance(value, Mapping):
            return self._schema(value, depth)
        return value

    def _schema(self, value: Any, depth: int) -> Any:
        return self.written(value, depth - 1) if isinstance(value, Mapping) else {}


def _in_json_schema_words(schema: dict[str, Any]) -> dict[str, Any]:
    for limit, excluded in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(excluded), bool) and schema.pop(excluded) and limit in schema:
            schema[excluded] = schema.pop(limit)
    if schema.pop("nullable", False) is True:
        kept = {key: value for key, value in schema.items() if key in ("title", "description", "default", "x-order")}
        return kept | {"anyOf": [{k: v for k, v in schema.items() if k not in kept}, {"type": "null"}]}
    return schema


def smallest_input(schema: Mapping[str, Any] | None, example: Mapping[str, Any] | None) -> dict[str, Any]:
    """The cheapest input that the schema (references written out) allows, as far as it can be told.

    Required keys only, each from its default, its first choice, its minimum or its type; what cannot be made up, files
    above all, comes from the `example`. Then whatever is known to make a run short, where the model has it. Without a
    schema the example is all there is to go by.
    """
    known = dict(example or {})
    properties = _properties(schema)
    if schema is None or not properties:
        return known
    required = schema.get("required")
    keys = [key for key in required if isinstance(key, str)] if isinstance(required, list) else []
    made = {key: _made_up(key, flat(properties.get(key)), known.get(key)) for key in keys}
    made |= _thrift(properties, made)
    if validate_input(made, schema) and known and not validate_input(known, schema):
        return known | _thrift(properties, known)
    return made


def validate_input(given: Mapping[str, Any], schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What is wrong with `given`, a sentence a fault; nothing where there is no schema, or none that can be applied."""
    if schema is None:
        return ()
    try:
        # With a registry of its own the validator never fetches what a reference names.
        errors = sorted(
            Draft202012Validator(schema, registry=Registry()).iter_errors(dict(given)),
            key=lambda e: [str(s) for s in e.absolute_path],
        )
    except Exception:  # noqa: BLE001 - the schema is a stranger's; the provider validates again at the create
        return ()
    return tuple(_fault(error, given, schema) for error in errors[:20])


def kind_of(takes: Mapping[str, Any] | None, gives: Mapping[str, Any] | None) -> str:
    """What the model is, in a word, guessed from its input and output schemas; `model` where nothing gives it away."""
    names = set(_properties(takes))
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
    if not isinstance(schema, Mapping):
        return {}
    merged: dict[str, Any] = {}
    for part in _list(schema.get("allOf")):
        merged |= flat(part)
    for choices in (_list(schema.get("anyOf")), _list(schema.get("oneOf"))):
        usable = [choice for choice in choices if isinstance(choice, Mapping) and choice.get("type") != "null"]
        merged |= flat(usable[0]) if usable else {}
    return merged | {key: value for key, value in schema.items() if key not in ("allOf", "anyOf", "oneOf")}


def _made_up(key: str, schema: Mapping[str, Any], example: Any) -> Any:
    """A value for a required key."""
    if schema.get("default") is not None:
        return schema["default"]
    if choices := _list(schema.get("enum")):
        return choices[0]
    if "const" in schema:
        return schema["const"]
    if schema.get("format") in ("uri", "uri-reference", "url", "binary"):
        # A stand-in may be too small for the model: a beat that fails keeps nothing warm.
        return example if isinstance(example, str) and example else _stand_in(key)
    made = _by_type(key, schema, example)
    if example is not None and validate_input({key: made}, {"properties": {key: dict(schema)}}):
        return example
    return made


def _by_type(key: str, schema: Mapping[str, Any], example: Any) -> Any:
    match schema.get("type"):
        case "string":
            least = _whole(schema.get("minLength"), 0)
            return _TEXT if least <= len(_TEXT) else (_TEXT * least)[: min(least, 10_000)]
        case "integer" | "number":
            least = smallest(schema)
            return least if least is not None else 1
        case "boolean":
            return False
        case "array":
            items = flat(schema.get("items"))
            count = min(_whole(schema.get("minItems"), 0), 100)
            first = example[0] if isinstance(example, list) and example else None
            return [_made_up(key, items, first) for _ in range(count)]
        case "object":
            return dict(example) if isinstance(example, Mapping) else {}
        case _:
            return example if example is not None else _TEXT


def _stand_in(key: str) -> str:
    if _has({key}, "audio") or _has({key}, "voice") or _has({key}, "speech"):
        return _SILENCE
    return _NOTE if _has({key}, "text") or _has({key}, "document") else _PIXEL


def _thrift(properties: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """What is known to make a run short: the fewest tokens, steps, pixels and outputs."""
    saved: dict[str, Any] = {}
    for key in (*_LENGTHS, *_COUNTS, *_SIZES):
        schema = flat(properties.get(key))
        if schema.get("type") not in ("integer", "number") and not _list(schema.get("enum")):
            continue
        least = smallest(schema)
        if key in (*_LENGTHS, *_COUNTS):  # 0 and -1 stand for no limit at all
            least = 1 if least is None or (least < 1 and not _list(schema.get("enum"))) else least
        if least is not None and least > 0:
            saved[key] = least
    for key in _PROMPTS:
        schema = flat(properties.get(key))
        if schema.get("type") == "string" and key not in made and not schema.get("default"):
            saved[key] = _TEXT  # not required on paper, yet many fail without
            break
    return saved


def smallest(schema: Mapping[str, Any]) -> Any:
    """The least number a flat schema allows, or None where it has no lower end."""
    numbers = [choice for choice in _list(schema.get("enum")) if _number(choice) is not None]
    if numbers:
        return min(numbers)
    low, above, step = (_number(schema.get(key)) for key in ("minimum", "exclusiveMinimum", "multipleOf"))
    whole = schema.get("type") == "integer"
    if above is not None and (low is None or above >= low):
        low = math.floor(above) + 1 if whole else above + (abs(above) or 1) * 0.01
    if low is None:
        return None
    low = math.ceil(low) if whole else low
    if step is not None and step > 0 and low % step:
        low = math.ceil(low / step) * step
    return low


def _fault(error: ValidationError, given: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    where = ".".join(str(step) for step in error.absolute_path)
    message = error.message if len(error.message) <= 200 else error.message[:199] + "…"
    if error.validator == "required":
        missing = next((key for key in _list(error.validator_value) if f"'{key}'" in error.message), "")
        spare = [key for key in given if key not in _properties(schema)]
        near = get_close_matches(missing, spare, n=1)
        message = f"{missing} is required" + (f" (is {near[0]} meant to be it?)" if near else "")
    return f"{where}: {message}" if where else message


def _file_kind(names: set[str]) -> str:
    if names & {"num_frames", "fps", "frames_per_second"} or _has(names, "video"):
        return "video"
    if _has(names, "image") or names & {
        "width",
        "height",
        "aspect_ratio",
        "num_inference_steps",
        "num_outputs",
        "negative_prompt",
    }:
        return "image"
    if (
        names & {"voice", "speaker", "duration", "language", "sample_rate"}
        or _has(names, "audio")
        or _has(names, "speaker")
    ):
        return "audio"
    return "file"


def _is_file(takes: Mapping[str, Any] | None, name: str) -> bool:
    return any(flat(schema).get("format") == "uri" for key, schema in _properties(takes).items() if _has({key}, name))


def _has(names: Iterable[str], part: str) -> bool:
    return any(re.search(rf"(^|_){part}s?(_|$)", name) for name in names)


def _properties(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = (schema or {}).get("properties")
    return found if isinstance(found, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int | float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return value if is_number else None


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise

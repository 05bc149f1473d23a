"""Whether an input fits a version's schema, and how long it makes the run.

The words of the faults are those of the validator behind the real API (the JSON Schema library of Go, gojsonschema).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from warmer.sandbox.traits import Traits, Version

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S", value) is not None


@dataclass(frozen=True, slots=True)
class InvalidField:
    """One entry of `invalid_fields` in a 422 reply."""

    type: str
    field: str  # "input.width"; empty = the body itself
    description: str

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"- {where}{self.description}\n"


class InvalidInputError(ValueError):
    """The input does not fit the schema; nothing was created."""

    def __init__(self, fields: Iterable[InvalidField]) -> None:
        self.fields = tuple(fields)
        super().__init__("".join(str(field) for field in self.fields).strip())


def invalid_fields(schema: Mapping[str, Any], value: object, root: str) -> list[InvalidField]:
    """Everything wrong with `value`, in a stable order. `root` names it: "input", or "" for the body itself."""
    validator = Draft202012Validator(schema, format_checker=_FORMATS)
    errors = sorted(validator.iter_errors(value), key=lambda error: [str(step) for step in error.absolute_path])
    return [field for error in errors for field in _explain(error, root)]


def invalid_input(version: Version, value: object) -> list[InvalidField]:
    """Everything wrong with an input for `version`. Unknown keys are let through, as in the real API."""
    return invalid_fields({**version.openapi_schema, "$ref": "#/components/schemas/Input"}, value, "input")


def _explain(error: ValidationError, root: str) -> list[InvalidField]:
    path = ".".join([root, *map(str, error.absolute_path)] if root else map(str, error.absolute_path))
    name = str(error.absolute_path[-1]) if error.absolute_path else root
    limit: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "required":
            missing = re.match(r"'(.*)' is a required property", error.message)
            return [InvalidField("required", path, f"{missing[1] if missing else name} is required")]
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
            extra = [key for key in instance if key not in known]
            return [
                InvalidField("additional_property_not_allowed", path, f"Additional property {key} is not allowed")
                for key in extra
            ]
        case "enum":
            allowed = ", ".join(json.dumps(choice) for choice in limit)
            return [InvalidField("enum", path, f"{name} must be one of the following: {allowed}")]
        case "type":
            return [InvalidField("invalid_type", path, f"Invalid type. Expected: {limit}, given: {_type(instance)}")]
        case "minimum":
            return [InvalidField("number_gte", path, f"Must be greater than or equal to {limit}")]
        case "maximum":
            return [InvalidField("number_lte", path, f"Must be less than or equal to {limit}")]
        case "format":
            return [InvalidField("format", path, f"Does not match format '{limit}'")]
        case _:
            return [InvalidField(str(error.validator), path, error.message)]


def _type(value: object) -> str:
    names: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def run_seconds(traits: Traits, version: Version, given: Mapping[str, Any]) -> float:
    """The median run of an input, in seconds."""
    return traits.run_s + sum(
        growth.seconds * _product(_amount(version, given, key) for key in growth.keys) for growth in traits.growth
    )


def _amount(version: Version, given: Mapping[str, Any], key: str) -> float:
    value = given.get(key, version.input_schema.get("properties", {}).get(key, {}).get("default"))
    match value:
        case bool() | None:
            return float(bool(value))
        case int() | float():
            return max(0.0, float(value))
        case str() | list():
            return float(len(value))
        case _:
            return 1.0


def _product(amounts: Iterable[float]) -> float:
    result = 1.0
    for amount in amounts:
        result *= amount
    return result

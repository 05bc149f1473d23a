"""Where no input can be made up, the error says why and what to write; and no schema keeps anybody busy for long."""

from __future__ import annotations

import json
from typing import Any

import pytest

from warmer.core.beat import Contract
from warmer.core.price import Billing
from warmer.core.schema_input import component
from warmer.core.smallest import fitting_input, smallest_input
from warmer.core.spec import Target, TargetKind
from warmer.errors import ModelRefused


def contract(schemas: dict[str, Any], example: dict[str, Any] | None = None) -> Contract:
    return Contract(
        target=Target(kind=TargetKind.MODEL, owner="acme", name="odd"),
        version="v",
        billing=Billing.PUBLIC,
        input_schema=component(schemas, "Input"),
        example_input=example,
    )


def takes(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {"Input": {"type": "object", "properties": properties, "required": list(required)}, **more}


NODE = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}, "required": ["next"]}
TREE = {
    "type": "array",
    "minItems": 2,
    "items": {"oneOf": [{"$ref": "#/components/schemas/Tree"}, {"$ref": "#/components/schemas/Tree"}]},
}
KNOT = {"allOf": [{"$ref": "#/components/schemas/Knot"}] * 2, "anyOf": [{"$ref": "#/components/schemas/Knot"}] * 3}
REFUSED = {
    "contradictory": (takes({"size": {"type": "integer", "minimum": 5, "maximum": 3}}, "size"), "size: "),
    "no choice": (takes({"mode": {"type": "string", "enum": []}}, "mode"), "mode: "),
    "never": (takes({"x": False}, "x"), "x: "),
    "nothing at all": ({"Input": False}, "{}"),
    "nobody says what": (takes({}, "ghost"), "ghost is required, and nothing says what it is"),
    "endless": (takes({"node": {"$ref": "#/components/schemas/Node"}}, "node", Node=NODE), "node.next"),
    "endless and wide": (takes({"tree": {"$ref": "#/components/schemas/Tree"}}, "tree", Tree=TREE), "tree.0"),
    "too many": (
        takes({f"k{n}": {"type": "string"} for n in range(10_000)}, *(f"k{n}" for n in range(10_000))),
        "more is required than can be made up",
    ),
    "no such type": (takes({"x": {"type": "strin"}}, "x"), "no JSON Schema"),
    "no object": ({"Input": {"type": "string"}}, "is not of type 'string'"),
    "both at once": (
        takes({"x": {"allOf": [{"type": "string"}, {"type": "integer"}]}}, "x"),
        "x: ",
    ),
    "exactly one of two alike": (takes({"x": {"oneOf": [{"type": "string"}, {"type": "string"}]}}, "x"), "x: "),
    "too long": (takes({"x": {"type": "string", "minLength": 10**9}}, "x"), "x: "),
}


@pytest.mark.parametrize(("schemas", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_made_up_says_so(schemas: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelRefused) as refused:
        fitting_input(contract(schemas))
    assert "acme/odd" in str(refused.value)
    assert why in str(refused.value)
    assert len(str(refused.value)) < 2000
    assert "`input`" in refused.value.hint
    assert len(json.dumps(smallest_input(component(schemas, "Input"), None))) < 300_000


MADE = {
    "optional and endless": (takes({"node": {"$ref": "#/components/schemas/Node"}}, Node=NODE), {}),
    "optional and contradictory": (takes({"size": {"type": "integer", "minimum": 5, "maximum": 3}}), {}),
    "the second choice": (
        takes({"x": {"oneOf": [{"type": "integer", "minimum": 3, "maximum": 2}, {"type": "boolean"}]}}, "x"),
        {"x": False},
    ),
    "one of two ways": (
        {
            "Input": {
                "type": "object",
                "oneOf": [
                    {"properties": {"a": False}, "required": ["a"]},
                    {"properties": {"b": {"type": "integer", "minimum": 2}}, "required": ["b"]},
                ],
            }
        },
        {"b": 2},
    ),
    "parts": (
        {
            "Input": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"b": {"type": "boolean"}}}]},
            "Base": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        },
        {"a": 1},
    ),
    "types": (
        takes({"x": {"type": ["null", "array"], "items": {"type": "integer"}, "minItems": 2}}, "x"),
        {"x": [1, 1]},
    ),
    "null alone": (takes({"x": {"type": "null"}}, "x"), {"x": None}),
    "nested": (
        takes(
            {"box": {"$ref": "#/components/schemas/Box"}},
            "box",
            Box={
                "type": "object",
                "required": ["sides"],
                "properties": {"sides": {"type": "array", "minItems": 1, "items": {"type": "number", "minimum": 2}}},
            },
        ),
        {"box": {"sides": [2]}},
    ),
    "choices within choices without an end": (takes({"x": KNOT}, "x", Knot=KNOT), None),
    "ten thousand that nobody needs": (takes({f"k{n}": {"type": "string"} for n in range(10_000)}), {}),
    "ends where null may stand": (
        takes(
            {"node": {"$ref": "#/components/schemas/Node"}},
            "node",
            Node={
                "type": "object",
                "required": ["next"],
                "properties": {"next": {"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "null"}]}},
            },
        ),
        None,
    ),
}


@pytest.mark.parametrize(("schemas", "made"), MADE.values(), ids=MADE)
def test_what_is_only_odd_is_made_up(schemas: dict[str, Any], made: dict[str, Any] | None) -> None:
    assert made is None or fitting_input(contract(schemas)) == made
    assert isinstance(fitting_input(contract(schemas)), dict)


def test_what_a_stranger_calls_a_key_is_shown_in_short_and_plain() -> None:
    key = "\x1b[31m" + "k" * 10_000
    with pytest.raises(ModelRefused) as refused:
        fitting_input(contract(takes({key: False}, key)))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


def test_an_example_stands_in_where_it_fits() -> None:
    schemas = takes({"node": {"$ref": "#/components/schemas/Node"}}, "node", Node={**NODE, "required": ["end"]})
    assert fitting_input(contract(schemas, {"node": {"end": 1}})) == {"node": {"end": 1}}
    strange = takes({"x": {"type": "strin"}}, "x")
    assert fitting_input(contract(strange, {"x": "y"})) == {"x": "y"}
    with pytest.raises(ModelRefused, match="size"):
        fitting_input(contract(REFUSED["contradictory"][0], {"size": 4}))

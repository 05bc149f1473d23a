from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.schema_input import component, kind_of, validate_input
from warmer.core.smallest import smallest_input
from warmer.core.tiny_files import PNG


def schema(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


@pytest.mark.parametrize(
    ("property_", "value"),
    [
        ({"type": "string"}, "hi"),
        ({"type": "string", "default": "hello"}, "hello"),
        ({"type": "string", "enum": ["1:1", "2:1"]}, "1:1"),
        ({"allOf": [{"type": "string", "enum": ["a", "b"]}], "description": "x"}, "a"),
        ({"allOf": [{"type": "string", "enum": ["a", "b"]}], "default": "b"}, "b"),
        ({"type": "string", "minLength": 5}, "hihih"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "minimum": 10, "multipleOf": 8}, 16),
        ({"type": "number", "minimum": 0.5}, 0.5),
        ({"type": "number"}, 1),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": {"type": "string"}}, ["hi"]),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 0}, []),
        ({"type": ["null", "integer"], "minimum": 2}, 2),
        ({"type": "string", "format": "date"}, "2024-01-01"),
        ({"oneOf": [{"type": "integer", "minimum": 3, "maximum": 2}, {"type": "string", "maxLength": 1}]}, "h"),
        ({"enum": ["a", "bb"], "minLength": 2}, "bb"),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "object"}, {}),
        ({"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}, 2),
        ({"const": "x"}, "x"),
        ({}, "hi"),
    ],
)
def test_a_required_key_gets_the_cheapest_value_it_allows(property_: dict[str, Any], value: Any) -> None:
    whole = schema({"x": property_, "y": {"type": "string"}}, "x")
    assert smallest_input(whole, None) == {"x": value}
    assert validate_input({"x": value}, whole) == ()


def test_a_file_is_tiny_unless_the_model_looks_for_something_in_it() -> None:
    file = {"type": "string", "format": "uri"}
    whole = schema({"image": file, "face_image": file}, "image", "face_image")
    example = {"image": "https://example.test/cat.png", "face_image": "https://example.test/me.png"}
    assert smallest_input(whole, example) == {"image": PNG, "face_image": "https://example.test/me.png"}
    assert smallest_input(whole, None) == {"image": PNG, "face_image": PNG}


def test_what_cannot_be_made_up_comes_from_the_example() -> None:
    whole = schema(
        {"code": {"type": "string", "maxLength": 1}, "box": {"type": "object", "required": ["w"]}}, "code", "box"
    )
    assert smallest_input(whole, {"code": "z", "box": {"w": 3}, "other": 1}) == {"code": "z", "box": {"w": 3}}


@pytest.mark.parametrize(
    ("key", "property_", "value"),
    [
        ("max_tokens", {"type": "integer", "default": 512}, 1),
        ("max_new_tokens", {"type": "integer", "minimum": -1}, 1),
        ("max_length", {"type": "integer", "minimum": 4}, 4),
        ("num_inference_steps", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, 1),
        ("num_outputs", {"type": "integer", "minimum": 1, "maximum": 4}, 1),
        ("width", {"type": "integer", "minimum": 256, "multipleOf": 32}, 256),
        ("height", {"type": "integer", "enum": [1024, 512, 768]}, 512),
        ("max_tokens", {"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}, 2),
    ],
)
def test_known_knobs_make_the_run_short(key: str, property_: dict[str, Any], value: int) -> None:
    assert smallest_input(schema({key: property_}), None) == {key: value}


@pytest.mark.parametrize(
    ("key", "property_"),
    [
        ("num_inference_steps", {"type": "integer"}),
        ("width", {"type": "integer", "minimum": 0}),
        ("max_tokens", {"type": "string"}),
        ("seed", {"type": "integer", "minimum": 0}),
    ],
)
def test_a_knob_without_a_known_low_end_is_left_alone(key: str, property_: dict[str, Any]) -> None:
    assert smallest_input(schema({key: property_}), None) == {}


def test_a_prompt_that_is_optional_on_paper_only_is_given() -> None:
    assert smallest_input(schema({"prompt": {"type": "string"}}), None) == {"prompt": "hi"}
    assert smallest_input(schema({"prompt": {"type": "string", "default": "<OCR>"}}), None) == {}
    long = {"type": "string", "default": "a cat on a sofa in the evening"}
    assert smallest_input(schema({"prompt": long}), None) == {"prompt": "hi"}


def test_without_a_schema_there_is_only_the_example() -> None:
    assert smallest_input(None, {"prompt": "x"}) == {"prompt": "x"}
    assert smallest_input(None, None) == {}


def test_references_are_written_out_and_words_translated() -> None:
    schemas = {
        "Input": schema({"size": {"allOf": [{"$ref": "#/components/schemas/size"}], "default": "b"}}, "size"),
        "size": {"enum": ["a", "b"], "type": "string"},
        "Old": schema(
            {
                "n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "nullable": True},
                "m": {"type": "number", "maximum": 3, "exclusiveMaximum": False},
                "pattern": {"type": "string", "pattern": "(a+)+$"},
            }
        ),
        "Loop": {"properties": {"x": {"$ref": "#/components/schemas/Loop"}}},
        "Dangling": {"properties": {"x": {"$ref": "#/components/schemas/Nowhere"}}, "required": ["x"]},
        "Double0": {"type": "string"},
    } | {
        f"Double{n}": {"properties": {"a": {"$ref": f"#/x/Double{n - 1}"}, "b": {"$ref": f"#/x/Double{n - 1}"}}}
        for n in range(1, 60)
    }
    written = component(schemas, "Input")
    assert smallest_input(written, None) == {"size": "b"}
    assert validate_input({"size": "c"}, written) == ("size: 'c' is not one of ['a', 'b']",)
    old = component(schemas, "Old")
    assert validate_input({"n": None, "m": 3, "pattern": "a" * 40 + "!"}, old) == ()
    assert validate_input({"n": 0}, old) != ()
    assert component(schemas, "Missing") is None
    assert component({"Input": 3}, "Input") is None
    assert smallest_input(component(schemas, "Dangling"), None) == {"x": "hi"}
    for endless in ("Loop", "Double59"):
        assert validate_input({"x": {"x": {"x": 1}}}, component(schemas, endless)) is not None
        assert len(json.dumps(component(schemas, endless))) < 500_000


def test_a_reference_never_leads_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[object] = []

    def fetch(address: object, *_: object, **__: object) -> None:
        fetched.append(address)
        raise OSError

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    away = {"$ref": "http://127.0.0.1:9/schema.json"}
    places = (
        away,
        {"patternProperties": {"(x+)+$": away}},
        {"properties": {"x": {"if": away}}},
        {"$dynamicRef": "http://x/"},
    )
    for whole in places:
        assert validate_input({"x": 1}, whole) == ()
        assert validate_input({"x": 1}, component({"Input": whole}, "Input")) == ()
    assert not fetched
    assert component({"Input": {"patternProperties": {}, "type": "object"}}, "Input") == {"type": "object"}


def test_faults_say_what_is_wrong_where() -> None:
    whole = schema({"prompt": {"type": "string"}, "max_tokens": {"type": "integer", "minimum": 1}}, "prompt")
    assert validate_input({"promt": "x", "max_tokens": 0}, whole) == (
        "prompt is required (is promt meant to be it?)",
        "max_tokens: 0 is less than the minimum of 1",
    )
    assert validate_input({"prompt": "x"}, whole) == ()
    assert validate_input({"anything": 1}, None) == ()


@pytest.mark.parametrize(
    ("name", "kind", "keys"),
    [
        ("text", "text", {"prompt", "max_tokens"}),
        ("sdxl", "image", {"prompt", "width", "height", "num_outputs", "num_inference_steps"}),
        ("flux-schnell", "image", {"prompt", "num_outputs", "num_inference_steps"}),
        ("whisper", "transcription", {"audio"}),
        ("blip", "captioning", {"image"}),
        ("hello-world", "text", {"text"}),
        ("real-esrgan", "image", {"image", "scale"}),
    ],
)
def test_models_that_look_like_real_ones_get_a_small_valid_input(name: str, kind: str, keys: set[str]) -> None:
    document = json.loads(files("warmer.sandbox").joinpath("schemas", f"{name}.json").read_text("utf-8"))
    schemas = document["components"]["schemas"]
    takes = component(schemas, "Input")
    made = smallest_input(takes, None)
    assert kind_of(takes, component(schemas, "Output")) == kind
    assert set(made) - {"prompt"} <= keys
    assert validate_input(made, takes) == ()


@pytest.mark.parametrize(
    ("takes", "gives", "kind"),
    [
        ({"text": {"type": "string"}, "speaker": {"type": "string"}}, {"type": "string", "format": "uri"}, "audio"),
        ({"prompt": {}, "fps": {}}, {"type": "string", "format": "uri"}, "video"),
        ({"prompt": {}, "aspect_ratio": {}}, {"type": "array", "items": {"type": "string", "format": "uri"}}, "image"),
        ({"text": {}}, {"type": "array", "items": {"type": "number"}}, "embedding"),
        ({"audio_file": {}}, {"type": "object"}, "transcription"),
        ({"x": {}}, {"type": "object"}, "model"),
        ({"x": {}}, {"type": "string", "format": "uri"}, "file"),
        ({}, None, "model"),
    ],
)
def test_a_kind_is_guessed_from_what_goes_in_and_out(takes: Any, gives: Any, kind: str) -> None:
    assert kind_of(schema(takes), gives) == kind


_SCHEMA_WORDS = """
type properties required items allOf anyOf $ref enum default minimum maximum exclusiveMinimum multipleOf minLength
minItems format nullable Input Output prompt width max_tokens string integer number array object uri null
#/components/schemas/Input
"""
_word = st.sampled_from(_SCHEMA_WORDS.split())
_any = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | _word,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_word, inner, max_size=5),
    max_leaves=25,
)


@given(schemas=st.dictionaries(_word, _any, max_size=5), example=st.none() | st.dictionaries(_word, _any, max_size=3))
def test_no_schema_raises(schemas: dict[str, Any], example: Any) -> None:
    takes, gives = component(schemas, "Input"), component(schemas, "Output")
    made = smallest_input(takes, example)
    assert isinstance(made, dict)
    assert all(isinstance(fault, str) for fault in validate_input(made, takes))
    assert kind_of(takes, gives)


def test_an_author_who_asks_for_much_gets_little() -> None:
    """A schema is the model's author's, and so is anything in it."""
    lists: dict[str, Any] = {"type": "string", "minLength": 10**14}
    for _ in range(10):
        lists = {"type": "array", "items": lists, "minItems": 10**9}
    made = smallest_input(component({"Input": schema({"x": lists, "y": lists["items"]}, "x", "y")}, "Input"), None)
    assert len(json.dumps(made)) < 100_000

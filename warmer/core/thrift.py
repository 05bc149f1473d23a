"""What makes a run short: for each key of a schema that makes more of something, the least that it may be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from warmer.core.effort import CUSTOM, SHAPES, TEXTS, Kind, amount_of, kind_of_key
from warmer.core.schema_input import as_list, as_number, faults_in

FILES = ("uri", "uri-reference", "url", "binary")
"""Formats of a text that is a file."""
TEXT = "hi"

_A_COMMAND = 20  # letters: a default up to there may mean something, such as <OCR>; more is only longer
_FROM_ONE = (Kind.TOKENS, Kind.OUTPUTS)  # always to be had one at a time, be it said or not
_AT_LEAST = re.compile("min_((new|output)_)?(tokens|length)")


def thrift_of(properties: Mapping[str, Any], made: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run short: the fewest pixels, steps, tokens, seconds and outputs, by what the schema allows.

    Which weights are used is left as it is: others would be warmed than those that customers call.
    """
    saved: dict[str, Any] = {}
    has_frames = any(kind_of_key(key, about) is Kind.FRAMES for key, about in properties.items())
    for key, about in properties.items():
        kind = kind_of_key(key, about)
        if kind is Kind.FPS and has_frames:  # as many frames, only shown more slowly
            kind = None
        options = _options(kind, about, example.get(key)) if kind is not None else []
        amounts = [(amount_of(key, kind, value), value) for value in options] if kind is not None else []
        readable = sorted(((amount, value) for amount, value in amounts if amount is not None), key=lambda one: one[0])
        cheapest = next((value for _, value in readable if fits(value, about)), None)
        if cheapest is not None and (key in made or cheapest != about.get("default")):
            saved[key] = cheapest
        default = as_number(about.get("default"))
        if _AT_LEAST.fullmatch(key) and default is not None and default > 1 and least_of(about) is not None:
            saved[key] = least_of(about)
    has_sides = any("width" in key for key in saved) and any("height" in key for key in saved)
    for key in SHAPES if has_sides else ():
        if CUSTOM in as_list(properties.get(key, {}).get("enum")):
            saved[key] = CUSTOM
    for key in TEXTS:
        schema = properties.get(key, {})
        given = made.get(key, schema.get("default"))
        is_text = isinstance(given, str) and schema.get("type") == "string" and schema.get("format") not in FILES
        if is_text and len(given) > _A_COMMAND and fits(TEXT, schema):
            saved[key] = TEXT
    return saved


def _options(kind: Kind, schema: Mapping[str, Any], example: Any) -> list[Any]:
    """Values of a key that makes more of something, the smallest that there may be among them."""
    if choices := as_list(schema.get("enum")):
        return choices[:100]
    options = [schema.get("default"), example]
    least = least_of(schema)
    if least is None or least <= 0:  # 0 and -1 stand for no limit, or for none at all
        is_countable = least is not None and kind not in (Kind.WIDTH, Kind.HEIGHT, Kind.PIXELS)
        least = 1 if is_countable or kind in _FROM_ONE else None
    return [*options, least]


def least_of(schema: Mapping[str, Any]) -> Any:
    """The least number a flat schema allows, or None where it has no lower end."""
    numbers = [choice for choice in as_list(schema.get("enum")) if as_number(choice) is not None]
    if numbers:
        return min(numbers)
    low, above, step = (as_number(schema.get(key)) for key in ("minimum", "exclusiveMinimum", "multipleOf"))
    whole = schema.get("type") == "integer"
    if above is not None and (low is None or above >= low):
        low = math.floor(above) + 1 if whole else above + (abs(above) or 1) * 0.01
    if low is None:
        return None
    low = math.ceil(low) if whole else low
    if step is not None and step > 0 and low % step and math.isfinite(low / step):
        low = math.ceil(low / step) * step
    return low


def fits(value: Any, schema: Any) -> bool:
    """Whether `schema` allows `value`, as far as it can be told."""
    return not faults_in({"x": value}, {"properties": {"x": schema}})

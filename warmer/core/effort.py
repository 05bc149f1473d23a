"""How much work an input gives its model, as far as its keys tell: what the cheapest input is found and judged by."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from warmer.core.schema_input import as_list, as_number, flat, properties_of


class Kind(StrEnum):
    """What a key makes more of."""

    OUTPUTS = "outputs"
    WIDTH = "width"
    HEIGHT = "height"
    PIXELS = "pixels"  # told in one: 1024x1024, 480p, 2K, 0.25 megapixels
    SCALE = "scale"
    STEPS = "steps"
    TOKENS = "tokens"
    FRAMES = "frames"
    SECONDS = "seconds"
    FPS = "fps"


# Whole names only: `warmup_steps` and `chunk_size` make no run longer, and a guess too many breaks an input.
_KEYS = {
    Kind.OUTPUTS: "(num|number_of|n)_(outputs|images|samples|results|videos|generations|images_per_prompt)|samples|n"
    "|batch_size|batch_count",
    Kind.WIDTH: "((image|video|output|target)_)?width",
    Kind.HEIGHT: "((image|video|output|target)_)?height",
    Kind.PIXELS: "((image|video|output|target|detect)_)?(size|resolution|megapixels)|(image|video)_dimensions",
    Kind.SCALE: "(out|up)?scale|(upscale|upscaling|scale|scaling)_(factor|by)|upscale",
    Kind.STEPS: "((num|n)_)?((inference|sampling|sample|denoising|diffusion|refine|refiner|prior|decoder|ddim|train"
    "|training|max_train|max_training)_)*(steps|timesteps|iterations|epochs)|max_steps",
    Kind.TOKENS: "max_((new|output|completion|gen|generated)_)?(tokens|length|len)|max_tokens_to_sample|num_tokens",
    Kind.FRAMES: "((num|n|max|total|video)_)*(frames|frame_count)|video_length",
    Kind.SECONDS: "((audio|video|music|max|total|output)_)?(duration|seconds|duration_seconds|length_seconds)",
    Kind.FPS: "fps|frames_per_second|frame_rate|framerate|output_fps|video_fps",
}
_KIND_OF = {kind: re.compile(pattern) for kind, pattern in _KEYS.items()}
TEXTS = (
    *("prompt", "text", "texts", "input_text", "text_input", "input", "inputs", "query", "question", "message"),
    *("sentence", "sentences", "lyrics"),
)
"""Keys whose text is worked on, as far as it is known of texts at all; the likeliest first."""

_MAKES_MORE = re.compile(r"\b(images?|outputs?|samples?|videos?|generat\w+)\b")
_ENLARGES = re.compile(r"factor|upscal|enlarg|resiz")
_SIDES = re.compile(r"(\d{2,5}) ?[x*×, ] ?(\d{2,5})")
_LINES = re.compile(r"(\d{3,4})p\d{0,3}")
_THOUSANDS = re.compile(r"(\d{1,2})k")
_MILLIONS = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?(mp|megapixels?)?")
_AMOUNT = re.compile(r"x?(\d{1,6}(?:\.\d{1,6})?)(?![\d.:/])")
SHAPES = ("aspect_ratio", "size", "image_size", "resolution")
CUSTOM = "custom"
"""What a key of SHAPES has to say for width and height to count, where it has that choice."""
_WIDE = 16 / 9
_MOST = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What one run is told to do, by the input or by the schema's defaults. None: no key tells."""

    outputs: float | None = None
    pixels: float | None = None  # of one output, or of one frame
    scale: float | None = None  # of each side
    steps: float | None = None
    tokens: float | None = None  # at most
    frames: float | None = None
    seconds: float | None = None  # of sound or film
    fps: float | None = None  # where it is not frames that are counted
    letters: float | None = None  # of the texts given


def effort_of(given: Mapping[str, Any], schema: Mapping[str, Any] | None) -> Effort:
    """What `given` makes of a run of a model whose input schema has its references written out.

    Keys that mean the same add up where the work does (steps), and the largest counts where it does not.
    """
    properties = properties_of(schema)
    found: dict[Kind, list[float]] = {kind: [] for kind in Kind}
    for key, about in properties.items():
        if (kind := kind_of_key(key, flat(about))) is None:
            continue
        value = given.get(key, flat(about).get("default"))
        if (amount := amount_of(key, kind, value)) is not None:
            found[kind].append(amount)
    pixels = found[Kind.PIXELS]
    if found[Kind.WIDTH] and found[Kind.HEIGHT] and not _is_overruled(given, properties):
        pixels = [max(found[Kind.WIDTH]) * max(found[Kind.HEIGHT])]
    frames = found[Kind.FRAMES]
    return Effort(
        outputs=math.prod(found[Kind.OUTPUTS]) if found[Kind.OUTPUTS] else None,
        pixels=max(pixels, default=None),
        scale=max(found[Kind.SCALE], default=None),
        steps=sum(found[Kind.STEPS]) or None,
        tokens=max(found[Kind.TOKENS], default=None),
        frames=max(frames, default=None),
        seconds=max(found[Kind.SECONDS], default=None),
        fps=None if frames else max(found[Kind.FPS], default=None),
        letters=_letters(given, properties),
    )


def share_of(one: Effort, other: Effort) -> float | None:
    """How much of the work of `other` is in `one`: 0.02 is a fiftieth. None where nothing tells of both.

    The product over what both tell of: outputs x pixels x scale squared x steps x tokens x frames (or seconds x fps).
    What only one of them tells is left out. Letters count where nothing else does: to most models they are nothing.
    """
    share = None
    for field in fields(Effort):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        if not ours or not theirs or (field.name == "letters" and share is not None):
            continue
        if field.name in ("seconds", "fps") and one.frames and other.frames:
            continue
        share = (1.0 if share is None else share) * (ours / theirs) ** (2 if field.name == "scale" else 1)
    return share


def kind_of_key(key: str, schema: Mapping[str, Any]) -> Kind | None:
    """What the input `key`, of a flat schema, makes more of; None where it is no such key."""
    if schema.get("type") not in ("integer", "number") and not as_list(schema.get("enum")):
        return None
    name, description = key.lower(), schema.get("description")
    told = description[:500].lower() if isinstance(description, str) else ""
    if name.startswith("batch") and not _MAKES_MORE.search(told):  # only how much is done at a time
        return None
    if name == "scale" and not _ENLARGES.search(told):  # of guidance, most likely
        return None
    return next((kind for kind, words in _KIND_OF.items() if words.fullmatch(name)), None)


def amount_of(key: str, kind: Kind, value: Any) -> float | None:
    """How much `value` asks for, in what `kind` counts; None where it cannot be read from it, or means no limit."""
    if as_number(value) is not None:
        amount = float(value)
        if kind is Kind.PIXELS:
            amount = amount * 1e6 if "megapixels" in key.lower() else amount**2
        return amount if 0 < amount < _MOST else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    return _pixels(value.strip().lower()) if kind is Kind.PIXELS else _amount(value.strip().lower())


def _pixels(text: str) -> float | None:
    if sides := _SIDES.match(text):
        return float(sides[1]) * float(sides[2])
    if lines := _LINES.fullmatch(text):
        return float(lines[1]) ** 2 * _WIDE
    if thousands := _THOUSANDS.fullmatch(text):
        return (float(thousands[1]) * 1024) ** 2
    if millions := _MILLIONS.fullmatch(text):
        number = float(millions[1])
        # A bare number is a side where it is large, and megapixels where it is small.
        amount = number * 1e6 if millions[2] or number < 64 else number**2
        return amount or None
    return None


def _amount(text: str) -> float | None:
    found = _AMOUNT.match(text)
    return float(found[1]) or None if found else None


def _is_overruled(given: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether width and height count for nothing: they are heeded only where another key says `custom`."""
    for key in SHAPES:
        about = flat(properties.get(key))
        if CUSTOM in as_list(about.get("enum")) and given.get(key, about.get("default")) != CUSTOM:
            return True
    return False


def _letters(given: Mapping[str, Any], properties: Mapping[str, Any]) -> float | None:
    """Of texts that are given or, where they are not, stand in the schema."""
    values = (given.get(key, flat(properties[key]).get("default")) for key in TEXTS if key in properties)
    lines = (line for value in values for line in (value if isinstance(value, list) else [value]))
    return float(sum(len(line) for line in lines if isinstance(line, str))) or None

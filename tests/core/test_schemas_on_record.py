"""Schemas as Cog writes them, of the kinds of model that people run: each gets an input that fits and is cheap."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from warmer.core.effort import Effort, effort_of, share_of
from warmer.core.schema_input import component, kind_of
from warmer.core.smallest import default_input, smallest_input
from warmer.sandbox.traits import Kind, Traits, Version, version_id
from warmer.sandbox.world import World

RECORDED = sorted((Path(__file__).parent / "schemas").glob("*.json"))
KINDS = {
    "llama-chat": "text",
    "mistral-instruct": "text",
    "code-completion": "text",
    "reasoning-chat": "text",
    "chat-messages": "text",
    "translation": "transcription",
    "sdxl": "image",
    "flux-schnell": "image",
    "real-esrgan": "image",
    "face-swap": "image",
    "whisper": "transcription",
    "fast-whisper": "transcription",
    "text-to-speech": "audio",
    "musicgen": "audio",
    "sound-diffusion": "audio",
    "blip": "captioning",
    "llava": "captioning",
    "bge-embeddings": "embedding",
    "text-embeddings": "embedding",
    "stable-video-diffusion": "video",
    "minimax-like-video": "video",
    "video-upscaler": "video",
}
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def recorded(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The OpenAPI document of that model, and the input of its example."""
    document = json.loads((RECORDED[0].parent / f"{name}.json").read_text("utf-8"))
    return document["openapi_schema"], document["default_example"]["input"]


def is_dearer(one: Effort, other: Effort) -> list[str]:
    """In what `one` is more than `other`, of what both tell."""
    theirs = asdict(other)
    return [what for what, ours in asdict(one).items() if ours and theirs[what] and ours > theirs[what]]


def test_there_are_enough_of_all_kinds() -> None:
    assert len(RECORDED) >= 30
    assert set(KINDS.values()) >= {"text", "image", "transcription", "audio", "captioning", "embedding", "video"}


@pytest.mark.parametrize("name", [path.stem for path in RECORDED])
@pytest.mark.parametrize("with_example", [True, False], ids=["example", "bare"])
def test_the_smallest_input_fits_and_is_no_dearer_than_the_default(name: str, with_example: bool) -> None:
    document, example = recorded(name)
    takes = component(document["components"]["schemas"], "Input")
    assert takes is not None
    made = smallest_input(takes, example if with_example else None)

    Draft202012Validator.check_schema(takes)
    assert not list(Draft202012Validator(takes).iter_errors(made))
    slug = f"acme/{name}"
    version = Version(id=version_id(slug, 1), created_at=NOW, openapi_schema=document)
    traits = Traits(owner="acme", name=name, kind=Kind.CAPTION, hardware="gpu-t4", versions=(version,))
    assert World(begin=NOW, models=(traits,), deployments=()).create(NOW, slug, made, caller="warmer").input == made

    effort = effort_of(made, takes)
    compared = [default_input(takes, example), *([example] if with_example else [])]
    for other in compared:
        assert not is_dearer(effort, effort_of(other, takes))
        share = share_of(effort, effort_of(other, takes))
        assert share is None or share <= 1
    assert len(json.dumps(made)) < 10_000
    assert "disable_safety_checker" not in made


@pytest.mark.parametrize("name", [path.stem for path in RECORDED])
def test_the_default_input_fits_where_the_example_does(name: str) -> None:
    document, example = recorded(name)
    takes = component(document["components"]["schemas"], "Input")
    assert takes is not None
    assert not list(Draft202012Validator(takes).iter_errors(default_input(takes, example)))


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_kinds_are_told(name: str, kind: str) -> None:
    schemas = recorded(name)[0]["components"]["schemas"]
    assert kind_of(component(schemas, "Input"), component(schemas, "Output")) == kind


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("llama-chat", {"prompt": "hi", "max_tokens": 1, "max_new_tokens": 1}),
        ("mistral-instruct", {"prompt": "hi", "max_new_tokens": 1, "min_new_tokens": -1}),
        ("chat-messages", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}),
        ("sd-classic", {"prompt": "hi", "width": 64, "height": 64, "num_inference_steps": 1}),
        ("flux-schnell", {"prompt": "hi", "num_inference_steps": 1, "megapixels": "0.25"}),
        (
            "flux-dev-lora",
            {"prompt": "hi", "width": 256, "height": 256, "aspect_ratio": "custom", "num_inference_steps": 1},
        ),
        ("image-sizes", {"prompt": "hi", "size": "1024x1024"}),
        ("minimax-like-video", {"prompt": "hi", "resolution": "512p"}),
        ("bge-embeddings", {"texts": '["hi"]'}),
        ("text-embeddings", {"texts": ["hi"]}),
        ("musicgen", {"prompt": "hi", "duration": 5}),
        ("text-to-speech", {"text": "hi"}),
        ("face-swap", {"swap_image": "https://example.test/a.jpg", "input_image": "https://example.test/b.jpg"}),
        ("trainer", {"input_images": "https://example.test/images.zip", "steps": 3}),
    ],
)
def test_these_in_particular(name: str, made: dict[str, Any]) -> None:
    document, example = recorded(name)
    assert smallest_input(component(document["components"]["schemas"], "Input"), example) == made

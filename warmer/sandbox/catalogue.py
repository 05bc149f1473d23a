"""The models and deployments of a world that nobody described otherwise. Pure data.

What the API shows is close to the real models of these names. How their instances behave is invented, and differs on
purpose: whoever keeps them warm has to learn each one's idle time-out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

from warmer.sandbox.traits import Deployment, Growth, Kind, Traits, Version, version_id

SCHEMAS = ("text", "sdxl", "whisper", "blip", "hello-world", "flux-schnell", "real-esrgan")

# A picture of one pixel and an empty WAV: valid files, a few bytes long.
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SILENCE = "data:audio/wav;base64,UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="


def schema(name: str) -> Mapping[str, Any]:
    """The OpenAPI document of that name, one of SCHEMAS."""
    if name not in SCHEMAS:
        raise ValueError(f"there is no schema {name!r}: use one of {', '.join(SCHEMAS)}")
    document: dict[str, Any] = json.loads(files(__package__).joinpath("schemas", f"{name}.json").read_text("utf-8"))
    return document


def _version(slug: str, number: int, schema_name: str, day: datetime) -> Version:
    return Version(id=version_id(slug, number), created_at=day, openapi_schema=schema(schema_name))


MODELS = (
    Traits(
        owner="meta",
        name="meta-llama-3-8b-instruct",
        kind=Kind.TEXT,
        description="An 8 billion parameter language model from Meta, fine tuned for chat completions",
        hardware="gpu-l40s",
        versions=(
            _version("meta/meta-llama-3-8b-instruct", 1, "text", datetime(2024, 4, 17, 21, 44, 13, 482716, UTC)),
        ),
        run_count=388_112_304,
        default_example={"prompt": "Write me three poems about llamas, the first about an alpaca", "max_tokens": 512},
        idle_timeout_s=60,
        boot_s=12,
        run_s=0.25,
        prefill_s=0.2,
        growth=(Growth(keys=("max_tokens",), seconds=0.008),),
    ),
    Traits(
        owner="stability-ai",
        name="sdxl",
        kind=Kind.IMAGES,
        description="A text-to-image generative AI model that creates beautiful images",
        hardware="gpu-l40s",
        versions=(
            Version(
                id="39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b",
                created_at=datetime(2023, 11, 1, 8, 22, 3, 160482, UTC),
                openapi_schema=schema("sdxl"),
                cog_version="0.8.6",
            ),
            _version("stability-ai/sdxl", 1, "sdxl", datetime(2023, 7, 26, 17, 53, 9, 882651, UTC)),
        ),
        run_count=84_211_740,
        default_example={
            "prompt": "An astronaut riding a rainbow unicorn, cinematic, dramatic",
            "num_inference_steps": 25,
        },
        idle_timeout_s=300,
        boot_s=25,
        run_s=0.6,
        # 50 steps at 1024 x 1024 add 8.4 s.
        growth=(Growth(keys=("width", "height", "num_inference_steps", "num_outputs"), seconds=1.6e-7),),
    ),
    Traits(
        owner="openai",
        name="whisper",
        kind=Kind.TRANSCRIPT,
        description="Convert speech in audio to text",
        hardware="gpu-t4",
        versions=(_version("openai/whisper", 1, "whisper", datetime(2024, 8, 9, 10, 1, 47, 509231, UTC)),),
        run_count=102_870_913,
        default_example={"audio": SILENCE, "transcription": "plain text", "language": "auto"},
        idle_timeout_s=180,
        boot_s=18,
        run_s=1.4,
        growth=(Growth(keys=("audio",), seconds=1e-5),),
    ),
    Traits(
        owner="salesforce",
        name="blip",
        kind=Kind.CAPTION,
        description="Generate image captions",
        hardware="gpu-t4",
        versions=(_version("salesforce/blip", 1, "blip", datetime(2022, 9, 21, 2, 6, 32, 118504, UTC)),),
        run_count=171_443_029,
        default_example={"image": PIXEL, "task": "image_captioning"},
        idle_timeout_s=120,
        boot_s=9,
        run_s=0.45,
    ),
    Traits(
        owner="replicate",
        name="hello-world",
        kind=Kind.GREETING,
        description="A tiny model that says hello",
        hardware="cpu",
        versions=(
            Version(
                id="5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa",
                created_at=datetime(2022, 4, 26, 19, 29, 4, 418669, UTC),
                openapi_schema=schema("hello-world"),
                cog_version="0.3.9",
            ),
        ),
        run_count=12_880_512,
        default_example={"text": "Alice"},
        idle_timeout_s=90,
        boot_s=2.5,
        run_s=0.0127,
    ),
    Traits(
        owner="black-forest-labs",
        name="flux-schnell",
        kind=Kind.IMAGES,
        description="The fastest image generation model tailored for local development and personal use",
        hardware="gpu-h100",
        versions=(
            _version("black-forest-labs/flux-schnell", 1, "flux-schnell", datetime(2024, 8, 1, 9, 32, 10, 0, UTC)),
        ),
        is_official=True,
        usd_per_output=Decimal("0.003"),
        run_count=421_090_774,
        default_example={"prompt": "black forest gateau cake spelling out the words FLUX SCHNELL"},
        run_s=0.3,
        growth=(Growth(keys=("num_inference_steps", "num_outputs"), seconds=0.08),),
    ),
    Traits(
        owner="acme",
        name="private-llm",
        kind=Kind.TEXT,
        description="Our own fine-tune",
        hardware="gpu-a100-large",
        versions=(_version("acme/private-llm", 1, "text", datetime(2025, 3, 4, 11, 20, 58, 730115, UTC)),),
        private=True,
        run_count=1_204,
        default_example={"prompt": "hi", "max_tokens": 16},
        idle_timeout_s=60,
        boot_s=75,
        run_s=0.4,
        prefill_s=0.3,
        growth=(Growth(keys=("max_tokens",), seconds=0.01),),
    ),
    Traits(
        owner="nightmareai",
        name="real-esrgan",
        kind=Kind.IMAGE,
        description="Real-ESRGAN with optional face correction and adjustable upscale",
        hardware="gpu-t4",
        versions=(
            _version("nightmareai/real-esrgan", 1, "real-esrgan", datetime(2023, 9, 27, 14, 5, 21, 604398, UTC)),
        ),
        run_count=76_550_318,
        default_example={"image": PIXEL, "scale": 2},
        idle_timeout_s=150,
        boot_s=14,
        run_s=0.8,
        growth=(Growth(keys=("scale",), seconds=0.3),),
    ),
)

DEPLOYMENTS = (
    Deployment(
        owner="acme",
        name="upscaler",
        model="nightmareai/real-esrgan",
        version=version_id("nightmareai/real-esrgan", 1),
        hardware="gpu-t4",
        min_instances=0,
        max_instances=2,
    ),
)

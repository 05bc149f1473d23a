from __future__ import annotations

from typing import Any

import pytest

from warmer.core.effort import Effort, Kind, amount_of, effort_of, kind_of_key, share_of


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def whole(default: int | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "integer", **({} if default is None else {"default": default}), **more}


@pytest.mark.parametrize(
    ("key", "kind", "value", "amount"),
    [
        ("size", Kind.PIXELS, "1024x1536", 1024 * 1536),
        ("size", Kind.PIXELS, "1024*1024", 1024**2),
        ("size", Kind.PIXELS, "1024 x 1024 (square)", 1024**2),
        ("resolution", Kind.PIXELS, "480p", 480 * 480 * 16 / 9),
        ("resolution", Kind.PIXELS, "1080P", 1080 * 1080 * 16 / 9),
        ("size", Kind.PIXELS, "2K", 2048**2),
        ("image_resolution", Kind.PIXELS, "512", 512**2),
        ("megapixels", Kind.PIXELS, "0.25", 250_000),
        ("resolution", Kind.PIXELS, "2 MP", 2_000_000),
        ("megapixels", Kind.PIXELS, 2, 2_000_000),
        ("image_size", Kind.PIXELS, 512, 512**2),
        ("size", Kind.PIXELS, "auto", None),
        ("size", Kind.PIXELS, "7b", None),
        ("size", Kind.PIXELS, "16:9", None),
        ("video_length", Kind.FRAMES, "14_frames_with_svd", 14),
        ("duration", Kind.SECONDS, "5s", 5),
        ("duration", Kind.SECONDS, 7.5, 7.5),
        ("upscale", Kind.SCALE, "x2", 2),
        ("upscale", Kind.SCALE, "4x", 4),
        ("n", Kind.OUTPUTS, "3", 3),
        ("max_tokens", Kind.TOKENS, -1, None),
        ("max_tokens", Kind.TOKENS, True, None),
        ("max_tokens", Kind.TOKENS, "9" * 1000, None),
        ("duration", Kind.SECONDS, "auto", None),
    ],
)
def test_amounts_are_read_from_numbers_and_choices(key: str, kind: Kind, value: Any, amount: float | None) -> None:
    assert amount_of(key, kind, value) == amount


@pytest.mark.parametrize(
    ("key", "about", "kind"),
    [
        ("num_inference_steps", {}, Kind.STEPS),
        ("ddim_steps", {}, Kind.STEPS),
        ("max_train_steps", {}, Kind.STEPS),
        ("lr_warmup_steps", {}, None),
        ("save_steps", {}, None),
        ("max_new_tokens", {}, Kind.TOKENS),
        ("num_frames", {}, Kind.FRAMES),
        ("max_video_frames", {}, Kind.FRAMES),
        ("batch_size", {"description": "Number of images to make"}, Kind.OUTPUTS),
        ("batch_size", {"description": "How much is read at a time"}, None),
        ("scale", {"description": "Factor to scale image by"}, Kind.SCALE),
        ("scale", {"description": "Guidance Scale"}, None),
        ("guidance_scale", {}, None),
        ("dimensions", {}, None),
        ("seed", {}, None),
        ("num_outputs", {"type": "string"}, None),
    ],
)
def test_keys_are_told_by_what_they_make_more_of(key: str, about: dict[str, Any], kind: Kind | None) -> None:
    assert kind_of_key(key, {"type": "integer"} | about) is kind


def test_what_is_not_given_counts_by_its_default() -> None:
    takes = schema(width=whole(1024), height=whole(512), steps=whole(50), refine_steps=whole(10), num_outputs=whole())
    assert effort_of({"steps": 5, "num_outputs": 2}, takes) == Effort(outputs=2, pixels=1024 * 512, steps=15)
    assert effort_of({}, None) == Effort()


def test_sides_count_only_where_they_are_heeded() -> None:
    shape = {"type": "string", "enum": ["1:1", "custom"], "default": "1:1"}
    takes = schema(aspect_ratio=shape, width=whole(256), height=whole(256))
    assert effort_of({}, takes).pixels is None
    assert effort_of({"aspect_ratio": "custom"}, takes).pixels == 256**2


def test_a_share_is_of_what_both_tell() -> None:
    usual = Effort(outputs=1, pixels=1_000_000, steps=50, tokens=None, letters=100)
    assert share_of(Effort(outputs=1, pixels=250_000, steps=1, tokens=1, letters=2), usual) == pytest.approx(0.005)
    assert share_of(Effort(letters=2), usual) == pytest.approx(0.02)
    assert share_of(Effort(scale=1), Effort(scale=4)) == pytest.approx(1 / 16)
    assert share_of(Effort(seconds=2, fps=8), Effort(seconds=4, fps=16)) == pytest.approx(1 / 4)
    assert share_of(Effort(frames=10, seconds=1), Effort(frames=20, seconds=10)) == pytest.approx(1 / 2)
    assert share_of(Effort(), usual) is None
    assert share_of(Effort(tokens=1), usual) is None

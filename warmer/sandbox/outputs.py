"""What a model answers: made up, but of the right shape, and the same for the same prediction."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, islice
from typing import Any

from warmer.sandbox.traits import Kind, Traits

FILES = "/sandbox/files"  # where the server serves output files; an output holds the path, a reply the whole address
_LONGEST = 96  # tokens, however many were allowed
_TEXT = "A model that nobody calls is turned off, and the next caller waits while several gigabytes are read again."
_WORDS = _TEXT.split()


def output_of(traits: Traits, given: Mapping[str, Any], prediction_id: str) -> Any:
    """The complete output of a run. A text model's is a list of tokens."""
    match traits.kind:
        case Kind.TEXT:
            allowed = given.get("max_tokens", given.get("max_new_tokens", _LONGEST))
            tokens = islice(cycle(_WORDS), max(1, min(_LONGEST, int(allowed))))
            return [word if index == 0 else f" {word}" for index, word in enumerate(tokens)]
        case Kind.IMAGES:
            return [f"{FILES}/{prediction_id}/out-{index}.png" for index in range(int(given.get("num_outputs", 1)))]
        case Kind.IMAGE:
            return f"{FILES}/{prediction_id}/out.png"
        case Kind.TRANSCRIPT:
            text = " ".join(_WORDS[:8])
            return {
                "segments": [{"id": 0, "start": 0, "end": 3.4, "text": f" {text}"}],
                "translation": None,
                "transcription": f" {text}",
                "detected_language": "english",
            }
        case Kind.CAPTION:
            return "Caption: a dog sitting on a bench in the park"
        case Kind.GREETING:
            return f"hello {given.get('text', '')}"


def metrics_of(traits: Traits, given: Mapping[str, Any], output: Any, run_s: float) -> dict[str, float]:
    """What models of this kind count beside the seconds. The real names are not documented: lean on none."""
    if traits.kind is Kind.TEXT and isinstance(output, list) and run_s > 0:
        prefill_s = min(traits.prefill_s, run_s)
        return {
            "input_token_count": len(str(given.get("prompt", "")).split()),
            "output_token_count": len(output),
            "time_to_first_token": round(prefill_s + (run_s - prefill_s) / len(output), 6),
            "tokens_per_second": round(len(output) / run_s, 3),
        }
    if traits.kind is Kind.IMAGES and isinstance(output, list):
        return {"image_count": len(output)}
    return {}


def logs_of(traits: Traits, prediction_id: str) -> str:
    """What a run writes to its log."""
    if traits.kind in (Kind.IMAGES, Kind.IMAGE):
        return f"Using seed: {sum(map(ord, prediction_id)) * 7919 % 65536}\n"
    return ""

"""When a streaming model makes its tokens, and who is told of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from warmer.sandbox.catalogue import schema
from warmer.sandbox.predictions import Prediction, Status
from warmer.sandbox.replies import prediction as shown
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.traits import Kind, Traits, Version, version_id
from warmer.sandbox.world import World

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
EXACT = {"boot_spread": 0.0, "run_spread": 0.0, "overhead_spread": 0.0, "idle_timeout_spread": 0.0}
STARTS = 10.0  # seconds from a create to its start: the boot


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def talker(**changes: Any) -> Traits:
    """Makes four tokens in a run of 2 s, without any chance in it."""
    only = Version(id=version_id("acme/talker", 1), created_at=BEGIN, openapi_schema=schema("text"))
    usual = {"kind": Kind.TEXT, "hardware": "gpu-t4", "boot_s": STARTS, "overhead_s": 0.0, "run_s": 2.0}
    return Traits(owner="acme", name="talker", versions=(only,), **{**usual, **EXACT, **changes})


def called(**changes: Any) -> tuple[World, Prediction]:
    world = World(begin=BEGIN, models=(talker(**changes),), deployments=())
    return world, world.create(BEGIN, "acme/talker", {"prompt": "x", "max_tokens": 4}, caller="me")


def made(world: World, prediction: Prediction, run_s: float) -> int:
    """Its tokens so far, so many seconds into its run."""
    world.advance(at(STARTS + run_s))
    return len(prediction.output_at(at(STARTS + run_s)) or ())


@pytest.mark.parametrize(
    ("prefill_s", "first_s", "tokens"),
    [(0.0, 0.5, [0, 1, 2, 3, 4]), (1.0, 1.25, [0, 0, 0, 2, 4]), (5.0, 2.0, [0, 0, 0, 0, 4])],
)
def test_tokens_come_evenly_once_the_prompt_is_read(prefill_s: float, first_s: float, tokens: list[int]) -> None:
    world, prediction = called(prefill_s=prefill_s)
    world.advance(at(STARTS))
    assert prediction.next_output(at(STARTS)) == at(STARTS + first_s) + timedelta(microseconds=1)
    assert [made(world, prediction, run_s) for run_s in (0.4, 0.5, 1.0, 1.6, 2.0)] == tokens
    (call,) = world.journal.calls()
    assert call.first_token_at == at(STARTS + first_s)
    metrics = shown(prediction, world.now, "")["metrics"]
    assert metrics["time_to_first_token"] == pytest.approx(first_s)


def test_what_ended_before_its_first_token_made_none() -> None:
    world, prediction = called(prefill_s=1.0)
    world.cancel(at(STARTS + 1.2), prediction.id)
    assert world.journal.calls()[0].first_token_at is None
    world, prediction = called(prefill_s=1.0)
    world.cancel(at(STARTS + 1.3), prediction.id)
    assert world.journal.calls()[0].first_token_at == at(STARTS + 1.25)


def test_what_never_started_or_does_not_stream_made_none() -> None:
    world, prediction = called()
    world.cancel(at(1), prediction.id)
    assert (prediction.status, prediction.first_token_at) == (Status.CANCELED, None)
    world = World(begin=BEGIN)
    prediction = world.create(BEGIN, "replicate/hello-world", {"text": "x"}, caller="me")
    world.advance(at(60))
    assert (prediction.status, prediction.first_token_at) == (Status.SUCCEEDED, None)


def test_a_time_to_read_the_prompt_is_not_negative() -> None:
    with pytest.raises(ValueError, match="prefill_s is -1"):
        talker(prefill_s=-1)


def test_each_token_is_sent_once_it_was_made_and_the_journal_says_when_the_first_was(
    serve: Callable[..., None],
) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        body = {"version": talker().latest.id, "input": {"prompt": "x", "max_tokens": 4}}
        reply = (await client.post("/v1/predictions", json=body)).json()
        async with httpx.AsyncClient() as anybody, anybody.stream("GET", reply["urls"]["stream"]) as frames:
            lines = [line async for line in frames.aiter_lines()]
        stamps = [int(line[4:].partition(":")[0]) for line in lines if line.startswith("id: ")]
        truth = (await client.get("/sandbox/journal")).json()["predictions"][0]
        first = datetime.fromisoformat(truth["first_token_at"])
        assert first == datetime.fromisoformat(truth["started_at"]) + timedelta(seconds=1.25)
        assert stamps[0] >= int(first.timestamp() * 1000)
        assert stamps == sorted(stamps)
        assert len(stamps) == 5

    serve(story, speed=20.0, models=(talker(prefill_s=1.0),), deployments=())

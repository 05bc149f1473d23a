"""How long a first token took: true to the world, and of no consequence for anything else of a beat."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, START, Stage, model, when

from warmer.clock import FastClock
from warmer.core.beat import BeatRequest, Observation, Prediction, Status
from warmer.core.hours import ActiveHours
from warmer.core.spec import AccountSpec, ModelSpec, PolicyName, Target, TargetKind
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.engine.first_token import GRACE_S
from warmer.errors import ModelFailed
from warmer.ledger import SqlLedger, open_ledger
from warmer.log import Event
from warmer.providers.replicate import Replicate
from warmer.sandbox.catalogue import schema
from warmer.sandbox.faults import Fault
from warmer.sandbox.journal import Call
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.traits import Kind, Traits, Version, version_id
from warmer.sandbox.world import World
from warmer.testing import run

SLUG, TOKEN = "acme/talker", "r8_warmer_C4nary"
BEGIN = datetime(2026, 11, 24, 9, tzinfo=UTC)
WITHIN_S = 0.05
"""Of the world's own time to the first token."""


def talker(**more: Any) -> Traits:
    """Makes one token, after 1.5 of the 2 s that its run takes, or as told."""
    only = Version(id=version_id(SLUG, 1), created_at=BEGIN, openapi_schema=schema("text"))
    exact = {"boot_spread": 0.0, "run_spread": 0.0, "overhead_spread": 0.0, "idle_timeout_spread": 0.0}
    usual: dict[str, Any] = {"boot_s": 5.0, "overhead_s": 0.0, "run_s": 2.0, "prefill_s": 1.0} | exact | more
    return Traits(owner="acme", name="talker", kind=Kind.TEXT, hardware="gpu-t4", versions=(only,), **usual)


ENTRY = ModelSpec(
    name="talker",
    target=Target(kind=TargetKind.MODEL, owner="acme", name="talker"),
    hours=ActiveHours.always_open(),
    policy=PolicyName.FIXED,
    every=timedelta(seconds=1),
    input={"prompt": "hi", "max_tokens": 2},
    traffic=False,
    first_token=True,
    where="warmer.yaml:7",
)


def truth_s(call: Call) -> float:
    assert call.first_token_at is not None
    return (call.first_token_at - call.created_at).total_seconds()


def said(lines: list[Any], event: Event) -> list[Any]:
    return [line for line in lines if line["event"] == event]


# -- over real HTTP ----------------------------------------------------------------------------------------------------


class Scene:
    """The engine over HTTP, on a sandbox of one model that streams."""

    def __init__(self, server: SandboxServer, clock: FastClock, ledger: SqlLedger) -> None:
        self.server, self.clock, self.ledger = server, clock, ledger
        limits = {"creates_per_minute": 100_000, "reads_per_minute": 1_000_000}
        self.provider = Replicate(AccountSpec(base_url=f"{server.url}/v1", **limits), TOKEN, clock)
        self.account = Account.over(self.provider, Desk(ledger), clock, lambda: [ENTRY])

    async def beats(self, count: int) -> list[Observation]:
        seen = list[Observation]()
        while len(seen) < count:
            tick = await self.account.heartbeat.tick(ENTRY)
            assert tick.error is None
            if tick.observation is None:
                await self.clock.sleep(0.1)
            else:
                seen.append(tick.observation)
        return seen


def play(path: Path, speed: float, scene: Callable[[Scene], Awaitable[None]], **traits: Any) -> None:
    async def played() -> None:
        world = World(begin=BEGIN, models=[talker(**traits)], deployments=[])
        async with SandboxServer(world, speed=speed) as server, asyncio.timeout(120):
            one = Scene(server, FastClock(server.now(), speed), open_ledger(f"sqlite:///{path}"))
            try:
                await scene(one)
            finally:
                await one.provider.close()

    asyncio.run(played())


def test_it_is_within_50_ms_of_the_truth(db: Path) -> None:
    # At a fifth of real time: what a loaded machine is late weighs a fifth.
    async def scene(one: Scene) -> None:
        beats = await one.beats(2)
        calls = one.server.world.journal.calls()
        assert [beat.prediction_id for beat in beats] == [call.id for call in calls]
        off = [(beat.first_token_s or 0.0) - truth_s(call) for beat, call in zip(beats, calls, strict=True)]
        sys.stdout.write(f"later than the truth by {[round(1000 * late, 1) for late in off]} ms\n")
        assert all(0 <= late <= WITHIN_S for late in off)
        assert [beat.first_token_s for beat in one.ledger.beats()] == [beat.first_token_s for beat in beats]

    play(db, 0.2, scene, boot_s=0.1, run_s=0.1, prefill_s=0.05)


FAULTS = {
    "gone": (Fault(kind="status", status=410, on="stream", body="gone"), "status 410"),
    "not there": (Fault(kind="status", status=404, on="stream"), "status 404"),
    "failing": (Fault(kind="status", status=500, on="stream"), "status 500"),
    "elsewhere": (Fault(kind="redirect", to="http://127.0.0.1:9", on="stream"), "status 307"),
    "cut": (Fault(kind="cut", on="stream"), "was lost"),
    "silent": (Fault(kind="delay", seconds=1e6, on="stream"), "said nothing"),
    "no stream": (Fault(kind="rewrite", set={"urls": {}}, on="create"), "no stream"),
    "odd address": (Fault(kind="rewrite", set={"urls": {"stream": "file:///etc/passwd"}}, on="create"), "not asked"),
    "nobody there": (Fault(kind="foreign_urls", to="http://127.0.0.1:9", on="create"), "was lost"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_stream_that_fails_costs_a_beat_nothing_but_the_figure(db: Path, lines: list[Any], kind: str) -> None:
    fault, why = FAULTS[kind]

    async def scene(one: Scene) -> None:
        one.server.faults.add(fault)
        beats = await one.beats(2)
        assert [(beat.status, beat.first_token_s) for beat in beats] == [(Status.SUCCEEDED, None)] * 2
        assert len(one.server.world.journal.calls()) == 2
        (told,) = said(lines, Event.STREAM_MISSED)
        assert (told["model"], told["where"]) == ("talker", "warmer.yaml:7")
        assert why in told["error"]
        assert all("first_token_s" not in line for line in said(lines, Event.BEAT_DONE))
        one.server.faults.clear()
        (well,) = await one.beats(1)
        assert well.first_token_s is not None
        one.server.faults.add(replace(fault, used=0, met=0))
        await one.beats(1)
        assert len(said(lines, Event.STREAM_MISSED)) == 2

    play(db, 20.0, scene)


def test_the_token_does_not_go_to_the_stream_s_host(db: Path) -> None:
    heads = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        writer.write(b"event: output\nid: 1:0\ndata: hi\n\n")
        await writer.drain()
        writer.close()

    async def scene(one: Scene) -> None:
        foreign = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = foreign.sockets[0].getsockname()[1]
        one.server.faults.add(Fault(kind="foreign_urls", to=f"http://127.0.0.1:{port}", on="create"))
        (beat,) = await one.beats(1)
        foreign.close()
        assert beat.first_token_s is not None

    play(db, 20.0, scene)
    (head,) = heads
    assert head.startswith(b"GET /v1/streams/")
    assert TOKEN.encode() not in head
    assert b"authorization" not in head.lower()


# -- in virtual time ---------------------------------------------------------------------------------------------------


def staged(db: Path, *models: ModelSpec) -> Stage:
    world = World(begin=START, seed=1, models=[talker(), *World(begin=START).models], deployments=[])
    return Stage(db, *(models or (replace(ENTRY, every=timedelta(seconds=100)),)), world=world)


def test_it_is_told_and_kept_of_each_beat_cold_or_warm(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = staged(db)
        await stage.play(150)
        beats, calls = stage.beats(), stage.created()
        assert [round(truth_s(call), 3) for call in calls] == [6.5, 1.5]
        for beat, call in zip(beats, calls, strict=True):
            assert beat.first_token_s == pytest.approx(truth_s(call) + stage.host.latency_s, abs=0.001)
        assert [line["first_token_s"] for line in said(lines, Event.BEAT_DONE)] == [one.first_token_s for one in beats]

    run(scene())


def test_without_being_asked_for_nothing_is_read(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = staged(db, replace(ENTRY, first_token=False))
        stage.host.first_output = never  # type: ignore[method-assign] # the host's own doing
        await stage.play(20)
        assert stage.beats()
        assert all(beat.first_token_s is None for beat in stage.beats())
        assert not said(lines, Event.STREAM_MISSED)

    async def never(stream: str) -> None:
        raise AssertionError("read")

    run(scene())


def test_of_a_model_that_does_not_stream_it_is_said_once(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = staged(db, model(BLIP, every=100, policy=PolicyName.FIXED, first_token=True))
        await stage.play(450)
        assert len(stage.beats()) == 5
        assert all(beat.status is Status.SUCCEEDED for beat in stage.beats())
        (told,) = said(lines, Event.STREAM_MISSED)
        assert told["hint"] == "leave `measure` out of this entry"

    run(scene())


def test_a_stream_that_says_nothing_is_waited_for_no_longer_than_the_beat_and_a_second(db: Path) -> None:
    async def recorded(path: Path, *, hangs: bool) -> tuple[float, int]:
        stage = staged(path)
        if hangs:
            stage.host.first_output = hang  # type: ignore[method-assign] # the host's own doing
        stage.start()
        await when(stage.beats)
        at_s, reads = stage.true.monotonic(), stage.host.reads
        await stage.leave()
        assert len(stage.created()) == 1
        return at_s, reads

    async def hang(stream: str) -> None:
        await asyncio.Event().wait()

    usual_s, usual_reads = run(recorded(db.with_name("usual.db"), hangs=False))
    hanging_s, hanging_reads = run(recorded(db, hangs=True))
    assert hanging_reads == usual_reads
    assert hanging_s == pytest.approx(usual_s + GRACE_S, abs=0.05)


def test_a_beat_that_failed_says_why_and_nothing_of_its_stream(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = staged(db)
        stage.world.fail_next(SLUG, "CUDA out of memory")
        stage.host.first_output = fail  # type: ignore[method-assign] # the host's own doing
        stage.start()
        await when(stage.beats)
        await stage.leave()
        (beat,) = stage.beats()
        assert (beat.status, beat.first_token_s) == (Status.FAILED, None)
        assert not said(lines, Event.STREAM_MISSED)

    async def fail(stream: str) -> None:
        raise ModelFailed("its stream broke")

    run(scene())


def test_a_create_whose_reply_was_lost_is_not_made_again_for_the_figure(db: Path) -> None:
    async def scene() -> None:
        stage = staged(db)
        stage.host.losing_replies = 1
        await stage.play(50)
        (beat,) = stage.beats()
        assert (beat.status, beat.first_token_s) == (Status.SUCCEEDED, None)
        assert len(stage.created()) == 1

    run(scene())


def test_the_token_of_another_beat_is_not_taken_for_its_own(db: Path) -> None:
    async def scene() -> None:
        stage = staged(db)
        create, answers = stage.host.create, list[Prediction]()

        async def mixed_up(request: BeatRequest) -> Prediction:
            answers.append(await create(request))
            return answers[0]

        stage.host.create = mixed_up  # type: ignore[method-assign] # the host's own doing
        await stage.play(150)
        first, second = stage.beats()
        assert [first.prediction_id, second.prediction_id] == [call.id for call in stage.created()]
        assert first.first_token_s is not None
        assert second.first_token_s is None

    run(scene())


def test_who_stops_meanwhile_leaves_no_stream_open(db: Path) -> None:
    open_streams = set[str]()

    async def scene() -> None:
        stage = staged(db)
        stage.host.first_output = hold  # type: ignore[method-assign] # the host's own doing
        stage.start()
        await when(lambda: open_streams)
        await stage.die()
        await asyncio.sleep(1)
        assert not open_streams

    async def hold(stream: str) -> None:
        open_streams.add(stream)
        try:
            await asyncio.Event().wait()
        finally:
            open_streams.discard(stream)

    run(scene())

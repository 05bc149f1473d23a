from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, LLAMA, SDXL, START, WHISPER, Stage, fixed, gaps, model, when

from warmer.core.beat import Prediction, Status, Verdict
from warmer.core.observe import concerns
from warmer.core.spec import TargetKind
from warmer.engine.backfill import Backfill
from warmer.errors import ModelRefused, Unavailable
from warmer.log import Event
from warmer.ports import RECENT_AT_MOST
from warmer.sandbox.world import World
from warmer.testing import run


def said(lines: list[Any], event: Event) -> list[Any]:
    return [line for line in lines if line["event"] == event]


def test_only_what_is_new_is_read_and_models_that_come_due_together_share_a_reading(db: Path) -> None:
    async def scene() -> None:
        slugs = (BLIP, LLAMA, SDXL, WHISPER)
        stage = Stage(db, *(fixed(slug, 60) for slug in slugs))
        calling = asyncio.ensure_future(stage.customers(BLIP, range(1, 900, 10)))
        await stage.play(900)
        await calling
        beats = len(stage.beats())
        assert stage.host.lists < beats * 0.7
        # Some seven calls and four beats a minute, and five seconds read twice.
        assert max(stage.host.listed[5:]) < 20
        assert sum(stage.host.listed) < 3 * (90 + beats)
        assert len(list(stage.ledger.requests())) >= 80

    run(scene())


def test_of_what_customers_send_the_ledger_has_salted_hashes_alone(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(LLAMA, 60))
        for prompt in ("xyzzy the first", "xyzzy the second", "xyzzy the first"):
            stage.call(LLAMA, prompt=prompt)
            await stage.account.traffic.refresh(0)
            await asyncio.sleep(20)
        await stage.account.traffic.refresh(0)
        first, second, third = (call.input_hash for call in stage.ledger.requests())
        assert first == third != second
        assert None not in (first, second)
        await stage.until(2 * 3600)
        await stage.account.traffic.refresh(0)  # the list has let go of the inputs
        assert [call.input_hash for call in stage.ledger.requests()] == [first, second, third]
        written = b"".join(path.read_bytes() for path in db.parent.glob(f"{db.name}*"))
        assert first.encode() in written
        assert b"xyzzy" not in written

    run(scene())


def test_nothing_is_read_where_traffic_is_off(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 60, traffic=False), model(LLAMA, every=60, traffic=False))
        stage.call(BLIP)
        await stage.play(300)
        assert stage.host.lists == 0
        assert list(stage.ledger.requests()) == []

    run(scene())


def test_our_own_beats_are_never_customers_even_before_their_reply_is_in(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, model(BLIP, every=60), model(LLAMA, every=60))
        stage.start()
        for _ in range(1500):
            await asyncio.sleep(0.05)
            await stage.account.traffic.refresh(0)
        await stage.leave()
        await stage.account.traffic.refresh(0)
        assert stage.created()
        assert list(stage.ledger.requests()) == []

    run(scene())


def test_a_beat_that_the_list_shows_before_its_reply_is_no_customer_once_it_is_named(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, model(SDXL, every=600))
        stage.host.latency_s = 1.0
        stage.start()
        await when(stage.created)
        await stage.account.traffic.refresh(0)  # listed: carried out, and the reply still on its way
        await asyncio.sleep(3)
        assert stage.ledger.open_beats()[0].prediction_id is not None
        assert list(stage.ledger.requests()) == []
        await stage.leave()

    run(scene())


def test_a_call_that_was_seen_waiting_is_completed_later(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 30), model(LLAMA, every=3600))
        stage.call(LLAMA, max_tokens=4000)  # some 12 s of boot and half a minute of running
        stage.start()
        await stage.until(5)
        (call,) = stage.ledger.requests()
        assert (call.status, call.verdict) == (Status.STARTING, Verdict.UNSURE)
        await stage.until(100)
        (call,) = stage.ledger.requests()
        (truth,) = stage.created(caller="customer")
        assert (call.status, call.verdict) == (Status.SUCCEEDED, Verdict.COLD)
        assert (call.started_at, call.completed_at) == (truth.started_at, truth.completed_at)
        await stage.until(300)
        assert stage.host.listed[-1] < 5  # and is not read again
        await stage.leave()

    run(scene())


@pytest.mark.parametrize("ends", [15, 44])
def test_a_call_that_was_seen_running_is_looked_at_again_and_the_model_kept_warm_after_it(db: Path, ends: int) -> None:
    async def scene() -> None:
        stage = Stage(db, model(LLAMA, every=20))
        stage.call(LLAMA, max_tokens=int((ends - 12) / 0.008))
        await stage.play(200)
        (call,) = stage.created(caller="customer")
        assert call.completed_at is not None
        (first, *_) = stage.created()
        assert 20 <= (first.created_at - call.completed_at).total_seconds() < 41
        # Once it is known to have ended, the interval counts from its end.
        assert max(gaps(stage.seconds())) < 23

    run(scene())


def test_a_list_that_fails_stops_no_beat_and_says_so_once(db: Path, lines: list[Any]) -> None:
    async def scene(error: Any) -> None:
        stage = Stage(db, fixed(BLIP, 30), model(LLAMA, every=50))
        stage.start()
        await stage.until(100)
        stage.host.refusing["recent"] = error
        await stage.until(500)
        assert all(gap < 33 for gap in gaps(stage.seconds(BLIP))[1:])
        assert all(gap < 53 for gap in gaps(stage.seconds(LLAMA))[1:])
        assert len(said(lines, Event.TRAFFIC_FAILED)) == 1
        assert said(lines, Event.MODEL_DISABLED) == said(lines, Event.ACCOUNT_PAUSED) == []
        stage.host.refusing.clear()
        stage.call(LLAMA)
        await stage.until(600)
        assert len(list(stage.ledger.requests())) == 1
        await stage.leave()

    run(scene(Unavailable("503")))


def test_more_calls_than_a_reading_takes_are_missed_aloud_and_can_be_brought_in(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        hello, span = "replicate/hello-world", timedelta(minutes=50)
        world = World(begin=START - span, seed=1)
        for number in range(RECENT_AT_MOST + 50):
            world.create(START - span * (1 - number / (RECENT_AT_MOST + 50)), hello, {"text": ""}, caller="customer")
        stage = Stage(db, model(hello, every=60), world=world)
        await stage.account.traffic.refresh()
        (missed,) = said(lines, Event.TRAFFIC_MISSED)
        oldest = min(call.created_at for call in stage.ledger.requests())
        assert missed["until"] == oldest > START - span
        assert "`warmer backfill --since 2h`" in missed["hint"]
        assert len(list(stage.ledger.requests())) == RECENT_AT_MOST
        back = timedelta(hours=2)
        done = await Backfill(stage.spec.models, stage.host, stage.desk, stage.clock).run(back)
        assert [share.new for share in done.shares] == [50]

    run(scene())


def test_a_list_that_is_refused_disables_no_model(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 30))
        stage.host.refusing["recent"] = ModelRefused("403: this token may not list", "")
        await stage.play(100)
        assert len(stage.created()) >= 3
        assert said(lines, Event.MODEL_DISABLED) == []
        assert len(said(lines, Event.TRAFFIC_FAILED)) == 1

    run(scene())


def prediction(**more: Any) -> Prediction:
    return Prediction(id="p", status=Status.SUCCEEDED, created_at=START, **more)


@pytest.mark.parametrize(
    ("kind", "version", "seen", "mine"),
    [
        (TargetKind.MODEL, "a", {"model": "o/n", "version": "a"}, True),
        (TargetKind.MODEL, "a", {"model": "o/n", "version": "b"}, False),  # another container
        (TargetKind.MODEL, None, {"model": "o/n", "version": "b"}, True),
        (TargetKind.MODEL, "a", {"model": "o/n"}, True),  # hidden
        (TargetKind.MODEL, "a", {"model": "o/m", "version": "a"}, False),
        (TargetKind.MODEL, "a", {"model": "o/n", "version": "a", "deployment": "o/d"}, False),
        (TargetKind.DEPLOYMENT, "a", {"model": "o/m", "version": "a", "deployment": "o/n"}, True),
        (TargetKind.DEPLOYMENT, "a", {"model": "o/n", "version": "a"}, False),
        (TargetKind.DEPLOYMENT, None, {"model": "o/m", "deployment": "o/other"}, False),
    ],
)
def test_a_call_concerns_only_the_instances_it_ran_in(
    kind: TargetKind, version: str | None, seen: dict[str, str], mine: bool
) -> None:
    assert concerns(prediction(**seen), model("o/n", kind=kind), version) is mine


def test_calls_of_a_deployment_and_of_its_model_keep_their_own_instances_warm(db: Path) -> None:
    async def scene() -> None:
        upscaler, esrgan = "acme/upscaler", "nightmareai/real-esrgan"
        stage = Stage(db, model(upscaler, every=60, kind=TargetKind.DEPLOYMENT), model(esrgan, every=60))
        example = stage.world.model(esrgan).default_example or {}

        async def customers() -> None:
            for second in range(0, 600, 30):
                await stage.until(second)
                stage.world.create(stage.true.now(), upscaler, example, caller="customer")

        calling = asyncio.ensure_future(customers())
        await stage.play(600)
        await calling
        assert stage.created(upscaler) == []
        assert len(stage.created(esrgan)) >= 8
        assert {call.model for call in stage.ledger.requests()} == {upscaler}

    run(scene())


def test_a_new_version_is_another_container_to_warm(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 60))
        stage.start()
        await stage.until(300)
        new = stage.world.publish(stage.true.now(), BLIP)
        await stage.until(1500)  # contracts are asked for again every quarter of an hour
        await stage.leave()
        resolved = said(lines, Event.MODEL_RESOLVED)
        assert [line["version"] for line in resolved][-1] == new.id
        assert len(resolved) == 2
        assert stage.created()[-1].version == new.id

    run(scene())

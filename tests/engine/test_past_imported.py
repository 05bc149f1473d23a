"""The account's past, imported in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from engine.stage import BLIP, INPUT, LLAMA, SDXL, START, WHISPER, Stage, fixed, model

from warmer.core.beat import Request, Verdict
from warmer.core.listing import Page
from warmer.core.spec import TargetKind
from warmer.engine.backfill import THROTTLED_TRIES, Backfill, Imported, settle
from warmer.errors import AccountRefused, ModelRefused, Throttled, Unavailable
from warmer.sandbox.world import World
from warmer.testing import run

WEEK = timedelta(days=7)


def past(*slugs: str, calls: int, over: timedelta = timedelta(days=3)) -> World:
    """A world where customers have called those models at random, in the time up to START; some calls overlap."""
    world, random = World(begin=START - over, seed=1), Random(7)
    moments = sorted(random.uniform(0, over.total_seconds() - 600) for _ in range(calls // 2))
    moments = sorted([*moments, *(moment + random.expovariate(0.3) for moment in moments)])
    for moment in moments:
        slug = random.choice(slugs)
        world.create(START - over + timedelta(seconds=moment), slug, example(world, slug), caller="customer")
    return world


def example(world: World, slug: str) -> dict[str, Any]:
    return dict(world.model(slug).default_example or INPUT)


def stage_of(db: Path, world: World, *slugs: str, **more: Any) -> Stage:
    stage = Stage(db, *(model(slug, **more) for slug in slugs), world=world)
    stage.host.latency_s = 0.0
    return stage


async def imported(stage: Stage, back: timedelta = WEEK, **more: Any) -> Imported:
    return await Backfill(stage.spec.models, more.pop("host", stage.host), stage.desk, stage.clock, **more).run(back)


def called(world: World, slugs: Iterable[str]) -> list[str]:
    return sorted(call.id for call in world.journal.calls(caller="customer") if call.model in slugs)


def ids(calls: Iterable[Request]) -> list[str]:
    return sorted(call.prediction_id for call in calls)


def test_every_call_of_the_file_s_models_is_imported_once(db: Path) -> None:
    async def scene() -> None:
        world = past(BLIP, LLAMA, SDXL, calls=1234)
        stage = stage_of(db, world, BLIP, LLAMA)
        shares = list[float]()
        done = await imported(stage, told=lambda _, share: shares.append(share))
        assert ids(stage.ledger.requests()) == called(world, (BLIP, LLAMA))
        assert done.seen == 1234
        assert stage.host.paged == [100] * 12 + [34]
        assert [(share.model, share.calls, share.new) for share in done.shares] == [
            (slug, len(called(world, [slug])), len(called(world, [slug]))) for slug in (BLIP, LLAMA)
        ]
        stamps = [call.created_at for call in world.journal.calls()]
        assert (done.oldest, done.newest, done.is_complete) == (min(stamps), max(stamps), False)
        assert stage.ledger.imported_at() == stage.clock.now()
        assert all(0 <= share <= 1 for share in shares)

        known = list(stage.ledger.requests())
        again = await imported(stage)
        assert [(share.calls, share.new) for share in again.shares] == [(share.calls, 0) for share in done.shares]
        assert list(stage.ledger.requests()) == known

    run(scene())


def test_only_the_time_asked_for_is_imported(db: Path) -> None:
    async def scene() -> None:
        world = past(BLIP, calls=1000)
        stage = stage_of(db, world, BLIP)
        done = await imported(stage, timedelta(days=1))
        wanted = [call for call in world.journal.calls() if call.created_at >= START - timedelta(days=1)]
        assert ids(stage.ledger.requests()) == sorted(call.id for call in wanted)
        assert done.is_complete
        assert done.seen == len(wanted)
        assert len(stage.host.paged) <= len(wanted) // 100 + 1

    run(scene())


def test_calls_of_other_versions_deployments_and_strangers_are_not_imported(db: Path) -> None:
    async def scene() -> None:
        esrgan, upscaler = "nightmareai/real-esrgan", "acme/upscaler"
        world = past(BLIP, calls=20)
        old = len(called(world, [BLIP]))
        world.publish(START - timedelta(minutes=5), BLIP)
        world.create(START - timedelta(minutes=4), BLIP, INPUT, caller="customer")
        world.create(START - timedelta(minutes=4), BLIP, INPUT, caller="customer", stranger=True)
        for target in (upscaler, upscaler, esrgan):
            world.create(START - timedelta(minutes=3), target, example(world, esrgan), caller="customer")
        stage = Stage(db, model(BLIP), model(upscaler, kind=TargetKind.DEPLOYMENT), model(esrgan), world=world)
        done = await imported(stage)
        assert [share.calls for share in done.shares] == [1, 2, 1]
        assert old == 20

    run(scene())


def test_calls_judged_in_one_go_are_judged_as_they_would_have_been_when_they_came(tmp_path: Path) -> None:
    slugs = (BLIP, LLAMA, WHISPER)

    async def live() -> tuple[World, list[Request]]:
        stage = Stage(tmp_path / "live.db", *(fixed(slug, 45) for slug in slugs), start=START - timedelta(hours=2))
        random = Random(3)
        stage.start()
        for _ in range(200):
            await asyncio.sleep(random.choice((0.2, 3, 40)) * random.expovariate(1))
            stage.call(random.choice(slugs))
            await stage.account.traffic.refresh(0)
        await stage.leave()
        await stage.until(2 * 3600)
        await stage.account.traffic.refresh(0)
        calls, beats = list(stage.ledger.requests()), stage.beats()
        assert len(calls) == 200
        assert len(beats) > 50
        await imported(stage)
        assert list(stage.ledger.requests()) == calls
        assert stage.beats() == beats
        # An import does not look at inputs, which the list shows for an hour only.
        return stage.world, [replace(call, input_hash=None) for call in calls]

    async def later(world: World, seen: list[Request]) -> None:
        # As if all of them had been customers: an instance does not care who uses it.
        stage = Stage(tmp_path / "later.db", *map(model, slugs), world=world, start=START + timedelta(hours=1))
        await imported(stage)
        judged = {call.prediction_id: call for call in stage.ledger.requests()}
        first = {min((call for call in seen if call.model == slug), key=lambda call: call.created_at) for slug in slugs}
        assert {call.verdict for call in seen} == set(Verdict)
        assert [judged[call.prediction_id] for call in seen if call not in first] == [
            call for call in seen if call not in first
        ]

    world, seen = run(live())
    run(later(world, seen))


def test_an_import_that_fails_keeps_what_it_has_and_goes_on_from_there(tmp_path: Path) -> None:
    world = past(BLIP, LLAMA, calls=1000)

    async def whole() -> list[Request]:
        stage = stage_of(tmp_path / "whole.db", world, BLIP, LLAMA)
        await imported(stage)
        return list(stage.ledger.requests())

    async def in_pieces(wanted: list[Request]) -> None:
        stage = stage_of(tmp_path / "pieces.db", world, BLIP, LLAMA)
        for cursor in ("600", "300", "100"):
            stage.host.refusing = {f"pages {cursor}": Unavailable("503")}
            with pytest.raises(Unavailable):
                await imported(stage)
            assert len(list(stage.ledger.requests())) == 1000 - int(cursor)
            assert stage.ledger.imported_at() is None
        stage.host.refusing = {}
        stage.host.paged.clear()
        done = await imported(stage)
        assert stage.host.paged == [100, 100]  # the newest, to see that nothing came since, and what was left
        assert sum(share.new for share in done.shares) == 100
        assert list(stage.ledger.requests()) == wanted
        assert stage.ledger.unfinished_imports() == ()

    run(in_pieces(run(whole())))


def test_what_came_while_an_import_lay_unfinished_is_imported_too(db: Path) -> None:
    async def scene() -> None:
        world = past(BLIP, calls=500)
        stage = stage_of(db, world, BLIP)
        stage.host.refusing = {"pages 300": Unavailable("503")}
        with pytest.raises(Unavailable):
            await imported(stage)
        await stage.customers(BLIP, range(10, 1000, 4))
        stage.host.refusing = {"pages 200": Unavailable("503")}
        with pytest.raises(Unavailable):
            await imported(stage)
        stage.host.refusing = {}
        done = await imported(stage)
        assert ids(stage.ledger.requests()) == called(world, [BLIP])
        assert done.newest == max(call.created_at for call in world.journal.calls())

    run(scene())


def test_an_import_interrupted_while_it_judges_is_judged_whole_the_next_time(tmp_path: Path) -> None:
    world = past(BLIP, calls=5000)

    async def whole() -> list[Request]:
        stage = stage_of(tmp_path / "whole.db", world, BLIP)
        await imported(stage)
        return list(stage.ledger.requests())

    async def cut(wanted: list[Request]) -> None:
        stage = stage_of(tmp_path / "cut.db", world, BLIP)

        def stop(what: str, _: float) -> None:
            if what == "judging":
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await imported(stage, told=stop)
        calls = list(stage.ledger.requests())
        assert len(calls) == 5000
        assert calls != wanted
        assert stage.ledger.imported_at() is None
        done = await imported(stage)
        assert list(stage.ledger.requests()) == wanted
        assert sum(share.new for share in done.shares) == 0
        list(settle(stage.ledger, BLIP, START - WEEK))
        assert list(stage.ledger.requests()) == wanted

    run(cut(run(whole())))


@pytest.mark.parametrize("error", [ModelRefused("404: invalid cursor", ""), None], ids=["refused", "forgotten"])
def test_a_cursor_that_the_provider_does_not_know_any_more_makes_it_begin_anew(db: Path, error: Any) -> None:
    async def scene() -> None:
        world = past(BLIP, calls=700)
        stage = stage_of(db, world, BLIP)
        stage.host.refusing = {"pages 400": Unavailable("503")}
        with pytest.raises(Unavailable):
            await imported(stage)

        class Forgetful:
            """Takes only cursors of its own making."""

            def __getattr__(self, name: str) -> Any:
                return getattr(stage.host, name)

            async def pages(self, since: datetime | None = None, *, cursor: str | None = None) -> AsyncIterator[Page]:
                if cursor is not None and error is not None:
                    raise error
                if cursor is not None:
                    yield Page(predictions=(), cursor=None)
                    return
                async for page in stage.host.pages(since):
                    yield page

        stage.host.refusing = {}
        done = await imported(stage, host=Forgetful())
        assert ids(stage.ledger.requests()) == called(world, [BLIP])
        assert done.seen == 700

    run(scene())


def test_a_list_that_is_refused_altogether_is_not_asked_for_for_ever(db: Path) -> None:
    async def scene() -> None:
        stage = stage_of(db, past(BLIP, calls=300), BLIP)
        stage.host.refusing = {"pages 200": ModelRefused("403", "")}
        for _ in range(2):
            with pytest.raises(ModelRefused):
                await imported(stage)
        assert len(stage.host.paged) <= 4

    run(scene())


def test_a_provider_that_wants_to_be_left_alone_is_left_alone(db: Path) -> None:
    async def scene() -> None:
        stage = stage_of(db, past(BLIP, calls=500), BLIP)
        throttled = Throttled("too often", timedelta(seconds=30))
        stage.host.refusing = {"pages 300": throttled}
        asyncio.get_running_loop().call_later(70, stage.host.refusing.clear)
        done = await imported(stage)
        assert done.seen == 500
        assert stage.true.monotonic() == 90
        stage.host.refusing = {"pages 300": throttled}
        with pytest.raises(Throttled):
            await imported(stage)
        assert stage.true.monotonic() == 90 + 30 * (THROTTLED_TRIES - 1)
        stage.host.refusing = {"pages": Throttled("much too often", timedelta(hours=1))}
        with pytest.raises(Throttled):
            await imported(stage)

    run(scene())


def test_what_the_daemon_has_seen_is_not_new_and_its_beats_are_no_calls(db: Path) -> None:
    async def scene() -> None:
        world = past(BLIP, calls=300)
        stage = Stage(db, model(BLIP, every=60), world=world)
        stage.start()
        await stage.customers(BLIP, (100, 700, 705, 1300))
        await stage.until(1500)
        seen = list(stage.ledger.requests())
        assert {call.created_at >= START for call in seen} >= {True}
        assert len(stage.beats()) > 10
        done = await imported(stage)
        await stage.leave()
        assert done.seen == 304 + len(stage.beats())
        assert [(share.calls, share.new) for share in done.shares] == [(304, 304 - len(seen))]
        assert ids(stage.ledger.requests()) == called(world, [BLIP])
        # What the daemon could not know of is known now.
        (first,) = (call for call in stage.ledger.requests() if call.prediction_id == seen[0].prediction_id)
        assert first.gap_s is not None

    run(scene())


def test_an_empty_account_is_imported_too(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, model(BLIP))
        done = await imported(stage)
        assert (done.seen, done.oldest, done.newest, done.is_complete) == (0, None, None, False)
        assert [(share.calls, share.new) for share in done.shares] == [(0, 0)]
        assert stage.ledger.imported_at() is not None

    run(scene())


def test_a_model_that_is_refused_keeps_no_other_from_being_imported(db: Path) -> None:
    async def scene() -> None:
        stage = stage_of(db, past(BLIP, calls=100), "no/body", BLIP)
        done = await imported(stage)
        assert [share.model for share in done.shares] == [BLIP]
        assert [name for name, _ in done.refused] == ["no/body"]
        assert len(list(stage.ledger.requests())) == 100

    run(scene())


def test_an_account_that_is_refused_is_not_asked_on(db: Path) -> None:
    async def scene() -> None:
        stage = stage_of(db, past(BLIP, calls=100), BLIP)
        stage.host.refusing = {"describe": AccountRefused("401")}
        with pytest.raises(AccountRefused):
            await imported(stage)
        assert stage.host.paged == []

    run(scene())


@pytest.mark.parametrize("other", [{"slugs": (BLIP, LLAMA)}, {"back": WEEK * 2}], ids=["models", "time"])
def test_for_other_models_or_another_time_the_list_is_read_anew(db: Path, other: dict[str, Any]) -> None:
    async def scene() -> None:
        world = past(BLIP, LLAMA, calls=600)
        stage = stage_of(db, world, BLIP)
        stage.host.refusing = {"pages 200": Unavailable("503")}
        with pytest.raises(Unavailable):
            await imported(stage)
        slugs: Sequence[str] = other.get("slugs", (BLIP,))
        second = stage_of(db, world, *slugs)
        await imported(second, other.get("back", WEEK))
        assert sum(second.host.paged) == 600
        assert ids(second.ledger.requests()) == called(world, slugs)

    run(scene())


def test_what_an_import_left_unjudged_is_judged_by_a_shorter_one(db: Path) -> None:
    async def scene() -> None:
        stage = stage_of(db, past(BLIP, calls=600), BLIP)
        stage.host.refusing = {"pages 100": Unavailable("503")}
        with pytest.raises(Unavailable):
            await imported(stage)
        assert {call.verdict for call in stage.ledger.requests()} == {Verdict.UNSURE}
        stage.host.refusing = {}
        await imported(stage, timedelta(hours=1))
        calls = list(stage.ledger.requests())
        assert len(calls) == 500
        assert all(call.gap_s is not None for call in calls[1:])
        assert {Verdict.WARM, Verdict.COLD} <= {call.verdict for call in calls}

    run(scene())

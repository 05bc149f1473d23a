"""The ten promises that warmer makes, one test each, which tries to break it.

What breaks one in a finer way is tried beside the part that keeps it, and on real processes in tests/cli.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from engine.stage import BLIP, LLAMA, SDXL, START, WHISPER, Play, Stage, file_of, fixed, gaps, ledger_at, model, traits
from harness.processes import CANARY
from structlog.testing import capture_logs

from warmer.clock import SystemClock
from warmer.core.beat import Reason, Status
from warmer.core.budget import Cap, Period
from warmer.core.spec import AccountSpec
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.errors import (
    AccountRefused,
    ConfigError,
    CreditExhausted,
    Fault,
    ModelRefused,
    ProviderError,
    Throttled,
    Unavailable,
)
from warmer.ledger import open_ledger
from warmer.log import Event
from warmer.providers.replicate import Replicate
from warmer.sandbox.faults import Fault as SandboxFault
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.world import World
from warmer.testing import run


@pytest.fixture
def db(tmp_path: Path, blank: Path) -> Path:
    return Path(shutil.copy(blank, tmp_path / "ledger.db"))


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "blank.db"
    open_ledger(f"sqlite:///{path}").close()
    return path


def next_life(dead: Stage) -> Stage:
    stage = dead.another_process()
    stage.take_over()
    return stage


def check_one_row_a_create(stage: Stage) -> None:
    """Every create is on record once, with its end, and nothing else is but what was never answered."""
    ids = Counter(beat.prediction_id for beat in stage.beats() if beat.prediction_id)
    assert ids == Counter(call.id for call in stage.created())
    assert all(beat.status is Status.UNKNOWN for beat in stage.beats() if not beat.prediction_id)
    assert stage.ledger.open_beats() == ()
    assert list(stage.ledger.requests()) == []


def test_promise_1_one_beat_in_flight_and_late_ticks_collapse(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 10), model(LLAMA, every=20))
        chance = Random(1)
        stage.host.latency_s = 50.0  # every reply takes a multiple of the interval
        stage.start()
        while stage.true.monotonic() < 900:
            await asyncio.sleep(chance.uniform(0, 10))
            stage.fleet.poke(chance.choice([BLIP, LLAMA]))
            stage.fleet.due(chance.choice([BLIP, LLAMA]))
            for slug in (BLIP, LLAMA):
                assert len([beat for beat in stage.ledger.open_beats() if beat.key.model == slug]) <= 1
                assert stage.world.journal.running_now(caller="warmer", target=slug) <= 1
        stage.host.latency_s = 0.05
        well_again = stage.true.monotonic()
        await stage.until(1400)
        await stage.leave()
        for slug, interval_s in ((BLIP, 10), (LLAMA, 20)):
            for earlier, later in pairwise(stage.created(slug)):
                assert earlier.completed_at is not None
                assert earlier.completed_at <= later.created_at
            assert min(gaps(stage.seconds(slug))) > interval_s - 0.2
            assert len([at for at in stage.seconds(slug) if at > well_again]) > 150 / interval_s
        check_one_row_a_create(stage)

    run(scene())


def test_promise_2_a_create_is_never_repeated_on_doubt(db: Path) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 20, traffic=False))
        chance = Random(2)
        stage.start()
        looked: list[tuple[int, int]] = []
        for number in range(20):
            stage.host.losing_replies = 1
            if chance.random() < 0.5:  # and the list cannot be read at first
                stage.host.refusing["recent"] = Unavailable("503")
            before = len(stage.host.sent), len(stage.host.listed)
            await stage.until(60 * (number + 1) - 30)
            stage.host.refusing.clear()
            await stage.until(60 * (number + 1))
            looked.append((len(stage.host.sent) - before[0], len(stage.host.listed) - before[1]))
            waiting = await stage.recovery.sweep(stage.accounts)
            await stage.recovery.settled()
            assert not waiting
        stage.host.losing_replies = 0
        await stage.leave()
        assert all(listed >= 1 for sent, listed in looked if sent > 1)
        assert sum(sent for sent, _ in looked) >= 20
        assert min(gaps(stage.seconds())) > 19.8
        check_one_row_a_create(stage)

    run(scene())


def test_promise_3_every_beat_has_a_deadline_and_none_outlives_it(db: Path) -> None:
    async def scene() -> None:
        world = World(begin=START, seed=1, models=[traits("acme/stuck", run_s=3600.0)], deployments=())
        stage = Stage(db, fixed("acme/stuck", 300, deadline=timedelta(seconds=60)), world=world)
        stage.start()
        chance = Random(3)
        for _ in range(4):
            await asyncio.sleep(chance.uniform(1, 80))
            await stage.die()
            stage = next_life(stage)
        await stage.until(1500)
        await stage.leave()
        await asyncio.sleep(61)
        assert stage.world.journal.running_now(caller="warmer") == 0
        calls = stage.created()
        assert len(calls) >= 3
        for call in calls:
            assert call.completed_at is not None
            assert call.completed_at - call.created_at <= timedelta(seconds=60.1)
            assert stage.world.prediction(call.id).deadline is not None
        check_one_row_a_create(stage)

    run(scene())


def test_promise_4_a_cap_holds_under_parallel_ticks_and_across_deaths(db: Path) -> None:
    daily = Cap(model=None, period=Period.DAILY, usd=Decimal("0.01"))

    async def scene() -> None:
        chance = Random(4)
        entries = [
            fixed(BLIP, 30, name=f"model-{number}", caps=(daily,), deadline=timedelta(seconds=30))
            for number in range(4)
        ]
        stages = [Stage(db, *entries)]
        stages += [stages[0].another_process() for _ in range(2)]
        for stage in stages:
            stage.start()
        for _ in range(5):
            await asyncio.sleep(chance.uniform(1, 60))
            await stages.pop(chance.randrange(3)).die()
            stages.append(next_life(stages[0]))
        await asyncio.sleep(400)
        for stage in stages:
            await stage.leave()
        billed = [call.billed_usd for call in stages[0].created()]
        assert None not in billed
        assert Decimal("0.003") < sum(usd for usd in billed if usd is not None) <= daily.usd
        assert stages[0].counted()[Reason.OVER_BUDGET] > 0

    run(scene())


@pytest.mark.parametrize(
    ("error", "once", "back"),
    [
        (AccountRefused("401"), Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED),
        (CreditExhausted("402"), Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED),
        (Throttled("429", timedelta(seconds=700)), Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED),
        (ModelRefused("404", "write another model"), Event.MODEL_DISABLED, Event.MODEL_ENABLED),
        (ModelRefused("422", "write another input"), Event.MODEL_DISABLED, Event.MODEL_ENABLED),
    ],
    ids=["401", "402", "429", "404", "422"],
)
def test_promise_5_a_no_is_heard_said_once_and_got_over(
    db: Path, error: ProviderError, once: Event, back: Event
) -> None:
    async def scene() -> None:
        stage = Stage(db, fixed(BLIP, 60), fixed(LLAMA, 60))
        stage.start()
        await stage.until(100)
        of_one = isinstance(error, ModelRefused)
        call = f"create {BLIP}" if of_one else "create"
        stage.host.refusing[call] = error
        before = len(stage.host.sent)
        await stage.until(700)
        tried = Counter(slug for _, slug in stage.host.sent[before:])
        assert sum(tried.values()) <= 12 if not of_one else tried[BLIP] <= 2 < tried[LLAMA]
        stage.host.refusing.clear()
        await stage.until(2600)
        await stage.leave()
        for slug in (BLIP, LLAMA):
            assert max(stage.seconds(slug)) > 2500

    with capture_logs() as lines:
        run(scene())
    assert [line["event"] for line in lines if line["event"] in (once, back)] == [once, back]


def test_promise_6_a_reload_is_whole_or_nothing_and_leaves_the_others_their_rhythm(db: Path, tmp_path: Path) -> None:
    async def beats(path: Path, edits: bool) -> list[float]:
        chance = Random(6)
        steady = fixed(BLIP, 40)
        async with Play(path, file_of(steady), latency_s=0) as play:
            for number in range(30):
                others = [fixed(slug, chance.choice([50, 70])) for slug in chance.sample([LLAMA, SDXL], 2)]
                good = file_of(*others[: chance.randrange(3)], steady, digest=str(number))
                bad = ConfigError(Fault(file="warmer.yaml", line=3, column=5, problem="unknown key"))
                is_bad = chance.random() < 0.5
                was = play.daemon._fleet.spec
                if edits:
                    play.load.now = bad if is_bad else good
                    play.daemon.reload()
                await asyncio.sleep(13.7)
                assert play.daemon._fleet.spec == (was if is_bad or not edits else good)
            return play.seconds(BLIP)

    other = Path(shutil.copy(db, tmp_path / "other.db"))
    assert run(beats(db, edits=True)) == run(beats(other, edits=False))


def test_promise_7_no_clock_and_no_sleep_causes_a_burst_or_a_gap(db: Path) -> None:
    async def scene() -> None:
        chance = Random(7)
        entries = (fixed(BLIP, 30), model(LLAMA, every=50, traffic=False))
        stage = Stage(db, *entries)
        stage.start()
        sizes = [timedelta(seconds=40), timedelta(minutes=10), timedelta(days=1), timedelta(days=3652)]
        for size in [*sizes, *(-size for size in sizes)]:
            await asyncio.sleep(chance.uniform(60, 120))
            stage.clock.step(size)
        awake = [(stage.true.now() - START).total_seconds()]
        await asyncio.sleep(100)
        for _ in range(2):
            for clock in (stage.true, stage.clock):  # the monotonic one stands still
                clock.step(timedelta(hours=6))
            awake.append((stage.true.now() - START).total_seconds())
            await asyncio.sleep(200)
        await stage.leave()
        for entry in entries:
            moments = [(call.created_at - START).total_seconds() for call in stage.created(entry.name)]
            interval_s = entry.interval.total_seconds()
            pauses = gaps(moments)[1:]
            assert min(pauses) > interval_s - 0.1
            nights = [index for index, pause in enumerate(pauses) if pause > 21_600]
            assert len(nights) == 2
            # A boot follows a night, and `aware` counts from its end.
            days = [pause for index, pause in enumerate(pauses) if not {index, index - 1} & {*nights}]
            assert max(days) < interval_s + 3
            for woken in awake:
                assert min(moment for moment in moments if moment > woken) - woken < 2 * interval_s + 3

    run(scene())


def test_promise_8_no_death_loses_a_beat_or_sends_one_twice(db: Path) -> None:
    async def scene() -> None:
        chance = Random(8)
        stages = [Stage(db, fixed(BLIP, 15), model(LLAMA, every=40), fixed(SDXL, 60))]
        stages.append(stages[0].another_process())  # two at once, by mistake
        for stage in stages:
            stage.start()
        for _ in range(25):
            await asyncio.sleep(chance.choice([chance.uniform(0, 0.4), chance.uniform(0, 30)]))
            await stages.pop(chance.randrange(2)).die()
            stages.append(next_life(stages[0]))
        await asyncio.sleep(200)
        for stage in stages:
            await stage.leave()
        for slug, interval_s in ((BLIP, 15), (LLAMA, 40), (SDXL, 60)):
            assert min(gaps(stages[0].seconds(slug))) > interval_s - 0.2
        check_one_row_a_create(stages[0])

    run(scene())


def test_promise_9_the_token_goes_to_its_own_origin_and_is_written_nowhere(db: Path) -> None:
    async def scene() -> None:
        quick = [traits("acme/quick", boot_s=0.1, run_s=0.1)]
        world = World(begin=START, seed=1, models=quick, deployments=())
        stranger = SandboxServer(World(begin=START, seed=2))
        async with SandboxServer(world) as server, stranger, asyncio.timeout(60):
            spec = file_of(fixed("acme/quick", 60), account=AccountSpec(base_url=f"{server.url}/v1"))
            provider = Replicate(spec.account, CANARY, SystemClock())
            desk = Desk(ledger_at(db))
            account = Account.over(provider, desk, SystemClock(), lambda: spec.models)
            for fault in (
                {"kind": "redirect", "to": f"{stranger.url}/v1/account"},
                {"kind": "foreign_urls", "to": stranger.url},
                {"kind": "status", "status": 500, "body": f"Authorization: Bearer {CANARY}"},
                {"kind": "garbage"},
            ):
                server.faults.add(SandboxFault(on="any", **fault))
                await account.heartbeat.tick(spec.models[0])
                account.standing.forget("acme/quick")
                server.faults.clear()
            await provider.close()
            desk.close()
            assert not stranger.replies

    with capture_logs() as lines:
        asyncio.run(scene())
    assert lines
    assert CANARY not in repr(lines)
    assert CANARY.encode() not in b"".join(file.read_bytes() for file in db.parent.iterdir())


def test_promise_10_every_tick_has_one_reason_and_they_add_up(db: Path) -> None:
    daily = Cap(model=BLIP, period=Period.DAILY, usd=Decimal("0.01"))

    async def scene() -> None:
        chance = Random(10)
        entries = (fixed(BLIP, 15, caps=(daily,)), model(LLAMA, every=40), fixed(WHISPER, 60), model(SDXL, every=90))
        stage = Stage(db, *(replace(entry, deadline=timedelta(seconds=60)) for entry in entries))
        noes = [
            AccountRefused("401"),
            Throttled("429", timedelta(seconds=20)),
            ModelRefused("422", "?"),
            Unavailable("503"),
        ]
        stage.start()
        for _ in range(12):
            await asyncio.sleep(chance.uniform(20, 90))
            fault = chance.randrange(4)
            if fault == 0:
                stage.host.failing.append(chance.choice(noes))
            elif fault == 1:
                stage.host.losing_replies = 1
            elif fault == 2:
                stage.clock.step(timedelta(seconds=chance.choice([-600, 600])))
            else:
                stage.call(LLAMA, max_tokens=1)
        await asyncio.sleep(200)
        await stage.leave()
        counted = Counter(tick.reason for _, tick in stage.ticks)
        assert stage.counted() == counted
        assert sum(count for reason, count in counted.items() if reason.sends) == len(stage.beats())
        assert len(counted) >= 5

    run(scene())

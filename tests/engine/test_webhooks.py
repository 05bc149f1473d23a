"""Webhooks over real HTTP: what is the provider's ends a beat, and nothing else changes anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from structlog.testing import capture_logs
from web.vitals import Told

from warmer.clock import FastClock
from warmer.core.beat import Status
from warmer.core.following import pause_s
from warmer.core.hours import ActiveHours
from warmer.core.spec import WEBHOOKS, AccountSpec, Listen, ModelSpec, Target, TargetKind
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.engine.inbox import Inbox
from warmer.ledger import SqlLedger, open_ledger
from warmer.log import Event
from warmer.ports import Hearing
from warmer.providers.replicate import Replicate
from warmer.sandbox.faults import Fault
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.traits import Account as Plan
from warmer.sandbox.world import World
from warmer.web.metrics import Metrics
from warmer.web.serve import HttpListener

BEGIN = datetime(2026, 11, 24, 9, tzinfo=UTC)
HELLO = ModelSpec(
    name="replicate/hello-world",
    target=Target(kind=TargetKind.MODEL, owner="replicate", name="hello-world"),
    hours=ActiveHours.always_open(),
    every=timedelta(seconds=3),
    traffic=False,
)
SPEED = 10.0


class Scene:
    """The engine over one account, with an inbox that answers over HTTP, and a sandbox that sends there."""

    def __init__(self, server: SandboxServer, clock: FastClock, ledger: SqlLedger, url: str) -> None:
        self.server, self.clock, self.ledger = server, clock, ledger
        self.url = f"{url}{WEBHOOKS}"
        limits = {"creates_per_minute": 100_000, "reads_per_minute": 1_000_000}
        spec = AccountSpec(base_url=f"{server.url}/v1", webhook_url=self.url, **limits)
        self.secrets = list[str]()
        self.provider = Replicate(spec, "r8_warmer_secret", clock, mask=self.secrets.append)
        self.metrics = Metrics()
        self.account = Account.over(self.provider, Desk(ledger), clock, lambda: [HELLO], meter=self.metrics)
        self.inbox = self.own = Inbox(lambda: [self.account], clock, self.metrics)

    def heard(self, what: Hearing) -> int:
        return self.metrics._webhooks[what]

    @property
    def polls(self) -> int:
        return sum(count for (operation, _), count in self.server.replies.items() if operation == "get")

    @property
    def known(self) -> list[str]:
        """The predictions of what is out."""
        return [out.prediction_id for out in self.account.outgoing._out.values() if out.prediction_id]

    async def beats(self, count: int) -> None:
        seen = 0
        while seen < count:
            tick = await self.account.heartbeat.tick(HELLO)
            assert tick.error is None
            seen += tick.observation is not None
            await self.clock.sleep(1.0)

    async def post(self, body: bytes, **headers: str) -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await client.post(self.url, content=body, headers=sent)).status_code


async def until(clock: FastClock, happened: Callable[[], bool]) -> None:
    while not happened():
        await clock.sleep(0.05)


def play(path: Path, scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def played() -> None:
        plan = Plan(creates_per_minute=100_000, reads_per_minute=1_000_000)
        async with SandboxServer(World(begin=BEGIN, account=plan), speed=SPEED) as server, asyncio.timeout(240):
            clock = FastClock(server.now(), SPEED)
            # The port is known once somebody listens there, and what is sent there once the port is.
            placed = list[Scene]()
            listener = HttpListener(Metrics())
            with capture_logs() as lines:
                await listener.open(Listen(port=0), Told(), inbox=_Later(placed))
            ledger = open_ledger(f"sqlite:///{path}/ledger.db")
            url = next(line["url"] for line in lines if line["event"] == Event.WEB_OPENED)
            placed.append(Scene(server, clock, ledger, url))
            await placed[0].provider.webhooks.open()
            try:
                await scene(placed[0])
            finally:
                await listener.close()
                await placed[0].provider.close()

    asyncio.run(played())


class _Later:
    def __init__(self, placed: list[Scene]) -> None:
        self._placed = placed

    @property
    def host(self) -> str | None:
        return self._placed[0].inbox.host

    async def take(self, headers: Any, body: bytes) -> bool:
        return await self._placed[0].inbox.take(headers, body)


def signed(secret: str, body: bytes, at: datetime, message: str = "msg_1") -> dict[str, str]:
    return {
        "webhook_id": message,
        "webhook_timestamp": str(int(at.timestamp())),
        "webhook_signature": Webhook(secret).sign(message, at, body.decode()),
    }


def test_a_beat_is_told_and_hardly_asked_for(tmp_path: Path) -> None:
    async def scene(one: Scene) -> None:
        await one.beats(12)
        assert one.polls <= 12
        assert one.heard(Hearing.TAKEN) + one.heard(Hearing.MISSED) == 12
        assert one.heard(Hearing.TAKEN) > 6  # as a rule all: the machine may have been slow at times
        assert len(list(one.ledger.beats())) == 12

    play(tmp_path, scene)


def test_where_each_fifth_is_lost_and_others_come_twice_every_beat_is_observed(tmp_path: Path) -> None:
    async def scene(one: Scene) -> None:
        one.server.faults.add(Fault(kind="cut", on="webhook", every=5))
        one.server.faults.add(Fault(kind="repeat", on="webhook", every=2))
        await one.beats(20)
        assert one.server.replies["webhook", "cut"] >= 4
        assert one.polls <= 20
        done = list(one.ledger.beats())
        assert [beat.status for beat in done] == [Status.SUCCEEDED] * 20
        calls = one.server.world.journal.calls(caller="warmer")
        assert {beat.prediction_id for beat in done} == {call.id for call in calls}
        stamps = {call.id: call.completed_at for call in calls}
        assert all(beat.completed_at is not None and stamps[beat.prediction_id or ""] for beat in done)

    play(tmp_path, scene)


def test_what_another_process_is_told_is_asked_for_once(tmp_path: Path) -> None:
    async def scene(one: Scene) -> None:
        async def say(word: str) -> None:
            await one.clock.sleep(0.5)  # a queue's
            one.own.hear(word)
            one.own.hear("of-yet-another")

        others = Account.over(one.provider, Desk(one.ledger), one.clock, lambda: [HELLO])
        one.inbox = Inbox(lambda: [others], one.clock, one.metrics, say=say)
        await one.beats(8)
        assert one.heard(Hearing.HANDED_ON) == 8
        assert one.heard(Hearing.TAKEN) + one.heard(Hearing.MISSED) == 8
        assert one.heard(Hearing.TAKEN) > 4
        assert one.polls <= 9  # one each, or an end was not to be read yet
        assert [beat.status for beat in one.ledger.beats()] == [Status.SUCCEEDED] * 8

    play(tmp_path, scene)


def test_what_is_forged_old_a_replay_or_of_another_changes_nothing(tmp_path: Path) -> None:
    async def scene(one: Scene) -> None:
        one.server.faults.add(Fault(kind="cut", on="webhook"))
        await one.beats(1)  # out of the boot
        secret = f"whsec_{one.secrets[0]}"
        wrong = Webhook("whsec_" + "A" * 32)
        ticking = asyncio.ensure_future(one.account.heartbeat.tick(HELLO))
        await until(one.clock, lambda: bool(one.known))
        out = one.known
        told = {"id": out[0], "status": "failed", "error": "forged", "created_at": one.server.now().isoformat()}
        body, now = json.dumps(told).encode(), one.server.now()
        good = signed(secret, body, now)
        assert await one.post(body) == 401
        assert await one.post(body, **good | {"webhook_signature": wrong.sign("msg_1", now, body.decode())}) == 401
        assert await one.post(body, **good | {"webhook_signature": "v1,%%% v2 é".encode().decode("latin-1")[:6]}) == 401
        assert await one.post(body.replace(b"failed", b"aborted"), **good) == 401
        assert await one.post(body, **good | {"webhook_id": "msg_2"}) == 401
        for minutes in (-6, 6):
            assert await one.post(body, **signed(secret, body, now + timedelta(minutes=minutes))) == 401
        foreign = body.replace(out[0].encode(), b"another0prediction")
        assert await one.post(foreign, **signed(secret, foreign, now)) == 204
        early = body.replace(b'"failed"', b'"processing"')  # of before the end, after it or not
        assert await one.post(early, **signed(secret, early, now)) == 204
        seen = (await ticking).observation
        assert seen is not None
        assert seen.status is Status.SUCCEEDED  # as the provider says when asked
        before = list(one.ledger.beats())
        for _ in range(2):  # of what is over
            assert await one.post(body, **good) == 204
        assert list(one.ledger.beats()) == before
        assert one.heard(Hearing.REFUSED) == 7
        assert one.heard(Hearing.UNKNOWN) == 4
        assert one.heard(Hearing.TAKEN) == 0
        assert await one.post(b"x" * (1024 * 1024 + 1), **good) == 413

    play(tmp_path, scene)


def test_an_end_told_before_the_reply_to_the_create_is_not_lost(tmp_path: Path) -> None:
    async def scene(one: Scene) -> None:
        await one.beats(1)
        one.server.faults.add(Fault(kind="delay", on="create", seconds=3.0, times=1))
        polls, taken = one.polls, one.heard(Hearing.TAKEN)
        await one.beats(1)
        assert (one.polls, one.heard(Hearing.TAKEN)) == (polls, taken + 1)

    play(tmp_path, scene)


def test_it_is_asked_where_the_secret_cannot_be_had_and_told_once_it_can(tmp_path: Path) -> None:
    async def scene(one: Scene) -> None:
        one.provider.webhooks._signer = None
        one.server.faults.add(Fault(kind="status", on="account", match="webhooks"))
        with capture_logs() as lines:
            keeping = asyncio.ensure_future(one.inbox.keep_on())
            await until(one.clock, lambda: any(line["event"] == Event.WEBHOOKS_FAILED for line in lines))
            before = one.polls
            await one.beats(2)
            assert one.polls >= before + 2
            one.server.faults.clear()
            one.inbox.poke()
            await until(one.clock, lambda: any(line["event"] == Event.WEBHOOKS_OPENED for line in lines))
            keeping.cancel()
        assert one.provider.webhooks.is_open
        assert one.secrets[0] not in str(lines) + repr(one.provider.webhooks) + repr(one.provider)

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("looks", "told", "every", "left", "pause"),
    [
        (0, False, 50, 600, 0.0),
        (9, False, 50, 600, 5.0),
        (0, True, 50, 600, 30.0),
        (1, True, 50, 600, 60.0),
        (9, True, 50, 600, 240.0),
        (0, True, 1, 600, 1.0),
        (0, True, 0.1, 600, 1.0),
        (3, True, 10, 600, 240.0),
        (1, True, 50, 7, 7),
        (1, True, 50, 0, 0.4),
    ],
)
def test_looks_are_rare_where_the_end_is_told_and_never_past_the_deadline(
    looks: int, told: bool, every: float, left: float, pause: float
) -> None:
    assert pause_s(looks, told=told, every=timedelta(seconds=every), left_s=left) == pause

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from warmer.core.beat import BeatRequest
from warmer.core.price import Billing
from warmer.core.spec import AccountSpec, Target, TargetKind
from warmer.providers.replicate import Replicate

CANARY = "r8_C4naryC4naryC4naryC4naryC4naryC4nary1"
START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class JumpClock:
    """Every sleep is over at once, and time has passed."""

    def __init__(self) -> None:
        self._t = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._t)

    def monotonic(self) -> float:
        return self._t

    async def sleep(self, seconds: float) -> None:
        self._t += max(0.0, seconds)
        await asyncio.sleep(0)


class VirtualClock(JumpClock):
    """Many may sleep; time goes on to the first of them when nobody has anything left to do."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return await asyncio.sleep(0)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._t + seconds, next(self._order), woken))
        return await woken

    async def run(self, *work: Coroutine[Any, Any, Any], until: float) -> None:
        """Let all of `work` go on until it is over or `until` seconds have come."""
        tasks = [asyncio.create_task(coroutine) for coroutine in work]
        try:
            while True:
                for _ in range(25):
                    await asyncio.sleep(0)
                if all(task.done() for task in tasks) or not self._sleepers or self._sleepers[0][0] > until:
                    break
                when, _, woken = heapq.heappop(self._sleepers)
                self._t = max(self._t, when)
                if not woken.done():
                    woken.set_result(None)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def jump() -> JumpClock:
    return JumpClock()


@pytest.fixture
def virtual() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def canary() -> str:
    return CANARY


@pytest.fixture
def request_for() -> Callable[..., BeatRequest]:
    """Makes the request for `owner/name[:version]`, or for a deployment."""

    def make(what: str = "meta/llama:v1", *, deployment: bool = False, input: Any = None) -> BeatRequest:  # noqa: A002
        slug, _, version = what.partition(":")
        owner, name = slug.split("/")
        kind = TargetKind.DEPLOYMENT if deployment else TargetKind.MODEL
        return BeatRequest(
            target=Target(kind=kind, owner=owner, name=name),
            version=version or None,
            billing=Billing.DEPLOYMENT if deployment else Billing.PUBLIC,
            input={"prompt": "hi"} if input is None else input,
            deadline=timedelta(minutes=10),
        )

    return make


@pytest.fixture
def client(jump: JumpClock) -> Callable[..., Replicate]:
    """Makes a client whose server is a function, or a real one at `base_url`."""

    def make(
        answer: Callable[[httpx.Request], httpx.Response] | None = None,
        *,
        base_url: str = "https://api.example.test/v1",
        clock: JumpClock | None = None,
        token: str = CANARY,
        timeout_s: float = 5.0,
        before: Replicate | None = None,
        **limits: int,
    ) -> Replicate:
        return Replicate(
            AccountSpec(base_url=base_url, **limits),
            token,
            clock or jump,
            transport=httpx.MockTransport(answer) if answer else None,
            timeout_s=timeout_s,
            jitter=lambda: 0.5,
            before=before,
        )

    return make


class Server:
    """A server of raw bytes: hands each request to `answer(head, body, writer)`, and keeps the heads."""

    def __init__(self, answer: Callable[[bytes, bytes, asyncio.StreamWriter], Awaitable[bool]]) -> None:
        self._answer = answer
        self.heads: list[bytes] = []
        self._open: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                body = await reader.readexactly(length)
                self.heads.append(head)
                if not await self._answer(head, body, writer):
                    break
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


@pytest.fixture
def server() -> type[Server]:
    return Server

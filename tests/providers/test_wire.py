from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from datetime import timedelta
from typing import Any

import httpx
import pytest
from harness.ports import refusing_port

from warmer import errors
from warmer.core.lost import find_lost
from warmer.providers.wire import MAX_REPLY_BYTES

CREATED = 1000


def http(status: str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


class Account:
    """Carries every create out, counts it, and then loses the reply in one way after another."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.made: list[dict[str, Any]] = []

    async def answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        if head.startswith(b"GET"):
            newest = self.made[:-101:-1]
            writer.write(http("200 OK", json.dumps({"results": newest, "next": None}).encode()))
            await writer.drain()
            return True
        asked = json.loads(body)
        number = len(self.made)
        now = self._clock.now()
        made = {
            "id": f"p{number}",
            "model": "meta/llama",
            "version": asked["version"],
            "input": asked["input"] | {"temperature": 0.7},
            "status": "starting",
            "created_at": now.isoformat(),
            "deadline": (now + timedelta(minutes=10)).isoformat(),
        }
        self.made.append(made)
        whole = http("201 Created", json.dumps(made).encode())
        match number % 6:
            case 0:
                pass  # not a byte
            case 1:
                writer.transport.abort()  # a reset
            case 2:
                writer.write(whole[:30])
            case 3:
                writer.write(whole[:-20])
            case 4:
                writer.write(http("201 Created", json.dumps(made).encode()[:-20]))
            case 5:
                writer.write(http("502 Bad Gateway", b"<html>bad gateway</html>"))
        return False


def test_no_double_create_in_a_thousand_replies_cut_after_the_create_was_accepted(
    server: Any, client: Any, jump: Any, request_for: Any
) -> None:
    account = Account(jump)

    async def scene() -> list[str]:
        recovered: list[str] = []
        async with server(account.answer) as site:
            replicate = client(base_url=f"{site.url}/v1")
            for _ in range(CREATED):
                request, claimed_at = request_for("meta/llama:v1"), jump.now()
                await replicate.admit()
                with pytest.raises(errors.Doubtful):
                    await replicate.create(request)
                listed = await replicate.recent(claimed_at - timedelta(seconds=2))
                found = find_lost(request, claimed_at, listed, frozenset(recovered), {replicate.skew})
                assert found is not None
                recovered.append(found.id)
                await jump.sleep(30)
            await replicate.close()
        return recovered

    recovered = asyncio.run(scene())
    assert len(account.made) == CREATED
    assert recovered == [made["id"] for made in account.made]


async def _reply(server: Any, client: Any, raw: bytes, *, again: int = 1) -> Any:
    """What reading a prediction gives when the server answers these bytes."""

    async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(http("200 OK", b"{}") if b"/account " in head else raw)
        await writer.drain()
        return b"/account " not in head

    async with server(answer) as site:
        replicate = client(base_url=f"{site.url}/v1", timeout_s=2.0)
        try:
            return await replicate.read("a1")
        finally:
            await replicate.close()


GOOD = json.dumps({"id": "a1", "status": "succeeded"}).encode()


@pytest.mark.parametrize(
    "body", [GOOD, json.dumps({"id": "a1", "status": "succeeded", "logs": "x" * 300_000}).encode()]
)
def test_a_packed_reply_is_unpacked(server: Any, client: Any, body: bytes) -> None:
    raw = http("200 OK", gzip.compress(body), "Content-Encoding: gzip")
    assert asyncio.run(_reply(server, client, raw)).id == "a1"


@pytest.mark.parametrize(
    "raw",
    [
        http("200 OK", b"x" * (MAX_REPLY_BYTES + 1)),
        http("200 OK", gzip.compress(b" " * 200_000_000, 9), "Content-Encoding: gzip"),
        http("200 OK", gzip.compress(GOOD)[:-9], "Content-Encoding: gzip"),
        http("200 OK", b"not gzip at all", "Content-Encoding: gzip"),
        http("200 OK", zlib.compress(GOOD), "Content-Encoding: deflate"),
        http("200 OK", GOOD, "Content-Encoding: br"),
        http("200 OK", gzip.compress(gzip.compress(GOOD)), "Content-Encoding: gzip, gzip"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\nContent-Length: 3\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nX:\x00\r\nContent-Length: 36\r\n\r\n" + GOOD,
        b"HTTP/1.1 999999 OK\r\n\r\n" + GOOD,
    ],
    ids=[
        *("long", "bomb", "cut gzip", "no gzip", "deflate", "br", "twice", "chunk", "ssh", "head"),
        *("two lengths", "length below 0", "length too short", "NUL", "status"),
    ],
)
def test_a_reply_that_cannot_be_taken_in_is_the_providers_fault(server: Any, client: Any, raw: bytes) -> None:
    with pytest.raises(errors.Unavailable):
        asyncio.run(_reply(server, client, raw))


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 999999 OK\r\n\r\n" + GOOD])
def test_where_nothing_whole_comes_back_from_anywhere_the_network_is_blamed(
    server: Any, client: Any, raw: bytes
) -> None:
    async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(raw)
        await writer.drain()
        return False

    async def scene() -> None:
        async with server(answer) as site:
            replicate = client(base_url=f"{site.url}/v1", timeout_s=2.0)
            with pytest.raises(errors.Unreachable, match="proxy"):
                await replicate.read("a1")
            await replicate.close()

    asyncio.run(scene())


def test_a_reply_that_never_ends_is_given_up(server: Any, client: Any, request_for: Any) -> None:
    async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)
        return False

    async def scene() -> None:
        async with server(answer) as site:
            replicate = client(base_url=f"{site.url}/v1", timeout_s=0.4)
            with pytest.raises(errors.Doubtful, match="in time"):
                await replicate.create(request_for())
            await replicate.close()

    asyncio.run(scene())


def test_where_nobody_listens_the_create_certainly_never_arrived(client: Any, request_for: Any) -> None:
    async def scene() -> None:
        with refusing_port() as port:
            replicate = client(base_url=f"http://127.0.0.1:{port}/v1")
            with pytest.raises(errors.Unreachable, match="base_url"):
                await replicate.create(request_for())
            await replicate.close()

    asyncio.run(scene())


def test_what_was_tried_in_vain_says_for_how_long(client: Any, request_for: Any, jump: Any) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await jump.sleep(10)
        raise httpx.ConnectTimeout("no answer")

    async def scene() -> None:
        with pytest.raises(errors.Unreachable) as caught:
            await client(answer).create(request_for())
        assert caught.value.waited_s == 10

    asyncio.run(scene())


def test_a_connection_closed_while_idle_is_not_used_for_a_second_create_in_silence(
    server: Any, client: Any, request_for: Any
) -> None:
    creates: list[bytes] = []

    async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        creates.append(body)
        if len(creates) == 2:
            return False  # the kept connection goes away under the second create
        writer.write(http("201 Created", GOOD))
        await writer.drain()
        return True

    async def scene() -> None:
        async with server(answer) as site:
            replicate = client(base_url=f"{site.url}/v1")
            await replicate.create(request_for())
            with pytest.raises(errors.Doubtful):
                await replicate.create(request_for())
            await replicate.close()

    asyncio.run(scene())
    assert len(creates) == 2

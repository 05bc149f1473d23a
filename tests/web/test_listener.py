"""The server inside the loop: where it listens, what it refuses, how it leaves."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import Any

import httpx
import pytest
from harness.ports import free_port
from web.vitals import Told

from warmer.core.health import Health
from warmer.core.spec import Listen
from warmer.log import Event
from warmer.web.metrics import Metrics
from warmer.web.serve import HEAD_BYTES, HttpListener, Limits

PATIENCE_S = 30.0
"""How long anything may take before a test gives up."""


async def ask(port: int, path: str = "/healthz") -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        return (await client.get(f"http://127.0.0.1:{port}{path}")).status_code


def port_of(lines: list[Any]) -> int:
    opened = [line for line in lines if line["event"] == Event.WEB_OPENED]
    return httpx.URL(opened[-1]["url"]).port or 0


async def hung_up(reader: asyncio.StreamReader) -> bytes:
    """What came before the server hung up."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    except ConnectionResetError:
        return b""


# -- where -----------------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_told_once_and_no_error(lines: list[Any]) -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            listener = HttpListener(Metrics())
            await listener.open(Listen(port=port), Told())
            await listener.close()
        (line,) = lines
        assert (line["event"], line["log_level"], line["listen"]) == (Event.WEB_FAILED, "warning", f"127.0.0.1:{port}")
        assert "another program has port" in line["hint"]
        assert "SIGHUP" in line["hint"]

    asyncio.run(scene())


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid"])
def test_an_address_that_is_not_this_machines_is_told_with_what_to_write(lines: list[Any], host: str) -> None:
    async def scene() -> None:
        listener = HttpListener(Metrics())
        await listener.open(Listen(host=host, port=0), Told())
        await listener.close()
        (line,) = lines
        assert line["event"] == Event.WEB_FAILED
        assert line["error"]
        assert "an address of this machine" in line["hint"]

    asyncio.run(scene())


def test_it_is_tried_again_at_the_next_reload(lines: list[Any]) -> None:
    async def scene() -> None:
        listener = HttpListener(Metrics())
        with socket.create_server(("127.0.0.1", 0)) as taken:
            at = Listen(port=taken.getsockname()[1])
            await listener.open(at, Told())
        await listener.open(at, Told())
        assert await ask(at.port) == 200
        await listener.close()
        assert [line["event"] for line in lines] == [Event.WEB_FAILED, Event.WEB_OPENED]

    asyncio.run(scene())


def test_it_moves_and_ends_and_begins_again_and_stays_where_it_is(lines: list[Any]) -> None:
    async def scene() -> None:
        listener, first, second = HttpListener(Metrics()), Listen(port=free_port()), Listen(port=free_port())
        await listener.open(first, Told())
        assert await ask(first.port) == 200
        await listener.open(second, Told())
        moved = port_of(lines)
        assert await ask(moved) == 200
        with pytest.raises(httpx.ConnectError):
            await ask(first.port)
        await listener.open(second, Told())
        assert port_of(lines) == moved
        assert await ask(moved) == 200
        await listener.open(None, Told())
        with pytest.raises(httpx.ConnectError):
            await ask(moved)
        await listener.open(first, Told())
        assert await ask(first.port) == 200
        await listener.open(Listen(host="0.0.0.0", port=first.port), Told())  # the same port on more networks
        assert await ask(first.port) == 200
        await listener.close()
        assert [line["event"] for line in lines] == [Event.WEB_OPENED] * 4

    asyncio.run(scene())


def test_the_other_protocol_is_spoken_too(lines: list[Any]) -> None:
    async def scene() -> None:
        listener = HttpListener(Metrics())
        await listener.open(Listen(host="::1", port=0), Told())
        if lines[-1]["event"] == Event.WEB_FAILED:  # a machine without it
            return
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(lines[-1]["url"] + "/healthz")).status_code == 200
        await listener.close()

    asyncio.run(scene())


# -- leaving ---------------------------------------------------------------------------------------------------------


def test_an_idle_connection_does_not_hold_it_up(serving: Any) -> None:
    async def scene() -> None:
        async with serving() as site:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"ok\n")
            begun, begun_writer = await asyncio.open_connection("127.0.0.1", site.port)
            begun_writer.write(b"GET /healthz HTTP/1.1\r\nHos")
            async with asyncio.timeout(PATIENCE_S):
                await site.listener.close()
            assert await hung_up(reader) == b""
            assert await hung_up(begun) == b""
            writer.close()
            begun_writer.close()

    asyncio.run(scene())


def test_a_reply_that_never_comes_does_not_either(serving: Any) -> None:
    class Stuck(Told):
        async def health(self) -> Health:
            await asyncio.Event().wait()
            raise AssertionError

    async def scene() -> None:
        async with serving(Stuck()) as site:
            asking = asyncio.ensure_future(site.get("/readyz"))
            assert (await site.get("/healthz")).status_code == 200
            async with asyncio.timeout(PATIENCE_S):
                await site.listener.close()
            with pytest.raises((httpx.HTTPError, AssertionError)):
                assert (await asking).status_code == 200

    asyncio.run(scene())


# -- clients that ask too much ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: local"])
def test_whoever_drips_a_request_is_hung_up_on(serving: Any, sent: bytes) -> None:
    async def scene() -> None:
        async with serving(limits=Limits(exchange_s=1)) as site:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(sent)
            assert await hung_up(reader) == b""
            writer.close()

    asyncio.run(scene())


def test_so_is_whoever_drips_a_second_one_or_a_body_nobody_asked_for(serving: Any) -> None:
    async def scene() -> None:
        async with serving(limits=Limits(exchange_s=1)) as site:
            for head in (b"GET /healthz", b"POST /healthz"):
                reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
                writer.write(head + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nx")
                assert (await reader.readline()).startswith(b"HTTP/1.1 ")
                await hung_up(reader)
                writer.close()

    asyncio.run(scene())


def test_a_head_without_end_is_refused(serving: Any) -> None:
    async def scene() -> None:
        async with serving() as site:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (4 * HEAD_BYTES))
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")
            await hung_up(reader)
            writer.close()
            assert (await site.get("/healthz")).status_code == 200

    asyncio.run(scene())


def test_one_connection_too_many_is_hung_up_on_and_the_others_are_served(serving: Any) -> None:
    async def scene() -> None:
        async with serving(limits=Limits(connections=3)) as site:
            opened = []
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
                opened.append((reader, writer))
            refused, refused_writer = await asyncio.open_connection("127.0.0.1", site.port)
            assert await hung_up(refused) == b""
            refused_writer.close()
            reader, writer = opened[0]
            await reader.readuntil(b"ok\n")
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            for _, writer in opened:
                writer.close()

    asyncio.run(scene())


def test_of_a_flood_of_connections_few_are_taken_in_one_turn_of_the_loop(serving: Any) -> None:
    """Each takes a moment of the loop, in which no beat moves on."""

    async def scene() -> None:
        async with serving() as site:
            assert (await site.get("/healthz")).status_code == 200
            flood = [socket.socket() for _ in range(200)]
            for one in flood:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", site.port))
            # The loop has not turned since: these wait to be taken.
            _, waiting, _ = select.select([], flood, [], 0)
            assert 0 < len(waiting) <= 20
            for one in flood:
                one.close()
            assert (await site.get("/healthz")).status_code == 200

    asyncio.run(scene())


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n\r\n", b"\x00" * 100])
def test_what_is_no_http_is_hung_up_on_and_not_logged(serving: Any, lines: list[Any], junk: bytes) -> None:
    async def scene() -> None:
        async with serving(limits=Limits(exchange_s=1)) as site:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(junk)
            await hung_up(reader)
            writer.close()
            assert (await site.get("/healthz")).status_code == 200
        assert [line["event"] for line in lines] == [Event.WEB_OPENED]

    asyncio.run(scene())

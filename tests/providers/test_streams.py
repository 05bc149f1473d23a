"""Streams, read as far as their first output: whatever a host sends, and never with the token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from warmer.errors import Unavailable
from warmer.providers.streams import MAX_STREAM_BYTES

EVENTS = "Content-Type: text/event-stream"
TOKEN = b"event: output\nid: 1:0\ndata: hi\n\n"


def head(status: str = "200 OK", *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]).encode()


def listened(server: Any, client: Any, reply: Callable[[str], bytes], **account: Any) -> tuple[str, list[bytes]]:
    """What came of reading a stream that answers so, given another origin; and the heads that it was asked with."""

    async def answer(asked: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(reply(other.url))
        await writer.drain()
        return False

    async def scene() -> tuple[str, list[bytes]]:
        nonlocal other
        async with server(answer) as other, server(answer) as site, asyncio.timeout(20):
            replicate = client(base_url=f"{site.url}/v1", **account)
            try:
                await replicate.first_output(f"{site.url}/streams/s3cret")
                said = "an output"
            except Unavailable as exc:
                assert exc.__context__ is None, "what caused it holds the request"
                said = str(exc)
            finally:
                await replicate.close()
            assert not other.heads, "nothing may be asked of another origin"
            return said, site.heads

    other: Any = None
    return asyncio.run(scene())


OUTPUTS = {
    "one token": head("200 OK", EVENTS) + TOKEN,
    "logs before it": head("200 OK", EVENTS) + b": hello\n\nevent: logs\nid: 1:0\ndata: loading\n\n" + TOKEN,
    "with parameters": head("200 OK", f"{EVENTS}; charset=utf-8") + TOKEN,
    "of no text that there is": head("200 OK", f"{EVENTS}; charset=zlib") + TOKEN,
    "without an id": head("200 OK", EVENTS) + b"event: output\ndata:\n\n",
    "other line ends": head("200 OK", EVENTS) + TOKEN.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_the_first_output_is_heard(
    server: Any, client: Any, canary: str, kind: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login eve password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    said, heads = listened(server, client, lambda _: OUTPUTS[kind])
    assert said == "an output"
    (asked,) = heads
    assert asked.startswith(b"GET /streams/s3cret HTTP/1.1\r\n")
    assert b"accept: text/event-stream\r\n" in asked.lower()
    assert b"cache-control: no-store\r\n" in asked.lower()
    assert b"authorization" not in asked.lower()
    assert canary.encode() not in asked


SILENCE = {
    "404": (lambda _: head("404 Not Found"), "status 404"),
    "410": (lambda _: head("410 Gone", EVENTS) + TOKEN, "status 410"),
    "redirect": (lambda other: head("307 Temporary Redirect", f"Location: {other}/x"), "status 307"),
    "a page": (lambda _: head("200 OK", "Content-Type: text/html") + TOKEN, "none of server-sent events"),
    "no type": (lambda _: head("200 OK") + TOKEN, "none of server-sent events"),
    "packed": (lambda _: head("200 OK", EVENTS, "Content-Encoding: gzip") + TOKEN, "is packed"),
    "nothing": (lambda _: head("200 OK", EVENTS), "ended without an output"),
    "only its end": (lambda _: head("200 OK", EVENTS) + b"event: done\nid: 1:0\ndata: {}\n\n" + TOKEN, "ended without"),
    "an error": (lambda _: head("200 OK", EVENTS) + b"event: error\ndata: oops\n\n" + TOKEN, "ended without"),
    "half an output": (lambda _: head("200 OK", EVENTS) + b"event: output\ndata: h", "ended without an output"),
    "garbage": (lambda _: head("200 OK", EVENTS) + bytes(range(256)) * 100, "ended without an output"),
    "a line without end": (
        lambda _: head("200 OK", EVENTS) + b"event: output\ndata: " + b"x" * (MAX_STREAM_BYTES + 1),
        f"more than {MAX_STREAM_BYTES} bytes",
    ),
    "logs without end": (
        lambda _: head("200 OK", EVENTS) + b"event: logs\ndata: x\n\n" * (MAX_STREAM_BYTES // 20),
        f"more than {MAX_STREAM_BYTES} bytes",
    ),
    "cut short": (lambda _: head("200 OK", EVENTS, "Content-Length: 99") + b"event: logs\n", "was lost"),
    "no HTTP": (lambda _: b"Bearer? hello\r\n\r\n", "was lost"),
    "no reply": (lambda _: b"", "was lost"),
}


@pytest.mark.parametrize("kind", SILENCE)
def test_a_stream_without_an_output_says_why_and_nobody_else_is_asked(server: Any, client: Any, kind: str) -> None:
    reply, why = SILENCE[kind]
    said, heads = listened(server, client, reply)
    assert why in said
    assert "s3cret" not in said
    assert len(heads) == 1


def test_a_stream_that_hangs_is_let_go_of_with_whoever_waited_for_it(server: Any, client: Any) -> None:
    async def answer(asked: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(head("200 OK", EVENTS) + b": still booting\n\n")
        await writer.drain()
        hangs.set()
        return True

    async def scene() -> None:
        async with server(answer) as site, asyncio.timeout(20):
            replicate = client(base_url=f"{site.url}/v1")
            waiting = asyncio.create_task(replicate.first_output(f"{site.url}/streams/a"))
            await hangs.wait()
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert waiting.cancelled()
            for _ in range(1000):
                if not site._open:
                    break
                await asyncio.sleep(0.01)
            assert not site._open
            await replicate.close()

    hangs = asyncio.Event()
    asyncio.run(scene())


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/x",  # of this machine, by the word of another
        "https://127.0.0.1:1/x",
        "https://localhost/x",
        "https://[::1]/x",
        "http://api.example.test/v1/x",
        "https://eve:secret@api.example.test/x",
        "https://@api.example.test/x",
        "ftp://api.example.test/x",
        "file:///etc/passwd",
        "//api.example.test/x",
        "https://",
        "https://[",
        "x",
    ],
)
def test_an_address_that_is_none_of_a_stream_is_not_asked(client: Any, address: str) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    async def scene() -> None:
        with pytest.raises(Unavailable, match="was not asked"):
            await client(never).first_output(address)

    asyncio.run(scene())


def test_a_stream_on_a_host_of_its_own_is_asked_without_the_token(client: Any, canary: str) -> None:
    asked = list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=TOKEN)

    asyncio.run(client(answer).first_output("https://stream.example.test/v1/streams/abc"))
    (request,) = asked
    assert request.url.host == "stream.example.test"
    assert "authorization" not in request.headers
    assert canary not in repr(request.headers.raw)


@pytest.mark.parametrize("is_measured", [True, False])
def test_a_create_whose_first_token_is_measured_is_not_held(client: Any, request_for: Any, is_measured: bool) -> None:
    asked = list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        urls = {"get": "https://api.example.test/v1/predictions/a1", "stream": "https://s.example.test/v1/streams/x"}
        return httpx.Response(201, json={"id": "a1", "status": "starting", "urls": urls})

    made = asyncio.run(client(answer).create(replace(request_for(), first_token=is_measured)))
    assert made.stream == "https://s.example.test/v1/streams/x"
    assert "s.example" not in repr(made)
    assert ("prefer" in asked[0].headers) is not is_measured
    assert "cancel-after" in asked[0].headers
    assert "first_token" not in json.dumps(json.loads(asked[0].content))


@pytest.mark.parametrize(
    "stream", [None, 7, "", "https://a b/", "https://a/\n", "https://a/" + "x" * 3000, ["https://a/"]]
)
def test_what_can_be_no_address_is_none(client: Any, request_for: Any, stream: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, json={"id": "a1", "status": "starting", "urls": {"stream": stream}})

    assert asyncio.run(client(answer).create(request_for())).stream is None

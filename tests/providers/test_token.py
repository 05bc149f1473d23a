"""The token goes to its own origin, in one header, and nowhere else."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from warmer import errors
from warmer.core.spec import Target, TargetKind

TARGET = Target(kind=TargetKind.MODEL, owner="meta", name="llama")


def http(status: str, body: bytes, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


def _chain(exc: BaseException | None) -> list[BaseException]:
    """The exception with everything that hangs on it."""
    found: list[BaseException] = []
    while exc is not None and exc not in found:
        found.append(exc)
        exc = exc.__cause__ or exc.__context__
    return found


def _everything_said_of(exc: BaseException, replicate: Any) -> str:
    """Whatever a log, a traceback or a debugger would print of it, frames' variables among it."""
    out = io.StringIO()
    parts = [
        str(exc),
        repr(exc),
        repr(vars(exc)),
        repr(replicate),
        repr(vars(replicate)),
        *traceback.format_exception(exc),
    ]
    for use_rich in (True, False):
        detailed = structlog.tracebacks.ExceptionDictTransformer(
            show_locals=True, locals_max_length=10**6, locals_max_string=10**6, use_rich=use_rich
        )
        parts.append(json.dumps(detailed((type(exc), exc, exc.__traceback__)), default=repr))
    structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(default=repr)],
    ).error("beat.failed", exc_info=exc)
    parts.append(out.getvalue())
    for one in _chain(exc):
        frames = traceback.walk_tb(one.__traceback__)
        parts += [
            f"{one!r} {vars(one)!r}",
            *(repr(frame.f_locals) for frame, _ in frames if "/tests/" not in frame.f_code.co_filename),
        ]
        request = getattr(one, "_request", None)
        parts.append(repr(dict(request.headers)) if request is not None else "")
    return "\n".join(parts)


def _echo(head: bytes) -> bytes:
    token = head.split(b"uthorization: Bearer ")[1].split(b"\r\n")[0]
    return b'{"id": "a1", "status": "failed", "detail": "bad ' + token + b'", "error": "' + token + b'"}'


REPLIES: dict[str, Callable[[bytes, str], bytes | None]] = {
    "401": lambda head, _: http("401 Unauthorized", _echo(head)),
    "402": lambda head, _: http("402 Payment Required", _echo(head)),
    "422": lambda head, _: http("422 Unprocessable", _echo(head)),
    "429": lambda head, _: http("429 Too Many", _echo(head), "Retry-After: 100"),
    "500": lambda head, _: http("500 Oops", _echo(head)),
    "redirect": lambda _, other: http("307 Temporary Redirect", b"", f"Location: {other}/v1/predictions"),
    "moved": lambda _, other: http("301 Moved", b"{}", f"Location: {other}/"),
    "wrong json": lambda head, _: http("200 OK", _echo(head)[:-5]),
    "no json": lambda head, _: http("200 OK", b"Authorization: " + _echo(head)),
    "list": lambda head, _: http("200 OK", b"[" + _echo(head) + b"]"),
    "no http": lambda head, _: b"Bearer? " + _echo(head) + b"\r\n\r\n",
    "bad header": lambda head, _: b"HTTP/1.1 200 OK\r\nBad header " + _echo(head) + b"\r\n\r\n",
    "cut": lambda _, __: None,
}


@pytest.mark.parametrize("kind", REPLIES)
def test_the_token_is_in_nothing_that_can_be_printed(
    server: Any, client: Any, request_for: Any, canary: str, caplog: Any, kind: str
) -> None:
    # At DEBUG, which warmer never shows, the HTTP library quotes broken reply heads: the server's words, not ours.
    caplog.set_level(logging.INFO if kind in ("no http", "bad header") else logging.DEBUG)
    said: list[str] = []

    async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        reply = REPLIES[kind](head, other.url)
        if reply is not None:
            writer.write(reply)
            await writer.drain()
        return reply is not None

    async def stray(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        return False

    async def scene() -> None:
        nonlocal other
        async with server(stray) as other, server(answer) as site:
            replicate = client(base_url=f"{site.url}/v1", timeout_s=2.0)
            calls: list[Callable[[], Awaitable[Any]]] = [
                lambda: replicate.create(request_for()),
                lambda: replicate.create(request_for("meta/llama")),
                lambda: replicate.read("a1"),
                lambda: replicate.cancel("a1"),
                lambda: replicate.recent(datetime(2026, 11, 21, tzinfo=UTC)),
                lambda: replicate.describe(TARGET),
                replicate.verify,
            ]
            for call in calls:
                try:
                    said.append(repr(await call()))
                except errors.ProviderError as exc:
                    assert len(_chain(exc)) == 1, "what caused it holds the request, and the request the token"
                    said.append(_everything_said_of(exc, replicate))
            await replicate.close()
            assert not other.heads, "nothing may be asked of another origin"
            assert site.heads

    other: Any = None
    asyncio.run(scene())
    everything = "\n".join([*said, caplog.text]).encode()
    assert canary.encode() not in everything
    assert b"Bearer r8" not in everything


def test_addresses_in_replies_are_never_asked(server: Any, client: Any, canary: str) -> None:
    async def stray(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        return False

    async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        row = {
            "id": "a1",
            "status": "processing",
            "created_at": "2026-11-21T09:00:00Z",
            "urls": {key: f"{other.url}/v1/predictions/a1/{key}" for key in ("get", "cancel", "stream", "web")},
        }
        is_list = b"/predictions?" in head.split(b"\r\n")[0]
        is_first = b"cursor" not in head
        following = f"{other.url}/v1/predictions?cursor=2" if is_first else None
        reply = {"results": [row | {"id": "a1" if is_first else "a2"}], "next": following} if is_list else row
        writer.write(http("200 OK", json.dumps(reply).encode()))
        await writer.drain()
        return True

    async def scene() -> None:
        nonlocal other
        async with server(stray) as other, server(answer) as site:
            replicate = client(base_url=f"{site.url}/v1")
            await replicate.read("a1")
            await replicate.cancel("a1")
            assert len(await replicate.recent(datetime(2026, 11, 21, tzinfo=UTC))) == 2
            await replicate.close()
            assert not other.heads
            assert len(site.heads) == 4
            assert all(head.count(canary.encode()) == 1 for head in site.heads)

    other: Any = None
    asyncio.run(scene())


@pytest.mark.parametrize(
    "bad", ["", "r8_C4nary with space", "r8_C4nary\n", "r8_C4nary\r\nX: y", "r8_C4naryé", "\x00r8_C4nary"]
)
def test_a_token_that_no_header_can_hold_is_refused_unquoted(client: Any, bad: str) -> None:
    with pytest.raises(errors.AccountRefused, match="check what") as caught:
        client(token=bad)
    assert "C4nary" not in str(caught.value) + repr(caught.value)


def test_a_netrc_file_and_a_plain_proxy_do_not_come_between(
    server: Any, client: Any, canary: str, monkeypatch: Any, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password secret\n")

    async def stray(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        return False

    async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(http("200 OK", b'{"username": "acme"}'))
        await writer.drain()
        return True

    async def scene() -> None:
        async with server(stray) as proxy, server(answer) as site:
            monkeypatch.setenv("HOME", str(tmp_path))
            monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            replicate = client(base_url=f"{site.url}/v1")
            assert await replicate.verify() == "acme"
            await replicate.close()
            assert not proxy.heads
            assert f"Bearer {canary}".encode() in site.heads[0]

    asyncio.run(scene())


def test_a_proxy_that_cannot_be_used_is_said_plainly(client: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy.test:70")
    with pytest.raises(errors.UsageError, match="HTTPS_PROXY"):
        client()

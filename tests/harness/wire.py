"""A wire between a client and a server of HTTP that can be broken in every way."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

_OPERATIONS = (
    ("create", rb"POST \S*/predictions "),
    ("cancel", rb"POST \S*/predictions/[^/ ]+/cancel "),
    ("get", rb"GET \S*/predictions/[^/ ?]+ "),
    ("list", rb"GET \S*/predictions[ ?]"),
    ("model", rb"GET \S*/models/"),
    ("account", rb"GET \S*/account "),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on the wire, as its bytes are."""

    head: bytes
    body: bytes

    @property
    def operation(self) -> str:
        return next((name for name, pattern in _OPERATIONS if re.match(pattern, self.head)), "other")

    def names(self, *words: str) -> bool:
        line = self.head.split(b"\r\n", 1)[0]
        return any(word.encode() in line or word.encode() in self.body for word in words)


Carry = Callable[[], Awaitable[bytes]]
Break = Callable[[Asked, Carry], Awaitable[bytes]]
"""What stands in for the wire: has the request carried out, or not, and gives the bytes that go back."""


class Wire:
    """Listens on a port of its own, and has each request carried out at `port` of the server behind it.

    `broken` is asked first: a break for this request, or None where it passes. Every connection carries one request.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self.broken: Callable[[Asked], Break | None] = lambda asked: None
        self.asked: list[Asked] = []
        self._port = 0
        self._server: asyncio.Server | None = None
        self._open = set[asyncio.Task[Any]]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Wire:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def mend(self) -> None:
        """Listen, where it always did."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """From now on nobody is there: what is under way breaks off, and connections are refused."""
        if self._server is not None:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            asked = Asked(head, await reader.readexactly(int(length[1])) if length else b"")
            self.asked.append(asked)
            broken = self.broken(asked)
            writer.write(await (broken(asked, lambda: self._carry(asked)) if broken else self._carry(asked)))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            writer.transport.abort()
        finally:
            self._open.discard(task)
            writer.close()

    async def _carry(self, asked: Asked) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            writer.write(re.sub(rb"(?i)\r\nconnection: [^\r]*", b"\r\nConnection: close", asked.head) + asked.body)
            return await reader.read()
        finally:
            writer.close()


def answer(status: str, body: bytes | dict[str, Any] | list[Any] = b"", *headers: str) -> bytes:
    """The bytes of a reply."""
    if not isinstance(body, bytes):
        body, headers = json.dumps(body).encode(), ("Content-Type: application/json", *headers)
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def in_place(reply: bytes) -> Break:
    """Answered by somebody on the way; nothing is carried out."""

    async def broken(asked: Asked, carry: Carry) -> bytes:
        return reply

    return broken


def instead(reply: bytes) -> Break:
    """Carried out, and this comes back."""

    async def broken(asked: Asked, carry: Carry) -> bytes:
        await carry()
        return reply

    return broken


def hanging(*, carried_out: bool) -> Break:
    """Nothing ever comes back."""

    async def broken(asked: Asked, carry: Carry) -> bytes:
        if carried_out:
            await carry()
        await asyncio.sleep(3600)
        return b""

    return broken


def late(seconds: float) -> Break:
    """Carried out at once, and the reply takes that many real seconds."""

    async def broken(asked: Asked, carry: Carry) -> bytes:
        reply = await carry()
        await asyncio.sleep(seconds)
        return reply

    return broken


def changed(change: Callable[[bytes], bytes]) -> Break:
    """Carried out, and this is what becomes of the reply's bytes."""

    async def broken(asked: Asked, carry: Carry) -> bytes:
        return change(await carry())

    return broken


def rewritten(change: Callable[[Any], Any]) -> Break:
    """Carried out, and this is what becomes of the reply's JSON."""

    def whole(reply: bytes) -> bytes:
        head, _, body = reply.partition(b"\r\n\r\n")
        new = json.dumps(change(json.loads(body))).encode()
        return re.sub(rb"(?i)(content-length:) \d+", b"\\1 %d" % len(new), head) + b"\r\n\r\n" + new

    return changed(whole)

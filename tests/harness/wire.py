"""A wire between a client and a server of HTTP that can be broken in every way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from harness.ports import free_port

_OPERATIONS = (
    ("create", rb"POST \S*/predictions "),
    ("cancel", rb"POST \S*/predictions/[^/ ]+/cancel "),
    ("get", rb"GET \S*/predictions/[^/ ?]+ "),
    ("list", rb"GET \S*/predictions[ ?]"),
    ("model", rb"GET \S*/models/"),
    ("account", rb"GET \S*/account "),
)
_ID = re.compile(rb'"id": ?"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on the wire, as its bytes are."""

    head: bytes
    body: bytes

    @property
    def line(self) -> bytes:
        return self.head.split(b"\r\n", 1)[0]

    @property
    def operation(self) -> str:
        return next((name for name, pattern in _OPERATIONS if re.match(pattern, self.head)), "other")

    def without(self, header: str) -> Asked:
        """The same without that header."""
        return replace(self, head=re.sub(rb"(?i)\r\n%s: [^\r]*" % header.encode(), b"", self.head))

    def saying(self, body: bytes) -> Asked:
        """The same with another body."""
        bare = self.without("content-length").head.removesuffix(b"\r\n\r\n")
        return Asked(bare + b"\r\nContent-Length: %d\r\n\r\n" % len(body), body)


Carry = Callable[[Asked], Awaitable[bytes]]
Answer = bytes | AsyncIterator[bytes]
Break = Callable[[Asked, Carry], Awaitable[Answer]]
"""What stands in for the wire: has the request carried out, or another, or none, and gives the bytes that go back."""


class Wire:
    """Listens on a port of its own, and has each request carried out at `port` of the server behind it.

    `broken` is asked first: a break for this request, or None where it passes. A connection is kept, as the real
    server keeps it, until a reply on it was broken.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self.broken: Callable[[Asked], Break | None] = lambda asked: None
        self.asked: list[Asked] = []
        self.made: dict[str, Asked] = {}
        """The creates that were carried out, by the id of what came of them."""
        self._port = free_port()
        self._server: asyncio.Server | None = None
        self._open = set[asyncio.Task[Any]]()
        self._swallowing = list[socket.socket]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Wire:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        await self._drop()

    async def mend(self) -> None:
        """Listen, where it always did."""
        if self._swallowing:
            await self._drop()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def cut(self) -> None:
        """From now on nobody is there: what is under way breaks off, and connections are refused."""
        if self._server is not None:
            await self._stop_listening()
            await self._drop()

    async def swallow(self) -> None:
        """From now on every packet is lost: nothing comes back on the connections there are, and none is made."""
        await self._stop_listening()
        full = socket.socket()
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(("127.0.0.1", self._port))
        full.listen(0)
        self._swallowing.append(full)
        for _ in range(2):  # whoever comes after these waits for ever
            one = socket.socket()
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(("127.0.0.1", self._port))
            self._swallowing.append(one)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _drop(self) -> None:
        for one in self._swallowing:
            one.close()
        self._swallowing.clear()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            writer.transport.abort()
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request, and return whether there may be another on this connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        asked = Asked(head, await reader.readexactly(int(length[1])) if length else b"")
        self.asked.append(asked)
        broken = self.broken(asked)
        answer = await (broken(asked, self._carry) if broken else self._carry(asked))
        if self._swallowing:
            await asyncio.Event().wait()
        if isinstance(answer, bytes):
            writer.write(answer if broken else re.sub(rb"(?i)\r\nconnection: close", b"", answer, count=1))
        else:
            async for piece in answer:
                writer.write(piece)
                await writer.drain()
        await writer.drain()
        return broken is None

    async def _carry(self, asked: Asked) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            writer.write(asked.without("connection").head[:-4] + b"\r\nConnection: close\r\n\r\n" + asked.body)
            reply = await reader.read()
        finally:
            writer.close()
        if asked.operation == "create" and reply[9:12] == b"201" and (found := _ID.search(reply)):
            self.made[found[1].decode()] = asked
        return reply


def answer(status: str, body: bytes | str | dict[str, Any] | list[Any] = b"", *headers: str) -> bytes:
    """The bytes of a reply."""
    if isinstance(body, dict | list):
        body, headers = json.dumps(body), ("Content-Type: application/json", *headers)
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def in_place(reply: bytes) -> Break:
    """Answered by somebody on the way; nothing is carried out."""

    async def broken(asked: Asked, carry: Carry) -> Answer:
        return reply

    return broken


def instead(reply: bytes) -> Break:
    """Carried out, and this comes back."""

    async def broken(asked: Asked, carry: Carry) -> Answer:
        await carry(asked)
        return reply

    return broken


def hanging(*, carried_out: bool) -> Break:
    """Nothing ever comes back."""

    async def broken(asked: Asked, carry: Carry) -> Answer:
        if carried_out:
            await carry(asked)
        await asyncio.sleep(3600)
        return b""

    return broken


def dribbling(*, carried_out: bool, every_s: float = 0.05) -> Break:
    """A head that never ends: a line every so often, in real seconds."""

    async def lines() -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 201 Created\r\n"
        while True:
            yield b"X-More: yes\r\n"
            await asyncio.sleep(every_s)

    async def broken(asked: Asked, carry: Carry) -> Answer:
        if carried_out:
            await carry(asked)
        return lines()

    return broken


def late(seconds: float) -> Break:
    """Carried out at once, and the reply takes that many real seconds."""

    async def broken(asked: Asked, carry: Carry) -> Answer:
        reply = await carry(asked)
        await asyncio.sleep(seconds)
        return reply

    return broken


def asking(change: Callable[[Asked], Asked]) -> Break:
    """This is what becomes of the request."""

    async def broken(asked: Asked, carry: Carry) -> Answer:
        return await carry(change(asked))

    return broken


def changed(change: Callable[[bytes], bytes]) -> Break:
    """Carried out, and this is what becomes of the reply's bytes."""

    async def broken(asked: Asked, carry: Carry) -> Answer:
        return change(await carry(asked))

    return broken


def redone(change: Callable[[bytes, bytes], bytes]) -> Break:
    """Carried out, and the reply's bytes are made of its head, without its last lines' ends and length, and body."""

    def whole(reply: bytes) -> bytes:
        head, _, body = reply.partition(b"\r\n\r\n")
        return change(re.sub(rb"(?i)\r\ncontent-length: [^\r]*", b"", head), body)

    return changed(whole)


def rewritten(change: Callable[[Any], Any]) -> Break:
    """Carried out, and this is what becomes of the reply's JSON: a value, or the text itself."""

    def whole(head: bytes, body: bytes) -> bytes:
        new = change(json.loads(body))
        new = new if isinstance(new, bytes) else json.dumps(new).encode()
        return head + b"\r\nContent-Length: %d\r\n\r\n" % len(new) + new

    return redone(whole)

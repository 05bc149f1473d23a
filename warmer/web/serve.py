"""The HTTP server inside the daemon's loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from warmer.core.spec import Listen
from warmer.log import Event, get
from warmer.ports import Board, Console, Inbox, Vitals
from warmer.web.app import make_app
from warmer.web.border import Border, Hosts
from warmer.web.metrics import Metrics
from warmer.web.page import EVENTS

HEAD_BYTES = 16 * 1024
"""Of a request."""
_IDLE_S = 5
"""How long a connection is kept for the next request."""
_BACKLOG = 16
"""Connections that wait to be taken. So many are taken in one turn of the loop, and beats wait for that turn."""
_LEAVE_S = 1
"""What replies under way may take once the server is to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may take of the daemon, which needs its time and its sockets for beats."""

    connections: int = 64  # at a time, beside streams of events; one more is hung up on
    exchange_s: float = 20.0  # from a connection's beginning, or its last reply, to the end of the next one


class HttpListener:
    """Implements the `Listener` port with uvicorn."""

    def __init__(self, metrics: Metrics, limits: Limits | None = None) -> None:
        self._metrics, self._limits = metrics, limits or Limits()
        self._at: Listen | None = None
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def open(
        self,
        at: Listen | None,
        vitals: Vitals,
        console: Console | None = None,
        board: Board | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        """Answer at `at`. Where that is where it answers already, nothing is touched."""
        if at == self._at:
            return
        await self.close()  # first: the new address may be the old port on another network
        if at is None:
            return
        try:
            listening = await _bind(at)
        except OSError as exc:
            get().warning(Event.WEB_FAILED, listen=str(at), error=exc.strerror or str(exc), hint=_hint(exc, at))
            return
        host, port = listening.getsockname()[:2]
        config = uvicorn.Config(
            Border(make_app(vitals, self._metrics, console, board, inbox), Hosts(at.host, host), inbox),
            # All that uvicorn does with it is to call it.
            http=cast("type[asyncio.Protocol]", partial(_Protocol, limits=self._limits)),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_LEAVE_S,
            h11_max_incomplete_event_size=HEAD_BYTES,
            backlog=_BACKLOG,
        )
        self._at, self._server = at, _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]), name="http")
        get().info(Event.WEB_OPENED, url=f"http://{Listen(host=host, port=port)}")

    async def close(self) -> None:
        """Hang up on whoever is idle, let replies under way go out, and stop."""
        server, serving = self._server, self._serving
        self._at = self._server = self._serving = None
        if server is not None and serving is not None:
            server.should_exit = True
            await asyncio.wait({serving})


class _Server(uvicorn.Server):
    """Leaves signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(H11Protocol):
    """HTTP/1.1 for a bounded number of clients, each of which has to get on with it."""

    def __init__(self, *args: Any, limits: Limits, **more: Any) -> None:
        super().__init__(*args, **more)
        self._limits = limits
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        asking = sum(not one.is_streaming for one in self.connections if isinstance(one, _Protocol))
        is_one_too_many = asking >= self._limits.connections
        super().connection_made(transport)
        if is_one_too_many:
            transport.abort()
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._begin()
        super().on_response_complete()

    def _begin(self) -> None:
        if self._end is not None:
            self._end.cancel()
        # uvicorn waits for ever for a request that was begun, and for a client that does not read.
        self._end = self.loop.call_later(self._limits.exchange_s, self._over)

    @property
    def is_streaming(self) -> bool:
        """Whether it is told events, for as long as it likes."""
        cycle = self.cycle
        under_way = cycle is not None and cycle.response_started and not cycle.response_complete
        return under_way and bool(cycle.scope["path"] == EVENTS)

    def _over(self) -> None:
        # A stream goes on while its client takes what it is told.
        if self.is_streaming and not self.transport.get_write_buffer_size():
            self._begin()
        else:
            self.transport.abort()


async def _bind(at: Listen) -> socket.socket:
    """A socket that listens at `at`: of a name, at the first of its addresses. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)
    family, _, _, _, address = found[0]
    both: dict[str, Any] = {"dualstack_ipv6": True} if at.host == "::" and socket.has_dualstack_ipv6() else {}
    return socket.create_server(address, family=family, backlog=_BACKLOG, **both)


def _hint(exc: OSError, at: Listen) -> str:
    again = "then send a SIGHUP"
    if exc.errno == errno.EADDRINUSE:
        return f"another program has port {at.port}: stop it, or write another `listen`; {again}"
    if exc.errno == errno.EACCES:
        return f"ports below 1024 need a privilege: write a higher one under `listen`; {again}"
    return f"write an address of this machine under `listen`, or `off`; {again}"

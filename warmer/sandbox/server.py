"""The sandbox as a server: the world, its clock and the HTTP API over it, inside any running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from warmer.sandbox import replies, webhooks
from warmer.sandbox.api import Predictions
from warmer.sandbox.control import Control
from warmer.sandbox.doors import Calls, CogServer
from warmer.sandbox.faults import CUT, Faults
from warmer.sandbox.gate import Gate
from warmer.sandbox.pace import Pace
from warmer.sandbox.predictions import Prediction
from warmer.sandbox.resources import Accounts, Deployments, Models
from warmer.sandbox.world import World


class _CuttableProtocol(H11Protocol):
    """HTTP/1.1 whose replies may drop the connection: ASGI itself has no word for that."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        app = self.app

        async def cuttable(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[CUT] = transport.close
            await app(scope, receive, send)

        self.app = cuttable


class _QuietServer(uvicorn.Server):
    """Leaves signals to the process it is part of, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class SandboxServer:
    """A look-alike of api.replicate.com on a port of this machine.

    world: what is hosted; from now on only this server moves its time.
    port: 0 = any free one. speed: virtual seconds for each real one.
    origin: the virtual instant at which it starts; default the world's own.
    """

    def __init__(
        self,
        world: World,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        origin: datetime | None = None,
    ) -> None:
        self.world = world
        self._host, self._port = host, port
        self._pace = Pace(world, speed=speed, origin=origin or world.now)
        self._gate = Gate(world, self._pace, world.account)
        key = webhooks.secret(f"{world.account.username}/{world.seed}")
        self._courier = webhooks.Courier(self._pace, key, self._gate.faults, self._gate.tally)
        self.cog = CogServer(self._pace)  # in the middle of its setup when the server starts
        self._server: _QuietServer | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """`http://HOST:PORT`. The API's base is this with `/v1` after it. Empty before `start`."""
        return self._gate.base

    @property
    def faults(self) -> Faults:
        """The faults in force, for tests in the same process."""
        return self._gate.faults

    @property
    def replies(self) -> Mapping[tuple[str, str], int]:
        """How many replies there were, by operation and HTTP status, or "cut"."""
        return self._gate.tally

    def now(self) -> datetime:
        """The virtual instant; all stamps of the API are of this clock."""
        return self._pace.now()

    async def sleep(self, span: timedelta) -> None:
        """Wait for a virtual span."""
        await self._pace.sleep(span)

    def call(
        self,
        target: str,
        input: Mapping[str, Any],  # noqa: A002 - the API's own word for it
        *,
        caller: str = "customer",
        stranger: bool = False,
    ) -> Prediction:
        """A customer's call without HTTP, now. As `World.create`."""
        return self.world.create(self.now(), target, input, caller=caller, stranger=stranger)

    async def start(self) -> None:
        """Listen, and let virtual time run. OSError where the port cannot be had."""
        listener = socket.create_server((self._host, self._port), backlog=256)
        # Head and body of a reply are two writes: without this the second waits 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port = listener.getsockname()[:2]
        self._gate.base = self._courier.base = f"http://{host}:{port}"
        config = uvicorn.Config(
            self._app(),
            http=_CuttableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
            # As servers have it: were it a client's own, its closing would cross the client's next request.
            timeout_keep_alive=75,
        )
        self._server = _QuietServer(config)
        self._pace.start()
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name="sandbox server")
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Close every connection and let time stand still. The world keeps what it has come to."""
        await self._courier.stop()
        await self._pace.stop()  # requests that are held answer now
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.gather(self._serving, return_exceptions=True)
            self._server = self._serving = None

    async def serve_forever(self) -> None:
        """Serve until cancelled; starts first where that has not been done, and stops in the end."""
        if self._serving is None:
            await self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()

    async def __aenter__(self) -> SandboxServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _app(self) -> Starlette:
        world, pace, gate, courier = self.world, self._pace, self._gate, self._courier
        app = Starlette(
            routes=[
                *Predictions(world, pace, gate, courier).routes(),
                *Models(world, gate).routes(),
                *Deployments(world, pace, gate).routes(),
                *Accounts(world, gate, courier).routes(),
                *Control(world, pace, gate).routes(),
                *Calls(world, pace).routes(),
                *self.cog.routes(),
            ],
            exception_handlers={404: _not_found, 405: _not_allowed, ClientDisconnect: _gone},
        )
        app.router.redirect_slashes = False
        return app


async def _not_found(request: Request, error: Exception) -> Response:
    return replies.not_found()


async def _not_allowed(request: Request, error: Exception) -> Response:
    return replies.Reply({"detail": f'Method "{request.method}" not allowed.', "status": 405}, 405)


async def _gone(request: Request, error: Exception) -> Response:
    """To a client that left before it had asked: nobody reads this, and nothing went wrong here."""
    return Response(status_code=400)

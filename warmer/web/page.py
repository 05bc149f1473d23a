"""The page: how the models are, for people, and the stream that keeps it fresh."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from warmer.charts import board as pages
from warmer.charts.page import asset
from warmer.core.plain import plain
from warmer.ports import Board, Console
from warmer.web.asking import Refusal

EVENTS = "/api/v1/events"
STREAMS = 100
"""At a time."""
BEAT_S = 10.0
"""A stream that has nothing to say says so: whoever is gone is noticed."""
_AGAIN_S = 30
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
_TYPES = {"js": "text/javascript", "css": "text/css"}


def page_routes(board: Board, console: Console) -> list[Route]:
    """Each view, what it needs, and the stream."""
    page = _Page(board, console)
    return [
        Route("/", page.overview),
        Route("/money", page.money),
        Route("/events", page.events),
        Route("/try", page.trial),
        Route("/models/{name:path}", page.model),
        Route("/assets/{digest}/{name}", page.asset),
        Route(EVENTS, page.stream),
    ]


class _Page:
    def __init__(self, board: Board, console: Console) -> None:
        self._board, self._console = board, console
        self._streams = 0

    async def overview(self, request: Request) -> Response:
        asked = request.query_params.get("page", "1")
        page = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1
        return _shown(await self._board.overview(pages.overview_page, request.query_params.get("find", "")[:200], page))

    async def model(self, request: Request) -> Response:
        name: str = request.path_params["name"]
        if name not in self._console.models:
            raise Refusal(404, f"the file has no model {name[:200]!r}", "the overview at / has all of them")
        return _shown(await self._board.model(pages.model_page, name))

    async def money(self, request: Request) -> Response:
        return _shown(await self._board.money(pages.money_page))

    async def events(self, request: Request) -> Response:
        return _shown(await self._board.events(pages.events_page))

    async def trial(self, request: Request) -> Response:
        return _shown(await asyncio.to_thread(pages.try_page, self._board.file))

    async def asset(self, request: Request) -> Response:
        name, digest = request.path_params["name"], request.path_params["digest"]
        path = pages.asset_paths().get(name)
        if path is None or pages.asset_url(path) != f"/assets/{digest}/{name}":
            raise Refusal(404, "there is no such part of the page", "reload the page: it has the address of each")
        kind = _TYPES[name.rpartition(".")[2]]
        forever = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(_bytes(path), media_type=kind, headers=forever)

    async def stream(self, request: Request) -> Response:
        """Each line of the log as an event, from now on."""
        if self._streams >= STREAMS:
            told = {"error": f"{STREAMS} streams are open already", "hint": "close one, or ask again later"}
            return JSONResponse(told, 503, headers={"Retry-After": str(_AGAIN_S)})
        self._streams += 1
        return _Stream(self._lines(), self._end)

    def _end(self) -> None:
        self._streams -= 1

    async def _lines(self) -> AsyncIterator[str]:
        with self._board.follow() as lines:
            yield "retry: 2000\n: what happens from now on\n\n"
            while True:
                try:
                    async with asyncio.timeout(BEAT_S):
                        line = await lines.get()
                except TimeoutError:
                    yield ": nothing new\n\n"
                    continue
                if line is None:
                    return
                yield f"data: {json.dumps(plain(line), ensure_ascii=False)}\n\n"


class _Stream(StreamingResponse):
    """Calls `ended` once, however it ends."""

    def __init__(self, lines: AsyncIterator[str], ended: Callable[[], None]) -> None:
        super().__init__(lines, media_type="text/event-stream")
        self._ended = ended

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


def _shown(page: str) -> Response:
    return HTMLResponse(page, headers=_HEADERS)


@cache
def _bytes(path: str) -> bytes:
    return asset(path).encode()

"""What is answered over HTTP. Renders what `Vitals` tells, and knows nothing of how it comes about."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from warmer.core.health import Check, Health
from warmer.core.plain import plain
from warmer.errors import LedgerError
from warmer.ports import Board, Console, Inbox, Vitals
from warmer.web.api import Refusal, refused, routes, unwritten
from warmer.web.hooks import hook_routes
from warmer.web.metrics import CONTENT_TYPE, Metrics
from warmer.web.page import page_routes


def make_app(
    vitals: Vitals,
    metrics: Metrics,
    console: Console | None = None,
    board: Board | None = None,
    inbox: Inbox | None = None,
) -> Starlette:
    """The application over one daemon. Without `console`, `board` and `inbox` it only tells how that is."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")  # that the loop turns is what it says

    async def readyz(request: Request) -> Response:
        health = await vitals.health()
        return JSONResponse(plain(readiness(health)), 200 if health.ready else 503)

    async def give_metrics(request: Request) -> Response:
        return StreamingResponse(metrics.stream(vitals), media_type=CONTENT_TYPE)

    app = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", give_metrics),
            *([] if console is None or board is None else page_routes(board, console)),
            *([] if console is None else routes(console)),
            *([] if inbox is None else hook_routes(inbox)),
        ],
        exception_handlers={404: _refused, 405: _refused, 500: _crashed, Refusal: refused, LedgerError: unwritten},
    )
    app.router.redirect_slashes = False
    return app


def readiness(health: Health) -> dict[str, Any]:
    """The document of /readyz."""
    checks: dict[str, Check] = {"config": health.config, "ledger": health.ledger, "schedule": health.schedule}
    return {
        "ready": health.ready,
        "checks": checks,
        "budget": [
            {
                "scope": limit.cap.scope,
                "period": limit.cap.period,
                "cap_usd": limit.cap.usd,
                "until": limit.end,
            }
            for limit in health.reached
        ],
        "account": health.account and {"reason": health.account.reason, "until": health.account.until},
        "models": health.models,
        "members": health.members,
    }


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - those handlers are called for nothing else
    what, hint = {
        404: ("there is nothing here", "there are /, /healthz, /readyz, /metrics and what /openapi.json lists"),
        405: (f"{request.method} is not answered here", f"use {' or '.join(sorted(_methods(error)))}"),
    }[error.status_code]
    return JSONResponse({"error": what, "hint": hint}, error.status_code, headers=error.headers)


def _methods(error: HTTPException) -> list[str]:
    """Those that are answered there."""
    return [name for name in (error.headers or {}).get("Allow", "GET").split(", ") if name != "HEAD"]


async def _crashed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "a bug stopped this request", "hint": "`library.warned` in the log has more"}, 500)

"""The API: how models are, which is likely warm, and what somebody wants beside the file."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from warmer.core.now import ModelDetail, ModelNow
from warmer.core.override import Override, Overrides, binding
from warmer.core.plain import plain
from warmer.core.policy import Rest
from warmer.core.told import Told
from warmer.ports import Console
from warmer.web.asking import Refusal, body_of, check_admin, file_of, instant_in, lasting_in, refused, text_in
from warmer.web.openapi import describe

__all__ = ["Refusal", "refused", "routes", "unwritten"]

MODELS_AT_MOST = 100
"""Of whose warmth is asked at a time."""
_SHOWN = 20
"""Names in a refusal."""
_ID = re.compile(r"[0-9A-Za-z]{1,64}")
Endpoint = Callable[[Request], Awaitable[Response]]


def routes(console: Console) -> list[Route]:
    """Whatever there is. Names of models are percent-encoded; their slashes need not be."""
    api = _Api(console)
    return [
        Route("/openapi.json", api.described),
        Route("/api/v1/models", api.overview),
        Route("/api/v1/warmth", api.warmth),
        Route("/api/v1/requests", api.tell, methods=["POST"]),
        Route("/api/v1/config/try", api.try_file, methods=["POST"]),
        *(
            Route(f"/api/v1/models/{{name:path}}/{act}", endpoint, methods=["POST"])
            for act, endpoint in (("pause", api.pause), ("resume", api.resume), ("warm", api.warm), ("beat", api.beat))
        ),
        Route("/api/v1/models/{name:path}", api.model),
    ]


async def unwritten(request: Request, error: Exception) -> Response:
    """The reply where the ledger cannot be used."""
    return JSONResponse({"error": str(error), "hint": "look at /readyz, and try again"}, 503)


class _Api:
    def __init__(self, console: Console) -> None:
        self._console = console

    async def described(self, request: Request) -> Response:
        return JSONResponse(_description())

    async def overview(self, request: Request) -> Response:
        return _reply({"schema": 1, "models": [_now(one) for one in await self._console.overview()]})

    async def model(self, request: Request) -> Response:
        return _reply({"schema": 1} | _detail(await self._console.model(self._name(request))))

    async def warmth(self, request: Request) -> Response:
        names = request.query_params.getlist("model") or list(self._console.models)
        if len(names) > MODELS_AT_MOST:
            raise Refusal(
                400, f"{len(names)} models are too many", f"name {MODELS_AT_MOST} at most, as `?model=A&model=B`"
            )
        known = frozenset(self._console.models)
        for name in names:
            if name not in known:
                raise self._unknown(name)
        return _reply({"models": await self._console.warmth(names)})

    async def pause(self, request: Request) -> Response:
        name, body = await self._asked(request, ("for",))
        lasts = lasting_in(body, needed=False)
        return await self._override(
            name, lambda known, now: known.paused([name], now, None if lasts is None else now + lasts)
        )

    async def resume(self, request: Request) -> Response:
        name, _ = await self._asked(request, ())
        return await self._override(name, lambda known, now: known.resumed([name], now))

    async def warm(self, request: Request) -> Response:
        name, body = await self._asked(request, ("for",))
        lasts = lasting_in(body, needed=True) or timedelta(0)
        return await self._override(name, lambda known, now: known.warmed([name], now, now + lasts))

    async def beat(self, request: Request) -> Response:
        name, _ = await self._asked(request, ())
        action = await self._console.beat(name)
        if isinstance(action, Rest):
            facts = plain({"reason": action.reason, "until": action.until})
            raise Refusal(
                409, f"no beat goes out now: {action.reason}", "what `reason` means is in the reference", **facts
            )
        return _reply({"model": name, "reason": action.reason}, 202)

    async def tell(self, request: Request) -> Response:
        check_admin(request, self._console.admin_token)
        body = await body_of(request, ("model", "prediction_id", "created_at", "completed_at"))
        name = text_in(body, "model", "owner/name")
        if name is None:
            raise Refusal(400, "`model` is missing", "name the model that was called, as in the file")
        self._check(name)
        prediction_id = text_in(body, "prediction_id", "gm3qorzdhgbfurvjtvhg6dckhu")
        if prediction_id is not None and not _ID.fullmatch(prediction_id):
            raise Refusal(
                400, "`prediction_id` is none", "write the provider's `id` of the prediction, or leave it out"
            )
        created_at, completed_at = instant_in(body, "created_at"), instant_in(body, "completed_at")
        try:
            told = Told.at(
                self._console.stamp(),
                name,
                created_at=created_at,
                completed_at=completed_at,
                prediction_id=prediction_id,
            )
        except ValueError as exc:
            raise Refusal(400, str(exc), "write the stamps as the provider gave them, or leave them out") from exc
        return _reply({"model": name, "prediction_id": prediction_id, "counted": await self._console.tell(told)})

    async def try_file(self, request: Request) -> Response:
        check_admin(request, self._console.admin_token)
        try:
            return _reply({"schema": 1} | plain(await self._console.try_file(await file_of(request))))
        except TimeoutError:
            raise Refusal(503, "reading that file takes too long here", "ask `warmer check` with it") from None

    async def _asked(self, request: Request, known: Sequence[str]) -> tuple[str, Any]:
        check_admin(request, self._console.admin_token)
        name = self._name(request)
        return name, await body_of(request, known, may_be_empty=True)

    async def _override(self, name: str, change: Callable[[Overrides, datetime], Overrides]) -> Response:
        at = list[datetime]()

        def changed(known: Overrides, now: datetime) -> Overrides:
            at.append(now)
            return change(known, now)

        made = await self._console.override(changed)
        return _reply({"model": name, "override": binding(made.of(name), at[-1])})

    def _name(self, request: Request) -> str:
        name: str = request.path_params["name"]
        self._check(name)
        return name

    def _check(self, name: str) -> None:
        if name not in self._console.models:
            raise self._unknown(name)

    def _unknown(self, name: str) -> Refusal:
        known = self._console.models
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        return Refusal(404, f"the file has no model {name[:200]!r}", f"it has {', '.join(known[:_SHOWN])}{more}")


@cache
def _description() -> dict[str, Any]:
    return describe()


def _reply(document: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(plain(document), status)


def _now(one: ModelNow) -> dict[str, Any]:
    told = one.warmth
    return {
        "model": one.model,
        "policy": one.policy,
        "next_beat_at": one.next_at,
        "reason": one.reason,
        "override": _override(one.override),
        "warmth": None
        if told is None
        else {"probability": told.probability, "expected_wait_s": told.expected_wait_s, "verdict": told.verdict},
    }


def _detail(one: ModelDetail) -> dict[str, Any]:
    beat, belief = one.last_beat, one.idle_timeout
    return _now(one.now) | {
        "last_activity_at": one.last_use,
        "last_beat": None
        if beat is None
        else {
            "created_at": beat.created_at,
            "reason": beat.reason,
            "verdict": beat.verdict,
            "status": beat.status,
            "wait_s": beat.wait_s,
            "cost_usd": beat.cost_usd,
            "cost_known": beat.cost.known,
            "error": beat.error,
        },
        "idle_timeout": None
        if belief is None
        else {
            "known": belief.is_known,
            "median_s": belief.median_s,
            "low_s": belief.band_s[0],
            "high_s": belief.band_s[1],
            "interval_s": belief.interval_s,
            "gaps": belief.gaps,
        },
    }


def _override(one: Override | None) -> dict[str, Any] | None:
    return None if one is None else {"kind": one.kind, "since": one.since, "until": one.until}

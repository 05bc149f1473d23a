"""Other doors to the sandbox than Replicate's API: an endpoint of each model, and a Cog server that is always up."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from warmer.sandbox import replies
from warmer.sandbox.pace import Pace
from warmer.sandbox.predictions import Status
from warmer.sandbox.world import NotThereError, World

SETUP = timedelta(seconds=40)
"""Of the Cog server, from the moment that the sandbox listens: what a model of some gigabytes takes to load."""
_RUN = timedelta(seconds=0.4)
_ANSWERED_WITHIN = timedelta(hours=1)
_INPUT = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "title": "Text"}},
}
_COG_SCHEMA = {"openapi": "3.0.2", "components": {"schemas": {"Input": _INPUT, "Output": {"type": "string"}}}}


def _caller_of(request: Request) -> str:
    return "warmer" if request.headers.get("user-agent", "").startswith("warmer/") else "customer"


class Calls:
    """`/call/OWNER/NAME`: runs the model, once an instance is up, and answers with its output; as serverless hosts do
    that hold a request until then."""

    def __init__(self, world: World, pace: Pace) -> None:
        self._world, self._pace = world, pace

    def routes(self) -> list[Route]:
        """Where it is called."""
        return [Route("/call/{owner}/{name}", self._call, methods=["GET", "POST"])]

    async def _call(self, request: Request) -> Response:
        slug, now = "{owner}/{name}".format(**request.path_params), self._pace.now()
        try:
            given = self._world.model(slug).default_example or {}
        except NotThereError:
            return replies.not_found()
        prediction = self._world.create(now, slug, given, caller=_caller_of(request))
        await self._pace.over(prediction, now + _ANSWERED_WITHIN)
        is_good = prediction.status is Status.SUCCEEDED
        told = {
            "output": prediction.output,
            "error": prediction.error,
            "wait_s": None if prediction.wait is None else prediction.wait.total_seconds(),
            "run_s": None if prediction.run is None else prediction.run.total_seconds(),
        }
        return replies.Reply(told, 200 if is_good else 500)


class CogServer:
    """`/cog`: what Cog gives one model to be called by, of a machine that is never switched off."""

    def __init__(self, pace: Pace) -> None:
        self._pace, self._began = pace, pace.now()

    @property
    def up_at(self) -> datetime:
        """When its setup is over."""
        return self._began + SETUP

    def routes(self) -> list[Route]:
        """Where it is called."""
        return [
            Route("/cog/", self._root),
            Route("/cog/health-check", self._health),
            Route("/cog/openapi.json", self._schema),
            Route("/cog/predictions/{id}", self._predict, methods=["PUT"]),
            Route("/cog/predictions/{id}/cancel", self._cancel, methods=["POST"]),
        ]

    async def _root(self, _: Request) -> Response:
        return replies.Reply({"cog_version": "0.23.1"})

    async def _health(self, _: Request) -> Response:
        is_up = self._pace.now() >= self.up_at
        setup: dict[str, Any] = {"started_at": self._began.isoformat(), "logs": ""}
        setup |= {"status": "succeeded", "completed_at": self.up_at.isoformat()} if is_up else {"status": "starting"}
        return replies.Reply({"status": "READY" if is_up else "STARTING", "setup": setup})

    async def _schema(self, _: Request) -> Response:
        return replies.Reply(_COG_SCHEMA)

    async def _predict(self, request: Request) -> Response:
        if self._pace.now() < self.up_at:
            return replies.Reply({"error": "Setup has not finished yet.", "status": "failed"}, 503)
        given = json.loads(await request.body() or b"{}").get("input") or {}
        if not isinstance(given.get("text"), str):
            wrong = {"loc": ["body", "input", "text"], "msg": "Field required", "type": "value_error.missing"}
            return replies.Reply({"detail": [wrong]}, 422)
        await self._pace.sleep(_RUN)
        told = {"id": request.path_params["id"], "output": given["text"], "status": "succeeded"}
        return replies.Reply(told | {"metrics": {"predict_time": _RUN.total_seconds()}})

    async def _cancel(self, _: Request) -> Response:
        return replies.Reply({})

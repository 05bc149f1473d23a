"""The HTTP API under `/v1`: predictions.

Everything a keep-warm daemon or the official clients need. Models, deployments and the account are in `resources`;
what each request passes before it is carried out (faults, token, limits) is in `gate`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from warmer.sandbox import replies, stream, webhooks
from warmer.sandbox.gate import Gate, caller_of
from warmer.sandbox.inputs import InvalidField, InvalidInputError, invalid_fields
from warmer.sandbox.pace import Pace
from warmer.sandbox.predictions import Prediction
from warmer.sandbox.stamps import read_duration, read_hold, read_stamp
from warmer.sandbox.webhooks import Courier
from warmer.sandbox.world import NotThereError, World

PAGE = 100  # predictions; newest first

_COMMON: Mapping[str, Any] = {
    "input": {"type": "object"},
    "webhook": {"type": "string", "format": "uri"},
    "webhook_completed": {"type": "string", "format": "uri"},  # older clients still know it
    "webhook_events_filter": {"type": "array", "items": {"enum": list(webhooks.EVENTS)}},
    "stream": {"type": "boolean"},
}
_BODY = {"type": "object", "required": ["input"], "properties": _COMMON, "additionalProperties": False}
_BODY_WITH_VERSION = {
    **_BODY,
    "required": ["version", "input"],
    "properties": {**_COMMON, "version": {"type": "string"}},
}


async def read_body(request: Request, schema: Mapping[str, Any]) -> dict[str, Any] | Response:
    """The JSON body of a request, or the reply that refuses it."""
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        return replies.bad_request("The request body is not valid JSON.")
    if fields := invalid_fields(schema, body, ""):
        return replies.invalid(fields)
    return dict(body)


class Predictions:
    """Create, get, cancel, list, stream."""

    def __init__(self, world: World, pace: Pace, gate: Gate, courier: Courier) -> None:
        self._world, self._pace, self._gate, self._courier = world, pace, gate, courier

    def routes(self) -> list[Route]:
        """Everything below `/v1/predictions`, and the ways to create through a model or a deployment."""
        by_model, by_deployment = "/v1/models/{owner}/{name}", "/v1/deployments/{owner}/{name}"
        return [
            self._gate.route("POST", "/v1/predictions", "create", self._create_by_version),
            self._gate.route("POST", f"{by_model}/predictions", "create", self._create_by_model),
            self._gate.route("POST", f"{by_deployment}/predictions", "create", self._create_by_deployment),
            self._gate.route("GET", "/v1/predictions", "list", self._list),
            self._gate.route("GET", "/v1/predictions/{id}", "get", self._get),
            self._gate.route("POST", "/v1/predictions/{id}/cancel", "cancel", self._cancel),
            # As the real stream host: the address is the secret, no token is asked for.
            self._gate.route("GET", "/v1/streams/{secret}", "stream", self._stream, guarded=False),
        ]

    async def _create_by_version(self, request: Request) -> Response:
        body = await read_body(request, _BODY_WITH_VERSION)
        if isinstance(body, Response):
            return body
        found = self._find(str(body["version"]))
        return replies.invalid_version() if found is None else await self._create(request, body, *found)

    async def _create_by_model(self, request: Request) -> Response:
        slug = "{owner}/{name}".format(**request.path_params)
        try:
            model = self._world.model(slug)
            runs = model.is_official and model.permitted
        except NotThereError:
            runs = False
        if not runs:
            return replies.not_found()
        body = await read_body(request, _BODY)
        return body if isinstance(body, Response) else await self._create(request, body, slug, None)

    async def _create_by_deployment(self, request: Request) -> Response:
        slug = "{owner}/{name}".format(**request.path_params)
        try:
            self._world.deployment(slug)
        except NotThereError:
            return replies.not_found()
        body = await read_body(request, _BODY)
        return body if isinstance(body, Response) else await self._create(request, body, slug, None)

    def _find(self, asked: str) -> tuple[str, str | None] | None:
        """The model and version that the `version` of a body means; None where it means none.

        Three spellings: 64 hex digits; owner/name:hex; owner/name, the only one for official models and for no other.
        """
        slug, _, version_id = asked.rpartition(":") if ":" in asked else ("", "", asked)
        for model in self._world.models:
            if not model.permitted:
                continue
            if model.is_official:
                if asked == model.slug:
                    return model.slug, None
            elif slug in ("", model.slug) and model.version(version_id):
                return model.slug, version_id
        return None

    async def _create(self, request: Request, body: Mapping[str, Any], target: str, version: str | None) -> Response:
        webhook = body.get("webhook") or body.get("webhook_completed")
        if webhook and not webhooks.allowed(webhook):
            return replies.invalid([InvalidField("format", "webhook", "Must be a HTTPS URL")])
        cancel_after: timedelta | None = None
        if (wish := request.headers.get("cancel-after")) is not None:
            try:
                cancel_after = read_duration(wish)
            except ValueError as error:
                return replies.Reply({"title": "Invalid Cancel-After", "detail": str(error), "status": 422}, 422)
        events = body.get("webhook_events_filter") or (["completed"] if body.get("webhook_completed") else None)
        now = self._pace.now()
        try:
            prediction = self._world.create(
                now,
                target,
                body["input"],
                caller=caller_of(request),
                version=version,
                cancel_after=cancel_after,
                webhook=webhook,
                webhook_events=None if events is None else tuple(events),
            )
        except InvalidInputError as error:
            return replies.invalid(error.fields)
        self._courier.follow(prediction)
        headers = {"location": f"{self._gate.base}/v1/predictions/{prediction.id}"}
        hold = read_hold(request.headers.get("prefer"))
        if hold is not None:
            await self._pace.over(prediction, now + hold)
            headers["preference-applied"] = f"wait={int(hold.total_seconds())}"
        return replies.Reply(self._shown(prediction, held=hold is not None), 201, headers)

    async def _get(self, request: Request) -> Response:
        prediction = self._own(request.path_params["id"])
        return replies.not_found() if prediction is None else replies.Reply(self._shown(prediction))

    async def _cancel(self, request: Request) -> Response:
        prediction = self._own(request.path_params["id"])
        if prediction is None:
            return replies.not_found()
        # A finished one stays as it is. What the real API answers then is not known.
        return replies.Reply(self._shown(self._world.cancel(self._pace.now(), prediction.id)))

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        try:
            after, before = (
                read_stamp(query[key]) if key in query else None for key in ("created_after", "created_before")
            )
            newer_than, older_than = _read_cursor(query.get("cursor"))
        except ValueError:
            return replies.bad_request("A query parameter cannot be read: send ISO 8601 times and cursors as given.")
        if query.get("source", "web") != "web":
            return replies.bad_request("source: only web can be asked for.")
        chosen = [
            one
            for one in reversed(self._world.predictions())
            if "source" not in query
            and (after is None or one.created_at >= after)
            and (before is None or one.created_at < before)
        ]
        if newer_than is not None:
            window = [one for one in chosen if one.number > newer_than][-PAGE:]
        else:
            window = [one for one in chosen if older_than is None or one.number < older_than][:PAGE]
        following = previous = None
        if window and chosen[-1] is not window[-1]:
            following = self._page_url(request, f"<{window[-1].number}")
        if window and chosen[0] is not window[0]:
            previous = self._page_url(request, f">{window[0].number}")
        shown = [self._shown(one) for one in window]
        return replies.Reply(replies.page(shown, following=following, previous=previous))

    async def _stream(self, request: Request) -> Response:
        secret = request.path_params["secret"]
        for prediction in self._world.predictions():
            if prediction.stream_token == secret and prediction.traits.streams:
                frames = stream.events(prediction, self._world, self._pace)
                return StreamingResponse(frames, media_type="text/event-stream", headers={"cache-control": "no-store"})
        return replies.not_found()

    def _page_url(self, request: Request, position: str) -> str:
        cursor = base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")
        url = request.url.include_query_params(cursor=cursor)
        return f"{self._gate.base}{url.path}?{url.query}"

    def _own(self, prediction_id: str) -> Prediction | None:
        try:
            prediction = self._world.prediction(prediction_id)
        except NotThereError:
            return None
        return None if prediction.stranger else prediction

    def _shown(self, prediction: Prediction, *, held: bool = False) -> dict[str, Any]:
        now = self._pace.now()
        self._world.advance(now)
        return replies.prediction(prediction, now, self._gate.base, held=held)


def _read_cursor(cursor: str | None) -> tuple[int | None, int | None]:
    """(newer than, older than) as numbers of creation; one of them, or none without a cursor."""
    if cursor is None:
        return None, None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not a cursor") from error
    match = re.fullmatch(r"([<>])(\d+)", text)
    if match is None:
        raise ValueError("not a cursor")
    return (int(match[2]), None) if match[1] == ">" else (None, int(match[2]))

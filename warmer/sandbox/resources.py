"""The HTTP API under `/v1`: models, deployments, hardware, account, webhook secret."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from warmer.sandbox import replies
from warmer.sandbox.api import read_body
from warmer.sandbox.gate import Gate
from warmer.sandbox.hardware import HARDWARE
from warmer.sandbox.inputs import InvalidField
from warmer.sandbox.pace import Pace
from warmer.sandbox.traits import Deployment, Traits
from warmer.sandbox.webhooks import Courier
from warmer.sandbox.world import NotThereError, World

_RELEASE: dict[str, Any] = {
    "version": {"type": "string"},
    "hardware": {"enum": list(HARDWARE)},
    "min_instances": {"type": "integer", "minimum": 0, "maximum": 5},
    "max_instances": {"type": "integer", "minimum": 0, "maximum": 20},
}
_DEPLOYMENT = {"name": {"type": "string", "pattern": "^[a-z0-9._-]+$"}, "model": {"type": "string"}, **_RELEASE}
_NEW = {"type": "object", "required": list(_DEPLOYMENT), "properties": _DEPLOYMENT, "additionalProperties": False}
_CHANGE = {"type": "object", "properties": _RELEASE, "additionalProperties": False, "minProperties": 1}


def _slug(request: Request) -> str:
    return "{owner}/{name}".format(**request.path_params)


class Models:
    """Models and their versions. A private model of another account is not there at all."""

    def __init__(self, world: World, gate: Gate) -> None:
        self._world, self._gate = world, gate

    def routes(self) -> list[Route]:
        """Everything below `/v1/models`."""
        one = "/v1/models/{owner}/{name}"
        return [
            self._gate.route("GET", "/v1/models", "model", self._list),
            self._gate.route("QUERY", "/v1/models", "model", self._search),
            self._gate.route("GET", one, "model", self._get),
            self._gate.route("GET", f"{one}/versions", "model", self._versions),
            self._gate.route("GET", f"{one}/versions/{{id}}", "model", self._version),
        ]

    async def _list(self, request: Request) -> Response:
        public = [model for model in self._world.models if not model.private and model.permitted]
        oldest_first = request.query_params.get("sort_direction", "desc") == "asc"
        public.sort(key=lambda model: model.latest.created_at, reverse=not oldest_first)
        return self._page(public)

    async def _search(self, request: Request) -> Response:
        words = (await request.body()).decode(errors="replace").lower().split()
        public = [model for model in self._world.models if not model.private and model.permitted]
        return self._page(
            [model for model in public if all(word in f"{model.slug} {model.description}".lower() for word in words)]
        )

    def _page(self, models: list[Traits]) -> Response:
        return replies.Reply(replies.page([replies.model(model, self._gate.base) for model in models]))

    async def _get(self, request: Request) -> Response:
        try:
            return replies.Reply(replies.model(self._model(request), self._gate.base))
        except NotThereError:
            return replies.not_found()

    def _model(self, request: Request) -> Traits:
        model = self._world.model(_slug(request))
        if not model.permitted:
            raise NotThereError(f"{model.slug} is not for this account")
        return model

    async def _versions(self, request: Request) -> Response:
        try:
            model = self._model(request)
        except NotThereError:
            return replies.not_found()
        # Those of an official model are hidden.
        versions = [] if model.is_official else [replies.version(version) for version in model.versions]
        return replies.Reply(replies.page(versions))

    async def _version(self, request: Request) -> Response:
        try:
            version = self._model(request).version(request.path_params["id"])
        except NotThereError:
            version = None
        return replies.not_found() if version is None else replies.Reply(replies.version(version))


class Deployments:
    """Deployments of the account."""

    def __init__(self, world: World, pace: Pace, gate: Gate) -> None:
        self._world, self._pace, self._gate = world, pace, gate

    def routes(self) -> list[Route]:
        """Everything below `/v1/deployments` but creating predictions."""
        one = "/v1/deployments/{owner}/{name}"
        return [
            self._gate.route("GET", "/v1/deployments", "deployment", self._list),
            self._gate.route("POST", "/v1/deployments", "deployment", self._create),
            self._gate.route("GET", one, "deployment", self._get),
            self._gate.route("PATCH", one, "deployment", self._change),
            self._gate.route("DELETE", one, "deployment", self._delete),
        ]

    async def _list(self, request: Request) -> Response:
        return replies.Reply(replies.page([self._shown(one) for one in self._world.deployments]))

    async def _create(self, request: Request) -> Response:
        body = await read_body(request, _NEW)
        if isinstance(body, Response):
            return body
        try:
            deployment = Deployment(owner=self._world.account.username, created_at=self._pace.now(), **body)
            self._world.deploy(self._pace.now(), deployment)
        except NotThereError:
            return replies.invalid_version()
        except ValueError as error:
            return replies.invalid([InvalidField("invalid", "", str(error))])
        return replies.Reply(self._shown(deployment))

    async def _get(self, request: Request) -> Response:
        try:
            return replies.Reply(self._shown(self._world.deployment(_slug(request))))
        except NotThereError:
            return replies.not_found()

    async def _change(self, request: Request) -> Response:
        try:
            self._world.deployment(_slug(request))
        except NotThereError:
            return replies.not_found()
        body = await read_body(request, _CHANGE)
        if isinstance(body, Response):
            return body
        try:
            return replies.Reply(self._shown(self._world.release(self._pace.now(), _slug(request), **body)))
        except NotThereError:
            return replies.invalid_version()
        except ValueError as error:
            return replies.invalid([InvalidField("invalid", "", str(error))])

    async def _delete(self, request: Request) -> Response:
        try:
            self._world.undeploy(self._pace.now(), _slug(request))
        except NotThereError:
            return replies.not_found()
        return Response(status_code=204)

    def _shown(self, deployment: Deployment) -> dict[str, Any]:
        return replies.deployment(deployment, self._world.account)


class Accounts:
    """The account itself, and what it may rent."""

    def __init__(self, world: World, gate: Gate, courier: Courier) -> None:
        self._world, self._gate, self._courier = world, gate, courier

    def routes(self) -> list[Route]:
        """`/v1/hardware`, `/v1/account` and `/v1/webhooks/default/secret`."""
        return [
            self._gate.route("GET", "/v1/hardware", "hardware", self._hardware),
            self._gate.route("GET", "/v1/account", "account", self._account),
            self._gate.route("GET", "/v1/webhooks/default/secret", "account", self._secret),
        ]

    async def _hardware(self, request: Request) -> Response:
        return replies.Reply(replies.hardware())

    async def _account(self, request: Request) -> Response:
        return replies.Reply(replies.account(self._world.account))

    async def _secret(self, request: Request) -> Response:
        return replies.Reply({"key": self._courier.secret})

"""What the real API has not: the truth, the clock, faults, customers, what comes and goes.

Outside `/v1`, and without a token.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from warmer.sandbox import replies
from warmer.sandbox.catalogue import PIXEL
from warmer.sandbox.faults import Fault
from warmer.sandbox.gate import Gate
from warmer.sandbox.inputs import InvalidInputError
from warmer.sandbox.outputs import FILES
from warmer.sandbox.pace import Pace
from warmer.sandbox.stamps import stamp
from warmer.sandbox.world import NotThereError, World

_PIXEL = base64.b64decode(PIXEL.partition(",")[2])


def plain(value: Any) -> Any:
    """A value as JSON has it: money as a decimal string, spans in seconds under a name ending in `_s`, times in UTC."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f"{item.name}_s" if item.type == "timedelta" or item.type == "timedelta | None" else item.name: plain(
                getattr(value, item.name)
            )
            for item in fields(value)
        }
    match value:
        case datetime():
            return stamp(value)
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return f"{value:f}"
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


class Control:
    """`/sandbox/…`."""

    def __init__(self, world: World, pace: Pace, gate: Gate) -> None:
        self._world, self._pace, self._gate = world, pace, gate

    def routes(self) -> list[Route]:
        """Every control endpoint, and the output files."""
        return [
            Route("/sandbox/clock", self._clock),
            Route("/sandbox/journal", self._journal),
            Route("/sandbox/totals", self._totals),
            Route("/sandbox/faults", self._faults, methods=["GET", "POST", "DELETE"]),
            Route("/sandbox/customer", self._customer, methods=["POST"]),
            Route("/sandbox/versions", self._versions, methods=["POST", "DELETE"]),
            Route("/sandbox/models", self._models, methods=["POST", "DELETE"]),
            Route("/sandbox/failures", self._fail, methods=["POST"]),
            Route(FILES + "/{path:path}", self._file),
        ]

    def _advance(self) -> datetime:
        now = self._pace.now()
        self._world.advance(now)
        return now

    async def _clock(self, request: Request) -> Response:
        return replies.Reply({"now": stamp(self._pace.now()), "speed": self._pace.speed})

    async def _journal(self, request: Request) -> Response:
        now, query = self._advance(), request.query_params
        journal, target = self._world.journal, query.get("target")
        return replies.Reply(
            {
                "now": stamp(now),
                "predictions": plain(journal.calls(caller=query.get("caller"), target=target)),
                "instances": plain(journal.instances(now, target=target)),
            }
        )

    async def _totals(self, request: Request) -> Response:
        now, query = self._advance(), request.query_params
        journal, who = self._world.journal, {"caller": query.get("caller"), "target": query.get("target")}
        replies_by_operation: dict[str, dict[str, int]] = {}
        for (operation, status), count in sorted(self._gate.tally.items()):
            replies_by_operation.setdefault(operation, {})[status] = count
        return replies.Reply(
            {
                "now": stamp(now),
                "creates": journal.creates(**who),
                "running_now": journal.running_now(**who),
                "cold_share": journal.cold_share(**who),
                "billed_usd": plain(journal.billed_usd(now, target=query.get("target"))),
                "totals": [plain(one) | {"cold_share": one.cold_share} for one in journal.totals(**who)],
                "replies": replies_by_operation,
            }
        )

    async def _faults(self, request: Request) -> Response:
        faults = self._gate.faults
        if request.method == "DELETE":
            faults.clear()
        elif request.method == "POST":
            try:
                wish = json.loads(await request.body())
                faults.add(Fault(**wish))
            except (TypeError, ValueError) as error:
                return replies.bad_request(str(error), "No such fault")
        return replies.Reply({"faults": [asdict(fault) for fault in faults.all]})

    async def _customer(self, request: Request) -> Response:
        """A customer's call: `model` (or a deployment), `version`, `input`, `caller`, `stranger`."""
        try:
            wish = json.loads(await request.body())
            target = str(wish["model"])
            prediction = self._world.create(
                self._pace.now(),
                target,
                wish.get("input", {}),
                caller=str(wish.get("caller", "customer")),
                version=wish.get("version"),
                stranger=bool(wish.get("stranger", False)),
            )
        except InvalidInputError as error:
            return replies.invalid(error.fields)
        except NotThereError as error:
            return replies.not_found(str(error))
        except (KeyError, TypeError, ValueError):
            return replies.bad_request('Send {"model": "owner/name", "input": {…}, "caller": "label"}.')
        return replies.Reply(replies.prediction(prediction, self._pace.now(), self._gate.base), 201)

    async def _versions(self, request: Request) -> Response:
        """A new latest version of `model`, with `openapi_schema` or else its predecessor's; or one of them deleted."""
        if request.method == "DELETE":
            slug, old = request.query_params.get("model", ""), request.query_params.get("version", "")
            return self._done(lambda: self._world.delete_version(self._pace.now(), slug, old))
        try:
            wish = json.loads(await request.body())
            version = self._world.publish(self._pace.now(), str(wish["model"]), wish.get("openapi_schema"))
        except NotThereError as error:
            return replies.not_found(str(error))
        except (KeyError, TypeError, ValueError):
            return replies.bad_request('Send {"model": "owner/name"}.')
        return replies.Reply(replies.version(version), 201)

    async def _models(self, request: Request) -> Response:
        """`model` is deleted; or `permitted`, false: it is private, and of another account."""
        if request.method == "DELETE":
            model = request.query_params.get("model", "")
            return self._done(lambda: self._world.delete_model(self._pace.now(), model))
        try:
            wish = json.loads(await request.body())
            model, permitted = str(wish["model"]), bool(wish["permitted"])
        except (KeyError, TypeError, ValueError):
            return replies.bad_request('Send {"model": "owner/name", "permitted": false}.')
        return self._done(lambda: self._world.permit(model, permitted=permitted))

    @staticmethod
    def _done(work: Callable[[], None]) -> Response:
        try:
            work()
        except NotThereError as error:
            return replies.not_found(str(error))
        except ValueError as error:
            return replies.bad_request(str(error))
        return Response(status_code=204)

    async def _fail(self, request: Request) -> Response:
        """Let the next `times` predictions of `model` end as failed, with `error` as their text."""
        try:
            wish = json.loads(await request.body())
            self._world.fail_next(str(wish["model"]), str(wish.get("error", "E1000")), int(wish.get("times", 1)))
        except (KeyError, TypeError, ValueError):
            return replies.bad_request('Send {"model": "owner/name", "error": "text", "times": 1}.')
        return Response(status_code=204)

    async def _file(self, request: Request) -> Response:
        return Response(_PIXEL, media_type="image/png")

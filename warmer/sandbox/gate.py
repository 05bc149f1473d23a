"""What every request passes before it is carried out: faults, the token, the limits; and the tally of it all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from warmer.sandbox import replies
from warmer.sandbox.faults import Cut, Faults, in_place, spoil
from warmer.sandbox.limits import LOW_CREDIT_BURST, LOW_CREDIT_PER_MINUTE, Bucket, Grant
from warmer.sandbox.pace import Pace
from warmer.sandbox.traits import Account
from warmer.sandbox.world import World

Handler = Callable[[Request], Awaitable[Response]]


def token_of(request: Request) -> str:
    """The bearer token of a request, empty where there is none. `Token` is an older spelling that is still accepted."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "token") else ""


def caller_of(request: Request) -> str:
    """The label of a caller: `customer` for `r8_customer_…`, else `account`. Never the rest of the token."""
    match = re.match(r"r8_([A-Za-z0-9-]{1,32})_", token_of(request))
    return match[1] if match else "account"


class Gate:
    """Lets a request through, or answers in its place."""

    def __init__(self, world: World, pace: Pace, account: Account) -> None:
        self.base = ""  # scheme, host and port; known once the server listens
        self.faults = Faults()
        self.tally: Counter[tuple[str, str]] = Counter()  # (operation, HTTP status or "cut") -> replies
        self._world, self._pace, self._account = world, pace, account
        self._creates = Bucket(per_minute=account.creates_per_minute)
        self._reads = Bucket(per_minute=account.reads_per_minute)
        self._scarce = Bucket(per_minute=LOW_CREDIT_PER_MINUTE, burst=LOW_CREDIT_BURST)

    def route(self, method: str, path: str, operation: str, handler: Handler, *, guarded: bool = True) -> Route:
        """A route whose requests pass the gate; `guarded` ones need the token and count towards the limits."""

        async def endpoint(request: Request) -> Response:
            response = await self._pass(request, operation, handler, guarded)
            # A client that compares this with its own clock must find the world's time, however fast it runs.
            response.headers.setdefault("date", format_datetime(self._pace.now(), usegmt=True))
            self.tally[operation, "cut" if isinstance(response, Cut) else str(response.status_code)] += 1
            return response

        return Route(path, endpoint, methods=[method])

    async def _pass(self, request: Request, operation: str, handler: Handler, guarded: bool) -> Response:
        self._world.advance(self._pace.now())
        fault = await self.faults.take(operation, request)
        if fault is not None and (answer := in_place(fault, request)) is not None:
            return answer
        response = await (self._admit(request, operation, handler) if guarded else handler(request))
        if fault is None:
            return response
        if fault.kind == "delay":
            await self._pace.sleep(timedelta(seconds=fault.seconds))
        return spoil(fault, response, self.base)

    async def _admit(self, request: Request, operation: str, handler: Handler) -> Response:
        if not self._account.knows(token_of(request)):
            return replies.unauthenticated()
        grant, scarce = self._ask(operation)
        if not grant.allowed:
            return (
                replies.throttled_low_credit(grant.reset_s)
                if scarce
                else replies.throttled(grant.reset_s, grant.headers)
            )
        response = await handler(request)
        if not scarce:
            response.headers.update(grant.headers)
        return response

    def _ask(self, operation: str) -> tuple[Grant, bool]:
        now = self._pace.now()
        scarce = operation == "create" and (self._account.low_credit or self.faults.low_credit)
        bucket = self._scarce if scarce else self._creates if operation == "create" else self._reads
        return bucket.take(now), scarce

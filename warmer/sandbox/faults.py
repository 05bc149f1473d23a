"""Faults that a test switches on, to see what a client makes of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from warmer.sandbox import replies

Kind = Literal[
    "status", "redirect", "foreign_urls", "cut", "garbage", "huge", "delay", "rewrite", "low_credit", "repeat"
]
Operation = Literal[
    "create", "get", "cancel", "list", "model", "deployment", "hardware", "account", "stream", "webhook", "any"
]
_OF_WEBHOOKS = ("cut", "delay", "repeat")
Garbage = Literal["truncated", "html", "array"]

CUT = "warmer.sandbox.cut"  # the ASGI extension by which a reply drops its connection


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    kind: what. `status` and `redirect` answer in the place of the API, nothing is carried out. Every other kind
        carries the request out first, and then spoils the reply; `low_credit` only tightens the limit of creates.
    on: at which requests; `any` are those to the API. At a `webhook`, `cut` loses it, as if it had been taken, `delay`
        has it come late, and `repeat` has it come once more.
    match: only where the path or the body holds this text. every: only at each so many of those.
    times: how often, None = until cleared.
    """

    kind: Kind
    on: Operation = "any"
    match: str = ""
    times: int | None = None
    every: int = 1
    status: int = 500  # status
    body: Any = None  # status: JSON, or text as it is; default as the real API answers
    headers: Mapping[str, str] = field(default_factory=dict)  # status
    content_type: str | None = None  # status
    to: str = ""  # redirect: an address, the path is added where it has none; foreign_urls: scheme and host
    how: Garbage = "truncated"  # garbage
    size: int = 50_000_000  # huge: bytes
    seconds: float = 0.0  # delay: virtual seconds until the reply
    set: Mapping[str, Any] = field(default_factory=dict)  # rewrite: top-level keys to set in the reply
    drop: tuple[str, ...] = ()  # rewrite: top-level keys to leave out
    used: int = 0
    met: int = 0  # how often it could have happened

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind {self.kind!r} is unknown: use one of {', '.join(get_args(Kind))}")
        if self.on not in get_args(Operation):
            raise ValueError(f"on {self.on!r} is unknown: use one of {', '.join(get_args(Operation))}")
        if self.how not in get_args(Garbage):
            raise ValueError(f"how {self.how!r} is unknown: use one of {', '.join(get_args(Garbage))}")
        if self.kind in ("redirect", "foreign_urls") and not self.to:
            raise ValueError(f"to is missing: {self.kind} needs an address such as http://127.0.0.1:1234")
        if self.kind not in _OF_WEBHOOKS if self.on == "webhook" else self.kind == "repeat":
            raise ValueError(f"kind {self.kind} does not go with {self.on}: webhooks have cut, delay and repeat")
        if self.every < 1:
            raise ValueError(f"every is {self.every}: use 1 for each time")
        if not 400 <= self.status <= 599:
            raise ValueError(f"status is {self.status}: use 400 to 599")

    def falls(self) -> bool:
        """Whether it happens this time; counted."""
        self.met += 1
        if self.met % self.every:
            return False
        self.used += 1
        return True

    @property
    def spent(self) -> bool:
        """Whether it has happened as often as it should."""
        return self.times is not None and self.used >= self.times


class Faults:
    """The faults in force, oldest first. At most one applies to a request."""

    def __init__(self) -> None:
        self._all: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        self._all.append(fault)

    def clear(self) -> None:
        """Switch all faults off."""
        self._all.clear()

    @property
    def all(self) -> tuple[Fault, ...]:
        """Those switched on since the last clearing, spent ones included."""
        return tuple(self._all)

    @property
    def low_credit(self) -> bool:
        """Whether creates are held to the limit of an account short of credit."""
        return any(fault.kind == "low_credit" for fault in self._all)

    async def take(self, operation: str, request: Request) -> Fault | None:
        """The fault that applies to this request, counted as used."""
        for fault in self._all:
            if fault.kind == "low_credit" or fault.spent or fault.on not in ("any", operation):
                continue
            if fault.match and fault.match not in request.url.path + (await request.body()).decode(errors="replace"):
                continue
            if fault.falls():
                return fault
        return None

    def take_webhook(self, url: str, body: str) -> Fault | None:
        """The fault that applies to this webhook, counted as used."""
        for fault in self._all:
            if fault.on == "webhook" and not fault.spent and fault.match in url + body and fault.falls():
                return fault
        return None


def in_place(fault: Fault, request: Request) -> Response | None:
    """The answer of a fault that carries nothing out; None for every other kind."""
    if fault.kind == "redirect":
        bare = fault.to.split("://", 1)[-1].rstrip("/")
        target = fault.to if "/" in bare else fault.to.rstrip("/") + request.url.path
        return Response(status_code=307, headers={"location": target})
    if fault.kind != "status":
        return None
    usual = _usual(fault.status)
    body = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
    return Response(
        usual.body if fault.body is None else body,
        status_code=fault.status,
        headers=dict(fault.headers),
        media_type=fault.content_type or usual.media_type,
    )


def _usual(status: int) -> Response:
    match status:
        case 401:
            return replies.unauthenticated()
        case 402:
            return replies.insufficient_credit()
        case 404:
            return replies.not_found()
        case 422:
            return replies.invalid_version()
        case 429:
            return replies.throttled(30, {})
        case _ if status >= 500:
            return Response(f"<html><head><title>{status}</title></head></html>", media_type="text/html")
        case _:
            return replies.Reply({"detail": "Refused.", "status": status})


def spoil(fault: Fault, response: Response, base: str) -> Response:
    """The reply to a request that was carried out, as the fault leaves it."""
    if fault.kind == "cut":
        return Cut()
    if fault.kind == "huge":
        return StreamingResponse(_padding(fault.size), response.status_code, media_type=replies.JSON)
    if isinstance(response, StreamingResponse):
        return response
    body = bytes(response.body)
    match fault.kind:
        case "garbage":
            spoiled = {"truncated": body[: len(body) // 2], "html": b"<html>Oops</html>", "array": b"[1,2,3]"}
            body = spoiled[fault.how]
        case "foreign_urls":
            for kind in ("predictions", "streams"):
                body = body.replace(f"{base}/v1/{kind}".encode(), f"{fault.to.rstrip('/')}/v1/{kind}".encode())
        case "rewrite":
            kept = {key: value for key, value in json.loads(body).items() if key not in fault.drop}
            body = json.dumps({**kept, **fault.set}).encode()
        case _:
            return response
    headers = {key: value for key, value in response.headers.items() if key != "content-length"}
    return Response(body, response.status_code, headers)


async def _padding(size: int) -> AsyncIterator[bytes]:
    yield b'{"padding":"'
    for start in range(0, size, 65_536):
        yield b"x" * min(65_536, size - start)
    yield b'"}'


class Cut(Response):
    """No reply at all: the connection is closed after the request was carried out."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection and wait until it is."""
        scope["extensions"][CUT]()
        while (await receive())["type"] != "http.disconnect":
            pass

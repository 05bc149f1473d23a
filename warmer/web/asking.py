"""Who may change something over HTTP, and what a request asks for: refused, with what to do, or read."""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from warmer.core.override import lasting
from warmer.core.units import parse_duration, parse_instant

BODY_BYTES = 16 * 1024
"""Far above any request here."""
FILE_BYTES = 1 << 20
"""Of a configuration file: a larger one is not read from a disk either."""


class Refusal(Exception):
    """A request that is not carried out: the status, what is wrong and what to do."""

    def __init__(self, status: int, error: str, hint: str, **facts: Any) -> None:
        super().__init__(error)
        self.status, self.told = status, {"error": error, "hint": hint} | facts


async def refused(request: Request, error: Exception) -> Response:
    """The reply to one."""
    assert isinstance(error, Refusal)  # noqa: S101 - the handler is called for nothing else
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse(error.told, error.status, headers=headers)


def check_admin(request: Request, token: str | None) -> None:
    """Refuse whoever may not change anything: a page of another site, or who does not know the token."""
    if token is None:
        hint = "write `admin_token: env:WARMER_ADMIN_TOKEN` into the file, and set that variable"
        raise Refusal(403, "nothing can be changed over HTTP: the file has no admin_token", hint)
    origin = request.headers.get("origin")
    is_foreign = origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    if is_foreign or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refusal(403, "a page of another site asks for this", "ask from outside of a browser, or from this server")
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    # As bytes: compared as texts, what is not ASCII is an error.
    if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), token.encode()):
        raise Refusal(401, "this asks for the admin token", "send it as `Authorization: Bearer TOKEN`")


async def file_of(request: Request) -> bytes:
    """The YAML file in the body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/yaml":
        raise Refusal(415, "the body is not said to be YAML", "send the file with `Content-Type: application/yaml`")
    return await read_body(request, FILE_BYTES, "send the file itself; it holds a few thousand models at most")


async def read_body(request: Request, most: int, hint: str) -> bytes:
    """The body, of at most so many bytes."""
    told = bytearray()
    async for chunk in request.stream():
        told += chunk
        if len(told) > most:
            raise Refusal(413, f"the body is over {most} bytes", hint)
    return bytes(told)


async def body_of(request: Request, known: Collection[str], *, may_be_empty: bool = False) -> Mapping[str, Any]:
    """The JSON object in the body, which has no keys but those `known`."""
    text = await read_body(request, BODY_BYTES, "send one small JSON object")
    if not text and may_be_empty:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "the body is not said to be JSON", "send `Content-Type: application/json`")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Refusal(400, "the body is no JSON object", f"send one with {_listed(known)}")
    if unknown := sorted(told.keys() - set(known)):
        raise Refusal(400, f"there is no key {unknown[0]!r} here", f"there are {_listed(known)}")
    return told


def text_in(body: Mapping[str, Any], key: str, like: str) -> str | None:
    """The text under `key`, or None."""
    told = body.get(key)
    if told is not None and not isinstance(told, str):
        raise Refusal(400, f"`{key}` is no text", f"write such as {like!r}")
    return told


def lasting_in(body: Mapping[str, Any], *, needed: bool) -> timedelta | None:
    """The duration under `for`."""
    told = text_in(body, "for", "2h")
    if told is None:
        if needed:
            raise Refusal(400, "for how long is missing", 'send {"for": "2h"}')
        return None
    try:
        return lasting(parse_duration(told))
    except ValueError as exc:
        raise Refusal(400, f"`for`: {exc}", 'send {"for": "2h"}') from exc


def instant_in(body: Mapping[str, Any], key: str) -> datetime | None:
    """The moment under `key`, or None."""
    like = "2026-11-21T12:00:00Z"
    told = text_in(body, key, like)
    try:
        return None if told is None else parse_instant(told)
    except ValueError as exc:
        raise Refusal(400, f"`{key}`: {exc}", f"write such as {like}") from exc


def _listed(known: Collection[str]) -> str:
    return ", ".join(f"`{key}`" for key in known) or "no keys"

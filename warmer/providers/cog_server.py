"""One Cog server over HTTP: how it stands, what it takes, one prediction. Source: the HTTP API that Cog gives a model.

It has no token, no list and no way to ask for a prediction by its id: who waits for one on its connection, and nobody
else, is told how it ended. Where that connection breaks, the server gives the prediction up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import httpx

from warmer.core.schema_input import component, kind_of
from warmer.core.units import parse_instant
from warmer.errors import Doubtful, ModelFailed, ModelRefused, ProviderError, Unavailable, Unreachable
from warmer.ports import Clock
from warmer.providers.hostclock import date_of
from warmer.providers.replies import at, clean, is_thinkable, word
from warmer.providers.wire import MAX_REPLY_BYTES, NEVER_SENT, TIMEOUT_S, Reply, is_loopback, said
from warmer.version import __version__

_CONNECT_S = 5.0
_BEING_BROUGHT_UP = (502, 503, 504)
"""What a proxy says for a server that it is only starting. Cog itself answers 200 from its first second on."""
_LOG_LINES = 3


class Stage(StrEnum):
    """How a server says it stands."""

    STARTING = "STARTING"  # in its setup
    READY = "READY"
    BUSY = "BUSY"  # all of its slots are taken
    SETUP_FAILED = "SETUP_FAILED"
    DEFUNCT = "DEFUNCT"  # its worker died
    UNHEALTHY = "UNHEALTHY"  # by a health check of the model's own

    @property
    def is_up(self) -> bool:
        """Whether the setup is over and well."""
        return self in (Stage.READY, Stage.BUSY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a server says of itself. Stamps are by its own clock."""

    stage: Stage
    since: datetime | None = None  # when its setup began: what tells one life of it from another
    ready_at: datetime | None = None  # when that was over
    at: datetime | None = None  # its time of the reply, to the second
    logs: str = field(default="", repr=False)  # of its setup, the end

    @property
    def boot_s(self) -> float | None:
        """Seconds that its setup took; None where it is not over, or not told."""
        if self.since is None or self.ready_at is None or not self.stage.is_up:
            return None
        return max(0.0, (self.ready_at - self.since).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a server says that it takes."""

    input_schema: Mapping[str, Any]
    kind: str  # in a word: text, image, audio …


class CogWire:
    """The connections to one server."""

    def __init__(self, url: str, clock: Clock, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url, self._clock = url, clock
        parts = urlsplit(url)
        self._http = httpx.AsyncClient(
            transport=transport,
            verify=parts.scheme == "https",  # for the other there is nothing to verify, and getting ready to takes long
            # A server that was restarted must not be met on a connection to the one before.
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=not is_loopback(parts.hostname or ""),
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"warmer/{__version__}",
            },
        )

    @property
    def url(self) -> str:
        """The server's address, for messages."""
        return self._url

    async def version(self) -> str:
        """Its Cog's version; empty where it does not say."""
        return word((await self._get("/")).body, "cog_version") or ""

    async def look(self, patience_s: float = TIMEOUT_S) -> Look:
        """How it stands. A proxy that starts it on demand may hold the reply: for up to `patience_s` seconds.

        Raises Unreachable, Unavailable where nothing that makes sense came, ModelRefused where it is no Cog server.
        """
        reply = await self._get("/health-check", patience_s)
        if reply.status in _BEING_BROUGHT_UP:
            return Look(stage=Stage.STARTING)
        stage = word(reply.body, "status")
        if reply.status != 200 or stage not in list(Stage):
            raise self._strange(reply, "/health-check")
        logs = at(reply.body, "setup", "logs")
        return Look(
            stage=Stage(stage),
            since=_instant(at(reply.body, "setup", "started_at")),
            ready_at=_instant(at(reply.body, "setup", "completed_at")),
            at=date_of(reply.headers),
            logs=clean(" | ".join(logs.splitlines()[-_LOG_LINES:])) if isinstance(logs, str) else "",
        )

    async def takes(self) -> Taken | None:
        """What it takes; None where it does not say, be it that its setup is not over or that it has no schema."""
        schemas = at((await self._get("/openapi.json")).body, "components", "schemas")
        if not isinstance(schemas, Mapping):
            return None
        taken = component(schemas, "Input")
        return None if taken is None else Taken(input_schema=taken, kind=kind_of(taken, component(schemas, "Output")))

    async def predict(self, name: str, given: Mapping[str, Any], patience_s: float) -> tuple[Reply, float]:
        """Run it once under the id `name`. Returns what was answered at its end, and the monotonic time of that.

        Raises Unreachable where it certainly never arrived, Doubtful where nothing whole came back.
        """
        body = json.dumps({"id": name, "input": given}, default=str).encode()
        return await self._ask("PUT", f"/predictions/{name}", patience_s, body)

    async def cancel(self, name: str) -> None:
        """Ask for a prediction to be stopped; harmless on a finished one."""
        await self._ask("POST", f"/predictions/{name}/cancel", TIMEOUT_S, b"")

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    def problem_of(self, reply: Reply) -> ProviderError:
        """The error that a reply to `predict` stands for that does not tell of a prediction."""
        if reply.status == 422 and (fields := _fields(reply.body)):
            return ModelRefused(f"{self._url} refuses the input: {fields}", f"correct `input`: {fields}", "input")
        told = word(reply.body, "error") or word(reply.body, "detail")
        if reply.status in (400, 413, 422):
            told = f"{reply.status}: {told}" if told else f"{reply.status}"
            return ModelRefused(f"{self._url} refuses the input ({told})", "correct `input`", "input")
        if reply.status >= 500:
            return ModelFailed(f"{self._url} failed ({reply.status}{': ' + told if told else ''}): look at its log")
        return self._strange(reply, "/predictions")

    def trouble_of(self, look: Look) -> ModelFailed:
        """The error that a server stands for that is not up, nor comes up by itself."""
        logs = f". The end of its setup's log: {look.logs}" if look.logs else ""
        why = {
            Stage.SETUP_FAILED: "its setup failed: mend what its log tells of, and start it again",
            Stage.DEFUNCT: "its worker died: look at its log, and start it again",
        }.get(look.stage, "its own health check fails: look at its log")
        return ModelFailed(f"{self._url} is {look.stage}: {why}{logs}")

    async def _get(self, path: str, patience_s: float = TIMEOUT_S) -> Reply:
        try:
            reply, _ = await self._ask("GET", path, patience_s)
        except Doubtful as exc:  # asking is harmless to repeat
            raise Unavailable(str(exc)) from None
        return reply

    async def _ask(self, method: str, path: str, patience_s: float, body: bytes | None = None) -> tuple[Reply, float]:
        headers = {"Content-Type": "application/json"} if body else {}
        begun = self._clock.monotonic()
        try:
            async with (
                asyncio.timeout(patience_s * 1.5),
                self._http.stream(
                    method,
                    self._url + path,
                    content=body,
                    headers=headers,
                    timeout=httpx.Timeout(patience_s, connect=min(_CONNECT_S, patience_s)),
                ) as response,
            ):
                answered = self._clock.monotonic()  # the rest, a large output perhaps, is on its way
                value = await _json(response)
                return Reply(status=response.status_code, headers=response.headers, body=value), answered
        except NEVER_SENT as exc:
            raise Unreachable(
                f"no connection to {self._url} ({said(exc)}): start the Cog server, or correct `cog` in its entry",
                waited_s=self._clock.monotonic() - begun,
            ) from None
        except (httpx.ReadTimeout, TimeoutError):
            raise Doubtful(f"{self._url} did not answer {method} {path} within {patience_s:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
            raise Doubtful(f"the reply of {self._url} to {method} {path} was lost ({said(exc)})") from None

    def _strange(self, reply: Reply, path: str) -> ProviderError:
        if reply.status in (401, 403):
            hint = "let this machine in without a password: warmer has none for a Cog server"
        elif 300 <= reply.status < 400:
            hint = "write its final address: redirects are not followed"
        elif reply.status == 429 or reply.status >= 500:
            return Unavailable(f"{self._url} answers {reply.status} to {path}. It is worth another try later")
        else:
            hint = "write the address of a Cog server, as `cog: http://127.0.0.1:5000`"
        return ModelRefused(f"{self._url} answers {reply.status} to {path}, as no Cog server does", hint, "target")


async def _json(response: httpx.Response) -> Any:
    """The JSON value of a reply; None where it has none. Raises Doubtful for one that would fill the memory."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_REPLY_BYTES:
            raise Doubtful(
                f"the reply of {response.url} is longer than {MAX_REPLY_BYTES >> 20} MiB and was not read to its end: "
                "write an `input` with a smaller output"
            )
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _instant(value: object) -> datetime | None:
    try:
        moment = parse_instant(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
    return moment if moment is not None and is_thinkable(moment) else None


def _fields(body: object) -> str:
    """The fields that a 422 names, and what it says of each."""
    entries = at(body, "detail")
    named = []
    for entry in entries[:10] if isinstance(entries, list) else ():
        way = at(entry, "loc")
        steps = [str(step) for step in way] if isinstance(way, list) else []
        name = ".".join(steps[2:] if steps[:2] == ["body", "input"] else steps)
        named.append(": ".join(part for part in (name, word(entry, "msg")) if part))
    return clean("; ".join(part for part in named if part))

"""Any HTTP endpoint: what keeps it warm is a request to it, asked until it is served."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from warmer.core import answer as answers
from warmer.core.address import is_inside
from warmer.core.answer import Answer, Elsewhere, Failed, Queued, Refused, Served, Waking
from warmer.core.beat import BeatRequest, Contract, Prediction, Status
from warmer.core.endpoint import Endpoint
from warmer.core.price import Billing
from warmer.core.secret import SecretRef
from warmer.core.spec import Target
from warmer.core.units import format_duration
from warmer.errors import Doubtful, ModelRefused, ProviderError, Unavailable, Unreachable, UsageError
from warmer.ports import Clock
from warmer.providers.lone import LoneHost
from warmer.version import __version__

HOLD_S = 2.0
"""How long a create waits for a first reply: a no that comes within it is told at once, and so is a warm call's end."""
CONNECT_S = 10.0
MAX_REPLY_BYTES = 1024 * 1024
"""What is longer is left where it is: a heartbeat needs a status, and perhaps a few words of JSON."""
_CANCEL_S = 10.0
_KEPT = 64
"""Ended calls that can still be read. Each is read once it has ended, within seconds."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


@dataclass(slots=True)
class _Call:
    """A beat that is out, or was."""

    prediction: Prediction
    since: float  # monotonic
    heard: asyncio.Event = field(default_factory=asyncio.Event)  # there was a reply, or there is an end
    refusal: ProviderError | None = None  # what it ended with, where it was not taken
    woke: bool = False  # it was told that an instance is still starting
    said: str = ""  # by its last reply
    remote: str | None = None  # its id at the host
    is_told_to_end: bool = False
    task: asyncio.Task[None] | None = None


class HttpEndpoint(LoneHost):
    """The `Provider` port over one endpoint. Secrets go to its own origin, by TLS unless it is of one's own network."""

    def __init__(
        self,
        endpoint: Endpoint,
        secrets: Mapping[SecretRef, str],
        clock: Clock,
        *,
        hold_s: float = HOLD_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`secrets`: what `endpoint.secrets` refer to; `hold_s`: how long a create may be held.

        Raises UsageError where a proxy of the environment cannot be used.
        """
        super().__init__(endpoint.label)
        self._endpoint, self._clock, self._hold_s = endpoint, clock, hold_s
        self._secrets = tuple(secrets.values())
        self._headers, self._content = _sent(endpoint, secrets)
        self._calls = OrderedDict[str, _Call]()
        self._usual_run_s = 0.0  # of the latest warm call
        try:
            # Over TLS a proxy of the environment sees a tunnel; of what goes in clear it would see all.
            trust_env = not is_inside(urlsplit(endpoint.url).hostname or "")
            tls = True if transport is not None else _tls(trust_env)
            self._http = httpx.AsyncClient(transport=transport, verify=tls, follow_redirects=False, trust_env=trust_env)
        except (ImportError, ValueError) as exc:
            raise UsageError(
                f"the proxy named in the environment cannot be used: {exc}. Correct HTTPS_PROXY or ALL_PROXY, "
                f"or add the host of {endpoint.origin} to NO_PROXY"
            ) from None

    def __repr__(self) -> str:
        return f"HttpEndpoint({self._endpoint.origin!r})"

    async def verify(self) -> str:
        """The endpoint's host. Nothing is sent: any request could start an instance, and cost money."""
        return self._endpoint.origin

    async def describe(self, target: Target) -> Contract:
        """What its entry says: it takes what is written there, and bills its run unless the file says otherwise."""
        return Contract(target=target, version=None, billing=Billing.PUBLIC, kind="endpoint", input_schema={})

    async def create(self, request: BeatRequest) -> Prediction:
        """Send the request, and see it served beside what comes after: `read` says how it stands.

        Raises what it was refused with where that comes while it is held; a later no is how the prediction ends.
        """
        now = self._clock.now()
        prediction = Prediction(id=f"http-{uuid4().hex}", status=Status.STARTING, created_at=now)
        call = _Call(prediction=prediction, since=self._clock.monotonic())
        call.task = asyncio.create_task(self._serve(call, request.deadline))
        self._keep(call)
        heard = asyncio.create_task(call.heard.wait())
        try:
            await asyncio.wait({heard}, timeout=self._hold_s)
        finally:
            heard.cancel()
        if call.refusal is not None:
            del self._calls[prediction.id]
            raise call.refusal
        return call.prediction

    async def read(self, prediction_id: str) -> Prediction:
        """The call as it stands. Raises Unavailable for one of another process: its connection is that one's alone."""
        call = self._calls.get(prediction_id)
        if call is None:
            raise Unavailable(f"{self._endpoint.origin} tells nothing of a call that another process has sent")
        return call.prediction

    async def cancel(self, prediction_id: str) -> None:
        """End the call, here and at the host where the entry says how; harmless on a finished one."""
        call = self._calls.get(prediction_id)
        if call is None or call.task is None or call.task.done():
            return
        if call.prediction.status.is_open and not call.is_told_to_end:  # else its host is just being told
            call.is_told_to_end = True
            call.task.cancel()
        await asyncio.wait({call.task})

    async def close(self) -> None:
        """End what is out, and give the connections back."""
        await asyncio.gather(*(self.cancel(each) for each in tuple(self._calls)))
        await self._http.aclose()

    def _keep(self, call: _Call) -> None:
        self._calls[call.prediction.id] = call
        over = [each for each, one in self._calls.items() if not one.prediction.status.is_open][:-_KEPT]
        for each in over:
            del self._calls[each]

    # -- one call, from its sending to its end -------------------------------------------------------------------------

    async def _serve(self, call: _Call, deadline: timedelta) -> None:
        """See `call` to its end, at its deadline at the latest. Never raises, but for being cancelled from outside."""
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                await self._ask_until_served(call)
        except TimeoutError:
            said = f"; the last it said was {call.said}" if call.said else ""
            why = f"not served within its deadline of {format_duration(deadline)}: write a longer `deadline`{said}"
            # What was seen to run has run, and is paid for.
            await self._give_up(call, Status.CANCELED if call.prediction.started_at else Status.ABORTED, why)
        except asyncio.CancelledError:
            if not call.is_told_to_end:
                raise
            await self._give_up(call, Status.CANCELED, None)
        except ProviderError as exc:
            call.refusal = None if call.heard.is_set() else exc
            hint = f" ({exc.hint})" if isinstance(exc, ModelRefused) else ""
            # Of a lost reply nobody knows what was done for it.
            self._end(call, Status.UNKNOWN if isinstance(exc, Doubtful) else Status.FAILED, error=f"{exc}{hint}")
        finally:
            call.heard.set()

    async def _ask_until_served(self, call: _Call) -> None:
        endpoint = self._endpoint
        method, url, content = endpoint.method, endpoint.url, self._content
        tries, begun = 0, self._clock.monotonic()
        while True:
            answer = await self._ask(method, url, content)
            call.said = answers.said_by(answer)
            match answers.meaning(endpoint, answer):
                case Served():
                    return self._served(call, answer, begun)
                case Waking(_, after_s):
                    call.woke = True
                    call.heard.set()
                    await self._clock.sleep(answers.pause_s(tries, after_s))
                    tries, begun = tries + 1, self._clock.monotonic()
                case Elsewhere(url):  # taken, and still the same call: only its end is elsewhere
                    call.heard.set()
                    method, content = "GET", None
                    await self._clock.sleep(answers.look_s(tries))
                    tries += 1
                case Queued(id_, is_begun):
                    call.remote = id_
                    call.heard.set()
                    return await self._look_until_served(call, id_, begun, is_begun=is_begun)
                case Failed(why):
                    return self._end(call, Status.FAILED, error=why)
                case Refused(error):
                    raise error

    async def _look_until_served(self, call: _Call, id_: str, begun: float, *, is_begun: bool) -> None:
        endpoint, looks, begun_s = self._endpoint, 0, 0.0 if is_begun else None
        path = endpoint.poll.path if endpoint.poll is not None else ""
        while True:
            await self._clock.sleep(answers.look_s(looks))
            looks += 1
            try:
                answer = await self._ask("GET", endpoint.at(path, id_), None)
            except (Doubtful, Unreachable) as exc:  # to look again harms nobody
                call.said = str(exc)
                continue
            call.said = answers.said_by(answer)
            match answers.meaning(endpoint, answer, id_=id_):
                case Served():
                    return self._served(call, answer, begun, begun_s)
                case Queued(_, True) if begun_s is None:
                    begun_s = self._clock.monotonic() - begun
                    started_at = self._at(call, begun + begun_s)
                    call.prediction = replace(call.prediction, status=Status.PROCESSING, started_at=started_at)
                case Failed(why):
                    return self._end(call, Status.FAILED, error=why)
                case Refused(error):
                    raise error
                case Waking(_, after_s) if after_s is not None:
                    await self._clock.sleep(answers.pause_s(looks, after_s))
                case _:
                    pass

    def _served(self, call: _Call, answer: Answer, begun: float, begun_s: float | None = None) -> None:
        now = self._clock.monotonic()
        times = answers.times_of(
            self._endpoint,
            answer,
            before_s=begun - call.since,
            took_s=now - begun,
            begun_s=begun_s,
            woke=call.woke,
            usual_run_s=self._usual_run_s,
        )
        if not times.woke:
            self._usual_run_s = times.run_s
        created_at = call.prediction.created_at
        started_at = created_at + timedelta(seconds=times.wait_s)
        call.prediction = replace(
            call.prediction,
            status=Status.SUCCEEDED,
            started_at=started_at,
            completed_at=started_at + timedelta(seconds=times.run_s),
            predict_s=times.run_s if times.is_told else None,
            woke=times.woke,
        )

    async def _give_up(self, call: _Call, status: Status, error: str | None) -> None:
        """End it here, and at the host, where that may go on with it."""
        self._end(call, status, error=error)
        poll = self._endpoint.poll
        if poll is None or poll.cancel is None or call.remote is None:
            return
        method, _, path = poll.cancel.partition(" ")
        try:
            async with asyncio.timeout(_CANCEL_S):
                answer = await self._ask(method, self._endpoint.at(path, call.remote), None)
            trouble = "" if answer.status < 400 else answers.said_by(answer)
        except (ProviderError, TimeoutError) as exc:
            trouble = str(exc) or "no reply in time"
        if trouble:
            error = "; ".join(filter(None, (error, f"its host did not cancel it: {trouble}")))
            call.prediction = replace(call.prediction, error=error)

    def _end(self, call: _Call, status: Status, *, error: str | None) -> None:
        ended_at = self._at(call, self._clock.monotonic())
        call.prediction = replace(call.prediction, status=status, completed_at=ended_at, error=error)

    def _at(self, call: _Call, moment: float) -> datetime:
        """A monotonic moment as a stamp, by the clock as it was when the call began."""
        return call.prediction.created_at + timedelta(seconds=moment - call.since)

    # -- one exchange --------------------------------------------------------------------------------------------------

    async def _ask(self, method: str, url: str, content: bytes | None) -> Answer:
        """One exchange, as long as it takes: the deadline of the beat is what ends it.

        Raises Unreachable where the request certainly never arrived, Doubtful where it may have been carried out.
        Neither carries the exception it came from: that one holds the request, and the request holds the secrets.
        """
        problem: ProviderError
        where = self._endpoint.origin
        begun = self._clock.monotonic()
        self._http.cookies.clear()  # what one reply set is no part of the next request
        try:
            async with self._http.stream(
                method,
                url,
                content=content,
                headers=self._headers if content is not None else _without_content(self._headers),
                timeout=httpx.Timeout(None, connect=CONNECT_S, pool=CONNECT_S),
            ) as response:
                text = await _text(response)
                headers = {name.lower(): self._hide(value) for name, value in response.headers.items()}
                body = None if text is None else _json(self._hide(text))
                return Answer(status=response.status_code, headers=headers, body=body)
        except _NEVER_SENT as exc:
            problem = Unreachable(
                f"no connection to {where} ({type(exc).__name__}). Check the network and `url`",
                waited_s=self._clock.monotonic() - begun,
            )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as exc:
            problem = Doubtful(
                f"the reply of {where} was lost ({type(exc).__name__}): the request may have been carried out"
            )
        raise problem

    def _hide(self, text: str) -> str:
        """`text` without the secrets, should the host quote one. Anything under 8 letters may be a plain word."""
        for secret in self._secrets:
            text = text.replace(secret, "***") if len(secret) >= 8 else text
        return text


@cache
def _tls(trust_env: bool) -> ssl.SSLContext:
    """Making one takes long, so all endpoints have the same."""
    return httpx.create_ssl_context(trust_env=trust_env)


_OF_CONTENT = ("content-type", "content-encoding", "content-language")


def _without_content(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_CONTENT}


def _sent(endpoint: Endpoint, secrets: Mapping[SecretRef, str]) -> tuple[dict[str, str], bytes | None]:
    """The headers and the body of its request."""
    headers = {header.name: header.value(secrets) for header in endpoint.headers}
    named = {name.lower() for name in headers}
    usual = {"User-Agent": f"warmer/{__version__}", "Accept": "*/*"}
    content: bytes | None = None
    if isinstance(endpoint.body, str):
        content, usual["Content-Type"] = endpoint.body.encode(), "text/plain; charset=utf-8"
    elif endpoint.body is not None:
        content, usual["Content-Type"] = json.dumps(endpoint.body).encode(), "application/json"
    more = {name: value for name, value in usual.items() if name.lower() not in named}
    # Nothing is unpacked here, so that a small reply cannot unfold into a large one.
    return {**headers, **more, "Accept-Encoding": "identity"}, content


async def _text(response: httpx.Response) -> str | None:
    """The body as text; None where it is too long, or packed."""
    stream = response.stream
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        return None
    body = bytearray()
    if isinstance(stream, AsyncIterable):
        async for piece in stream:
            body += piece
            if len(body) > MAX_REPLY_BYTES:
                return None
    return body.decode("utf-8", "replace")


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value

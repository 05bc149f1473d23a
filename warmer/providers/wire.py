"""One HTTP exchange with the provider: the token goes to its own origin only, and a reply cannot fill the memory."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Generator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from warmer.errors import AccountRefused, Doubtful, ProviderError, Unreachable, UsageError
from warmer.ports import Clock
from warmer.version import __version__

MAX_REPLY_BYTES = 8 * 1024 * 1024
"""Decoded. A list page of 100 predictions or a version with its schema is far below one MiB."""
TIMEOUT_S = 20.0
"""Longest silence within a reply. A create is held for up to 5 s by choice, so this must stay well above."""

_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2.0)
"""An idle connection is let go of well before a server does so, often after 5 s: a create that sets out on one that was
just closed has no reply, and may have been carried out."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(repr=False)  # the JSON value; None where the body was none


class NoReply(Doubtful):
    """Nothing whole came back: whether anybody is there is not known."""


class Wire:
    """The connections to one origin, and the token that goes there."""

    def __init__(
        self,
        base_url: str,
        token: str,
        clock: Clock,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._bearer, self._clock = _Bearer(token), clock
        self._base_url, is_local = _checked(base_url)
        self.is_local = is_local
        # Making one takes long, so all connections of the account have the same. A transport brings its own.
        self.tls = None if transport is not None else httpx.create_ssl_context(trust_env=not is_local)
        self._total_s = timeout_s * 1.5
        try:
            self._http = httpx.AsyncClient(
                auth=self._bearer,
                transport=transport,
                verify=self.tls or True,
                follow_redirects=False,
                # Over TLS a proxy of the environment sees a tunnel; on loopback it would see the token.
                trust_env=not is_local,
                timeout=httpx.Timeout(timeout_s, connect=min(5.0, timeout_s)),
                limits=_LIMITS,
                # The reply is unpacked here, byte by counted byte, so only what is unpacked here may be offered.
                headers={
                    "Accept-Encoding": "gzip",
                    "Accept": "application/json",
                    "User-Agent": f"warmer/{__version__}",
                },
            )
        except (ImportError, ValueError) as exc:
            raise UsageError(
                f"the proxy named in the environment cannot be used: {exc}. Correct HTTPS_PROXY or ALL_PROXY, "
                "or add the provider's host to NO_PROXY"
            ) from None

    def __repr__(self) -> str:
        return f"Wire({self._base_url!r})"

    @property
    def host(self) -> str:
        """The provider's host, for messages."""
        return urlsplit(self._base_url).netloc

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Ask once, and return whatever was answered.

        Raises Unreachable where the request certainly never arrived, and Doubtful where it may have been carried out:
        NoReply where nothing came back that could be called a reply.
        Neither carries the exception it came from: that one holds the request, and the request holds the token.
        """
        problem: ProviderError
        begun = self._clock.monotonic()
        try:
            async with (
                asyncio.timeout(self._total_s),
                self._http.stream(
                    method, self._base_url + path, params=params, content=body, headers=dict(headers or {})
                ) as response,
            ):
                text = await _text(response)
                return Reply(status=response.status_code, headers=response.headers, body=_json(self._bearer.hide(text)))
        except NEVER_SENT as exc:
            problem = Unreachable(
                f"no connection to {self.host} ({said(exc)}). Check the network, the proxy and `replicate.base_url`",
                waited_s=self._clock.monotonic() - begun,
            )
        except _ReplyError as exc:
            problem = Doubtful(f"the reply of {self.host} to {method} {path} {exc}")
        except Exception as exc:  # noqa: BLE001 - whatever a transport throws, the request may have been carried out
            problem = NoReply(f"the reply of {self.host} to {method} {path} was lost ({said(exc)})")
        raise problem

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()


class _ReplyError(Exception):
    """A reply that cannot be taken in."""


class _Bearer(httpx.Auth):
    """The token: in the Authorization header of each request, and nowhere else."""

    def __init__(self, token: str) -> None:
        self._token = token
        # A header cannot hold anything else, and what fails later than here would quote it.
        if not _TOKEN.fullmatch(token):
            raise AccountRefused(
                "the token is empty or holds spaces, line breaks or letters outside ASCII: "
                "check what `replicate.token` points to"
            )

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def hide(self, text: str) -> str:
        """`text` without the token, should the provider quote it. Anything under 8 letters may be a plain word."""
        return text.replace(self._token, "***") if len(self._token) >= 8 else text


def is_loopback(host: str) -> bool:
    """Whether a host is this machine. Raises ValueError for a broken address."""
    return host == "localhost" or (re.fullmatch(r"[0-9.]+|.*:.*", host) is not None and ip_address(host).is_loopback)


def _checked(base_url: str) -> tuple[str, bool]:
    """The address without its last slash, and whether it is loopback. Raises UsageError where no token may go there."""
    try:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        is_local = is_loopback(host)
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        is_good = bool(host) and plain and (parts.scheme == "https" or (parts.scheme == "http" and is_local))
    except ValueError:
        is_good = is_local = False
    if not is_good:
        raise UsageError(
            "`replicate.base_url` must be an https address such as https://api.replicate.com/v1, without user, query "
            "or fragment; plain http is for loopback only, since the token goes there"
        )
    return base_url.rstrip("/"), is_local


async def _text(response: httpx.Response) -> str:
    """The body, unpacked, as text. Raises _ReplyError where it is too long, or packed in a way that was not offered."""
    stream = response.stream
    if not isinstance(stream, AsyncIterable):
        raise _ReplyError("cannot be read")
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", ""):
        raise _ReplyError(f"is packed as {packing[:20]!r}, which was not asked for")
    body = bytearray()
    async for piece in _unzipped(stream) if packing == "gzip" else stream:
        body += piece
        if len(body) > MAX_REPLY_BYTES:
            raise _ReplyError(f"is longer than {MAX_REPLY_BYTES} bytes; it was not read to its end")
    return body.decode("utf-8", "replace")


async def _unzipped(stream: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The stream unpacked in pieces of at most 64 KiB, so that a small reply cannot unfold into a large one unseen."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        async for packed in stream:
            rest = packed
            while not unpacker.eof:
                piece = unpacker.decompress(rest, 65_536)
                rest = unpacker.unconsumed_tail
                if piece:
                    yield piece
                elif not rest:
                    break
    except zlib.error:
        raise _ReplyError("is packed as gzip and damaged") from None
    if not unpacker.eof:
        raise _ReplyError("is packed as gzip and cut short")


def _json(text: str) -> Any:
    """The JSON value of `text`, or None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def said(exc: Exception) -> str:
    """What kind of failure, in a few words. The text of a foreign exception is not trusted to be short or discreet."""
    if isinstance(exc, TimeoutError):
        return "no complete reply in time"
    return type(exc).__name__

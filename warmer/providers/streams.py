"""What a prediction streams, read as far as its first output: by a client that has no token to give away."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from urllib.parse import urlsplit

import httpx

from warmer.errors import Unavailable
from warmer.providers.replies import clean
from warmer.providers.wire import is_loopback, said
from warmer.version import __version__

MAX_STREAM_BYTES = 1024 * 1024
"""Up to the end of the first output: a token, and what the model logged before."""
_CONNECT_S = 5.0
_OUTPUT, _ENDS = "output", ("done", "error")


class Streams:
    """Server-sent events at addresses that replies name, on hosts that need not be the provider's own.

    Nothing secret goes there and no redirect is followed. Plain http is for loopback only, and loopback only for a
    provider that is there itself: no reply from elsewhere can have this machine asked.
    """

    def __init__(
        self, *, is_local: bool, tls: ssl.SSLContext | None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._is_local = is_local
        self._http = httpx.AsyncClient(
            transport=transport,
            verify=tls or True,
            follow_redirects=False,
            trust_env=not is_local,
            # None waits for another: that would count as the wait for its token. Nor is one used twice.
            limits=httpx.Limits(max_keepalive_connections=0),
            # A model that boots says nothing for minutes: how long that may last is for the caller to say.
            timeout=httpx.Timeout(None, connect=_CONNECT_S),
            headers={"Accept-Encoding": "identity", "User-Agent": f"warmer/{__version__}"},
        )

    async def first_output(self, address: str) -> None:
        """Return as soon as the first output has come. Raises Unavailable, with why, where none does."""
        # Imported where it is used: few measure this.
        from httpx_sse import SSEError, aconnect_sse

        host = self._checked(address)
        try:
            async with aconnect_sse(self._http, "GET", address) as source:
                response = source.response
                if (trouble := _unfit(response)) is None:
                    response.stream = _Bounded(response)
                    response.encoding = "utf-8"  # as events always are; what the reply names may be no text at all
                    async with aclosing(source.aiter_sse()) as events:
                        async for event in events:
                            if event.event == _OUTPUT:
                                return
                            if event.event in _ENDS:
                                break
                    trouble = "ended without an output"
        except _TooLongError:
            trouble = f"said more than {MAX_STREAM_BYTES} bytes before an output was whole"
        except SSEError:
            trouble = "is none of server-sent events"
        except Exception as exc:  # noqa: BLE001 - whatever a transport throws: a measurement is lost, and no more
            trouble = f"was lost ({said(exc)})"
        raise Unavailable(f"the stream at {host} {trouble}")

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    def _checked(self, address: str) -> str:
        """The host of an address that may be asked. Raises Unavailable for any other."""
        try:
            parts = urlsplit(address)
            host = parts.hostname or ""
            is_here = is_loopback(host)
            is_safe = self._is_local if is_here else parts.scheme == "https"
            if host and "@" not in parts.netloc and parts.scheme in ("http", "https") and is_safe:
                return clean(parts.netloc, 100)
        except ValueError:
            pass
        raise Unavailable("the address at which it streams is no https address, and was not asked")


def _unfit(response: httpx.Response) -> str | None:
    """Why the reply is not to be read, or None."""
    if response.status_code != 200:
        return f"answered with status {response.status_code}"
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    return None if packing in ("identity", "") else "is packed, which was not asked for"


class _TooLongError(Exception):
    """A stream that is not worth reading on."""


class _Bounded(httpx.AsyncByteStream):
    """What a response brings, up to a limit: a line without an end would be kept whole."""

    def __init__(self, response: httpx.Response) -> None:
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("no stream of an asynchronous client")
        self._stream = response.stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_STREAM_BYTES
        async for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise _TooLongError
            yield piece

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._stream.aclose()

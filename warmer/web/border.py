"""What every request passes and every reply bears, whatever is asked for."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MISDIRECTED = 421
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::\d{0,5})?")


class Hosts:
    """Which hosts a request may name.

    A page from elsewhere can make a browser ask this server, by giving its own name this server's address (DNS
    rebinding); the name in Host gives it away. So a name has to be one of ours. An address needs no name server and
    cannot be given away: any does, except that who listens on this machine alone answers to its addresses alone.
    """

    def __init__(self, name: str, bound: str) -> None:
        """`name` is what the file says, `bound` the address that it came to."""
        self._is_local = ip_address(bound).is_loopback
        names = {"localhost", name.lower()}
        if not self._is_local:
            machine = socket.gethostname().lower()
            names |= {machine, machine.partition(".")[0]}
        self._names = names

    def allow(self, host: str) -> bool:
        """Whether `host`, with a port or without, is one of ours."""
        found = _HOST.fullmatch(host.strip())
        if found is None:
            return False
        named = found[1] or found[2].lower().removesuffix(".")
        address = _address(named)
        if address is None:
            return named in self._names
        return address.is_loopback or not self._is_local


class Border:
    """Turns away requests for another host; forbids guesses about what a reply is, and its keeping."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or turn away."""

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-store"
            await send(message)

        app = self._app if self._hosts.allow(Headers(scope=scope).get("host", "")) else _misdirected
        await app(scope, receive, mark)


_misdirected = JSONResponse(
    {
        "error": "this is not the server of that host",
        "hint": "ask for it by its address, or by the name that stands under `listen` in the file",
    },
    MISDIRECTED,
)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None

"""What every request passes and every reply bears, whatever is asked for."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warmer.core.spec import WEBHOOKS
from warmer.ports import Inbox

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
        named = name_in(host)
        if named is None:
            return False
        address = _address(named)
        if address is None:
            return named in self._names
        return address.is_loopback or not self._is_local


def name_in(host: str) -> str | None:
    """The name or address in a Host header, without its port; None where there is none."""
    found = _HOST.fullmatch(host.strip())
    return None if found is None else found[1] or found[2].lower().removesuffix(".")


class Border:
    """Turns away requests for another host; forbids guesses about what a reply is, and its keeping."""

    def __init__(self, app: ASGIApp, hosts: Hosts, inbox: Inbox | None = None) -> None:
        """Webhooks alone may name the host that `inbox` is called by: what is public is that path, not the page."""
        self._app, self._hosts, self._inbox = app, hosts, inbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or turn away."""

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        app = self._app if self._is_ours(scope) else _misdirected
        await app(scope, receive, mark)

    def _is_ours(self, scope: Scope) -> bool:
        host = Headers(scope=scope).get("host", "")
        if self._hosts.allow(host):
            return True
        public = None if self._inbox is None or scope["path"] != WEBHOOKS else self._inbox.host
        return public is not None and name_in(host) == public


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

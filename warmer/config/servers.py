"""What an entry keeps warm, and servers among that, which are named by their own address."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from warmer.config.faults import WrongValueError, quote
from warmer.config.values import MAX_NAME
from warmer.core.price import PAID_ANYWAY, Billing, Price
from warmer.core.spec import CogServer, Host, Target, TargetKind

TARGETS = ("model", "deployment", "cog", "url")
"""Keys of an entry, of which each has one: what is kept warm."""
SERVERS = ("cog", "url")
"""Those of them that name a server by its own address."""
COG = "https?://.+"
"""What the address of a Cog server looks like."""
_EXAMPLE = "http://127.0.0.1:5000"


def read_cog(value: Any) -> Target:
    """The address of a Cog server, without a slash at its end.

    It may be plain http on any host: no token goes there, and names within a network cannot be told from others.
    """
    if not isinstance(value, str):
        what = f"port {value} alone" if isinstance(value, int) and not isinstance(value, bool) else "this"
        raise WrongValueError(f"{what} is no address of a Cog server", f"write `cog: {_EXAMPLE}`")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise WrongValueError("this address cannot be read", f"write it as in {_EXAMPLE}") from None
    if parts.username is not None or parts.password is not None:
        raise WrongValueError("this address holds a user or a password", "leave them out: none is sent to a Cog server")
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch("[!-~]+", value):
        written = f"http://{value}" if re.fullmatch(r"[A-Za-z0-9.-]+(:\d{1,5})?", value) else _EXAMPLE
        raise WrongValueError(f"{quote(value)} is not the address of a Cog server", f"write {written}")
    if parts.query or parts.fragment:
        raise WrongValueError("this address holds more than a host and a path", f"write it as in {_EXAMPLE}")
    url = value.rstrip("/")
    if url.endswith("/predictions"):
        raise WrongValueError(
            "this is the address of a server's predictions", f"write {url.removesuffix('/predictions')}"
        )
    if len(url) > MAX_NAME:
        raise WrongValueError(f"this address has {len(url)} characters", f"write {MAX_NAME} or fewer")
    if port == 0:
        raise WrongValueError("nothing answers at port 0", f"write the server's, as in {_EXAMPLE}")
    return Target(kind=TargetKind.COG, owner="", name=url)


def host_of(target: Target) -> Host | None:
    """What its beats are sent through; None: the file's own account."""
    return CogServer(url=target.name) if target.kind is TargetKind.COG else None


def usual_price(target: Target, billing: Billing | None) -> Price | None:
    """What a second of its beats costs where its entry says no more than how it bills; None: unknown."""
    is_own = target.kind is TargetKind.COG and billing in (None, Billing.OWN)
    return PAID_ANYWAY if is_own else None

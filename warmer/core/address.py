"""What can be told of an address by its text."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import parse_qsl

POSTGRES = ("postgresql://", "postgres://")
"""How the address of a PostgreSQL begins: https://www.postgresql.org/docs/current/libpq-connect.html."""


def holds_password(url: str) -> bool:
    """Whether there is a password in the address of a server: before its host, or among its parameters.

    Rather one too many than one too few: a password that was not escaped has anything in it.
    """
    keys = (key for key, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True))
    return re.search(r"//[^@]*:[^@]*@", url) is not None or any(key in ("password", "sslpassword") for key in keys)


_INSIDE = (".svc", ".local", ".internal", ".localhost")
"""How names end that no public server has: of a cluster, a link, a private network. Source: RFC 6761 and 6762."""


def is_inside(host: str) -> bool:
    """Whether a host is this machine, or of a network of one's own: there alone may a secret go in clear.

    That is a loopback, private or link-local address, a name without a dot, and a name of a cluster.
    """
    name = host.lower().rstrip(".")
    try:
        address = ip_address(name)
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(_INSIDE)) and not re.fullmatch(r"[0-9.]+|0x.*", name)
    return address.is_loopback or (address.is_private and not address.is_unspecified) or address.is_link_local

"""What can be told of a database's address by its text."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

POSTGRES = ("postgresql://", "postgres://")
"""How the address of a PostgreSQL begins: https://www.postgresql.org/docs/current/libpq-connect.html."""


def holds_password(url: str) -> bool:
    """Whether there is a password in the address of a server: before its host, or among its parameters.

    Rather one too many than one too few: a password that was not escaped has anything in it.
    """
    keys = (key for key, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True))
    return re.search(r"//[^@]*:[^@]*@", url) is not None or any(key in ("password", "sslpassword") for key in keys)

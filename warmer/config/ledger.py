"""Where the ledger is, and the reference to its password."""

from __future__ import annotations

import re
from typing import Any

from warmer.config.document import Document
from warmer.config.faults import IN_CLEAR, Faults, WrongValueError, quote
from warmer.config.values import read_secret_ref
from warmer.core.address import POSTGRES, holds_password
from warmer.core.spec import Engine, SecretRef

FILE = "sqlite:////var/lib/warmer/ledger.db"
SERVER = "postgresql://warmer@db.example.test/warmer"
URL = r"sqlite:///.+|postgres(?:ql)?://.*"
"""What the address of a ledger looks like."""
_BY_REFERENCE = "`ledger_password` is written as env:NAME, file:PATH or credential:NAME"


def read_ledger(value: Any) -> str:
    """The database URL of the ledger: a file of SQLite, or a PostgreSQL as libpq has it, without a password."""
    if not isinstance(value, str):
        raise WrongValueError("the ledger's address is meant here, a text", f"write {FILE}")
    url = value
    scheme, separator, rest = url.partition("://")
    if holds_password(url):  # first of all: nothing of it may be repeated
        raise WrongValueError(
            "a password stands here in clear", f"take it out of the file and change it; {_BY_REFERENCE}"
        )
    if url.startswith(POSTGRES):
        if not re.fullmatch(r"[!-~]*", rest):
            raise WrongValueError("this address holds a space or an odd character", "write it as %20, or the like")
        return url
    if not separator:
        written = f"sqlite:////{url.lstrip('/')}" if url.startswith("/") else FILE
        raise WrongValueError(f"{quote(url)} is not the URL of a ledger", f"write {written}")
    if scheme.startswith("postgres"):
        raise WrongValueError(f"a ledger cannot be kept in {quote(scheme)}", f"write {SERVER}")
    if scheme != "sqlite":
        raise WrongValueError(f"a ledger cannot be kept in {quote(scheme)}", f"write {FILE} or {SERVER}")
    if not rest.startswith("/") or rest.strip("/") in ("", ":memory:") or rest.endswith("/"):
        raise WrongValueError("this ledger names no file", f"write {FILE}: three slashes, then the path")
    if any(sign in rest for sign in "?#") or not rest.isprintable():
        raise WrongValueError(f"{quote(url)} holds more than a path", f"write {FILE}")
    return url


def read_password_ref(value: Any) -> SecretRef:
    """Where the ledger's password is to be read from."""
    try:
        return read_secret_ref(value)
    except WrongValueError as error:
        if error.problem != IN_CLEAR:
            raise
    raise WrongValueError("a password stands here in clear", f"take it out of the file and change it; {_BY_REFERENCE}")


def check_ledger(document: Document, faults: Faults) -> None:
    """Only a server asks for a password, and only one can be shared."""
    root = document.value if isinstance(document.value, dict) else {}
    if str(root.get("ledger", "")).startswith(POSTGRES):
        return
    if root.get("engine") == Engine.SHARED:
        problem = "processes can share the beats only over a ledger in PostgreSQL"
        faults.add(document.place(("engine",)), problem, f"write `ledger: {SERVER}`, or `engine: local`")
    if "ledger_password" in root:
        problem = "only a ledger in PostgreSQL has a password"
        faults.add(document.key_place(("ledger_password",)), problem, f"leave it out, or write `ledger: {SERVER}`")

"""Every error that warmer raises on purpose.

WarmerError
├── ConfigError            2  the file is wrong; nothing of it was applied
├── UsageError             2  the command line asks for something that cannot be
├── TraceError             2  a file of past traffic cannot be used
├── LedgerError            1  the durable record cannot be read or written
├── DaemonSilent           1  the daemon does not answer over HTTP
└── ProviderError          3  the provider said no, or said nothing
    ├── AccountRefused     4  401: the token; nothing can be sent with it
    ├── CreditExhausted    4  402: no credit or a spend limit; comes back by itself
    ├── Throttled          3  429: the account asked too often
    ├── ModelRefused       3  403, 404, 422: this model, as the file has it
    ├── ModelFailed        3  the prediction was accepted and did not succeed
    ├── Unavailable        3  5xx or an unreadable answer: the provider's fault, worth another try later
    ├── Unreachable        3  no connection: the request never arrived
    └── Doubtful           3  the reply was lost: the request may have been carried out

The number is the exit code of a command that ends with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path


class WarmerError(Exception):
    """Base of every error warmer raises on purpose. Its text tells the reader what to do next."""

    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """One thing that is wrong in the file, where it stands, and what to write in its place."""

    file: str
    line: int  # from 1
    column: int  # from 1
    problem: str
    hint: str = ""  # what to write; empty where the problem says it already

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.problem}{hint}"


class ConfigError(WarmerError):
    """The file is wrong. Nothing was applied; a running daemon keeps what it has."""

    exit_code = 2

    def __init__(self, *faults: Fault) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class UsageError(WarmerError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class TraceError(WarmerError):
    """A file of past traffic cannot be used. Nothing of it was."""

    exit_code = 2

    def __init__(self, path: Path, line: int | None, problem: str, hint: str) -> None:
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {problem} ({hint})")


class LedgerError(WarmerError):
    """The durable record cannot be read or written."""


class DaemonSilent(WarmerError):
    """The daemon does not answer over HTTP where it should."""


class ProviderError(WarmerError):
    """The provider said no, or said nothing."""

    exit_code = 3


class AccountRefused(ProviderError):
    """401: the token is not valid, so no model of the account can be reached."""

    exit_code = 4


class CreditExhausted(ProviderError):
    """402: no credit, or a spend limit was reached. The account works again once that changes."""

    exit_code = 4


class Throttled(ProviderError):
    """429: worth repeating, but not before `retry_after`."""

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelRefused(ProviderError):
    """403, 404 or 422: the provider will not run this model as the file has it. Repeating cannot help.

    `hint` says what to change in the model's entry, `key` at which key of it: `input`, `target` (what it names), or
    none in particular.
    """

    def __init__(self, message: str, hint: str, key: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.key = key


class ModelFailed(ProviderError):
    """The prediction was accepted and did not succeed: the model's own fault, or too short a deadline."""


class Unavailable(ProviderError):
    """A 5xx, or an answer that cannot be read. Reading again is harmless; creating again is not."""


class Unreachable(ProviderError):
    """No connection was made: the request certainly never arrived.

    `waited_s`: for how long that was tried. It tells how things stood so long ago, not how they stand now.
    """

    def __init__(self, message: str, waited_s: float = 0.0) -> None:
        super().__init__(message)
        self.waited_s = waited_s


class Doubtful(ProviderError):
    """The reply was lost after the request went out: it may have been carried out. Look before repeating."""

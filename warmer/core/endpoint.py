"""An HTTP endpoint that is kept warm by its own address: what is sent to it, and what its replies mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from warmer.core.secret import SecretRef

DEFAULT_WITHIN = timedelta(seconds=2)
"""A small call of a warm instance takes less as a rule, and most boots take longer."""
DEFAULT_WAKING = (503,)
"""What proxies answer with while nothing is behind them yet. Source: RFC 9110, 15.6.4."""
ACCEPTED = 202
"""Taken, and not done yet: RFC 9110, 15.3.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header of a request: a text, and a secret that follows it."""

    name: str
    text: str = ""
    secret: SecretRef | None = None

    def value(self, secrets: Mapping[SecretRef, str]) -> str:
        """What is sent. Raises KeyError where its secret was not read."""
        return self.text if self.secret is None else self.text + secrets[self.secret]

    def __str__(self) -> str:
        return self.text if self.secret is None else f"{self.text}{self.secret}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """What tells that a reply came from an instance that serves, and what that it had to start first."""

    status: tuple[int, ...] = ()  # of a good reply; none: any 2xx but 202
    header: Mapping[str, str] = field(default_factory=dict)  # that a good reply has, and its value
    json: Mapping[str, Any] = field(default_factory=dict)  # values of a good reply by their paths
    within: timedelta = DEFAULT_WITHIN  # what took longer met a cold instance
    waking: tuple[int, ...] = DEFAULT_WAKING  # statuses of a host whose instance is still starting


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Where a host that answers with an id tells what became of it. Paths are of the endpoint's own origin."""

    path: str  # with {id} in it
    id: str = "id"  # where the first reply has it
    state: str | None = None  # where a later reply says how it stands; None: by its status alone
    done: tuple[str, ...] = ()
    running: tuple[str, ...] = ()  # it has begun: what came before was the wait
    failed: tuple[str, ...] = ()
    cancel: str | None = None  # what stops it, "METHOD PATH" with {id} in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A duration that the host tells in its JSON."""

    path: str
    unit: str = "s"  # or "ms"

    def __str__(self) -> str:
        return f"{self.path} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A request that keeps something warm, and what its replies mean."""

    name: str  # of its entry
    url: str
    method: str = "GET"
    headers: tuple[Header, ...] = ()
    body: Any = field(default=None, repr=False)  # a text as it is, anything else as JSON; None: there is none
    warm: Warm = field(default_factory=Warm)
    poll: Poll | None = None  # None: the reply to the request is the answer
    wait: Reading | None = None  # how long the call waited for an instance; None: it is measured here
    run: Reading | None = None  # how long it ran; None: likewise

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name

    @property
    def label(self) -> str:
        """What tells one endpoint from another: two entries may ask different things of one address."""
        return f"{self.name} at {self.url}"

    @property
    def secrets(self) -> tuple[SecretRef, ...]:
        """What has to be read before anything is sent."""
        return tuple(dict.fromkeys(header.secret for header in self.headers if header.secret is not None))

    @property
    def origin(self) -> str:
        """Scheme and host: where secrets go, and nowhere else."""
        return origin_of(self.url)

    def at(self, path: str, id_: str) -> str:
        """The address of `path` for one id. That may hold anything: it stays one part of the path."""
        return self.origin + path.replace("{id}", quote(id_, safe=""))


def origin_of(url: str) -> str:
    """Scheme, host and port of an address; the port that goes without saying left out. Raises ValueError for none."""
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, usual) else f":{parts.port}")

"""`warmer health`."""

from __future__ import annotations

import typer

from warmer.cli.options import ConfigOption
from warmer.core.spec import Listen
from warmer.errors import DaemonSilent, UsageError

_PATIENCE_S = 5.0
"""A loop that has not turned for so long sends no beat in time either."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here
"""Where a server that listens on all addresses of a kind is asked from its own machine."""


def health(config: ConfigOption = None) -> None:
    """Ask the daemon of this file, on this machine, whether it lives. Exits 1 where it does not answer.

    For health checks of containers. Of the file only `listen` is read: a daemon whose file was spoilt runs on.
    """
    from warmer.cli import wiring

    at = wiring.listen_of(config)
    if at is None:
        raise UsageError("`listen: off` leaves nothing to ask: write an address, such as `listen: 127.0.0.1:9177`")
    if at.port == 0:
        raise UsageError("`listen` has port 0, any free one, which the log alone tells: write a port")
    _ask(Listen(host=_EVERYWHERE.get(at.host, at.host), port=at.port))
    typer.echo(f"{at}: ok")


def _ask(at: Listen) -> None:
    """Raises DaemonSilent where nobody answers at `at`, or somebody else does."""
    # The standard library's client, because this is asked for all day long and httpx takes longest to load.
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(at.host, at.port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        reply = connection.getresponse()
        said = f"{reply.status} {reply.reason}" if reply.status != 200 else ""
    except (OSError, HTTPException) as exc:
        said = str(exc) or type(exc).__name__
    finally:
        connection.close()
    if said:
        raise DaemonSilent(f"no daemon is well at {at}: {said}. Look at the last lines of its log")

"""Ports of this machine on which no other test's server comes to listen."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_FIRST, _LAST = 10_000, 32_767
"""Below what Linux hands out where any free port is asked for (`ip_local_port_range`)."""
_CHANCE = random.SystemRandom()


def free_port() -> int:
    """A port that is free now, and that nobody is given who asks for any."""
    for _ in range(100):
        port = _CHANCE.randint(_FIRST, _LAST)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise RuntimeError(f"of a hundred ports from {_FIRST} to {_LAST} none is free")


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that is held and on which nobody listens: who connects to it is refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]

"""Tells the service manager how the daemon is doing (sd_notify). Silent where nobody listens."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Supervisor:
    """The notification socket of systemd, or of anything that speaks its protocol.

    Source: sd_notify(3). The protocol is one datagram of `KEY=value` lines.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        address = env.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL of an abstract socket.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_us = env.get("WATCHDOG_USEC", "")
        pid = env.get("WATCHDOG_PID", "")
        self._watchdog_is_ours = not pid or pid == str(os.getpid())

    @property
    def watchdog_s(self) -> float | None:
        """Seconds between two signs of life: half of what the manager allows; None where it does not watch."""
        if not (self._address and self._watchdog_us.isdigit() and self._watchdog_is_ours):
            return None
        return int(self._watchdog_us) / 2_000_000

    def ready(self, status: str) -> None:
        """Up, or up again after a reload."""
        self._tell(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        # The manager matches the time against its own signal (Type=notify-reload).
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """On the way out."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """The loop turns."""
        self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.connect(self._address)
                channel.sendall(message.encode())
        except OSError:
            return  # a manager that is gone must not take the daemon with it

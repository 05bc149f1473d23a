"""The latest lines of the log, for who looks, and those to come, for who follows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from warmer.log import Event, followed

KEPT = 500
WAITING_AT_MOST = 200
"""Lines that wait for one follower: who is slower than that is left."""
_NOISE = (Event.BEAT_SENT, Event.LIBRARY_WARNED)
"""Its end follows soon; and what a library says may hold anything."""
Lines = asyncio.Queue[dict[str, Any] | None]


class Journal:
    """Knows what this process has said since it began to follow itself."""

    def __init__(self) -> None:
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._followers: set[Lines] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is said within; needs the running loop."""
        self._loop = asyncio.get_running_loop()
        with followed(self._said):
            try:
                yield
            finally:
                self.end()

    @property
    def lines(self) -> tuple[dict[str, Any], ...]:
        """The latest of those that matter, oldest first. Beats that were skipped are told by their model alone."""
        return tuple(self._kept)

    @contextmanager
    def follow(self) -> Iterator[Lines]:
        """The lines from now on; None where there are no more."""
        lines = Lines(maxsize=WAITING_AT_MOST)
        self._followers.add(lines)
        try:
            yield lines
        finally:
            self._followers.discard(lines)

    def end(self) -> None:
        """Tell those that follow that there is no more."""
        for lines in self._followers:
            _leave(lines)
        self._followers.clear()

    def _said(self, line: Mapping[str, Any]) -> None:
        if line.get("event") in _NOISE or self._loop is None:
            return
        told = {key: value for key, value in line.items() if key != "exception"}
        with suppress(RuntimeError):  # the loop is closed: nobody follows any more
            self._loop.call_soon_threadsafe(self._keep, told)

    def _keep(self, line: dict[str, Any]) -> None:
        if line["event"] not in (Event.BEAT_SKIPPED, Event.BEAT_DONE):  # the ledger has the beats
            self._kept.append(line)
        for lines in tuple(self._followers):
            if lines.full():
                self._followers.discard(lines)
                _leave(lines)
            else:
                lines.put_nowait(line)


def _leave(lines: Lines) -> None:
    while lines.full():
        lines.get_nowait()
    lines.put_nowait(None)

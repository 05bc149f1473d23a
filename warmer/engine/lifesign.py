"""A sign of life for a watcher outside: when it stops, somebody else has to say so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from warmer.log import Event, get
from warmer.ports import Clock, Contacts, Vitals

EVERY_S = 60.0


class Lifesign:
    """Given once a minute while beats are sent when they are due, and not otherwise."""

    def __init__(
        self,
        vitals: Vitals,
        clock: Clock,
        contacts: Callable[[], Contacts | None],
        wanted: Callable[[], Awaitable[None]],
    ) -> None:
        """`wanted` returns as soon as there are contacts."""
        self._vitals, self._clock, self._contacts, self._wanted = vitals, clock, contacts, wanted
        self._failures = 0  # since it was last taken

    async def keep_on(self) -> None:
        """Give it again and again, until cancelled."""
        while True:
            await self._wanted()
            await self.give()
            await self._clock.sleep(EVERY_S)

    async def give(self) -> None:
        """Give it once, if there is reason to. Says once that it is not taken, and once that it is again."""
        contacts = self._contacts()
        if contacts is None or not contacts.takes_pings or not (await self._vitals.health()).ready:
            return
        error = await contacts.ping()
        if error is not None:
            self._failures += 1
            if self._failures == 1:
                get().warning(Event.PING_FAILED, error=error)
        elif self._failures:
            get().info(Event.PING_RESUMED, failures=self._failures)
            self._failures = 0

"""Who looks at the daemon, asks something of it, or is told something by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:  # heavy, and here only named
    from warmer.core.beat import (
        Observation,
        Request,
    )
    from warmer.core.board import EventsView, ModelView, MoneyView, Overview
    from warmer.core.health import Gauges, Health
    from warmer.core.now import ModelDetail, ModelNow
    from warmer.core.override import Overrides
    from warmer.core.policy import Action
    from warmer.core.price import Cost
    from warmer.core.spec import Listen
    from warmer.core.told import Told
    from warmer.core.trial import Trial
    from warmer.core.warmth import Warmth

T = TypeVar("T")


class Vitals(Protocol):
    """How the daemon is doing."""

    async def health(self) -> Health:
        """What it can do now; within a few seconds, whatever hangs."""
        ...

    async def gauges(self) -> Gauges:
        """What is measured now; within a few seconds, whatever hangs."""
        ...


class Console(Protocol):
    """What may be asked of the daemon, and by whom. What is awaited may raise LedgerError."""

    @property
    def admin_token(self) -> str | None:
        """What whoever changes something has to show; None: nothing can be changed."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """The names of the file's models."""
        ...

    def stamp(self) -> datetime:
        """Now, by the provider's clock, which stamps of calls go by."""
        ...

    async def overview(self, names: Collection[str] | None = None) -> tuple[ModelNow, ...]:
        """Each model of the file as it is now, or those of them."""
        ...

    async def model(self, name: str) -> ModelDetail:
        """One of them, and more of it."""
        ...

    async def warmth(self, names: Sequence[str]) -> tuple[Warmth, ...]:
        """How warm each of these models is, best first."""
        ...

    async def override(self, change: Callable[[Overrides, datetime], Overrides]) -> Overrides:
        """Put what `change` makes of the overrides and the present moment in their place; in force at once."""
        ...

    async def beat(self, name: str) -> Action:
        """Begin one beat of that model now, or say what keeps it from going out."""
        ...

    async def tell(self, call: Told) -> bool:
        """Count a call that an application made. False where it is on record already."""
        ...

    async def try_file(self, text: bytes) -> Trial:
        """What the file with that `text` would change; nothing is applied, and nothing but `text` is read.

        Raises TimeoutError where that takes too long.
        """
        ...


class Board(Protocol):
    """What the page shows, as `draw` draws it: perhaps in another process, so that it is a function that can be named.

    What is awaited may raise LedgerError; figures may be some seconds old.
    """

    async def overview(self, draw: Callable[[Overview], T], find: str = "", page: int = 1) -> T:
        """The models whose name has `find`, a page of them."""
        ...

    async def model(self, draw: Callable[[ModelView], T], name: str) -> T:
        """One model of the file."""
        ...

    async def money(self, draw: Callable[[MoneyView], T]) -> T:
        """What all models cost."""
        ...

    async def events(self, draw: Callable[[EventsView], T]) -> T:
        """What happened lately."""
        ...

    @property
    def file(self) -> str:
        """The name of the file in force."""
        ...

    def follow(self) -> AbstractContextManager[asyncio.Queue[dict[str, Any] | None]]:
        """The lines of the log from now on, as they are said; None where no more can be told: who is slow is left."""
        ...


class Hearing(StrEnum):
    """What became of a webhook."""

    TAKEN = "taken"
    """It told the end of a beat that was out."""
    HANDED_ON = "handed_on"
    """The provider's, and of no beat that is out here: the processes that share the ledger are told of it."""
    UNKNOWN = "unknown"
    """The provider's, and of no beat that is out: a duplicate, a late one, or no beat at all."""
    REFUSED = "refused"
    """Not signed by the provider, or not of now."""
    MISSED = "missed"
    """None came: it was by a look that a beat was seen to have ended."""


class Inbox(Protocol):
    """Takes what the provider tells by itself."""

    @property
    def host(self) -> str | None:
        """The name by which the provider calls; None: it has nothing to tell."""
        ...

    async def take(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Take one webhook, names of `headers` in lower case. False where it is refused."""
        ...


class Listener(Protocol):
    """Answers for the daemon over HTTP."""

    async def open(
        self,
        at: Listen | None,
        vitals: Vitals,
        console: Console | None = None,
        board: Board | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        """Answer at `at` from now on and nowhere else; None is nowhere at all.

        `vitals` says how the daemon is, `console` does what is asked for, `board` is what is shown, and `inbox` takes
        webhooks; without them that is nothing.

        Raises nothing for an address that cannot be had: that is logged, and beats matter more.
        """
        ...

    async def close(self) -> None:
        """Answer nowhere any more; within about a second."""
        ...


class Contacts(Protocol):
    """Whom the daemon tells by itself. Nothing raises: that somebody cannot be reached stops nothing."""

    @property
    def takes_alerts(self) -> int:
        """How many addresses alerts go to."""
        ...

    @property
    def takes_pings(self) -> bool:
        """Whether somebody waits for a sign of life."""
        ...

    async def tell(self, title: str, text: str) -> Mapping[str, str]:
        """Send a message to every address, within half a minute.

        Returns what went wrong by what the file calls the address; empty where nothing did.
        """
        ...

    async def ping(self) -> str | None:
        """Give the watcher a sign of life. What went wrong, or None."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


class Meter(Protocol):
    """Counts what happens in this process. Methods return at once and raise nothing."""

    def beat(self, seen: Observation) -> None:
        """A beat has ended, and its end is on record."""
        ...

    def settled(self, model: str, costs: Mapping[str, Cost]) -> None:
        """What earlier beats of `model` are known to have cost by now, by prediction id."""
        ...

    def calls(self, ended: Iterable[Request]) -> None:
        """Customers' calls that were seen to have ended, each once."""
        ...

    def tick(self, late_s: float) -> None:
        """A tick began, so many seconds after it was due."""
        ...

    def webhook(self, heard: Hearing) -> None:
        """A webhook came, or did not."""
        ...


class Unmetered:
    """Counts nothing."""

    def beat(self, seen: Observation) -> None:
        """Not counted."""

    def settled(self, model: str, costs: Mapping[str, Cost]) -> None:
        """Not counted."""

    def calls(self, ended: Iterable[Request]) -> None:
        """Not counted."""

    def tick(self, late_s: float) -> None:
        """Not counted."""

    def webhook(self, heard: Hearing) -> None:
        """Not counted."""


UNMETERED = Unmetered()

"""Time, timers and the provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # heavy, and here only named
    from warmer.core.beat import (
        BeatRequest,
        Contract,
        Prediction,
    )
    from warmer.core.floor import Instances
    from warmer.core.health import Member
    from warmer.core.listing import Page
    from warmer.core.spec import Target

RECENT_AT_MOST = 10_000
"""How many predictions `Provider.recent` gives. An account that may create 600 a minute makes as many in 17 minutes,
and a list of 100 a page is read as far within half a minute: whoever needs more of it takes the pages."""


class Clock(Protocol):
    """Time as warmer sees it. Nothing else reads a clock."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC: for active hours and ledger rows."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever go forward: for durations, never for dates."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return `seconds` of this clock later; at once if not positive."""
        ...


class OnDue(Protocol):
    """What a schedule calls: `name` is due, and has been for `late_s` where the schedule alone can tell.

    `left`: a process that is gone was in the middle of it.
    """

    def __call__(self, name: str, late_s: float | None = None, left: bool = False) -> asyncio.Task[Any] | None:
        """The tick that is under way then, if any."""
        ...


class Schedule(Protocol):
    """Calls a function once for each name that is armed: the daemon's timers."""

    @property
    def is_shared(self) -> bool:
        """Whether the names of all processes are one: what one arms, any of them may be called for."""
        ...

    @property
    def members(self) -> Sequence[Member]:
        """The processes that share it; none where it is this one's alone."""
        ...

    def start(self) -> None:
        """Begin to call; needs the running loop."""
        ...

    def arm(self, name: str, delay_s: float) -> None:
        """Call for `name` once, `delay_s` from now.

        Replaces what was armed for it. A shared one keeps what was armed for sooner.
        """
        ...

    def disarm(self, name: str) -> None:
        """Forget `name`; harmless where nothing is armed."""
        ...

    def stop(self) -> None:
        """No more calls; what was called for goes on."""
        ...

    async def alone(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, which does not end, in one process at a time: here, while no other does."""
        ...

    def heed(self, hear: Callable[[str], None]) -> None:
        """Have `hear` called with each word that one of the processes says, this one perhaps. Before `start`."""
        ...

    async def say(self, word: str) -> None:
        """Have all processes hear `word`, those that can be reached, within some seconds. No errors."""
        ...

    async def close(self) -> None:
        """Let go of what is behind it, at the very end."""
        ...


class Provider(Protocol):
    """A host of models. Every method may raise the ProviderError branch of `warmer.errors`."""

    async def describe(self, target: Target) -> Contract:
        """What the provider says of the target now: version to send, billing class, input schema."""
        ...

    async def versions(self, target: Target) -> tuple[str, ...]:
        """The target's versions, newest first; empty where the provider does not list them."""
        ...

    async def admit(self, apart_s: float = 0.0) -> None:
        """Return when the account's rate allows one more create: first come, first served.

        `apart_s`: how far apart they are to go out, in seconds, as long as none waits for long.
        """
        ...

    async def create(self, request: BeatRequest) -> Prediction:
        """Send one prediction, once. Raises Doubtful where it may have been accepted without a reply."""
        ...

    async def read(self, prediction_id: str) -> Prediction:
        """The prediction as it stands."""
        ...

    async def first_output(self, stream: str) -> None:
        """Return as soon as the first output has come at `stream`, an address that a reply to a create named.

        Raises Unavailable, with why, where none does. Waits for as long as the stream lasts.
        """
        ...

    async def cancel(self, prediction_id: str) -> None:
        """Ask for the prediction to be stopped; harmless on a finished one."""
        ...

    def pages(self, since: datetime | None = None, *, cursor: str | None = None) -> AsyncIterator[Page]:
        """The account's predictions, newest first, page by page: those created at or after `since`, or all there are.

        `since` is by the provider's clock; `cursor` goes on where the page that gave it ended. Raises ModelRefused
        where the provider does not take that cursor any more.
        """
        ...

    async def recent(self, since: datetime, *, limit: int = RECENT_AT_MOST) -> tuple[Prediction, ...]:
        """The account's predictions created at or after `since` (provider's clock), newest first, at most `limit`."""
        ...

    async def verify(self) -> str:
        """The account's name: the cheapest proof that the token is good."""
        ...

    @property
    def token_mark(self) -> str:
        """What tells the token that goes there from another one, and nothing of the token."""
        ...

    @property
    def skew(self) -> timedelta:
        """How far the provider's clock is ahead of ours, by its replies; zero where it is within two seconds."""
        ...

    @property
    def scaler(self) -> Scaler | None:
        """What moves the floors of the account's deployments; None where the host has none."""
        ...

    @property
    def webhooks(self) -> Webhooks | None:
        """What it tells by itself, at an address of ours; None where there is none."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


class Webhooks(Protocol):
    """What a provider tells by itself: how a prediction ended."""

    @property
    def url(self) -> str:
        """The address of ours that it is told to."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether it is known what they are signed with. Creates ask for one from then on."""
        ...

    async def open(self) -> None:
        """Ask what they are signed with. May raise the ProviderError branch of `warmer.errors`."""
        ...

    def read(self, headers: Mapping[str, str], body: bytes) -> Prediction:
        """The prediction that was told. Raises ValueError, with why, for what is not the provider's or not of now."""
        ...


class Scaler(Protocol):
    """Deployments that hold instances. Both methods may raise the ProviderError branch of `warmer.errors`."""

    async def instances(self, target: Target) -> Instances:
        """What the deployment may scale to now."""
        ...

    async def set_minimum(self, target: Target, instances: int) -> Instances:
        """Ask once for another floor, and return what the reply says.

        Raises Doubtful or Unavailable where it may have been carried out: look before repeating.
        """
        ...

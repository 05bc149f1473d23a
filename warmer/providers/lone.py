"""What hosts have in common that are called by their own address: no account, no list, no rate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from warmer.core.beat import Prediction
from warmer.core.listing import Page
from warmer.core.spec import Target
from warmer.errors import Unavailable
from warmer.ports import RECENT_AT_MOST, Scaler, Webhooks


class LoneHost:
    """The part of the `Provider` port in which there is nothing to do. Times are by our own clock."""

    def __init__(self, label: str) -> None:
        self._label = label

    async def versions(self, target: Target) -> tuple[str, ...]:
        """None: it runs what it runs."""
        return ()

    async def admit(self, apart_s: float = 0.0) -> None:
        """At once: nobody limits how often it is called."""

    async def first_output(self, stream: str) -> None:
        """Raises Unavailable: no reply of it names a stream."""
        raise Unavailable(f"{self._label} streams nothing")

    async def pages(self, since: datetime | None = None, *, cursor: str | None = None) -> AsyncIterator[Page]:
        """None: it lists no calls."""
        none: tuple[Page, ...] = ()
        for page in none:
            yield page

    async def recent(self, since: datetime, *, limit: int = RECENT_AT_MOST) -> tuple[Prediction, ...]:
        """None: it lists no calls."""
        return ()

    @property
    def token_mark(self) -> str:
        """Nothing: there is no account."""
        return ""

    @property
    def skew(self) -> timedelta:
        """None: the times of its predictions are ours."""
        return timedelta(0)

    @property
    def scaler(self) -> Scaler | None:
        """It has no floors."""
        return None

    @property
    def webhooks(self) -> Webhooks | None:
        """It tells nothing by itself."""
        return None

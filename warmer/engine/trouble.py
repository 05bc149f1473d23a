"""What keeps a whole account from being used: known to this process alone, or to all that have one ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Protocol, TypeVar

from warmer.core.beat import Reason
from warmer.core.note import read_note
from warmer.engine.desk import Desk
from warmer.errors import LedgerError
from warmer.ports import Clock

T = TypeVar("T")

_LOOK_AGAIN_S = 2.0
"""What another process was told is known here so much later at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A hold, and what came before it."""

    reason: Reason
    ends_at: float  # by the clock of whoever keeps it
    failures: int  # in a row
    said: bool = False
    on_trial: bool = False  # one beat is out, alone
    token: str = ""  # the mark of the one that was refused; empty: it is no matter of tokens
    is_stale: bool = False  # of an entry, or an account, as the file had it before: whatever comes of it now is news


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """A trouble as it is kept."""

    at: float  # when it was written, by the clock of all
    trouble: Trouble


Change = Callable[[Trouble | None, float], tuple[Trouble | None, T]]
"""Given what is known and the time, what is to be known, and what to return."""


class Kept(Protocol):
    """Where the trouble of one account is kept."""

    trouble: Trouble | None
    """As last seen here."""

    def now(self) -> float:
        """By the clock of all who know of it, in seconds."""
        ...

    async def look(self) -> None:
        """See what others have been told."""
        ...

    async def change(self, change: Change[T]) -> T:
        """Do so in one step over all who know of it."""
        ...


class OwnTrouble:
    """That of this process. A hold lasts as long as it was meant to, whoever sets the wall clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.trouble: Trouble | None = None

    def now(self) -> float:
        """Of the monotonic clock."""
        return self._clock.monotonic()

    async def look(self) -> None:
        """There is nobody else."""

    async def change(self, change: Change[T]) -> T:
        """Waits for nothing."""
        self.trouble, done = change(self.trouble, self.now())
        return done


class SharedTrouble:
    """That of all processes of one ledger, by a note there and by its clock.

    Where the ledger cannot be used, this process goes by what it knows: nothing is sent then anyway. A token that was
    refused is a trouble of those that have it, and of no others.
    """

    def __init__(self, desk: Desk, clock: Clock, account: str, token: str) -> None:
        """`account`: what all call it. `token`: the mark of the one that this process has."""
        self._desk, self._clock, self._name, self._token = desk, clock, f"trouble of {account}", token
        self.trouble: Trouble | None = None
        self._ahead_s = 0.0  # of the ledger's clock before our own
        self._looked_at = -inf
        self._turn = asyncio.Lock()

    def now(self) -> float:
        """Of the ledger's clock, as far as is known here."""
        return self._clock.monotonic() + self._ahead_s

    async def look(self) -> None:
        """See what others have been told, unless that was done a moment ago."""
        async with self._turn:
            if self._clock.monotonic() - self._looked_at >= _LOOK_AGAIN_S:
                await self.change(lambda known, _: (known, None))

    async def change(self, change: Change[T]) -> T:
        """Do so in the ledger, under a lock."""

        def rewrite(text: str, now: float) -> tuple[str, T]:
            found = _read(text, now)
            is_ours = found is None or found.token in ("", self._token)
            known, result = change(found if is_ours else None, now)
            if known is not None and known.reason is Reason.ACCOUNT_REFUSED:
                known = replace(known, token=self._token)
            self.trouble, self._ahead_s = known, now - self._clock.monotonic()
            return _written(found if known is None and not is_ours else known, now), result

        self._looked_at = self._clock.monotonic()
        try:
            return await self._desk.do(lambda ledger: ledger.change_note(self._name, rewrite))
        except LedgerError:  # said by the desk
            self.trouble, result = change(self.trouble, self.now())
            return result


def _read(text: str, now: float) -> Trouble | None:
    kept = read_note(text, _Note)
    if kept is None:
        return None
    # Where the clock was set back, nobody shall wait until it is there again.
    return replace(kept.trouble, ends_at=kept.trouble.ends_at - max(0.0, kept.at - now))


def _written(trouble: Trouble | None, now: float) -> str:
    if trouble is None:
        return ""
    return json.dumps(asdict(_Note(at=now, trouble=trouble)))

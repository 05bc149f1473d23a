"""Whose turn it is to read the account's list, and from where: so that it is read once, whoever wants to know."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol, TypeVar

from warmer.core.note import read_note
from warmer.engine.desk import Desk
from warmer.ports import Clock

T = TypeVar("T")

_LONGEST_S = 3.0
"""A reading that takes longer is its process's alone: that one may be gone, and beats wait for it."""
_LONG_AGO_S = 3600.0
"""When all processes were gone for so long, the next reading begins as that of a process that starts."""
_LOOK_AGAIN_S = 0.1
"""Between two looks at whether another process's reading is over. The list is read within a fraction of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Leave to read the list."""

    begun_at: float  # by the clock of all who read
    newest: datetime | None  # creation of the newest prediction that was seen, by the provider's clock


class Readings(Protocol):
    """What is known of the readings of one account's list. One turn at a time in a process."""

    read_at: float | None
    """When the last reading that this process knows to be over began, by its own clock."""

    async def begin(self, max_age_s: float) -> Turn | None:
        """Leave to read; None where a reading that is over began within `max_age_s`. May raise LedgerError."""
        ...

    async def end(self, turn: Turn, newest: datetime | None) -> None:
        """The reading is over, and on record. May raise LedgerError."""
        ...

    async def give_up(self, turn: Turn) -> None:
        """Nothing came of it. May raise LedgerError."""
        ...


class OwnReadings:
    """Those of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.read_at: float | None = None
        self._newest: datetime | None = None

    async def begin(self, max_age_s: float) -> Turn | None:
        """Leave to read; None where that was done within `max_age_s`."""
        now = self._clock.monotonic()
        if self.read_at is not None and now - self.read_at < max_age_s:
            return None
        return Turn(begun_at=now, newest=self._newest)

    async def end(self, turn: Turn, newest: datetime | None) -> None:
        """The reading is over."""
        self.read_at, self._newest = turn.begun_at, newest

    async def give_up(self, turn: Turn) -> None:
        """Nothing came of it."""


class _Answer(Enum):
    FRESH = "fresh"
    WAIT = "wait"


@dataclass(slots=True, kw_only=True)
class _Note:
    """What the processes tell each other. Moments are those of the ledger's clock; one of the future was set back."""

    read_at: float | None = None  # when the last reading that is over began
    busy_since: float | None = None
    newest: str | None = None

    def ask(self, now: float, max_age_s: float) -> Turn | _Answer:
        """Leave to read, which is noted, or why not."""
        if self.read_at is not None and 0 <= now - self.read_at < max_age_s:
            return _Answer.FRESH
        if self.busy_since is not None and 0 <= now - self.busy_since < _LONGEST_S:
            return _Answer.WAIT
        self.busy_since = now
        is_known = self.newest is not None and self.read_at is not None and now - self.read_at < _LONG_AGO_S
        return Turn(begun_at=now, newest=datetime.fromisoformat(self.newest) if is_known and self.newest else None)

    def end(self, turn: Turn, newest: datetime | None) -> None:
        """The reading is over."""
        self.give_up(turn)
        self.read_at = turn.begun_at
        self.newest = None if newest is None else newest.isoformat()

    def give_up(self, turn: Turn) -> None:
        """Nothing came of it; unless it took so long that another one was begun, the list is free."""
        if self.busy_since == turn.begun_at:
            self.busy_since = None


class SharedReadings:
    """Those of all processes of one ledger, by a note there: one reads, the others wait for it."""

    def __init__(self, desk: Desk, clock: Clock, account: str) -> None:
        self._desk, self._clock, self._name = desk, clock, f"readings of {account}"
        self.read_at: float | None = None

    async def begin(self, max_age_s: float) -> Turn | None:
        """Leave to read; None where a reading that is over began within `max_age_s`."""
        while self.read_at is None or self._clock.monotonic() - self.read_at >= max_age_s:
            answer = await self._change(lambda note, now: note.ask(now, max_age_s))
            if isinstance(answer, Turn):
                return answer
            if answer is _Answer.FRESH:
                return None
            await self._clock.sleep(_LOOK_AGAIN_S)
        return None

    async def end(self, turn: Turn, newest: datetime | None) -> None:
        """The reading is over."""
        await self._change(lambda note, _: note.end(turn, newest))

    async def give_up(self, turn: Turn) -> None:
        """Nothing came of it."""
        await self._change(lambda note, _: note.give_up(turn))

    async def _change(self, change: Callable[[_Note, float], T]) -> T:
        asked_at = self._clock.monotonic()

        def rewrite(text: str, now: float) -> tuple[str, T]:
            note = read_note(text, _Note) or _Note()
            result = change(note, now)
            if note.read_at is not None and note.read_at <= now:
                self.read_at = asked_at - (now - note.read_at)
            return json.dumps(asdict(note)), result

        return await self._desk.do(lambda ledger: ledger.change_note(self._name, rewrite))

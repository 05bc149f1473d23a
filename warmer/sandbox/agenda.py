"""What will happen when: the event queue under the world. Time is whatever it was last told."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime
from itertools import count


class Appointment:
    """One coming event. `drop` it when it no longer applies."""

    __slots__ = ("_action", "when")

    def __init__(self, when: datetime, action: Callable[[], None]) -> None:
        self.when = when
        self._action: Callable[[], None] | None = action

    @property
    def dropped(self) -> bool:
        """Whether nothing will happen any more."""
        return self._action is None

    def drop(self) -> None:
        """Let nothing happen. Harmless when it has happened already."""
        self._action = None

    def keep(self) -> None:
        """Do what was agreed, once."""
        action, self._action = self._action, None
        if action is not None:
            action()


class Agenda:
    """Events in order of time; at the same instant, in the order they were made."""

    def __init__(self, begin: datetime) -> None:
        if begin.tzinfo is None:
            raise ValueError("begin has no zone: pass an aware UTC datetime")
        self.now = begin
        self.on_new: Callable[[], None] | None = None
        self._order = count()
        self._heap: list[tuple[datetime, int, Appointment]] = []

    def at(self, when: datetime, action: Callable[[], None]) -> Appointment:
        """Have `action` happen at `when`; at the next advance if that is past."""
        appointment = Appointment(max(when, self.now), action)
        heapq.heappush(self._heap, (appointment.when, next(self._order), appointment))
        if self.on_new is not None:
            self.on_new()
        return appointment

    def next(self) -> datetime | None:
        """When something happens next; None while nothing is to come."""
        while self._heap and self._heap[0][2].dropped:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def advance(self, now: datetime) -> None:
        """Let everything up to and including `now` happen, each at its own instant."""
        if now < self.now:
            raise ValueError(f"time went backwards, from {self.now} to {now}: advance with a clock that only rises")
        while (when := self.next()) is not None and when <= now:
            self.now = when
            heapq.heappop(self._heap)[2].keep()
        self.now = now

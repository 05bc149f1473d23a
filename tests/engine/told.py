"""As much of a ledger as what is learned asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, cast

from engine.stage import LLAMA, fixed

from warmer.core.history import Evidence, Glance, History
from warmer.core.learned import Learned
from warmer.engine.learning import Learning
from warmer.ports import Ledger

T = TypeVar("T")

ENTRY = fixed(LLAMA, 60)


class Told:
    """The evidence that has come to light, and notes."""

    def __init__(self) -> None:
        self.known: list[Evidence] = []
        self.notes: dict[str, str] = {}
        self.asked: list[datetime | None] = []  # since when

    def evidence(self, model: str, *, since: datetime | None = None, limit: int) -> tuple[Evidence, ...]:
        self.asked.append(since)
        return tuple(one for one in self.known if since is None or one.at > since)[-limit:]

    def note(self, name: str) -> str:
        return self.notes.get(name, "")

    def change_note(self, name: str, change: Callable[[str, float], tuple[str, T]]) -> T:
        self.notes[name], result = change(self.note(name), 0.0)
        return result

    def glance(self, model: str, *, finds_since: datetime | None, finds: int, **_: Any) -> Glance:
        return Glance(history=History(), evidence=self.evidence(model, since=finds_since, limit=finds))


def facts(learning: Learning, told: Told, now: datetime) -> tuple[Any, ...]:
    """What is known of ENTRY."""
    known = learning.knowledge(cast("Ledger", told), ENTRY, now).learned or Learned()
    belief = known.idle_timeout
    return belief.interval_s, belief.median_s, belief.band_s, belief.gaps, known.boots_s, known.versions

"""What one model's record has taught so far, read step by step, and kept as a note of the ledger.

The note lets a start, and each `once`, go on from there instead of reading thousands of finds again. It holds nothing
that could not be made anew: one that does not fit is as good as none.
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from warmer.core.history import Evidence
from warmer.core.idle_timeout import REMEMBERED
from warmer.core.learned import Learned
from warmer.core.spec import ModelSpec, TargetKind
from warmer.ports import Ledger

SETTLES_IN = timedelta(minutes=10)
"""What ended longer ago than this is on record: a call is seen and recorded within a minute or two of its end."""
AT_ONCE = 200
"""Finds that a hurried look takes in, in some 50 ms: nobody else can use the ledger for as long."""
_KEPT_EVERY = 32
"""Finds from one note to the next."""


@dataclass(slots=True)
class Lesson:
    """One model's, as far as it was read."""

    latest: Learned = field(default_factory=Learned)  # all that is known
    young: tuple[int, ...] = ()  # sums of what of it ended after `until`: whether it is the same is all that is asked
    until: datetime | None = None
    settled: Learned | None = None
    """What was known without the young: kept of a model of which something once came to light late, since a belief is
    most of what a model takes."""
    is_whole: bool = False  # nothing that is on record is left to be read
    kept: int = 0  # finds that the note holds

    def go_on(
        self,
        ledger: Ledger,
        entry: ModelSpec,
        now: datetime,
        found: tuple[Evidence, ...],
        *,
        hurried: bool = False,
    ) -> None:
        """Take in what was `found` since `until`. `hurried`: no more than AT_ONCE finds of it."""
        evidence = _unheld(ledger, entry, found)
        seen = len(self.young)
        if self.young != tuple(map(_sum, evidence[:seen])):
            self.settled = self.settled or self._settled(ledger, entry)
            self.latest, seen = self.settled, 0
        read = evidence[: seen + AT_ONCE] if hurried else evidence
        self.is_whole = len(read) == len(evidence)
        self.latest = self.latest.after_all(read[seen:])
        # From here on the record of that time is whole: what comes of it later was imported, and read with a new start.
        until = now - SETTLES_IN
        if not self.is_whole:  # what ended with the last one that was read may be left
            until = min(until, read[-1].at - timedelta.resolution)
        self.until = max(until, self.until or until)
        old = bisect_right(read, self.until, key=lambda one: one.at)
        self.young = tuple(map(_sum, read[old:]))
        if self.settled is not None:
            self.settled = self.settled.after_all(read[:old])

    def _settled(self, ledger: Ledger, entry: ModelSpec) -> Learned:
        """What was known up to where the young begin, read anew."""
        until = self.until
        found = _unheld(ledger, entry, ledger.evidence(entry.name, limit=REMEMBERED))
        return Learned().after_all(one for one in found if until is None or one.at <= until)

    def keep(self, ledger: Ledger, entry: ModelSpec, imported_at: datetime | None) -> None:
        """Write the note, now and then. `imported_at`: of the last import, by which it was read."""
        finds = self.latest.idle_timeout.gaps
        if self.until is None or abs(finds - self.kept) < _KEPT_EVERY:
            return
        note = json.dumps(
            {
                "read": _way(entry, imported_at),
                "until": self.until.isoformat(),
                "young": list(self.young),
                "latest": self.latest.told(),
                "settled": None if self.settled is None else self.settled.told(),
            }
        )
        ledger.change_note(_name(entry), lambda text, now: (note, None))
        self.kept = finds

    @classmethod
    def kept_of(cls, ledger: Ledger, entry: ModelSpec, imported_at: datetime | None, now: datetime) -> Lesson:
        """The one that the note holds; one that has read nothing where there is none that fits."""
        try:
            note = json.loads(ledger.note(_name(entry)) or "null")
            if note is None or note["read"] != _way(entry, imported_at):
                return cls()
            until, settled = datetime.fromisoformat(note["until"]), note["settled"]
            if until > now - SETTLES_IN:  # the clock was another one, and what ends before that time would be missed
                return cls()
            latest = Learned.retold(note["latest"])
            return cls(
                latest=latest,
                young=tuple(note["young"]),
                until=until,
                settled=None if settled is None else Learned.retold(settled),
                kept=latest.idle_timeout.gaps,
            )
        except (ValueError, TypeError, KeyError):
            return cls()


def _name(entry: ModelSpec) -> str:
    return f"learned of {entry.name}"


def _way(entry: ModelSpec, imported_at: datetime | None) -> list[str | None]:
    """What a reading goes by, besides the finds."""
    return [entry.target.kind.value, entry.target.slug, None if imported_at is None else imported_at.isoformat()]


def _sum(one: Evidence) -> int:
    return zlib.crc32(repr(one).encode())


def _unheld(ledger: Ledger, entry: ModelSpec, found: tuple[Evidence, ...]) -> Sequence[Evidence]:
    """What was found save where a floor of ours held instances."""
    target = entry.target
    if target.kind is not TargetKind.DEPLOYMENT or not found:
        return found
    held = [
        spell for spell in ledger.floor_spells(min(one.idle_since for one in found)) if spell.deployment == target.slug
    ]
    return [one for one in found if not any(spell.hides(one) for spell in held)]

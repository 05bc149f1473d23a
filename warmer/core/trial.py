"""What a file would change if it were put in force: nothing of it is."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from warmer.errors import Fault


class ChangeKind(StrEnum):
    """What becomes of a model."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One key, as the effective files have it; None: not at all."""

    key: str
    was: str | None
    becomes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What `plan` expects of a day, in the mean of a week."""

    beats_per_day: float
    cost_usd_per_day: Decimal | None  # None: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One model that would be decided anew."""

    model: str
    change: ChangeKind
    edits: tuple[Edit, ...] = ()  # of its entry; none: what is said for all models has changed
    now: Expected | None = None  # None: it is not there, or not reckoned
    then: Expected | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was found of one file."""

    ok: bool  # whether it could be put in force
    faults: tuple[Fault, ...] = ()
    digest: str | None = None  # None: it is wrong
    models: int = 0
    restart: str | None = None  # why it would be in force after a restart only
    file: tuple[Edit, ...] = ()  # what is said for all models
    changes: tuple[Change, ...] = ()
    now: Expected | None = None  # of all models; None: not reckoned
    then: Expected | None = None
    why: str | None = None  # why it was not

    def named(self, kind: ChangeKind) -> tuple[str, ...]:
        """The models of which that becomes."""
        return tuple(one.model for one in self.changes if one.change is kind)

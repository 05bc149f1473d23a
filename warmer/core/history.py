"""What the ledger tells of one model: as it stands now, and what each use of it met."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from warmer.core.beat import OpenBeat, Use


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One model's record. Stamps of predictions are the provider's; those of claims are ours."""

    slots: int = 0  # beats claimed so far
    open_beat: OpenBeat | None = None
    last_beat_at: datetime | None = None  # creation of the last beat that reached the provider
    last_claim_at: datetime | None = None  # claim of that beat
    last_activity: datetime | None = None  # end of the last finished use, ours or a customer's
    running_since: datetime | None = None  # creation of the youngest customer call not yet seen finished
    warm_waits: tuple[float, ...] = ()  # seconds; waits of recent finds that were not cold, newest first

    @property
    def newest(self) -> datetime | None:
        """The latest of the provider's stamps."""
        stamps = (self.last_activity, self.last_beat_at, self.running_since)
        return max((stamp for stamp in stamps if stamp is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one finished beat or call met, as the ledger has it. Unsure ones are none."""

    at: datetime  # its end, by the provider's clock
    gap_s: float | None  # None: nothing was known of earlier activity
    cold: bool
    wait_s: float | None
    version: str | None = None  # that ran
    price: str | None = None  # of a second of it

    @property
    def idle_since(self) -> datetime:
        """When the gap before it began, at the latest: how long it ran is not told."""
        return self.at - timedelta(seconds=(self.gap_s or 0.0) + (self.wait_s or 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """All that the ledger tells of one model at one instant to whoever decides, of which he knows some already."""

    history: History
    imported_at: datetime | None = None  # the end of the last import, by our clock: the past may be another one since
    evidence: tuple[Evidence, ...] = ()  # oldest first
    calls: tuple[datetime, ...] = ()  # when customers called, in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was going on with one model when a beat or a call came, by the provider's stamps."""

    uses: tuple[Use, ...] = ()  # in order of their creation; what came may be one of them
    last_activity: datetime | None = None
    """End of the last use that had ended by then; that very moment where one was still going on."""
    warm_waits: tuple[float, ...] = ()  # as of `History`

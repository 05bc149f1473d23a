"""What was last seen of each model, in memory: whoever asks whether one is warm has the answer in a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from warmer.core.floor import raised_by
from warmer.core.history import History
from warmer.core.learned import Learned
from warmer.core.official import is_left_alone
from warmer.core.spec import ModelSpec, TargetKind
from warmer.core.state import RUNNING_AT_MOST, Knowledge
from warmer.core.verdict import baseline_s
from warmer.core.warmth import Sight
from warmer.engine.contracts import Contracts
from warmer.engine.learning import Learning
from warmer.ports import Clock, Ledger

ALONE_S, SHARED_S = 60.0, 2.0
"""How long a sight is good for where this process decides for all models, and where others do so too. Whatever this
process does or sees itself is put right at once."""


@dataclass(frozen=True, slots=True)
class _Kept:
    sight: Sight
    at: float  # monotonic


class Sights:
    """Kept by whoever reads the ledger for a decision, let go of by whoever writes to it."""

    def __init__(self, clock: Clock, learning: Learning, contracts: Contracts, *, is_shared: bool) -> None:
        self._clock, self._learning, self._contracts = clock, learning, contracts
        self._good_for_s = SHARED_S if is_shared else ALONE_S
        self._kept: dict[str, _Kept] = {}

    def get(self, model: str) -> Sight | None:
        """The last one; None where that is not good any more."""
        kept = self._kept.get(model)
        if kept is None or self._clock.monotonic() - kept.at > self._good_for_s:
            return None
        return kept.sight

    def forget(self, model: str) -> None:
        """Something was written of `model`."""
        self._kept.pop(model, None)

    def read(self, ledger: Ledger, spec: ModelSpec, skew: timedelta) -> Sight:
        """A new one, from the ledger. `skew`: how far the provider's clock is ahead of ours."""
        now = self._clock.now()
        seen = self._learning.glance(ledger, spec, now + skew)
        knowledge = self._learning.knowledge(ledger, spec, now + skew, seen)
        return self.keep(ledger, spec, seen.history, knowledge, skew)

    def keep(self, ledger: Ledger, spec: ModelSpec, history: History, knowledge: Knowledge, skew: timedelta) -> Sight:
        """The same from what was read already."""

        def ours(stamp: datetime | None) -> datetime | None:
            return None if stamp is None else stamp - skew

        now, request = self._clock.now(), self._contracts.known_request(spec)
        running = ours(history.running_since)
        floor = ledger.floor(spec.target.slug) if spec.target.kind is TargetKind.DEPLOYMENT else None
        sight = Sight(
            model=spec.name,
            learned=knowledge.learned or Learned(),
            warm_wait_s=baseline_s(history.warm_waits),
            last_use=ours(history.last_activity),
            call_since=running if running is not None and now - running < RUNNING_AT_MOST else None,
            beat_since=history.open_beat.claimed_at if history.open_beat else None,
            held_since=floor.begun_at if floor is not None and raised_by(floor) else None,
            always_on=request is not None and is_left_alone(spec, request.billing),
            calls_per_s=knowledge.calls_per_s,
        )
        self._kept[spec.name] = _Kept(sight, self._clock.monotonic())
        return sight

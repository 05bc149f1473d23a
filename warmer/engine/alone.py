"""What commands without network know of models that are always on."""

from __future__ import annotations

from datetime import datetime, timedelta

from warmer.core.beat import Reason
from warmer.core.spec import ModelSpec, Spec
from warmer.ports import Ledger

_LATELY = timedelta(days=7)


def left_alone(spec: Spec, ledger: Ledger, now: datetime) -> frozenset[str]:
    """The models that `run` has lately left alone for that, and has sent nothing."""
    ticks = ledger.ticks(now - _LATELY)

    def is_left_alone(entry: ModelSpec) -> bool:
        if entry.billing is not None or (entry.name, Reason.ALWAYS_ON) not in ticks:
            return False
        last = ledger.latest_beat(entry.name)
        return last is None or last.created_at < now - _LATELY

    return frozenset(entry.name for entry in spec.models if is_left_alone(entry))

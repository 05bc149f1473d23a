"""What commands without network know of models that are always on."""

from __future__ import annotations

from datetime import datetime, timedelta

from warmer.core.beat import Reason
from warmer.core.spec import ModelSpec
from warmer.ports import Ledger

_LATELY = timedelta(days=7)


def is_left_alone(entry: ModelSpec, ledger: Ledger, now: datetime) -> bool:
    """Whether `run` has lately left `entry` alone for that, and has sent it nothing."""
    if entry.billing is not None:
        return False
    last = ledger.latest_beat(entry.name)
    is_idle = last is None or last.created_at < now - _LATELY
    return is_idle and (entry.name, Reason.ALWAYS_ON) in ledger.ticks(now - _LATELY)

"""What commands tell of the caps of the file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from warmer.core.budget import Spending, limits
from warmer.core.spec import Spec
from warmer.ports import Ledger


def spendings_of(spec: Spec, ledger: Ledger, now: datetime) -> tuple[Spending, ...]:
    """What counts against each cap of the file in the window that `now` lies in."""
    return ledger.spendings(limits(spec.caps, now, spec.zone), now)


def spending_facts(one: Spending) -> dict[str, Any]:
    """For JSON."""
    return {
        "cap": str(one.limit.cap),
        "model": one.limit.cap.model,
        "period": one.limit.cap.period,
        "cap_usd": one.limit.cap.usd,
        "spent_usd": one.settled_usd,
        "reserved_usd": one.reserved_usd,
        "left_usd": one.left_usd,
        "until": one.limit.end,
    }

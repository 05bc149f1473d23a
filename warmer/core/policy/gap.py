"""How long a model may stay idle before a heartbeat: what was learned, and what the file allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import inf

from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The idle time to leave."""

    length: timedelta
    probes: bool  # longer than is known to be safe: what is found after it tells the idle time-out


def gap_of(state: ModelState, spec: ModelSpec) -> Gap:
    """The gap to leave before the next heartbeat of `spec`: `every` at most."""
    if state.learned is None:
        return Gap(length=spec.interval, probes=False)
    longest_s = inf if spec.every is None else spec.every.total_seconds()
    gap_s, probes = state.learned.idle_timeout.next_gap_s(risk_per_s=state.calls_per_s, longest_s=longest_s)
    # What the file asks for is no experiment, whatever it shows.
    return Gap(length=timedelta(seconds=gap_s), probes=probes and gap_s < longest_s)

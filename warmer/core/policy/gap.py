"""How long a model may stay idle before a heartbeat: what was learned, and what the file allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import floor, inf

from warmer.core.learned import Learned
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState

_A_SECOND = 10
"""Gaps are whole tenths of a second: no time-out is known any better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The idle time to leave."""

    length: timedelta
    probes: bool  # longer than is known to be safe: what is found after it tells the idle time-out
    least: timedelta
    """The shortest that it can become when customers call. A rest is no longer than that: whoever calls during it is
    heard of in time for the beat that this asks for."""


def gap_of(state: ModelState, spec: ModelSpec) -> Gap:
    """The gap to leave before the next heartbeat of `spec`: `every` at most."""
    if state.learned is None:
        return Gap(length=spec.interval, probes=False, least=spec.interval)
    longest_s = _longest_s(spec)
    gap_s, probes = state.learned.idle_timeout.next_gap_s(risk_per_s=state.calls_per_s, longest_s=longest_s)
    # What the file asks for is no experiment, whatever it shows.
    return Gap(length=_length(gap_s, spec), probes=probes and gap_s < longest_s, least=least_gap(state.learned, spec))


def least_gap(learned: Learned, spec: ModelSpec) -> timedelta:
    """The shortest that the gap can be while this is believed, however often customers call."""
    belief = learned.idle_timeout
    doubted_s = inf if belief.doubted_s is None else belief.doubted_s
    return _length(min(belief.interval_s, doubted_s, _longest_s(spec)), spec)


def _longest_s(spec: ModelSpec) -> float:
    return inf if spec.every is None else spec.every.total_seconds()


def _length(gap_s: float, spec: ModelSpec) -> timedelta:
    if spec.every is not None and gap_s >= spec.every.total_seconds():
        return spec.every
    return timedelta(seconds=floor(gap_s * _A_SECOND) / _A_SECOND)

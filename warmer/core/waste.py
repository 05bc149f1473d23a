"""Rules that catch money spent for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import numpy as np

from warmer.core.backtest.entry import Traffic
from warmer.core.backtest.trace import DAY, HOUR
from warmer.core.hours import ActiveHours
from warmer.core.price import Billing
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.tune import LEAST_DAYS
from warmer.core.tune_hours import COVERED, suggest_hours
from warmer.core.ways import HEARTBEATS

UNUSED_FOR = timedelta(days=14)
"""A model that nobody has called for so long is kept for nobody."""
IDLE_SHARE = 0.5
"""A floor that stands all day is waste where more of its hours than this have no call."""


class Waste(StrEnum):
    """What money is spent on for nobody: a closed list."""

    IDLE_FLOOR = "idle_floor"  # a floor stands all day, and most of its hours nobody calls
    OFFICIAL_HEARTBEAT = "official_heartbeat"  # heartbeats of a model that is always on
    UNUSED = "unused"  # nobody has called the model for two weeks


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One waste of one model."""

    waste: Waste
    why: str
    write: str  # what to change in the file


def wastes(
    entry: ModelSpec, traffic: Traffic | None, billing: Billing | None, *, silent_for: timedelta | None
) -> Iterator[Finding]:
    """What is wasted on the model of `entry`.

    `silent_for`: how long it has been watched without a call; None where that is not known.
    """
    if billing is Billing.OFFICIAL and entry.policy in HEARTBEATS:
        yield _official(entry)
    if silent_for is not None and silent_for >= UNUSED_FOR and entry.policy is not PolicyName.OBSERVE:
        yield Finding(
            waste=Waste.UNUSED,
            why=f"nobody has called it for {silent_for // timedelta(days=1)} days",
            write="take the entry out, or write `policy: observe` to go on recording its calls",
        )
    elif traffic is not None and entry.policy is PolicyName.FLOOR:
        yield from _idle(entry, traffic)


def _official(entry: ModelSpec) -> Finding:
    sent = "each heartbeat costs an output" if entry.billing is Billing.OFFICIAL else "so none is sent"
    return Finding(
        waste=Waste.OFFICIAL_HEARTBEAT,
        why=f"heartbeats of an official model warm nothing: it is always on, and {sent}",
        write="take the entry out, or write `policy: observe` to go on recording its calls",
    )


def _idle(entry: ModelSpec, traffic: Traffic) -> Iterator[Finding]:
    """A floor with a window of a whole day or more."""
    if traffic.trace.end < LEAST_DAYS * DAY:
        return
    begins, ends = traffic.midnight, traffic.moment(traffic.trace.end)
    windows = entry.hours.windows(begins, ends)
    if not any(closes - opens >= timedelta(days=1) for opens, closes in windows):
        return
    (arrivals,) = traffic.trace.models
    moments = [traffic.moment(at) for at in arrivals.at.tolist()]
    called = len(np.unique([at // HOUR for at in arrivals.at[[entry.hours.contains(one) for one in moments]].tolist()]))
    raised = sum((closes - opens for opens, closes in windows), timedelta(0)) / timedelta(hours=1)
    if raised - called <= IDLE_SHARE * raised:
        return
    better = suggest_hours(moments, entry.hours, covered=COVERED[0])
    yield Finding(
        waste=Waste.IDLE_FLOOR,
        why=f"its floor stands all day, and in {(1 - called / raised) * 100:.0f} % of its hours nobody calls",
        write="another of its ways: no hours stand out" if better is None else f"`hours: {_in_file(better)}`",
    )


def _in_file(hours: ActiveHours) -> str:
    lines = hours.lines
    return lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"

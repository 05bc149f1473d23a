"""A model's forecast on the clock of its file: what `adaptive` asks."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import log
from zoneinfo import ZoneInfo

from warmer.core.adaptive import Adaptive

MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
"""Second 0 of every forecast, as a local midnight."""
_MOVES = timedelta(days=2)
"""A call this young stands where the clock of now would put it, so that a gap over a change of the clock is as long as
it was; older ones where their own clock did, so that nine o'clock stays nine o'clock."""

USUAL_BOOT_S = 12.0
"""The median boot of public models, until the model's own are known."""
_MOVED = log(1.1)
"""An interval that moved by a tenth makes a forecast anew: its gaps begin elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prospect:
    """What is expected of one model's customers. `decider` is a fold over their calls."""

    decider: Adaptive
    offset: timedelta  # of the file's zone, now

    def seconds(self, moment: datetime) -> float:
        """`moment` as the decider counts time."""
        return (moment - MONDAY + self.offset).total_seconds()

    def moment(self, at_s: float) -> datetime:
        """The instant that the decider calls `at_s`."""
        return moment_at(at_s, self.offset)

    def copy(self) -> Prospect:
        """One that can be fed with calls that have not been."""
        return Prospect(decider=deepcopy(self.decider), offset=self.offset)


def moment_at(at_s: float, offset: timedelta) -> datetime:
    """The instant that a decider calls `at_s`, where wall clocks are `offset` ahead of UTC."""
    return MONDAY - offset + timedelta(seconds=at_s)


def offset_at(moment: datetime, zone: ZoneInfo) -> timedelta:
    """How far the wall clocks of `zone` are ahead of UTC at `moment`."""
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def local_seconds(calls: Iterable[datetime], zone: ZoneInfo, now: datetime) -> list[float]:
    """When `calls` came, as a decider counts time."""
    current = offset_at(now, zone)
    return [
        (call - MONDAY + (current if now - call < _MOVES else offset_at(call, zone))).total_seconds() for call in calls
    ]


def has_moved(interval_s: float, decider: Adaptive) -> bool:
    """Whether the interval is another one than `decider` was made for."""
    return abs(log(interval_s / decider.interval_s)) > _MOVED

"""Past traffic: when each model was called.

Times are whole microseconds from the midnight a trace begins with: sums are exact in any order, so that a closed form
and a loop over events can agree to the last decision, and agree with the live policies, whose clock is as fine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

SECOND = 1_000_000
"""Microseconds in a second."""
HOUR = 3600 * SECOND
DAY = 24 * HOUR
LONGEST_S = 10 * 365 * 86_400
"""Ten years, the longest trace: a time past it is a Unix time, not seconds from a beginning."""

Times = NDArray[np.int64]


def midnight_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """The midnight in `zone` that the day of `moment` began with."""
    return datetime.combine(moment.astimezone(zone).date(), time(), zone).astimezone(UTC)


def microseconds(seconds: float) -> int:
    """`seconds` to the nearest microsecond."""
    return round(seconds * SECOND)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrivals:
    """The calls of one model, in order. Two may fall on one instant."""

    model: str
    at: Times  # microseconds

    def __post_init__(self) -> None:
        if len(self.at) and self.at[0] < 0:
            raise ValueError(f"{self.model}: times begin at 0")
        if np.any(self.at[1:] < self.at[:-1]):
            raise ValueError(f"{self.model}: times must be in order")
        self.at.flags.writeable = False

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """The traffic of some models over one stretch of time that begins at a midnight."""

    name: str
    models: tuple[Arrivals, ...]  # by name
    end: int  # microseconds: no call lies at or after it, and no heartbeat is sent from then on

    def __post_init__(self) -> None:
        if any(len(arrivals) and arrivals.at[-1] >= self.end for arrivals in self.models):
            raise ValueError(f"{self.name}: a call lies at the trace's end or after it")

    @classmethod
    def of(cls, name: str, calls: Mapping[str, ArrayLike], *, days: int | None = None) -> Trace:
        """A trace of `calls`, model to seconds. It lasts `days`, or ends with the hour of its last call.

        Raises ValueError for times that are no number, negative, not in order or past ten years.
        """
        models = []
        for model in sorted(calls):
            seconds = np.asarray(calls[model], dtype=np.float64)
            if not np.all((seconds >= 0) & (seconds <= LONGEST_S)):
                raise ValueError(f"{model}: times lie between 0 s and {LONGEST_S} s")
            models.append(Arrivals(model=model, at=np.rint(seconds * SECOND).astype(np.int64)))
        last = max((int(one.at[-1]) for one in models if len(one)), default=-1)
        end = (last // HOUR + 1) * HOUR if days is None else days * DAY
        return cls(name=name, models=tuple(models), end=end)

    @classmethod
    def of_moments(cls, name: str, calls: Mapping[str, Sequence[datetime]], zone: ZoneInfo) -> Trace:
        """A trace of `calls`, model to aware moments, that begins with the first of them's midnight in `zone`."""
        first = min((min(moments) for moments in calls.values() if moments), default=None)
        if first is None:
            return cls.of(name, {})
        midnight = midnight_of(first, zone)
        return cls.of(
            name,
            {
                model: [(moment - midnight).total_seconds() for moment in sorted(moments)]
                for model, moments in calls.items()
            },
        )

    def __len__(self) -> int:
        return sum(len(arrivals) for arrivals in self.models)

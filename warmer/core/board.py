"""What the page shows of the daemon and its models: figures with what to hold them against, none of the drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from warmer.core.beat import Observation, Reason, Verdict
from warmer.core.budget import Spending
from warmer.core.history import Evidence
from warmer.core.hours_notation import Stretch
from warmer.core.idle_timeout import Find, IdleTimeout
from warmer.core.now import ModelDetail, ModelNow
from warmer.core.rollup import BeatSums, CallSums
from warmer.core.spec import ModelSpec
from warmer.core.spent import Spent

if TYPE_CHECKING:  # heavy, and a command that shows no page needs nothing of it
    from warmer.core.advise import Advised
    from warmer.core.avoided import Avoided

WEEK = timedelta(days=7)
MONTH = timedelta(days=28)
"""How far charts look back: four whole weeks, so that each hour of the week is there as often as any other."""
SLOT = timedelta(minutes=3)
"""Marks on the axis of a day that are closer than that are one."""
MODELS_A_PAGE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What one beat or call met."""

    model: str
    at: datetime  # its creation
    wait_s: float | None
    gap_s: float | None
    verdict: Verdict
    reason: Reason | None  # of a beat; None: a customer's call
    status: str
    error: str | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """When a model was used, to the SLOT: beginnings of slots."""

    beats: tuple[datetime, ...] = ()
    calls: tuple[datetime, ...] = ()
    cold: tuple[datetime, ...] = ()  # either, found cold
    beat_count: int = 0
    call_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One local day of a model."""

    begins: datetime
    ends: datetime
    windows: tuple[Stretch, ...]  # active hours
    marks: Marks = Marks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Customers' calls over some time."""

    calls: int = 0
    cold: int = 0
    unsure: int = 0

    def __add__(self, other: Calls) -> Calls:
        return Calls(calls=self.calls + other.calls, cold=self.cold + other.cold, unsure=self.unsure + other.unsure)

    def __sub__(self, other: Calls) -> Calls:
        return Calls(calls=self.calls - other.calls, cold=self.cold - other.cold, unsure=self.unsure - other.unsure)

    @property
    def cold_share(self) -> float | None:
        """Of those that could be told; None where there are none."""
        told = self.calls - self.unsure
        return self.cold / told if told > 0 else None

    @classmethod
    def of(cls, sums: Iterable[CallSums]) -> Calls:
        """All of them together."""
        return sum((cls(calls=one.calls, cold=one.cold, unsure=one.unsure) for one in sums), cls())


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One model among others."""

    now: ModelNow
    zone: ZoneInfo  # of its hours
    last_beat: Observation | None
    week: Calls
    wait_p50_s: float | None  # of customers, in the week
    wait_p95_s: float | None
    today: Spending  # against its own daily cap, or what it would be against one
    is_capped: bool
    idle_timeout: IdleTimeout | None
    day: Day
    waits: tuple[Met, ...]  # the latest, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many models of the file are so."""

    warm: int
    cold: int
    paused: int
    closed: int  # outside their active hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The models of a page, and what all of them come to."""

    at: datetime
    zone: ZoneInfo
    file: str
    models: int
    tally: Tally | None  # None: they are being looked at
    week: Calls | None  # None: it is being added up
    week_before: Calls | None
    today: Spending  # of all models
    month: Spending
    is_capped_today: bool
    is_capped_month: bool
    find: str
    found: int  # models whose name has `find`
    page: int  # from 1
    lines: tuple[Line, ...]

    @property
    def pages(self) -> int:
        """How many there are."""
        return max(1, -(-self.found // MODELS_A_PAGE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was thought of an idle time-out once one more find was known."""

    gap_s: float
    cold: bool
    low_s: float
    median_s: float
    high_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One entry that a model might have, and what it would have done on its past calls."""

    policy: str  # and what it is told: `adaptive 2%`
    hours: str
    is_now: bool = False  # the entry of the file
    is_suggested: bool = False
    beats_a_day: float
    usd_a_day: Decimal | None  # of its beats; None: their price is unknown
    cold_share: float  # of all calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What `warmer tune` finds of one model: the entry of the file among those that it tries."""

    at: datetime  # when it was worked out
    why: str  # one sentence
    calls: int = 0
    days: int = 0
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counsel:
    """What `warmer advise` says of some models."""

    at: datetime  # when it was worked out
    advised: tuple[Advised, ...]
    models: int  # that it was asked of
    why: str | None = None  # why there are not as many


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """All that is shown of one model."""

    at: datetime
    file: str
    entry: ModelSpec
    detail: ModelDetail
    line: Line
    met: tuple[Met, ...]  # the latest of a week, oldest first
    beats_by_hour: dict[datetime, int]  # of the week
    calls_by_hour: dict[datetime, int]
    week_of_calls: tuple[tuple[float, ...], ...]  # calls an hour in the mean: seven days from Monday, 24 hours each
    week_open: tuple[tuple[float, ...], ...]  # which part of those hours is active
    steps: tuple[Step, ...] | None  # oldest first; None: they are being worked out
    spent: tuple[Spent, ...]  # by day and reason
    days: tuple[date, ...]  # that `spent` is of
    avoided: Avoided | None  # None: it is being worked out, or there are too many calls to replay
    compared: Compared | None = None  # None: it is being worked out


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A cap, what counts against it, and where that leads."""

    spending: Spending
    usd_a_day: Decimal  # in the mean of the last week
    runs_out_at: datetime | None  # None: it lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyView:
    """What all of it cost."""

    at: datetime
    zone: ZoneInfo
    file: str
    days: tuple[date, ...]
    spent: tuple[Spent, ...]  # by model, day and reason
    today: Spending
    month: Spending
    month_ends: datetime
    usd_a_day: Decimal  # in the mean of the last week
    budgets: tuple[Budget, ...]
    counsel: Counsel | None = None  # None: it is being worked out


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsView:
    """What happened lately."""

    at: datetime
    zone: ZoneInfo
    file: str
    said: tuple[dict[str, Any], ...]  # lines of this process' log, oldest first
    met: tuple[Met, ...]  # beats, and calls found cold, of all processes, oldest first


def narrowed(finds: Iterable[Evidence]) -> tuple[Step, ...]:
    """What is thought of an idle time-out once each of the finds that told something is known too, step by step."""
    belief, steps = IdleTimeout.unknown(), list[Step]()
    for find in finds:
        if find.gap_s is None:
            continue
        belief = belief.after(Find(gap_s=find.gap_s, cold=find.cold))
        low_s, high_s = belief.band_s
        steps.append(Step(gap_s=find.gap_s, cold=find.cold, low_s=low_s, median_s=belief.median_s, high_s=high_s))
    return tuple(steps)


def by_week_hour(sums: Iterable[CallSums], zone: ZoneInfo, weeks: float) -> tuple[tuple[float, ...], ...]:
    """Calls an hour in the mean of so many weeks, by weekday from Monday and hour of `zone`."""
    table = [[0.0] * 24 for _ in range(7)]
    for one in sums:
        begins = one.begins.astimezone(zone)
        table[begins.weekday()][begins.hour] += one.calls
    return tuple(tuple(count / weeks for count in row) for row in table)


def open_by_week_hour(windows: Iterable[Stretch], zone: ZoneInfo) -> tuple[tuple[float, ...], ...]:
    """Which part of each hour of the week lies in one of the `windows`, which are those of one week."""
    table = [[0.0] * 24 for _ in range(7)]
    hour = timedelta(hours=1)
    for begins, ends in windows:
        at = begins
        while at < ends:
            local = at.astimezone(zone)
            left = hour - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            until = min(ends, at + left)
            table[local.weekday()][local.hour] += (until - at) / hour
            at = until
    return tuple(tuple(min(part, 1.0) for part in row) for row in table)


def by_hour(sums: Sequence[BeatSums] | Sequence[CallSums]) -> dict[datetime, int]:
    """How many there were in each hour that had any."""
    counts: dict[datetime, int] = {}
    for one in sums:
        counts[one.begins] = counts.get(one.begins, 0) + (one.beats if isinstance(one, BeatSums) else one.calls)
    return counts

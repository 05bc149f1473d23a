"""The cold starts that warming spared the customers of one model, and what each of them cost, with its error bar.

Avoided is what the same calls would have met unwarmed, by the simulation that backtests go by, less what they did meet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from math import inf, isfinite, log, sqrt
from statistics import median, pstdev
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from warmer.core.backtest.policies import Settings, policy
from warmer.core.backtest.trace import Trace, microseconds
from warmer.core.backtest.world import World
from warmer.core.beat import Request, Verdict
from warmer.core.learned import LATEST_BOOTS, Learned
from warmer.core.price import FREE, Cost, Known
from warmer.core.spent import Warming
from warmer.core.units import to_whole_micros

BEFORE = timedelta(hours=6)
"""Calls from so long before the time in question are replayed too: its first ones may have found what those left."""
DRAWS = 2000
"""How often the days are drawn anew."""
_SEED = 0
"""The same record gives the same error bar."""
_DAY = timedelta(days=1)
_NINE_TENTHS = 1.645  # standard deviations to either side

Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Avoided:
    """What warming was good for. Figures are None where they cannot be said, and `why` says why there is no price."""

    calls: int = 0  # that warming may have helped
    unwarmed_cold: int | None = None  # of these calls, had nothing been sent
    cold_starts: float | None = None  # avoided, 0 at least; a part of one where what a call met is doubtful
    low: float | None = None  # where its 90 % interval begins
    high: float | None = None
    price_usd: Decimal | None = None  # of one of them: what was spent in all, divided by their number
    price_low_usd: Decimal | None = None  # 90 % too
    price_high_usd: Decimal | None = None  # None where no end can be named: it may have been none that was avoided
    is_estimated: bool = False  # the cost is
    why: str | None = None

    @property
    def known(self) -> Known:
        """How the price is known."""
        return Cost(usd=self.price_usd, is_estimated=self.is_estimated).known


def avoided(
    calls: Iterable[Request], warmings: Sequence[Warming], learned: Learned | None, *, start: datetime, end: datetime
) -> Avoided:
    """What `warmings` spared the `calls` of one model from `start` to `end`; calls from `BEFORE` on are of use.

    `learned`: of its host; None where its customers' calls are not read.
    """
    if learned is None:
        return Avoided(why="its customers' calls are not read")
    if not warmings:
        return Avoided(why="nothing was sent to warm it")
    ordered = sorted(calls, key=lambda call: call.created_at)
    low_s, high_s = learned.idle_timeout.band_s
    helped = _helped(ordered, warmings, start, reach=timedelta(seconds=high_s + (learned.lead_s or 0.0)))
    if not helped.any():
        return Avoided(calls=0, why="nobody called while it was kept warm")
    likely = _Guess.of(ordered, helped, learned, learned.idle_timeout.median_s)
    # The fewest where instances stay long by themselves and every doubtful find was a cold one.
    fewest = _Guess.of(ordered, helped, learned, high_s, doubtful=1.0)
    most = _Guess.of(ordered, helped, learned, low_s, doubtful=0.0)
    days = _Days.since(min(one.begins for one in warmings), end)
    moments = [call.created_at for call in ordered]
    spent = days.sums([one.begins for one in warmings], [float(one.known_usd) for one in warmings])
    bars = [days.bars(spent, days.sums(moments, guess.spared)) for guess in (fewest, likely, most)]
    cost = sum((one.whole_cost for one in warmings), FREE)
    found = Avoided(
        calls=int(helped.sum()),
        unwarmed_cold=likely.unwarmed_cold,
        cold_starts=max(0.0, likely.total),
        low=min(one.low for one, _ in bars),
        high=max(one.high for one, _ in bars),
        is_estimated=cost.is_estimated,
    )
    cheapest, dearest = min(one.low for _, one in bars), max(one.high for _, one in bars)
    if likely.total <= 0:
        return replace(found, why="it spared no cold start")
    if cost.usd is None:
        unknown, count = sum(one.unknowns for one in warmings), sum(one.count for one in warmings)
        return replace(found, price_low_usd=_usd(cheapest), why=f"{unknown} of {count} costs are unknown")
    return replace(
        found,
        price_usd=to_whole_micros(cost.usd / Decimal(likely.total)),
        price_low_usd=_usd(cheapest),
        price_high_usd=_usd(dearest),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guess:
    """What was avoided if the host keeps an idle instance for so long."""

    unwarmed_cold: int
    spared: Floats  # by call: 1 where a boot was spared, -1 where one was met that should not have been

    @classmethod
    def of(
        cls,
        calls: Sequence[Request],
        helped: Flags,
        learned: Learned,
        idle_timeout_s: float,
        *,
        doubtful: float | None = None,
    ) -> Self:
        """`doubtful`: how many of the finds that nobody can tell were cold; None: as many as of those told."""
        unwarmed = _unwarmed(calls, learned, idle_timeout_s) & helped
        met = np.array([call.verdict is Verdict.COLD for call in calls]) & helped
        unsure = np.array([call.verdict is Verdict.UNSURE for call in calls]) & helped
        told = unwarmed & ~unsure
        if doubtful is None:
            doubtful = float(met[told].mean()) if told.any() else 1.0
        spared = np.where(unsure, unwarmed * (1.0 - doubtful), unwarmed * 1.0 - met)
        return cls(unwarmed_cold=int(unwarmed.sum()), spared=spared)

    @property
    def total(self) -> float:
        """Cold starts avoided."""
        return float(self.spared.sum())


def _unwarmed(calls: Sequence[Request], learned: Learned, idle_timeout_s: float) -> Flags:
    """For each call whether it had been cold if nothing had been sent."""
    world = replace(World(), idle_timeout=microseconds(idle_timeout_s))
    if learned.boots_s:
        world = replace(world, boot_median=microseconds(median(learned.boots_s)))
    if len(learned.boots_s) >= LATEST_BOOTS:
        world = replace(world, boot_sigma=pstdev(map(log, learned.boots_s)))
    if runs_s := [call.run_s for call in calls if call.run_s is not None]:
        world = replace(world, run=microseconds(median(runs_s)))
    moments = [call.created_at for call in calls]
    trace = Trace.of_moments("ledger", {calls[0].model: moments}, ZoneInfo("UTC"))
    (replay,) = policy("none", Settings()).on(trace, world)
    return replay.cold


def _helped(calls: Sequence[Request], warmings: Sequence[Warming], start: datetime, *, reach: timedelta) -> Flags:
    """For each call from `start` on whether the model was kept warm so shortly before that it may have made a
    difference. The others met what they would have met anyway: at night, or before there was any warming.
    """
    spells = sorted((one.begins, one.ends) for one in warmings)
    begins, ends = [begin for begin, _ in spells], list(accumulate((end for _, end in spells), max))

    def is_helped(at: datetime) -> bool:
        index = bisect_right(begins, at)
        return at >= start and index > 0 and at <= ends[index - 1] + reach

    return np.array([is_helped(call.created_at) for call in calls], dtype=np.bool_)


class _Band(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Days:
    """So many times 24 hours up to the end."""

    end: datetime
    count: int

    @classmethod
    def since(cls, begin: datetime, end: datetime) -> Self:
        """As many as reach back to `begin`."""
        return cls(end=end, count=max(1, -((begin - end) // _DAY)))

    def sums(self, moments: Sequence[datetime], values: Sequence[float] | Floats) -> Floats:
        """The sum of `values` by day; what lies before the first one counts to that."""
        ago = np.array([(self.end - moment) // _DAY for moment in moments], dtype=np.int64)
        by_day = np.zeros(self.count)
        np.add.at(by_day, np.clip(ago, 0, self.count - 1), np.asarray(values, dtype=np.float64))
        return by_day

    def bars(self, spent: Floats, spared: Floats) -> tuple[_Band, _Band]:
        """90 % intervals of what is avoided in as much time, and of its price: days drawn anew, again and again.

        With few days chance has more room than they show: it is that of single events at least.
        """
        draws = np.random.default_rng(_SEED).integers(self.count, size=(DRAWS, self.count))
        money, number = spent[draws].sum(axis=1), spared[draws].sum(axis=1)
        low, high = np.quantile(number, (0.05, 0.95)).tolist()
        cheap, dear = np.quantile(_price(money, number), (0.05, 0.95), method="nearest").tolist()
        total, paid = float(spared.sum()), float(spent.sum())
        by_chance = _NINE_TENTHS * sqrt(max(total, 1.0))
        return (
            _Band(max(0.0, min(low, total - by_chance)), max(high, total + by_chance)),
            _Band(
                min(cheap, float(_price(paid, total + by_chance))), max(dear, float(_price(paid, total - by_chance)))
            ),
        )


def _price(usd: Floats | float, number: Floats | float) -> Floats:
    """Of one; without end where there is none."""
    some = np.asarray(number) > 0
    return np.where(some, usd / np.where(some, number, 1.0), inf)


def _usd(value: float) -> Decimal | None:
    return to_whole_micros(Decimal(value)) if isfinite(value) else None

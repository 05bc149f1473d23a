"""What a model's past traffic says its entry should be: others like it replayed, and one that is surely better.

Where the file gives the price of a cold start, the best is what costs least with cold starts at that price. Elsewhere
it is what costs least of all that hold the target; where that costs more than today, of all that leave no more calls
cold than today.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from math import inf

import numpy as np

from warmer.core.backtest.entry import Host, Traffic, replay_entry
from warmer.core.backtest.trace import DAY
from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.tune_days import Band, Days, Floats
from warmer.core.tune_hours import COVERED, suggest_hours
from warmer.core.units import format_duration, to_whole_micros

LEAST_DAYS, LEAST_CALLS = 7, 20
"""Whole days and calls below which chance says more than habit: each day of the week was seen once, and as many calls
as a forecast needs before it may find a model not worth warming."""
TARGETS = (0.005, 0.01, 0.02, 0.05)
"""The cold targets tried."""
WORTH_BEATS = 300.0
"""Heartbeats for one avoided cold start beyond which a model is not worth warming, unless the file says otherwise: at
the usual 0.3 s each a minute and a half of billed running, to spare one caller a boot."""
BEGIN_BEATS = WORTH_BEATS / 2
"""The same for a model that is only observed: far enough from the other that none is sent to and fro."""
LEAST_SAVED = 0.05
"""Of what the present entry costs: a change that saves less is not worth the edit."""
ALIKE = 1.05
"""Within this factor of the cheapest, the entry that changes the fewest keys goes first. No more than what LEAST_SAVED
lets pass, so that what was suggested once is left alone the next time."""
LONGER = 1.1
"""An `every` is in the way of what was learned where that is longer by this factor."""


@dataclass(frozen=True, eq=False)
class Standing:
    """One entry and what it would have done, day by day."""

    entry: ModelSpec
    days: Days
    beat_usd: Decimal | None  # of a heartbeat; None: unknown

    @property
    def cost_usd_a_day(self) -> Decimal | None:
        """Of its heartbeats, in the mean; None where they have no known price."""
        return None if self.beat_usd is None else _usd(self.days.beats_a_day * float(self.beat_usd))

    @property
    def cold_target(self) -> float | None:
        """The share of calls that may be cold, where the policy aims at one."""
        entry = self.entry
        if entry.policy is not PolicyName.ADAPTIVE or entry.cold_start_price is not None:
            return None
        return entry.cold_share_target

    @property
    def policy(self) -> str:
        """The policy, and what it is told: `adaptive 2%`, `fixed 30s`."""
        entry = self.entry
        if entry.policy is PolicyName.ADAPTIVE:
            aim = f"${entry.cold_start_price}" if self.cold_target is None else f"{self.cold_target * 100:g}%"
            return f"{entry.policy} {aim}"
        return str(entry.policy) if entry.every is None else f"{entry.policy} {format_duration(entry.every)}"

    @cached_property
    def cost(self) -> Floats:
        """By day: of its heartbeats, in USD where their price is known, else in heartbeats; and of cold starts."""
        beats: Floats = self.days.beats * np.float64(1 if self.beat_usd is None else self.beat_usd)
        price = self.entry.cold_start_price
        return beats if price is None or self.beat_usd is None else beats + float(price) * self.days.cold

    @cached_property
    def mean_cost(self) -> float:
        """The mean of `cost`."""
        return float(self.cost.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBand:
    """An amount in USD, and its 90 % interval."""

    mean: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuned:
    """What was found for one model."""

    model: str
    calls: int
    days: int  # whole ones; the first, which begins with a call, is not scored
    why: str  # one sentence
    now: Standing | None = None  # None: too little is known to say anything
    suggested: Standing | None = None  # None: the entry is left as it is
    tried: tuple[Standing, ...] = ()  # the others, and first of all no beats

    @property
    def saved_beats_a_day(self) -> Band | None:
        """Heartbeats that the suggestion sends less; below 0 where it sends more."""
        if self.now is None or self.suggested is None:
            return None
        return self.now.days.a_day(1.0 * (self.now.days.beats - self.suggested.days.beats))

    @property
    def saved_usd_a_day(self) -> MoneyBand | None:
        """The same in USD; None where heartbeats have no known price. Cold starts are not in it."""
        now, then = self.now, self.suggested
        if now is None or then is None or now.beat_usd is None or then.beat_usd is None:
            return None
        spent, spends = (one.days.beats * float(one.beat_usd or 0) for one in (now, then))
        band = now.days.a_day(np.asarray(spent - spends, dtype=np.float64))
        return MoneyBand(mean=_usd(band.mean), low=_usd(band.low), high=_usd(band.high))


def tune(entry: ModelSpec, traffic: Traffic | None, host: Host) -> Tuned:
    """The best entry for `traffic`, where one is surely better than `entry`. None: nobody has called."""
    calls = 0 if traffic is None else len(traffic.trace)
    days = 0 if traffic is None else traffic.trace.end // DAY

    def found(
        why: str, now: Standing | None = None, suggested: Standing | None = None, tried: tuple[Standing, ...] = ()
    ) -> Tuned:
        return Tuned(model=entry.name, calls=calls, days=days, why=why, now=now, suggested=suggested, tried=tried)

    if entry.policy is PolicyName.FLOOR:
        return found("its floor holds instances and sends no beats, so there are none to save; see `warmer plan`")
    lacks = what_lacks(entry, calls, days)
    if lacks or traffic is None:
        return found(lacks)
    if entry.cold_start_price is not None and host.beat_usd(entry) is None:
        return found("its heartbeats have no known price, so `cold_start_price` says nothing; write `cold_target`")

    (arrivals,) = traffic.trace.models
    moments = [traffic.moment(at) for at in arrivals.at.tolist()]
    inside = np.array([entry.hours.contains(moment) for moment in moments], dtype=np.bool_)

    def stand(one: ModelSpec) -> Standing:
        days_of = Days.of(replay_entry(one, traffic, host), arrivals.at, inside, days)
        return Standing(one, days_of, host.beat_usd(one))

    hours = dict.fromkeys((entry.hours, *_other_hours(entry.hours, moments)))
    now = stand(entry)
    most_cold = max(entry.cold_share_target, now.days.cold_share)
    others = [stand(one) for one in _others(entry, host, hours, most_cold)]
    nothing = stand(replace(entry, policy=PolicyName.OBSERVE, cold_target=None, cold_start_price=None))
    return found(*_choose(now, others, nothing), (nothing, *others))


def what_lacks(entry: ModelSpec, calls: int, days: int) -> str:
    """Why so many calls on so many whole days tell nothing of what `entry` should be; empty where they do."""
    if not entry.traffic:
        return "its customers' calls are not read (`traffic: off`), so there is nothing to go by"
    if days < LEAST_DAYS or calls < LEAST_CALLS:
        seen = f"{_count(calls, 'call')} on {_count(days, 'whole day')}"
        return f"{seen}: too few to judge; needs {LEAST_CALLS} calls and {LEAST_DAYS} whole days"
    return ""


def _other_hours(hours: ActiveHours, calls: Sequence[datetime]) -> Iterator[ActiveHours]:
    """Those that calls came in, and around the clock: a forecast may find the hours by itself."""
    for covered in COVERED:
        suggested = suggest_hours(calls, hours, covered=covered)
        if suggested is not None:
            yield suggested
    if not hours.always:
        yield replace(hours, lines=("24/7",))


def _others(entry: ModelSpec, host: Host, hours: Iterable[ActiveHours], most_cold: float) -> Iterator[ModelSpec]:
    """The entries that are tried besides `entry`. Those that aim at more cold calls than `most_cold` are not."""
    every = entry.every
    if every is not None and host.is_known and host.trusted_s > LONGER * every.total_seconds():
        every = None
    chosen: list[tuple[PolicyName, float | None]] = [(PolicyName.ADAPTIVE, None)]
    if entry.cold_start_price is None:
        own = entry.cold_share_target
        targets = [None if target == own else target for target in sorted({*TARGETS, own}) if target <= most_cold]
        chosen = [(PolicyName.AWARE, None), *((PolicyName.ADAPTIVE, target) for target in targets)]
    for open_hours in hours:
        for policy, target in chosen:
            one = replace(
                entry,
                policy=policy,
                hours=open_hours,
                every=every,
                cold_target=target or (entry.cold_target if policy is PolicyName.ADAPTIVE else None),
                shadow=None if entry.shadow is policy else entry.shadow,
            )
            if one != entry:
                yield one


def _choose(now: Standing, others: list[Standing], nothing: Standing) -> tuple[str, Standing, Standing | None]:
    """Why, the present entry, and the one to put in its place."""
    target, has_price = now.entry.cold_share_target, now.entry.cold_start_price is not None
    best = _cheapest(others if has_price else _at_most(target, others, now), now)
    if now.entry.policy is PolicyName.OBSERVE:
        return _begin(now, best, nothing)
    if not has_price and now.entry.cold_target is None:
        needed = _per_avoided(best or now, nothing)
        if needed > WORTH_BEATS and _saves(nothing, now):
            return _not_worth(needed), now, nothing
    if best is not None and _saves(best, now):
        return _does(best, now), now, best
    if not has_price and now.days.cold_share > target:
        spares = [one for one in others if one.mean_cost <= now.mean_cost and one.days.warmer(now.days).low > 0]
        least = min((one.days.cold_share for one in spares), default=1.0)
        if warmer := _cheapest(_at_most(max(target, least), spares, now), now):
            return f"{_does(warmer, now)}, at no more cost", now, warmer
        best = _cheapest(_at_most(now.days.cold_share, others, now), now)
        if best is not None and _saves(best, now):
            return _does(best, now), now, best
    return (
        f"nothing to change: no entry tried saves {LEAST_SAVED * 100:.0f} % for sure and keeps as many calls warm",
        now,
        None,
    )


def _begin(now: Standing, best: Standing | None, nothing: Standing) -> tuple[str, Standing, Standing | None]:
    """The same for a model that is observed: nothing can be saved, but it may be worth warming."""
    if best is None:
        target = now.entry.cold_share_target
        return f"nothing to change: no entry tried leaves {_share(target)} of calls cold or fewer", now, None
    needed = _per_avoided(best, nothing)
    if needed > BEGIN_BEATS:
        return _not_worth(needed), now, None
    return f"{_does(best, now)}: {_count(needed, 'heartbeat')} for each cold start avoided", now, best


def _at_most(share: float, others: Sequence[Standing], now: Standing) -> list[Standing]:
    """Those that leave no more than that share of calls cold.

    Where that is more than the target, calls in the hours of the file are not to pay for it: of these, too, no more
    than the target may be cold, or than today.
    """
    target = now.entry.cold_share_target
    inside = max(target, now.days.cold_share_inside)
    return [
        one
        for one in others
        if one.days.cold_share <= share and (one.days.cold_share <= target or one.days.cold_share_inside <= inside)
    ]


def _cheapest(others: Sequence[Standing], now: Standing) -> Standing | None:
    """The one that costs least, or one alike that changes fewer keys or leaves fewer calls cold."""
    least = min((one.mean_cost for one in others), default=inf)
    alike = [one for one in others if one.mean_cost <= ALIKE * least]
    return min(
        alike, key=lambda one: (_changed(one.entry, now.entry), one.days.cold_share, one.mean_cost), default=None
    )


def _saves(one: Standing, now: Standing) -> bool:
    """Whether it surely costs less than the present entry, and by enough to be worth an edit."""
    saved = now.days.a_day(now.cost - one.cost)
    return saved.low > 0 and saved.mean >= LEAST_SAVED * now.mean_cost


def _per_avoided(one: Standing, nothing: Standing) -> float:
    """Heartbeats for each call that they kept from being cold."""
    beats, avoided = int(one.days.beats.sum()), int(nothing.days.cold.sum() - one.days.cold.sum())
    return beats / avoided if avoided > 0 else inf if beats else 0.0


def _changed(one: ModelSpec, other: ModelSpec) -> int:
    return sum(
        (
            one.policy is not other.policy,
            one.hours != other.hours,
            one.every != other.every,
            one.cold_target != other.cold_target,
        )
    )


def _does(one: Standing, now: Standing) -> str:
    return (
        f"sends {_count(one.days.beats_a_day, 'heartbeat')} a day in the place of {now.days.beats_a_day:,.0f}, "
        f"and leaves {_share(one.days.cold_share)} of calls cold in the place of {_share(now.days.cold_share)}"
    )


def _not_worth(needed: float) -> str:
    beats = "more heartbeats than can be" if needed == inf else _count(needed, "heartbeat")
    return f"not worth warming: it takes {beats} for each cold start avoided"


def _share(share: float) -> str:
    return f"{share * 100:.1f} %"


def _count(number: float, what: str) -> str:
    return f"{number:,.0f} {what}{'' if round(number) == 1 else 's'}"


def _usd(amount: float) -> Decimal:
    return to_whole_micros(Decimal(repr(amount)))

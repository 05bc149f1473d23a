"""The ways of keeping a model, each replayed over its past calls and priced.

What is reckoned is all that the model would cost in a month, the customers' own calls among it: where idle time is
billed, an instance that is kept for them is paid for whoever keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import StrEnum
from math import ceil, log
from typing import Self

import numpy as np

from warmer.core.backtest.entry import USUAL, Host, Traffic, replay_entry
from warmer.core.backtest.held import Window, held
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import DAY, SECOND, microseconds
from warmer.core.backtest.world import World
from warmer.core.hours import ActiveHours
from warmer.core.policy import lead_from
from warmer.core.price import UNKNOWN, Billing, Cost
from warmer.core.spec import ModelSpec, PolicyName, TargetKind
from warmer.core.tune_hours import COVERED, suggest_hours
from warmer.core.units import to_whole_micros

MONTH_DAYS = 30
"""What is called a month: all sums are of so many days."""
HEARTBEATS = (PolicyName.FIXED, PolicyName.AWARE, PolicyName.ADAPTIVE)
"""The policies that send any."""
_P95 = 1.645  # standard deviations above the median


class Way(StrEnum):
    """What can be done with a model, from the least effort on."""

    LEAVE_COLD = "leave_cold"
    HEARTBEAT = "heartbeat"
    FLOOR = "scheduled_floor"
    ALWAYS_ON = "always_on"
    SELF_HOST = "self_host"

    @staticmethod
    def of(entry: ModelSpec) -> Way:
        """What `entry` does now."""
        match entry.policy:
            case PolicyName.OBSERVE:
                return Way.LEAVE_COLD
            case PolicyName.FLOOR:
                return Way.ALWAYS_ON if entry.hours.always else Way.FLOOR
            case _:
                return Way.HEARTBEAT

    def __str__(self) -> str:
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed(Host):
    """A host, and how long customers' calls run on it: what a bill goes by."""

    call_s: float | None = None  # in the mean; None: not known of any

    @classmethod
    def at(cls, host: Host, call_s: float | None) -> Self:
        """`host` with that."""
        return cls(**{field.name: getattr(host, field.name) for field in fields(Host)}, call_s=call_s)

    @property
    def world(self) -> World:
        """The host as a replay has it, with boots that spread as those seen did: a bill is of means, not of medians."""
        is_seen = 0 < self.boot_s <= self.lead_s
        return World(
            idle_timeout=microseconds(self.idle_timeout_s),
            boot_median=microseconds(self.boot_s),
            boot_sigma=log(self.lead_s / self.boot_s) / _P95 if is_seen else USUAL.boot_sigma,
            run=USUAL.run if self.call_s is None else microseconds(self.call_s),
            beat=microseconds(self.run_s),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way, done as well as it can be, and what it would come to. The first call on record is not scored."""

    way: Way
    cost: Cost  # of a month, the customers' calls among it
    cold_share: float | None = None  # of all calls
    cold_share_in_hours: float | None = None  # of those in the active hours of the file; None: there were none
    added_wait_s: float | None = None  # for a boot, in the mean of all calls
    cold_a_month: float = 0.0  # calls
    applies: bool = True  # whether it can be done with the entry's target, and is known to be possible
    why: str = ""  # how it is done, or why not, and what to write


LEFT = "whoever finds it cold waits for a boot"
NO_HOURS = Option(way=Way.FLOOR, cost=UNKNOWN, applies=False, why="calls come around the clock: no hours stand out")


def rank(entry: ModelSpec, one: Option) -> tuple[bool, float, float]:
    """The least is the best for what `entry` asks for. An unknown price counts as none.

    That is the cheapest of what holds its `cold_target`, over the calls in its hours, or else the warmest; or the
    cheapest with cold starts at its `cold_start_price`.
    """
    usd = float(one.cost.usd or 0)
    if entry.cold_start_price is not None:
        return False, 0.0, usd + one.cold_a_month * float(entry.cold_start_price)
    cold = one.cold_share_in_hours or 0.0
    misses = cold > entry.cold_share_target
    return misses, cold if misses else 0.0, usd


class Ways:
    """Those of one model, on its past calls and its host as learned."""

    def __init__(self, entry: ModelSpec, traffic: Traffic, host: Billed) -> None:
        self._entry, self._traffic, self._host = entry, traffic, host
        self.billing = entry.billing_or(host.billing)
        self.per_second = None if entry.price is None else entry.price.per_second
        self.is_deployment = entry.target.kind is TargetKind.DEPLOYMENT
        (self._arrivals,) = traffic.trace.models
        self._end = traffic.trace.end
        self._months = self._end / (MONTH_DAYS * DAY)
        self._moments = [traffic.moment(at) for at in self._arrivals.at.tolist()]
        self._inside = np.array([entry.hours.contains(moment) for moment in self._moments], dtype=np.bool_)

    # -- the ways ----------------------------------------------------------------------------------------------------

    def options(self) -> tuple[Option, ...]:
        """Each way, done as well as it can be."""
        if self.billing is Billing.OFFICIAL:
            others = (Way.HEARTBEAT, Way.FLOOR, Way.ALWAYS_ON)
            never = (Option(way=way, cost=UNKNOWN, applies=False, why="always on at its host") for way in others)
            return (self._official(), *never, self._self_host())
        hours = self._hours()
        floors = [self._held(one) for one in hours if not one.always]
        return (
            self._left(),
            self._best(self._beating(one) for one in self._heartbeats(hours)),
            self._best(floors or [NO_HOURS]),
            self._held(ActiveHours.always_open()),
            self._self_host(),
        )

    def as_it_is(self) -> Option:
        """The way that the entry goes now."""
        if self.billing is Billing.OFFICIAL:
            return self._official()
        match Way.of(self._entry):
            case Way.LEAVE_COLD:
                return self._left()
            case Way.HEARTBEAT:
                return self._beating(self._entry)
            case _:
                return self._held(self._entry.hours)

    def _hours(self) -> list[ActiveHours]:
        """Those of the file, and those that the calls came in."""
        own = self._entry.hours
        suggested = (suggest_hours(self._moments, own, covered=covered) for covered in COVERED)
        return list(dict.fromkeys([own, *(one for one in suggested if one is not None)]))

    def _heartbeats(self, hours: Iterable[ActiveHours]) -> Iterator[ModelSpec]:
        """The entry itself where it sends any; else the same with `aware` in any of the hours, or with `adaptive`."""
        if self._entry.policy in HEARTBEATS:
            yield self._entry
            return
        plain = replace(self._entry, instances=1, shadow=None, policy=PolicyName.AWARE)
        yield from (replace(plain, hours=one) for one in hours)
        yield replace(plain, policy=PolicyName.ADAPTIVE)

    def _best(self, options: Iterable[Option]) -> Option:
        return min(options, key=lambda one: rank(self._entry, one))

    def _left(self) -> Option:
        nothing = replace(self._entry, policy=PolicyName.OBSERVE, shadow=None, instances=1)
        replay = replay_entry(nothing, self._traffic, self._host)
        return self._scored(Way.LEAVE_COLD, replay, self.billing, LEFT)

    def _beating(self, entry: ModelSpec) -> Option:
        replay = replay_entry(entry, self._traffic, self._host)
        a_day = len(replay.sent) * DAY / self._end
        why = f"`{entry.policy}`, {_lines(entry.hours)}: {a_day:,.0f} heartbeats a day"
        return self._scored(Way.HEARTBEAT, replay, self.billing, why)

    def _held(self, hours: ActiveHours) -> Option:
        """A floor of as many instances as the entry's, or of one."""
        windows = [(0, self._end)] if hours.always else list(self._windows(hours))
        replay = held(self._arrivals, self._end, windows, self._host.world)
        instances, raised_s = self._entry.instances, sum(until - since for since, until in windows) / SECOND
        more_s = (instances - 1) * raised_s
        when = (
            "day and night" if hours.always else f"{_lines(hours)}, {self.open_s_a_day(hours) * 7 / 3600:.0f} h a week"
        )
        why = f"min_instances {instances}, {when}"
        if not self.is_deployment:
            why += "; would take a deployment of the model, since only those have a floor"
        way = Way.ALWAYS_ON if hours.always else Way.FLOOR
        found = self._scored(way, replay, Billing.DEPLOYMENT, why, more_s=more_s)
        return replace(found, applies=self.is_deployment)

    def open_s_a_day(self, hours: ActiveHours) -> float:
        """How long a floor in `hours` would stand, in the mean of all days."""
        return sum(until - since for since, until in self._windows(hours)) / self._end * DAY / SECOND

    def _windows(self, hours: ActiveHours) -> Iterator[Window]:
        """When the floor stands: each window with its lead, in the time of the trace."""
        lead, midnight, reached = lead_from(self._entry, self._host.lead_s), self._traffic.midnight, 0
        for opens, closes in hours.windows(midnight, self._traffic.moment(self._end) + lead):
            since = max(microseconds((opens - lead - midnight).total_seconds()), reached)
            until = min(microseconds((closes - midnight).total_seconds()), self._end)
            if since < until:
                yield since, until
            reached = max(reached, until)

    def _self_host(self) -> Option:
        per_hour = self._entry.self_host_per_hour
        if per_hour is None:
            why = "write `self_host: {per_hour: …}`, USD for an hour of a GPU of your own, to have it compared"
            return Option(way=Way.SELF_HOST, cost=UNKNOWN, applies=False, why=why)
        busy = len(self._arrivals) * (self._host.call_s or 0.0) * SECOND / self._end
        machines = max(1, ceil(busy))
        gpus = "a GPU" if machines == 1 else f"{machines} GPUs"
        return Option(
            way=Way.SELF_HOST,
            cost=Cost(usd=to_whole_micros(per_hour * 24 * MONTH_DAYS * machines)),
            cold_share=0.0,
            cold_share_in_hours=0.0,
            added_wait_s=0.0,
            why=f"{gpus} of your own at ${per_hour:f} an hour, day and night",
        )

    def _official(self) -> Option:
        each = None if self._entry.price is None else self._entry.price.per_output
        cost = (
            UNKNOWN
            if each is None
            else Cost(usd=to_whole_micros(each * self._a_month(len(self._arrivals))), is_estimated=True)
        )
        why = "always on at its host" + ("" if each is not None else "; write `price: {per_output: …}`")
        return Option(way=Way.LEAVE_COLD, cost=cost, cold_share=0.0, cold_share_in_hours=0.0, added_wait_s=0.0, why=why)

    # -- their figures -----------------------------------------------------------------------------------------------

    def _scored(self, way: Way, replay: Replay, billing: Billing, why: str, *, more_s: float = 0.0) -> Option:
        cold, inside = replay.cold[1:], self._inside[1:]
        # Nobody can spare the first one: what was before it is not known.
        waits = replay.waits[1:] if replay.cold[0] else replay.waits
        cost, lacks = self._cost(replay, billing, more_s)
        return Option(
            way=way,
            cost=cost,
            cold_share=float(cold.mean()) if len(cold) else None,
            cold_share_in_hours=float(cold[inside].mean()) if inside.any() else None,
            added_wait_s=float(waits.sum()) / SECOND / len(cold) if len(cold) else None,
            cold_a_month=float(self._a_month(int(cold.sum()))),
            why=why + lacks,
        )

    def _cost(self, replay: Replay, billing: Billing, more_s: float) -> tuple[Cost, str]:
        """Of a month; and what to write where it is not known."""
        if billing is Billing.CALL and self._entry.price is not None and self._entry.price.per_output is not None:
            calls = self._a_month(len(self._arrivals) + len(replay.sent))
            return Cost(usd=to_whole_micros(self._entry.price.per_output * calls), is_estimated=True), ""
        each = self.per_second
        if each is None:
            return UNKNOWN, "; its price is not known: write `hardware` or `price`"
        if not billing.bills_run_only:
            seconds = replay.online / SECOND + more_s
        elif self._host.call_s is None:
            return UNKNOWN, "; how long its calls run is not known: it shows once `run` has seen some"
        else:
            seconds = len(self._arrivals) * self._host.call_s + len(replay.sent) * self._host.run_s
        return Cost(usd=to_whole_micros(each * self._a_month(seconds)), is_estimated=True), ""

    def _a_month(self, total: float) -> Decimal:
        return Decimal(repr(float(total / self._months)))


def _lines(hours: ActiveHours) -> str:
    return " + ".join(hours.lines)

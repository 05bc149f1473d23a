"""What to do with a model: leave it cold, heartbeats, a floor, or a machine of one's own, each with its whole bill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from warmer.core.backtest.entry import Traffic
from warmer.core.backtest.trace import DAY, SECOND
from warmer.core.official import ALWAYS_ON
from warmer.core.price import Billing
from warmer.core.repeats import Repeats
from warmer.core.spec import ModelSpec
from warmer.core.tune import WORTH_BEATS, what_lacks
from warmer.core.units import to_whole_micros
from warmer.core.waste import Finding
from warmer.core.ways import LEFT, MONTH_DAYS, Billed, Option, Way, Ways, rank

WORTH_BOOTS = 10
"""Boots of billed time for one avoided cold start beyond which it is not worth it where every second online is billed,
unless the file says otherwise. Elsewhere what `tune` goes by holds, WORTH_BEATS: much the same with the usual boot."""
ALIKE = 1.005
"""Within this factor of the best, what is done now stays: no edit of the file pays for less."""
_EASE = (Way.LEAVE_COLD, Way.FLOOR, Way.ALWAYS_ON, Way.HEARTBEAT, Way.SELF_HOST)
"""The least doing first: a floor holds by itself what heartbeats hold by never failing."""
DAY_S = DAY / SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Where one way begins to pay. None where that takes what is not known."""

    billed_hours_a_day: float | None = None  # of a GPU, as the model is left cold
    self_host_hours_a_day: float | None = None  # of them, from which a GPU of one's own is cheaper
    floor_calls_a_day: float | None = None  # far apart, from which a floor in the hours is cheaper than leaving cold
    always_on_calls_a_day: float | None = None  # the same, of one day and night
    heartbeat_cold_start_usd: Decimal | None = None  # worth of an avoided cold start from which heartbeats pay
    floor_cold_start_usd: Decimal | None = None
    always_on_cold_start_usd: Decimal | None = None

    def sentences(self) -> tuple[str, ...]:
        """What of it is known, in words."""
        told = []
        if self.self_host_hours_a_day is not None:
            now = f", and it has {self.billed_hours_a_day:.1f} left cold" if self.billed_hours_a_day is not None else ""
            told.append(f"self-hosting pays from {self.self_host_hours_a_day:.1f} billed GPU-hours a day on{now}")
        for usd, way in (
            (self.heartbeat_cold_start_usd, Way.HEARTBEAT),
            (self.floor_cold_start_usd, Way.FLOOR),
            (self.always_on_cold_start_usd, Way.ALWAYS_ON),
        ):
            if usd is not None:
                told.append(f"{way} pays where sparing a caller a cold start is worth {told_usd(usd)} or more")
        for calls, way in ((self.floor_calls_a_day, Way.FLOOR), (self.always_on_calls_a_day, Way.ALWAYS_ON)):
            if calls is not None:
                told.append(f"{way} is cheaper than leaving it cold from {calls:,.0f} cold calls a day on")
        return tuple(told)


NOTHING_KNOWN = BreakEven()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What was found for one model."""

    model: str
    billing: Billing
    now: Way
    calls: int
    days: int  # whole ones
    why: str  # one sentence
    is_learned: bool  # whether the host's idle time-out is, which much of the money hangs on
    way: Way | None = None  # None: too little is known to advise anything
    options: tuple[Option, ...] = ()
    break_even: BreakEven = NOTHING_KNOWN

    def option(self, way: Way) -> Option | None:
        """What was found of `way`."""
        return next((one for one in self.options if one.way is way), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """All that is told of one model."""

    advice: Advice
    repeats: Repeats | None
    cache_saves_usd: Decimal | None
    findings: tuple[Finding, ...]


def advise(entry: ModelSpec, traffic: Traffic | None, host: Billed) -> Advice:
    """The cheapest way of keeping the model of `entry` that holds what the file asks for. None: nobody has called.

    That is its `cold_target`, of the calls in its hours, or what costs least with cold starts at `cold_start_price`.
    """
    calls = 0 if traffic is None else len(traffic.trace)
    days = 0 if traffic is None else traffic.trace.end // DAY

    def found(
        why: str, way: Way | None = None, options: tuple[Option, ...] = (), break_even: BreakEven = NOTHING_KNOWN
    ) -> Advice:
        return Advice(
            model=entry.name,
            billing=entry.billing_or(host.billing),
            now=Way.of(entry),
            calls=calls,
            days=days,
            why=why,
            is_learned=host.is_known,
            way=way,
            options=options,
            break_even=break_even,
        )

    lacks = what_lacks(entry, calls, days)
    if lacks or traffic is None:
        return found(lacks)
    ways = Ways(entry, traffic, host)
    options = ways.options()
    best, why = _choose(entry, host, ways, options)
    return found(why, best.way if best else None, options, _break_even(entry, host, ways, options))


def _choose(entry: ModelSpec, host: Billed, ways: Ways, options: tuple[Option, ...]) -> tuple[Option | None, str]:
    """The best of what can be done and has a known price, and why."""
    left, *_ = options
    usable = [one for one in options if one.applies and one.cost.usd is not None]
    best = _best(entry, usable) or left
    if ways.billing is Billing.OFFICIAL:
        if best is left or left not in usable:
            return left, ALWAYS_ON
        return best, f"{_usd(best)} a month: {best.why}; at its host its outputs cost {_usd(left)}"
    if left not in usable:
        return None, f"no advice{left.why.removeprefix(LEFT)}"
    is_asked = entry.cold_target is not None or entry.cold_start_price is not None
    each, worth = _per_avoided(best, left), _worth(entry, host, ways)
    if not is_asked and each is not None and each > worth:
        return left, (
            f"not worth warming: each cold start avoided would cost {told_usd(each)} by {best.way}, and is taken "
            f"to be worth no more than {told_usd(worth)}; a `cold_target` or `cold_start_price` says otherwise"
        )
    spares = "" if each is None else f"; each cold start avoided costs {told_usd(each)}"
    cold = f"{(best.cold_share or 0.0) * 100:.1f} % of calls cold"
    return best, f"{_usd(best)} a month with {cold}, {_aim(entry, best)}{spares}"


def _best(entry: ModelSpec, usable: Sequence[Option]) -> Option | None:
    """The best; of those that are as good, what is done now, or what takes the least doing."""
    best = min(usable, key=lambda one: rank(entry, one), default=None)
    if best is None:
        return None
    *aim, least = rank(entry, best)
    alike = [one for one in usable if rank(entry, one)[:2] == tuple(aim) and rank(entry, one)[2] <= ALIKE * least]
    return min(alike, key=lambda one: (one.way is not Way.of(entry), _EASE.index(one.way)))


def _aim(entry: ModelSpec, best: Option) -> str:
    if entry.cold_start_price is not None:
        return f"the least with cold starts at ${entry.cold_start_price:f}"
    misses, *_ = rank(entry, best)
    target, calls = f"{entry.cold_share_target * 100:g} %", "calls" if entry.hours.always else "calls in its hours"
    if misses:
        return f"the warmest there is, though nothing leaves {target} of {calls} cold or fewer"
    return f"the cheapest that leaves {target} of {calls} cold or fewer"


def _worth(entry: ModelSpec, host: Billed, ways: Ways) -> Decimal:
    """The most that one avoided cold start may cost where the file does not say it, in USD."""
    if ways.billing.bills_run_only:
        return to_whole_micros(int(WORTH_BEATS) * (host.beat_usd(entry) or Decimal(0)))
    return to_whole_micros(WORTH_BOOTS * Decimal(repr(host.boot_s)) * (ways.per_second or Decimal(0)))


def _break_even(entry: ModelSpec, host: Billed, ways: Ways, options: tuple[Option, ...]) -> BreakEven:
    """What of it can be said."""
    left, beating, floor, always, _ = options
    each, per_hour = ways.per_second, entry.self_host_per_hour
    if ways.billing is Billing.OFFICIAL or not each:
        return NOTHING_KNOWN
    cold_call_s = host.boot_s + (host.call_s or 0.0) + host.idle_timeout_s
    open_s = ways.open_s_a_day(entry.hours)
    return BreakEven(
        billed_hours_a_day=None if left.cost.usd is None else float(left.cost.usd / each / 3600 / MONTH_DAYS),
        self_host_hours_a_day=None if per_hour is None else float(per_hour * 24 / (each * 3600)),
        floor_calls_a_day=open_s / cold_call_s if ways.is_deployment and not entry.hours.always else None,
        always_on_calls_a_day=DAY_S / cold_call_s if ways.is_deployment else None,
        heartbeat_cold_start_usd=_per_avoided(beating, left),
        floor_cold_start_usd=_per_avoided(floor, left) if floor.applies else None,
        always_on_cold_start_usd=_per_avoided(always, left) if always.applies else None,
    )


def _per_avoided(one: Option, left: Option) -> Decimal | None:
    """USD more for each cold start less than as it is left cold; None where it costs no more, or avoids none."""
    avoided = left.cold_a_month - one.cold_a_month
    if one.cost.usd is None or left.cost.usd is None or avoided <= 0 or one.cost.usd <= left.cost.usd:
        return None
    return to_whole_micros((one.cost.usd - left.cost.usd) / Decimal(repr(avoided)))


def told_usd(usd: Decimal) -> str:
    """An amount in a sentence: to a cent, and small ones as finely as `report` shows them."""
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}" if usd >= Decimal("0.0001") else "less than $0.0001"


def _usd(one: Option) -> str:
    return "unknown" if one.cost.usd is None else told_usd(one.cost.usd)

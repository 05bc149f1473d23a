"""An entry of the file on its own past traffic: its policy, inside its active hours, on its host as learned."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Self
from zoneinfo import ZoneInfo

from warmer.core.adaptive import Adaptive
from warmer.core.backtest.decider import Decider
from warmer.core.backtest.deciders import Fixed, Stop
from warmer.core.backtest.policies import Settings, policy
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.simulate import simulate
from warmer.core.backtest.trace import SECOND, Trace, microseconds, midnight_of
from warmer.core.backtest.world import World
from warmer.core.learned import Learned
from warmer.core.policy import lead_from
from warmer.core.price import USUAL_RUN_S, Billing, beat_price, boot_beats
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.worth import Goal, Price, Within, worth_of

USUAL = World()
"""What is taken for true of a host until it has been learned: an idle time-out of 60 s, boots of 12 s."""
# A floor keeps warm throughout, as `aware` does; what it costs is not counted in heartbeats.
_NAMES = {PolicyName.OBSERVE: "none", PolicyName.FLOOR: "aware"}
"""What a backtest calls a policy, where it has another name for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a model's instances do, as far as its record tells. Durations in seconds."""

    idle_timeout_s: float = USUAL.idle_timeout / SECOND
    trusted_s: float = Settings().interval_s  # how long an idle instance is sure to stay
    boot_s: float = USUAL.boot_median / SECOND  # median
    lead_s: float = 0.0  # p95 of the waits for a boot; 0 until one was seen
    run_s: float = USUAL_RUN_S  # of a heartbeat
    billing: Billing | None = None  # as the provider tells it; None: unknown
    is_known: bool = False  # whether the idle time-out was learned, or is the usual one

    @classmethod
    def of(cls, learned: Learned | None, *, run_s: float | None = None, billing: Billing | None = None) -> Host:
        """As learned; the usual one in what is not known yet."""
        usual, run_s = cls(), USUAL_RUN_S if run_s is None else run_s
        if learned is None:
            return cls(run_s=run_s, billing=billing)
        known = learned.idle_timeout.is_known
        return cls(
            idle_timeout_s=learned.idle_timeout.median_s if known else usual.idle_timeout_s,
            trusted_s=learned.trusted_s if known else usual.trusted_s,
            boot_s=learned.boot_s or usual.boot_s,
            lead_s=learned.lead_s or 0.0,
            run_s=run_s,
            billing=billing,
            is_known=known,
        )

    @property
    def world(self) -> World:
        """The host as a backtest has it."""
        return World(idle_timeout=microseconds(self.idle_timeout_s), boot_median=microseconds(self.boot_s))

    def interval_s(self, entry: ModelSpec) -> float:
        """The idle time that `entry` leaves before a heartbeat: what the host is trusted for, `every` at most."""
        every_s = inf if entry.every is None else entry.every.total_seconds()
        # `fixed` keeps to the file, whatever was learned.
        return every_s if entry.policy is PolicyName.FIXED and entry.every else min(self.trusted_s, every_s)

    def beat_usd(self, entry: ModelSpec) -> Decimal | None:
        """What a heartbeat of `entry` is reckoned at; None where its price is unknown."""
        return beat_price(entry.price, self.run_s, entry.billing_or(self.billing), kept_s=self.interval_s(entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The calls of one model, and where they stand in the calendar."""

    trace: Trace  # of this model alone
    midnight: datetime  # its second 0

    def __post_init__(self) -> None:
        if len(self.trace.models) != 1:
            raise ValueError("the traffic of one model has one model's calls")

    @classmethod
    def of_moments(cls, name: str, model: str, calls: Sequence[datetime], zone: ZoneInfo) -> Self:
        """The traffic of `calls`, of which there must be some. It begins with the first one's midnight in `zone`."""
        return cls(trace=Trace.of_moments(name, {model: calls}, zone), midnight=midnight_of(min(calls), zone))

    def until(self, moment: datetime) -> Self:
        """The same up to `moment`, where that is later than its end: time without calls counts too."""
        end = (moment - self.midnight) // timedelta(microseconds=1)
        return replace(self, trace=replace(self.trace, end=max(end, self.trace.end)))

    def moment(self, at: int) -> datetime:
        """The instant of a time of the trace, in microseconds."""
        return self.midnight + timedelta(microseconds=at)


def replay_entry(entry: ModelSpec, traffic: Traffic, host: Host) -> Replay:
    """What `entry` would have done on `traffic`, and what its customers would have met.

    Around the clock this is the backtest of its policy, decision by decision. What holds a cold target holds it over
    this model alone.
    """
    settings = settings_of(entry, host)
    if entry.hours.always or entry.policy is PolicyName.OBSERVE:
        return next(policy(_NAMES.get(entry.policy, entry.policy), settings).on(traffic.trace, host.world))
    windows = _Windows.of(entry, traffic, lead_from(entry, host.lead_s))
    decider = _Inside(_decider(entry, settings, host, windows), windows)
    (arrivals,) = traffic.trace.models
    return simulate(arrivals, traffic.trace.end, decider, host.world, interval=settings.interval)


def settings_of(entry: ModelSpec, host: Host) -> Settings:
    """The settings of a backtest that say what `entry` says."""
    worth = Settings().cold_start_worth
    target: float | None = entry.cold_share_target
    if entry.cold_start_price is not None:
        # Where no price is known nothing can be found worth it, by the live policy either.
        worth, target = worth_of(entry.cold_start_price, host.beat_usd(entry)) or 0.0, None
    interval_s = host.interval_s(entry)
    return Settings(
        interval=microseconds(interval_s),
        cold_start_worth=worth,
        cold_target=target if entry.policy is PolicyName.ADAPTIVE else None,
        boot_beats=boot_beats(entry.billing_or(host.billing), boot_s=host.boot_s, interval_s=interval_s),
    )


def _decider(entry: ModelSpec, settings: Settings, host: Host, windows: _Windows) -> Decider:
    match entry.policy:
        case PolicyName.FIXED:
            return Fixed(interval_s=settings.interval_s)
        case PolicyName.ADAPTIVE:
            target = settings.cold_target
            purse = Price(settings.cold_start_worth) if target is None else Within(Goal(target), windows.is_open)
            return Adaptive(
                interval_s=settings.interval_s,
                boot_s=host.world.boot_median / SECOND,
                purse=purse,
                boot_price=settings.boot_beats,
            )
        case _:
            return Stop(interval_s=settings.interval_s, most=inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """When heartbeats may be sent, in seconds of the trace: from the lead before an opening up to the closing."""

    begins: tuple[float, ...]
    opens: tuple[float, ...]
    closes: tuple[float, ...]

    @classmethod
    def of(cls, entry: ModelSpec, traffic: Traffic, lead: timedelta) -> _Windows:
        # An hour of slack: a window that opens with the trace's end begins before it.
        end = traffic.moment(traffic.trace.end) + timedelta(hours=1)
        windows = entry.hours.windows(traffic.midnight, end)
        second = timedelta(seconds=1)
        return cls(
            begins=tuple(max(0.0, (opens - lead - traffic.midnight) / second) for opens, _ in windows),
            opens=tuple((opens - traffic.midnight) / second for opens, _ in windows),
            closes=tuple((closes - traffic.midnight) / second for _, closes in windows),
        )

    def allowed_from(self, at_s: float) -> float:
        """`at_s` where heartbeats may be sent then, else when they next may; inf: never again."""
        # Two may begin before the first of them closes, where the lead is longer than the break between them.
        index = bisect_right(self.closes, at_s)
        return inf if index == len(self.closes) else max(at_s, self.begins[index])

    def is_open(self, at_s: float) -> bool:
        """Whether `at_s` lies in the hours themselves."""
        index = bisect_right(self.closes, at_s)
        return index < len(self.opens) and at_s >= self.opens[index]


class _Inside:
    """A decider that is asked only while heartbeats may be sent, and at once when they may again."""

    def __init__(self, decider: Decider, windows: _Windows) -> None:
        self._decider, self._windows = decider, windows
        self.seen, self.send, self.sent = decider.seen, decider.send, decider.sent

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        """As the decider says, put off to the next window."""
        look_s = self._decider.next_look(now_s, last_activity_s)
        return look_s if look_s == inf else self._windows.allowed_from(look_s)

"""The policies that can be replayed, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from warmer.core.adaptive import Adaptive, hold
from warmer.core.backtest import grid, stops
from warmer.core.backtest.decider import Decider
from warmer.core.backtest.deciders import Fixed, Stop
from warmer.core.backtest.hybrid import Hybrid
from warmer.core.backtest.learned_stop import NEVER, LearnedStop, stopping_points
from warmer.core.backtest.learning import LEARNERS, replays
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.simulate import simulate
from warmer.core.backtest.trace import SECOND, Arrivals, Trace
from warmer.core.backtest.world import World
from warmer.core.spec import PolicyName
from warmer.core.worth import Goal, Purse

REFERENCES = ("none", "cron-30s", "cron-30s-08-20")
"""What every policy is compared with: nothing, and the cron job everyone writes, day and night or by day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a policy is told. Which of these it heeds is its own affair, and stands in its row."""

    interval: int = 50 * SECOND  # microseconds that an instance is known to stay up
    learns: bool = False  # nobody is told the interval: LEARNERS find it out, and only what knows the future has it
    cold_start_worth: float = 80.0  # heartbeats that one avoided cold start is worth
    cold_target: float | None = None  # share of requests that may be cold
    boot_beats: float = 0.0  # heartbeats that a boot costs

    @property
    def interval_s(self) -> float:
        """The interval in seconds."""
        return self.interval / SECOND

    def __post_init__(self) -> None:
        if self.interval <= 0:
            raise ValueError("the interval must be longer than nothing")
        if not 0 <= self.cold_start_worth < NEVER:
            raise ValueError("a cold start is worth 0 heartbeats or more")
        if self.cold_target is not None and not 0 < self.cold_target < 1:
            raise ValueError("a cold target is a share between 0 % and 100 %")


_OneModel = Callable[[Arrivals, int, World, Settings], Replay]
_WholeTrace = Callable[[Trace, World, Settings], Iterator[Replay]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy with its settings, ready to be replayed."""

    name: str
    heeds: tuple[str, ...]  # the names of the settings that it depends on
    replay: _WholeTrace
    settings: Settings

    @property
    def parameters(self) -> Mapping[str, float | str]:
        """The settings in force for it."""
        given: dict[str, float | str | None] = {
            "interval_s": "learned" if self.settings.learns else self.settings.interval_s,
            "cold_start_worth": self.settings.cold_start_worth,
            "cold_target": self.settings.cold_target,
        }
        # A share to hold takes the place of a price.
        idle = "cold_start_worth" if "cold_target" in self.heeds and self.settings.cold_target is not None else ""
        return {name: value for name in self.heeds if name != idle and (value := given[name]) is not None}

    def on(self, trace: Trace, world: World) -> Iterator[Replay]:
        """This policy on each model of `trace`, in their order."""
        return self.replay(trace, world, self.settings)


def stopped(arrivals: Arrivals, end: int, world: World, settings: Settings, most: int) -> Replay:
    """One model with at most `most` heartbeats in each gap: in closed form where that holds, else step by step."""
    found = stops.replay(arrivals, end, most, world, interval=settings.interval)
    return found or _stepped(Stop(interval_s=settings.interval_s, most=most), arrivals, end, world, settings)


def _fixed(arrivals: Arrivals, end: int, world: World, settings: Settings) -> Replay:
    found = grid.fixed(arrivals, end, world, interval=settings.interval)
    return found or _stepped(Fixed(interval_s=settings.interval_s), arrivals, end, world, settings)


def _learned_stop(arrivals: Arrivals, end: int, world: World, settings: Settings) -> Replay:
    worth = settings.cold_start_worth
    most = stopping_points(arrivals, interval=settings.interval, worth=worth)
    found = stops.replay(arrivals, end, most, world, interval=settings.interval)
    decider = LearnedStop(interval_s=settings.interval_s, worth=worth)
    return found or _stepped(decider, arrivals, end, world, settings)


def _stepped(decider: Decider, arrivals: Arrivals, end: int, world: World, settings: Settings) -> Replay:
    return simulate(arrivals, end, decider, world, interval=settings.interval)


def _each(one: _OneModel) -> _WholeTrace:
    """A policy that looks at each model by itself."""
    return lambda trace, world, settings: (one(arrivals, trace.end, world, settings) for arrivals in trace.models)


def _deciding(decider: Callable[[Settings], Decider]) -> _WholeTrace:
    """A policy without a closed form: the event loop under what `decider` makes for each model."""
    return _each(lambda arrivals, end, world, settings: _stepped(decider(settings), arrivals, end, world, settings))


def _adaptive(trace: Trace, world: World, settings: Settings) -> Iterator[Replay]:
    """Every model by its own forecast; a cold target is one for all of them together."""
    worth: float | None = settings.cold_start_worth
    purse: Purse | None = None
    if settings.cold_target is not None:
        calls = [(arrivals.at / SECOND).tolist() for arrivals in trace.models]
        worth = None
        boot_s = world.boot_median / SECOND
        purse = hold(Goal(settings.cold_target), calls, interval_s=settings.interval_s, boot_s=boot_s)
    for arrivals in trace.models:
        decider = Adaptive(
            interval_s=settings.interval_s,
            boot_s=world.boot_median / SECOND,
            worth=worth,
            purse=purse,
            boot_price=settings.boot_beats,
        )
        yield _stepped(decider, arrivals, trace.end, world, settings)


def _learning(name: str) -> _WholeTrace:
    """The live policy of that name, from which the interval is hidden."""
    if name not in LEARNERS:
        raise ValueError(f"{name} learns no interval: give it one, or choose among {', '.join(LEARNERS)}")
    return lambda trace, world, settings: replays(
        PolicyName(name), trace, world, worth=settings.cold_start_worth, cold_target=settings.cold_target
    )


_POLICIES: Mapping[str, tuple[_WholeTrace, tuple[str, ...]]] = {
    "none": (_each(partial(stopped, most=0)), ()),
    "fixed": (_each(_fixed), ("interval_s",)),
    "aware": (_each(partial(stopped, most=NEVER)), ("interval_s",)),
    "ski": (
        _each(lambda arrivals, end, world, told: stopped(arrivals, end, world, told, int(told.cold_start_worth))),
        ("interval_s", "cold_start_worth"),
    ),
    "learned-stop": (_each(_learned_stop), ("interval_s", "cold_start_worth")),
    "adaptive": (_adaptive, ("interval_s", "cold_start_worth", "cold_target")),
    "hybrid": (_deciding(lambda settings: Hybrid(interval_s=settings.interval_s)), ("interval_s",)),
}
NAMES = (*_POLICIES, "cron-30s", "cron-30s-08-20")
"""Every policy by name. A cron job may have any seconds and hours in the place of these."""
_CRON = re.compile(r"cron-(?P<every>[1-9][0-9]{0,5})s(?:-(?P<opens>[0-9]{2})-(?P<closes>[0-9]{2}))?", re.ASCII)


def policy(name: str, settings: Settings) -> Policy:
    """The policy of that name.

    Raises ValueError where there is none, with all names, and where it needs an interval that it is not told.
    """
    if name in _POLICIES:
        replay, heeds = _POLICIES[name]
        if settings.learns and "interval_s" in heeds:
            replay = _learning(name)
        return Policy(name=name, heeds=heeds, replay=replay, settings=settings)
    match = _CRON.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no policy: write one of {', '.join(NAMES)}")
    hours = (int(match["opens"]), int(match["closes"])) if match["opens"] else (0, 24)
    job = grid.Cron(every=int(match["every"]) * SECOND, opens=hours[0], closes=hours[1])
    replay = _each(lambda arrivals, end, world, _: grid.cron(arrivals, end, job, world))
    return Policy(name=name, heeds=(), replay=replay, settings=settings)

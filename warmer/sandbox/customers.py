"""Customers who visit models in ways of their own, and what they would find if nobody kept the models warm.

Pure: arrivals come from a seed, replays run in virtual time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any

from warmer.sandbox.catalogue import PIXEL, SILENCE
from warmer.sandbox.predictions import Found, Prediction
from warmer.sandbox.world import World

CRON = timedelta(seconds=30)  # what people do today: a prediction every 30 s, day and night
_LATEST_END = timedelta(hours=2)  # after the last call of a replay, by when every prediction is over


class Shape(StrEnum):
    """How visits are spread over time."""

    STEADY = "steady"  # at random, always at the same rate
    BURSTS = "bursts"  # sessions of a few calls seconds apart, with silence between them
    TIMER = "timer"  # a job at fixed intervals, a few seconds early or late
    RARE = "rare"  # at random, with long silences, never two within a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """One group of customers of one model or deployment."""

    target: str  # owner/name
    shape: Shape
    per_hour: float  # calls, on average
    input: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.per_hour) and self.per_hour > 0):
            raise ValueError(f"per_hour is {self.per_hour}: use a number above 0")


# One group for each of the first four models of the catalogue.
DEMO = (
    Visits(
        target="meta/meta-llama-3-8b-instruct",
        shape=Shape.BURSTS,
        per_hour=90,
        input={"prompt": "Why is the sky blue?", "max_tokens": 64},
    ),
    Visits(
        target="stability-ai/sdxl",
        shape=Shape.RARE,
        per_hour=8,
        input={"prompt": "a lighthouse in a storm", "width": 768, "height": 768, "num_inference_steps": 25},
    ),
    Visits(target="openai/whisper", shape=Shape.TIMER, per_hour=15, input={"audio": SILENCE}),
    Visits(target="salesforce/blip", shape=Shape.STEADY, per_hour=40, input={"image": PIXEL}),
)


def arrivals(visits: Visits, begin: datetime, end: datetime, *, seed: int = 0) -> list[datetime]:
    """When the visits fall, from `begin` on and before `end`, in order. The same seed gives the same times."""
    random = Random(f"{seed}/{visits.target}/{visits.shape}")  # noqa: S311 - the same times again is the point
    gap_s = 3600 / visits.per_hour
    times: list[datetime] = []
    for second in _SHAPES[visits.shape](random, gap_s):
        moment = begin + timedelta(seconds=second)
        # Calls of one session may run past the start of the next, so the first one out of the span may not be the last.
        if moment >= end + timedelta(hours=1):
            break
        times.append(moment)
    return sorted(moment for moment in times if begin <= moment < end)


def _steady(random: Random, gap_s: float) -> Iterator[float]:
    second = 0.0
    while True:
        second += random.expovariate(1 / gap_s)
        yield second


def _bursts(random: Random, gap_s: float) -> Iterator[float]:
    calls = 8.0  # a session, on average
    second = random.uniform(0, gap_s * calls)
    while True:
        moment = second
        for _ in range(random.randint(4, 12)):
            yield moment
            moment += random.uniform(3, 15)
        second += random.uniform(0.4, 1.6) * gap_s * calls


def _timer(random: Random, gap_s: float) -> Iterator[float]:
    second = random.uniform(0, gap_s)
    while True:
        yield second + random.uniform(-2, 2)
        second += gap_s


def _rare(random: Random, gap_s: float) -> Iterator[float]:
    silence = min(60.0, gap_s / 2)
    second = 0.0
    while True:
        second += silence + random.expovariate(1 / (gap_s - silence))
        yield second


_SHAPES = {Shape.STEADY: _steady, Shape.BURSTS: _bursts, Shape.TIMER: _timer, Shape.RARE: _rare}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What the calls of one target found."""

    calls: int
    found_cold: int
    waits: tuple[timedelta, ...]  # of the calls that started, in order of arrival
    beats: int = 0
    billed_usd: Decimal = Decimal(0)  # for the beats alone; where instances are billed, for every instance

    @property
    def cold_share(self) -> float:
        """The share of calls that found no instance up, from 0 to 1."""
        return self.found_cold / self.calls if self.calls else 0.0


def replay(world: World, target: str, times: Sequence[datetime], call: Mapping[str, Any]) -> Replay:
    """The calls of `target` at `times`, in a fresh world, with nobody keeping anything warm."""
    made = [world.create(moment, target, call, caller="customer") for moment in times]
    return _sum_up(world, target, made, [])


def replay_with_cron(
    world: World,
    target: str,
    times: Sequence[datetime],
    call: Mapping[str, Any],
    beat: Mapping[str, Any],
    *,
    until: datetime,
    every: timedelta = CRON,
) -> Replay:
    """The same in a fresh world, with a beat at its beginning and then every 30 s before `until`, whatever happens."""
    count = math.ceil((until - world.now) / every)
    beats = [(world.now + number * every, "cron") for number in range(count)]
    calls = [(moment, "customer") for moment in times]
    made = [
        world.create(moment, target, beat if caller == "cron" else call, caller=caller)
        for moment, caller in sorted(beats + calls)
    ]
    return _sum_up(
        world, target, [one for one in made if one.caller == "customer"], [one for one in made if one.caller == "cron"]
    )


def _sum_up(world: World, target: str, calls: Sequence[Prediction], beats: Sequence[Prediction]) -> Replay:
    world.advance(world.now + _LATEST_END)
    instances = world.journal.instances(world.now, target=target)
    return Replay(
        calls=len(calls),
        found_cold=sum(one.found is Found.COLD for one in calls),
        waits=tuple(one.wait for one in calls if one.wait is not None),
        beats=len(beats),
        billed_usd=sum((one.billed_usd or Decimal(0) for one in beats), Decimal(0))
        + sum((one.billed_usd or Decimal(0) for one in instances), Decimal(0)),
    )

"""Whether a model is likely warm now, and how long a call of it would wait: for who can choose between several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import exp

from warmer.core.beat import Verdict
from warmer.core.learned import Learned
from warmer.core.prospect import USUAL_BOOT_S
from warmer.core.verdict import COLD_AT_LEAST_S, DEFAULT_WARM_WAIT_S

LIKELY, UNLIKELY = 0.8, 0.2
"""From which chance on a model is called warm, and up to which cold."""
_STEPS = 16
"""In which the time is gone through in which nobody looked."""
_SPREAD = 1.6
"""Boots take up to so many times their median, where none was seen: one in ten takes longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is known of a model, as last seen. Instants are on our own clock."""

    model: str
    learned: Learned = field(default_factory=Learned)
    warm_wait_s: float = DEFAULT_WARM_WAIT_S
    last_use: datetime | None = None  # end of the last finished use, ours or a customer's
    call_since: datetime | None = None  # creation of a customer's call that is waiting or running
    beat_since: datetime | None = None  # of our own, that is out
    held_since: datetime | None = None  # since when a floor of ours holds it
    always_on: bool = False  # as official models are
    calls_per_s: float = 0.0  # how often customers have called lately
    seen_at: datetime | None = None  # up to when their calls are known; None: they are not looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """The answer. A call that comes during a boot waits for the rest of it."""

    model: str
    probability: float  # that an instance is up
    expected_wait_s: float
    verdict: Verdict  # in a word: warm, cold or unsure


def warmth(sight: Sight, now: datetime) -> Warmth:
    """How warm the model of `sight` is at `now`.

    An instance is up where the last known use left one that is not gone yet, where a use that is still going on has
    booted one, or where customers have called since their calls were last looked at.
    """
    boot_s, chance = _boot_s(sight), 1.0
    begun = [at for at in (sight.call_since, sight.beat_since) if at is not None]
    if not sight.always_on:
        since = min(begun, default=now)
        chance = _kept(sight, since)
        if sight.beat_since is not None and (now - sight.beat_since).total_seconds() > COLD_AT_LEAST_S:
            chance = 0.0  # a minimal prediction on an instance that is up would have ended
        else:
            chance = _or(chance, _unseen(sight, since))
        if begun:
            chance = _or(chance, _booted(sight, now - since))
        if sight.held_since is not None:
            chance = _or(chance, _booted(sight, now - sight.held_since))
    passed_s = max([0.0, *((now - at).total_seconds() for at in begun)])  # a stamp may lie ahead
    left_s = max(boot_s - passed_s, boot_s / 10)
    verdict = Verdict.WARM if chance >= LIKELY else Verdict.COLD if chance <= UNLIKELY else Verdict.UNSURE
    return Warmth(
        model=sight.model,
        probability=chance,
        expected_wait_s=chance * sight.warm_wait_s + (1 - chance) * left_s,
        verdict=verdict,
    )


def best_first(answers: Iterable[Warmth]) -> tuple[Warmth, ...]:
    """The one with the shortest wait to be expected first."""
    return tuple(sorted(answers, key=lambda one: (one.expected_wait_s, -one.probability)))


def _kept(sight: Sight, at: datetime) -> float:
    """That what the last known use left is there still, at `at`."""
    if sight.last_use is None:
        return 0.0
    (gone,) = sight.learned.idle_timeout.gone([(at - sight.last_use).total_seconds()])
    return 1.0 - gone


def _unseen(sight: Sight, at: datetime) -> float:
    """That a customer has called since the last look, and that what this left is there still."""
    if sight.seen_at is None or at <= sight.seen_at or not sight.calls_per_s:
        return 0.0
    step_s = (at - sight.seen_at).total_seconds() / _STEPS
    gone = sight.learned.idle_timeout.gone([(step + 0.5) * step_s for step in range(_STEPS)])
    called = 1.0 - exp(-sight.calls_per_s * step_s)  # within one step
    return sum((1.0 - called) ** step * called * (1.0 - one) for step, one in enumerate(gone))


def _booted(sight: Sight, after: timedelta) -> float:
    """That a boot which began so long ago is over."""
    after_s, boots = after.total_seconds(), sight.learned.boots_s
    if boots:
        return sum(boot <= after_s for boot in boots) / (len(boots) + 1)
    median = _boot_s(sight)
    return min(1.0, max(0.0, (after_s / median - 1 / _SPREAD) / (_SPREAD - 1 / _SPREAD)))


def _boot_s(sight: Sight) -> float:
    return sight.learned.boot_s or USUAL_BOOT_S


def _or(one: float, other: float) -> float:
    """That either is so, where neither tells of the other."""
    return 1.0 - (1.0 - one) * (1.0 - other)

"""Named traffic situations, made from a seed: for who wants to try a policy and has no history yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from warmer.core.backtest.trace import Trace

Seconds = NDArray[np.float64]
_Rates = NDArray[np.float64]  # visits an hour; one row a day, one column an hour. Day 0 is a Monday
_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
_CALLS_A_VISIT = 3.0
_THINKING_S = 20.0  # between two calls of a visit, median
_THINKING_SIGMA = 0.8


def situation(name: str, *, days: int = 21, seed: int = 0) -> Trace:
    """The traffic called `name`, of one model of that name. The same name, days and seed give the same trace.

    Raises ValueError, with all names, where there is none.
    """
    if name not in _SITUATIONS:
        raise ValueError(f"{name!r} is no situation: write one of {', '.join(NAMES)}")
    if days < 1:
        raise ValueError("a situation lasts a day at least")
    random = np.random.default_rng([seed, *name.encode()])
    times = np.round(np.sort(_SITUATIONS[name](random, days)), 1)
    return Trace.of(name, {name: times[(times >= 0) & (times < days * _DAY_S)]}, days=days)


def _office(random: np.random.Generator, days: int) -> Seconds:
    return _visits(random, _working_hours(days, opens=8))


def _evening(random: np.random.Generator, days: int) -> Seconds:
    rates = np.full((days, 24), 0.05)
    rates[:, 18:] = 3.0
    rates[_weekend(days), 12:] = 3.0
    return _visits(random, rates)


def _steady(random: np.random.Generator, days: int) -> Seconds:
    return _singly(random, np.full((days, 24), 6.0))


def _rare(random: np.random.Generator, days: int) -> Seconds:
    return _singly(random, np.full((days, 24), 4 / 24))


def _timer(random: np.random.Generator, days: int) -> Seconds:
    times = np.arange(0.0, days * _DAY_S, 900.0) + 120.0
    return times + random.uniform(-5.0, 5.0, len(times))


def _nightly(random: np.random.Generator, days: int) -> Seconds:
    begins = np.arange(days) * _DAY_S + 2 * _HOUR_S + random.uniform(0.0, 60.0, days)
    return (begins[:, np.newaxis] + np.cumsum(random.exponential(20.0, (days, 60)), axis=1)).ravel()


def _launch(random: np.random.Generator, days: int) -> Seconds:
    rates = np.full(days * 24, 0.2)
    rates[days * 12 :] *= 30
    return _visits(random, rates.reshape(days, 24))


def _dying(random: np.random.Generator, days: int) -> Seconds:
    part = np.arange(days * 24) / (days * 24)
    return _visits(random, (6.0 * np.exp(-8.0 * part)).reshape(days, 24))


def _shift(random: np.random.Generator, days: int) -> Seconds:
    rates = _working_hours(days, opens=6)
    rates[(days + 1) // 2 :] = np.roll(rates, 8, axis=1)[(days + 1) // 2 :]
    return _visits(random, rates)


_SITUATIONS: Mapping[str, Callable[[np.random.Generator, int], Seconds]] = {
    "office": _office,  # ten hours a day from Monday to Friday, a dip at noon, next to nothing else
    "evening": _evening,  # from 18:00, at weekends from noon
    "timer": _timer,  # every quarter of an hour, some seconds early or late
    "nightly": _nightly,  # sixty calls from 02:00
    "launch": _launch,  # thirty times as many from half time on
    "dying": _dying,  # fewer day by day, at last none
    "shift": _shift,  # office hours that move by eight at half time
    "steady": _steady,  # six calls an hour, day and night
    "rare": _rare,  # four calls a day
}
NAMES = tuple(_SITUATIONS)


def _weekend(days: int) -> NDArray[np.bool_]:
    return np.arange(days) % 7 >= 5


def _working_hours(days: int, *, opens: int) -> _Rates:
    rates = np.full((days, 24), 0.02)
    rates[:, opens : opens + 10] = 4.0
    rates[:, opens + 4] = 1.5
    rates[_weekend(days)] = 0.02
    return rates


def _singly(random: np.random.Generator, rates: _Rates) -> Seconds:
    """Arrivals at random at those rates an hour."""
    count = random.poisson(rates.ravel())
    hours = np.repeat(np.arange(rates.size), count)
    return (hours + random.random(len(hours))) * _HOUR_S


def _visits(random: np.random.Generator, rates: _Rates) -> Seconds:
    """Visits at random at those rates an hour, each of a few calls with pauses to think."""
    begins = np.sort(_singly(random, rates))
    calls = random.geometric(1 / _CALLS_A_VISIT, len(begins))
    first = np.cumsum(calls) - calls
    pauses = _THINKING_S * np.exp(_THINKING_SIGMA * random.standard_normal(calls.sum()))
    pauses[first] = 0.0
    since = np.cumsum(pauses)
    times: Seconds = np.repeat(begins - since[first], calls) + since
    return times

"""What the ledger's facts add up to: cold share, boots, waits and money, by model and day."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from warmer.core.beat import Observation, Reason, Request, Status, Verdict
from warmer.core.price import FREE, Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Of seconds, by nearest rank: every figure was really measured once."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    longest: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles:
        """The percentiles of `values`; None each where there are none."""
        ordered = sorted(values)
        return cls(
            count=len(ordered),
            p50=_rank(ordered, 50),
            p95=_rank(ordered, 95),
            p99=_rank(ordered, 99),
            longest=ordered[-1] if ordered else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One model over one stretch of time."""

    model: str
    day: date | None  # in the file's zone; None: the whole stretch
    beats: int = 0
    beats_cold: int = 0
    beats_unsure: int = 0
    beats_failed: int = 0
    calls: int = 0
    calls_cold: int = 0
    calls_unsure: int = 0
    boots: Percentiles = field(default_factory=lambda: Percentiles.of(()))  # waits of what was found cold
    waits: Percentiles = field(default_factory=lambda: Percentiles.of(()))  # customers' waits
    cost_usd: Decimal = Decimal(0)  # of the beats whose cost is known
    cost_unknown: int = 0  # beats whose cost is not
    cost_is_estimated: bool = False  # for one beat at least
    floor: Cost = FREE  # of raised floors
    reasons: Mapping[Reason, int] = field(default_factory=dict)  # of ticks; whole stretch only

    @property
    def cold_share(self) -> float | None:
        """Calls found cold, of those that could be told; None where there were none."""
        told = self.calls - self.calls_unsure
        return self.calls_cold / told if told else None

    @property
    def cost(self) -> Cost:
        """Of all the beats, and how it is known."""
        return Cost(usd=None if self.cost_unknown else self.cost_usd, is_estimated=self.cost_is_estimated)


def summarise(
    beats: Iterable[Observation],
    calls: Iterable[Request],
    *,
    models: Sequence[str],
    zone: ZoneInfo,
    ticks: Mapping[tuple[str, Reason], int] | None = None,
    floors: Mapping[tuple[str, date | None], Cost] | None = None,
    by_day: bool = False,
) -> tuple[Summary, ...]:
    """A summary for each model, in the order of `models` and then by day. Models of the past follow by name.

    `floors`: what raised floors cost, by model and day; by model alone where the day is None.
    """
    held = {key: cost for key, cost in (floors or {}).items() if (key[1] is not None) is by_day}
    beats_of = defaultdict[tuple[str, date | None], list[Observation]](list)
    calls_of = defaultdict[tuple[str, date | None], list[Request]](list)
    for beat in beats:
        beats_of[beat.model, beat.created_at.astimezone(zone).date() if by_day else None].append(beat)
    for call in calls:
        calls_of[call.model, call.created_at.astimezone(zone).date() if by_day else None].append(call)
    keys = set(beats_of) | set(calls_of) | set(held) | (set() if by_day else {(model, None) for model in models})
    place = {model: index for index, model in enumerate(models)}
    ordered = sorted(keys, key=lambda key: (place.get(key[0], len(place)), key[0], key[1] or date.min))
    counted = {} if by_day else (ticks or {})
    return tuple(_summary(key, beats_of[key], calls_of[key], counted, held.get(key, FREE)) for key in ordered)


def _summary(
    key: tuple[str, date | None],
    beats: Sequence[Observation],
    calls: Sequence[Request],
    ticks: Mapping[tuple[str, Reason], int],
    floor: Cost,
) -> Summary:
    model, day = key
    finds = [(beat.verdict, beat.wait_s) for beat in beats] + [(call.verdict, call.wait_s) for call in calls]
    return Summary(
        model=model,
        day=day,
        beats=len(beats),
        beats_cold=sum(beat.verdict is Verdict.COLD for beat in beats),
        beats_unsure=sum(beat.verdict is Verdict.UNSURE for beat in beats),
        beats_failed=sum(beat.status is not Status.SUCCEEDED for beat in beats),
        calls=len(calls),
        calls_cold=sum(call.verdict is Verdict.COLD for call in calls),
        calls_unsure=sum(call.verdict is Verdict.UNSURE for call in calls),
        boots=Percentiles.of(wait for verdict, wait in finds if verdict is Verdict.COLD and wait is not None),
        waits=Percentiles.of(call.wait_s for call in calls if call.wait_s is not None),
        cost_usd=sum((beat.cost_usd for beat in beats if beat.cost_usd is not None), Decimal(0)),
        cost_unknown=sum(beat.cost_usd is None for beat in beats),
        cost_is_estimated=any(beat.cost_is_estimated for beat in beats),
        floor=floor,
        reasons={reason: count for (name, reason), count in sorted(ticks.items()) if name == model},
    )


def _rank(ordered: Sequence[float], percent: int) -> float | None:
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None

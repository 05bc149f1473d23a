"""What the ledger's facts add up to: cold share, boots, waits and money, by model and day."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from warmer.core.beat import Reason
from warmer.core.price import FREE, Cost
from warmer.core.rollup import BeatSums, CallSums
from warmer.core.waits import Waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Of seconds, by nearest rank: every figure was really measured once, or is one of those to three digits."""

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

    @classmethod
    def of_waits(cls, waits: Waits) -> Percentiles:
        """Those of sums: to `waits.ERROR`, the longest exactly."""
        count, (p50, p95, p99) = waits.ranks(50, 95, 99)
        return cls(count=count, p50=p50, p95=p95, p99=p99, longest=waits.longest_s)


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
    beats: Iterable[BeatSums],
    calls: Iterable[CallSums],
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
    beats_of = defaultdict[tuple[str, date | None], list[BeatSums]](list)
    calls_of = defaultdict[tuple[str, date | None], list[CallSums]](list)
    days: dict[datetime, date | None] = {}
    for beat in beats:
        beats_of[beat.model, _day(beat.begins, zone, days) if by_day else None].append(beat)
    for call in calls:
        calls_of[call.model, _day(call.begins, zone, days) if by_day else None].append(call)
    keys = set(beats_of) | set(calls_of) | set(held) | (set() if by_day else {(model, None) for model in models})
    place = {model: index for index, model in enumerate(models)}
    ordered = sorted(keys, key=lambda key: (place.get(key[0], len(place)), key[0], key[1] or date.min))
    counted = {} if by_day else (ticks or {})
    return tuple(_summary(key, beats_of[key], calls_of[key], counted, held.get(key, FREE)) for key in ordered)


def _day(moment: datetime, zone: ZoneInfo, known: dict[datetime, date | None]) -> date | None:
    # Models share their hours: there are far fewer of those than sums.
    if moment not in known:
        known[moment] = moment.astimezone(zone).date()
    return known[moment]


def _summary(
    key: tuple[str, date | None],
    beats: Sequence[BeatSums],
    calls: Sequence[CallSums],
    ticks: Mapping[tuple[str, Reason], int],
    floor: Cost,
) -> Summary:
    model, day = key
    return Summary(
        model=model,
        day=day,
        beats=sum(one.beats for one in beats),
        beats_cold=sum(one.cold for one in beats),
        beats_unsure=sum(one.unsure for one in beats),
        beats_failed=sum(one.failed for one in beats),
        calls=sum(one.calls for one in calls),
        calls_cold=sum(one.cold for one in calls),
        calls_unsure=sum(one.unsure for one in calls),
        boots=Percentiles.of_waits(Waits.sum([*(one.boots for one in beats), *(one.boots for one in calls)])),
        waits=Percentiles.of_waits(Waits.sum(one.waits for one in calls)),
        cost_usd=sum((one.known_usd for one in beats), Decimal(0)),
        cost_unknown=sum(one.unknown for one in beats),
        cost_is_estimated=any(one.estimated for one in beats),
        floor=floor,
        reasons={reason: count for (name, reason), count in sorted(ticks.items()) if name == model},
    )


def _rank(ordered: Sequence[float], percent: int) -> float | None:
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None

"""Metrics in the text format of Prometheus: counted as beats happen, measured when they are asked for.

Counters are this process' own and begin at 0 with it, as `rate()` and `sum()` over several processes expect; what all
processes did together is in the ledger, and `warmer report` adds it up. Gauges are read from the daemon and the ledger
with each scrape, so that they are right at once after a restart.

The counts are plain numbers, and become the client library's families when they are asked for: a thousand models
would be several thousand histograms of its own, of some kilobytes each.
"""

from __future__ import annotations

import asyncio
import platform
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from warmer.core.beat import Observation, Request, Status, Verdict
from warmer.core.health import Gauges, ModelGauges
from warmer.core.price import Cost
from warmer.core.standing import ACCOUNT_HOLDS, MODEL_HOLDS
from warmer.ports import Hearing, Vitals
from warmer.version import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WAITS_S = (0.25, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
"""Up to 1 s is warm and from 2.5 s cold, by themselves; a boot takes from 5 s to some minutes."""
RUNS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LAGS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCH = 10
"""Models at a time: some milliseconds."""
_ENDS = tuple(status for status in Status if not status.is_open)


class _Histogram:
    """How many values were up to each bound, and what they add up to."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def show(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        bounds = (*map(str, self._bounds), "+Inf")
        family.add_metric(labels, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum)


@dataclass(slots=True)
class _Spent:
    """Costs of beats: a sum that turns out lower at times, behind a counter that never does.

    Where every second online is billed, a beat is charged for the idle time after it until the next use shows how long
    that was. While the sum is below what was shown once, the counter stands still.
    """

    shown: Decimal = Decimal(0)
    _sum: Decimal = Decimal(0)
    _latest: tuple[str | None, Decimal] = (None, Decimal(0))  # only the beat before is ever corrected

    def add(self, prediction_id: str | None, usd: Decimal | None) -> None:
        if prediction_id is not None:
            self._latest = (prediction_id, usd or Decimal(0))
        self._move(usd or Decimal(0))

    def correct(self, prediction_id: str, usd: Decimal | None) -> None:
        known, was = self._latest
        if prediction_id == known:
            self._latest = (known, usd or Decimal(0))
            self._move((usd or Decimal(0)) - was)

    def _move(self, usd: Decimal) -> None:
        self._sum += usd
        self.shown = max(self.shown, self._sum)


@dataclass(slots=True)
class _Tally:
    """What was counted of one model."""

    beats: Counter[Status] = field(default_factory=Counter)
    waits: dict[Verdict, _Histogram] = field(default_factory=dict)
    runs: _Histogram = field(default_factory=lambda: _Histogram(RUNS_S))
    spent: _Spent = field(default_factory=_Spent)
    cost_unknown: int = 0
    calls: Counter[Verdict] = field(default_factory=Counter)
    found: Counter[Verdict] = field(default_factory=Counter)


class Metrics:
    """Implements the `Meter` port."""

    def __init__(self) -> None:
        self._models = defaultdict[str, _Tally](_Tally)
        self._lags = _Histogram(LAGS_S)
        self._webhooks = Counter[Hearing]()

    def beat(self, seen: Observation) -> None:
        """A beat has ended."""
        tally = self._models[seen.model]
        tally.beats[seen.status] += 1
        tally.found[seen.verdict] += 1
        if seen.wait_s is not None:
            tally.waits.setdefault(seen.verdict, _Histogram(WAITS_S)).add(seen.wait_s)
        if seen.run_s is not None:
            tally.runs.add(seen.run_s)
        tally.spent.add(seen.prediction_id, seen.cost_usd)
        tally.cost_unknown += seen.cost_usd is None

    def settled(self, model: str, costs: Mapping[str, Cost]) -> None:
        """What earlier beats cost, known better by now."""
        for prediction_id, cost in costs.items():
            self._models[model].spent.correct(prediction_id, cost.usd)

    def calls(self, ended: Iterable[Request]) -> None:
        """Customers' calls have ended."""
        for call in ended:
            self._models[call.model].calls[call.verdict] += 1

    def tick(self, late_s: float) -> None:
        """A tick began."""
        self._lags.add(late_s)

    def webhook(self, heard: Hearing) -> None:
        """A webhook came, or did not."""
        self._webhooks[heard] += 1

    async def stream(self, vitals: Vitals) -> AsyncIterator[bytes]:
        """All there is, of the models in the file: one that has left it loses its counts.

        In parts: the whole of it, at once in memory, would stay with the process for good.
        """
        gauges = await vitals.gauges()
        for gone in self._models.keys() - gauges.models.keys():
            del self._models[gone]
        told = [_Told(name, self._models[name], now) for name, now in gauges.models.items()]
        for text in _texts(_families(told, self._lags, self._webhooks, gauges)):
            yield text
            await asyncio.sleep(0)  # a thousand models are some 50,000 lines: beats go on in between

    async def scrape(self, vitals: Vitals) -> bytes:
        """The same at once."""
        return b"".join([text async for text in self.stream(vitals)])


class _Told(NamedTuple):
    """What is known of one model."""

    name: str
    tally: _Tally
    now: ModelGauges


class _One(Collector):
    """One family, for the client library."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)

    def describe(self) -> Iterable[Metric]:
        return ()


def _texts(families: Iterable[Metric]) -> Iterator[bytes]:
    """`families` one by one; several of one name in a row are parts of it."""
    before = ""
    for family in families:
        registry = CollectorRegistry()
        registry.register(_One(family))
        text = generate_latest(registry)
        yield text.split(b"\n", 2)[2] if family.name == before else text  # what it is stands on its first two lines
        before = family.name


def _families(
    told: Sequence[_Told], lags: _Histogram, webhooks: Mapping[Hearing, int], gauges: Gauges
) -> Iterator[Metric]:
    """Every metric there is, of some models at a time: as objects, lines take ten times the space of their text."""
    for make in _OF_MODELS:
        for first in range(0, len(told), _BATCH):
            yield make(told[first : first + _BATCH])
    lag = HistogramMetricFamily("warmer_schedule_lag_seconds", "How late ticks began after they were due.")
    lags.show(lag, [])
    yield lag
    yield _filled(
        CounterMetricFamily("warmer_webhooks", "Webhooks, by what became of them.", labels=["outcome"]),
        (((heard,), webhooks[heard]) for heard in Hearing),
    )
    yield from _of_now(gauges)


def _beats(told: Sequence[_Told]) -> Metric:
    return _filled(
        CounterMetricFamily("warmer_beats", "Beats that ended, by how.", labels=["model", "outcome"]),
        (((one.name, end), one.tally.beats[end]) for one in told for end in _ENDS),
    )


def _found(told: Sequence[_Told]) -> Metric:
    return _filled(
        CounterMetricFamily(
            "warmer_beat_verdicts", "Beats that ended, by what they found.", labels=["model", "verdict"]
        ),
        (((one.name, verdict), one.tally.found[verdict]) for one in told for verdict in Verdict),
    )


def _waits(told: Sequence[_Told]) -> Metric:
    waits = HistogramMetricFamily(
        "warmer_wait_seconds", "How long beats waited, queue and boot together.", labels=["model", "verdict"]
    )
    for one in told:
        for verdict in Verdict:
            if (histogram := one.tally.waits.get(verdict)) is not None:
                histogram.show(waits, [one.name, verdict])
    return waits


def _runs(told: Sequence[_Told]) -> Metric:
    runs = HistogramMetricFamily("warmer_run_seconds", "How long beats ran.", labels=["model"])
    for one in told:
        one.tally.runs.show(runs, [one.name])
    return runs


def _costs(told: Sequence[_Told]) -> Metric:
    return _filled(
        CounterMetricFamily("warmer_cost_usd", "What beats cost, where that is known.", labels=["model"]),
        (((one.name,), float(one.tally.spent.shown)) for one in told),
    )


def _costs_unknown(told: Sequence[_Told]) -> Metric:
    return _filled(
        CounterMetricFamily("warmer_cost_unknown", "Beats that ended at a cost nobody knows.", labels=["model"]),
        (((one.name,), one.tally.cost_unknown) for one in told),
    )


def _requests(told: Sequence[_Told]) -> Metric:
    return _filled(
        CounterMetricFamily(
            "warmer_requests",
            "Customers' calls that were seen to end, by what they found.",
            labels=["model", "verdict"],
        ),
        (((one.name, verdict), one.tally.calls[verdict]) for one in told for verdict in Verdict),
    )


def _idle_timeouts(told: Sequence[_Told]) -> Metric:
    return _filled(
        GaugeMetricFamily(
            "warmer_idle_timeout_seconds",
            "How long the host is thought to keep an idle instance.",
            labels=["model", "bound"],
        ),
        (((one.name, bound), seconds) for one in told for bound, seconds in one.now.idle_timeout_s.items()),
    )


def _next_beats(told: Sequence[_Told]) -> Metric:
    return _filled(
        GaugeMetricFamily(
            "warmer_next_beat_timestamp_seconds", "When the model's next beat is decided on.", labels=["model"]
        ),
        (((one.name,), one.now.next_at.timestamp()) for one in told if one.now.next_at is not None),
    )


def _intervals(told: Sequence[_Told]) -> Metric:
    return _filled(
        GaugeMetricFamily("warmer_interval_seconds", "The longest gap that beats owe the model now.", labels=["model"]),
        (((one.name,), one.now.interval_s) for one in told if one.now.interval_s is not None),
    )


def _held(told: Sequence[_Told]) -> Metric:
    return _filled(
        GaugeMetricFamily(
            "warmer_model_held",
            "1 while the provider's answers keep the model from being warmed.",
            labels=["model", "reason"],
        ),
        (((one.name, reason), float(one.now.held is reason)) for one in told for reason in MODEL_HOLDS),
    )


_OF_MODELS = (
    _beats,
    _found,
    _waits,
    _runs,
    _costs,
    _costs_unknown,
    _requests,
    _idle_timeouts,
    _next_beats,
    _intervals,
    _held,
)


def _of_now(gauges: Gauges) -> Iterator[Metric]:
    yield from _budgets(gauges)
    yield _filled(
        GaugeMetricFamily(
            "warmer_account_held",
            "1 while the provider's answers keep every model from being warmed.",
            labels=["reason"],
        ),
        (((reason,), float(gauges.account_held is reason)) for reason in ACCOUNT_HOLDS),
    )
    yield _filled(
        GaugeMetricFamily(
            "warmer_budget_remaining_usd",
            "What beats may still cost, by the narrowest cap of the scope.",
            labels=["scope"],
        ),
        (((scope,), float(usd)) for scope, usd in gauges.remaining_usd.items()),
    )
    yield _filled(
        GaugeMetricFamily("warmer_members", "How many processes divide the beats among them.", labels=[]),
        [] if gauges.members is None else [((), gauges.members)],
    )
    yield GaugeMetricFamily(
        "warmer_config_last_reload_successful",
        "1 where the file was right when it was last read, else 0.",
        float(gauges.config_is_latest),
    )
    yield GaugeMetricFamily(
        "warmer_config_last_reload_timestamp_seconds",
        "When the file in force was read.",
        gauges.config_read_at.timestamp(),
    )
    yield _filled(
        GaugeMetricFamily("warmer_build_info", "1, with what is running.", labels=["version", "python"]),
        [((__version__, platform.python_version()), 1)],
    )


def _budgets(gauges: Gauges) -> Iterator[Metric]:
    caps = {(one.limit.cap.scope, one.limit.cap.period.value): one for one in gauges.spendings}
    reached = {limit.cap for limit in gauges.reached}
    labels = ["scope", "period"]
    yield _filled(
        GaugeMetricFamily("warmer_budget_limit_usd", "A cap of the file.", labels=labels),
        ((cap, float(one.limit.cap.usd)) for cap, one in caps.items()),
    )
    yield _filled(
        GaugeMetricFamily("warmer_budget_used_usd", "What counts against it, reservations too.", labels=labels),
        ((cap, float(one.limit.cap.usd - one.left_usd)) for cap, one in caps.items()),
    )
    yield _filled(
        GaugeMetricFamily("warmer_budget_reached", "1 while it leaves too little for another beat.", labels=labels),
        ((cap, float(one.limit.cap in reached)) for cap, one in caps.items()),
    )


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    for labels, value in values:
        family.add_metric(labels, value)
    return family

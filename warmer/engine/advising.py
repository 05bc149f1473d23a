"""Advice on what is on record: what every way of keeping a model would have come to on its past calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from warmer.core.advise import Advised
from warmer.core.advise import advise as advise_on
from warmer.core.backtest.entry import Host, Traffic
from warmer.core.price import Billing, Price
from warmer.core.repeats import Repeats
from warmer.core.spec import ModelSpec, Spec
from warmer.core.waste import UNUSED_FOR, wastes
from warmer.core.ways import Billed, Ways
from warmer.engine.alone import left_alone
from warmer.engine.hosts import hosts_of
from warmer.ports import Ledger

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What is on record of one model's calls."""

    traffic: Traffic | None = None
    call_s: float | None = None  # that one runs, in the mean
    repeats: Repeats | None = None
    others: Traffic | None = None  # without those that a response cache would answer


def last_on_record(ledger: Ledger, spec: Spec) -> datetime | None:
    """The last call or beat of any model: of silence after that nothing is known. None where there is no call."""
    call = ledger.newest_request_at()
    if call is None:
        return None
    beats = [beat.created_at for entry in spec.models if (beat := ledger.latest_beat(entry.name)) is not None]
    return max([call, *beats])


def traffic_on_record(
    ledger: Ledger, spec: Spec, since: timedelta, models: Sequence[ModelSpec] | None = None
) -> dict[str, Traffic]:
    """The traffic of `models`, all where none are named, up to the last thing on record, where it was called."""
    end = last_on_record(ledger, spec)
    if end is None:
        return {}
    moments = {
        entry.name: [call.created_at for call in ledger.requests(since=end - since, model=entry.name)]
        for entry in (spec.models if models is None else models)
    }
    return {
        name: Traffic.of_moments("ledger", name, calls, entry.hours.zone).until(end)
        for name, calls in moments.items()
        if calls and (entry := spec.model(name)) is not None
    }


def advisor(
    ledger: Ledger, spec: Spec, now: datetime, start: datetime, end: datetime
) -> Callable[[ModelSpec], Advised]:
    """What to do with each entry, by the calls from `start` to `end`."""
    silent_for = _silences(ledger, spec, now)
    host_of, alone = hosts_of(ledger, now), left_alone(spec, ledger, now)

    def advised(entry: ModelSpec) -> Advised:
        past = _past_of(entry, ledger, start, end)
        host = _billed(host_of(entry), past, is_official=entry.name in alone)
        return _found(entry, past, ledger, host, silent_for.get(entry.name))

    return advised


def _past_of(entry: ModelSpec, ledger: Ledger, start: datetime, end: datetime) -> _Past:
    calls = list(ledger.requests(since=start, model=entry.name))
    if not calls:
        return _Past()
    moments = [call.created_at for call in calls]
    runs = [call.run_s for call in calls if call.run_s is not None]
    repeats = Repeats.of((call.created_at, call.input_hash) for call in calls)
    again = frozenset(repeats.lately) if repeats else frozenset()

    def traffic(these: Sequence[datetime]) -> Traffic:
        return Traffic.of_moments("ledger", entry.name, these, entry.hours.zone).until(end)

    return _Past(
        traffic=traffic(moments),
        call_s=sum(runs) / len(runs) if runs else None,
        repeats=repeats,
        others=traffic([moment for moment in moments if moment not in again]),
    )


def _silences(ledger: Ledger, spec: Spec, now: datetime) -> Mapping[str, timedelta]:
    """How long each model has not been called that warmer has watched for longer than that, and still does."""

    def looks(since: datetime) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for (model, _), count in ledger.ticks(since).items():
            counts[model] = counts.get(model, 0) + count
        return counts

    today, lately, ever = (looks(now - span) for span in (_DAY, UNUSED_FOR, 3653 * _DAY))
    silences: dict[str, timedelta] = {}
    for name in (entry.name for entry in spec.models if entry.traffic):
        if name in today and ever[name] > lately[name]:
            calls = ledger.call_times(name, after=now - 100 * _DAY)
            silences[name] = now - calls[-1] if calls else UNUSED_FOR
    return silences


def _found(entry: ModelSpec, past: _Past, ledger: Ledger, host: Billed, silent_for: timedelta | None) -> Advised:
    entry = _priced(entry, ledger)
    advice = advise_on(entry, past.traffic, host)
    return Advised(
        advice=advice,
        repeats=past.repeats,
        cache_saves_usd=_saved(entry, past, host),
        findings=tuple(wastes(entry, past.traffic, entry.billing or host.billing, silent_for=silent_for)),
    )


def _billed(host: Host, past: _Past, *, is_official: bool) -> Billed:
    """The host, with what `run` has found out of its class."""
    billed = Billed.at(host, past.call_s)
    return replace(billed, billing=Billing.OFFICIAL) if is_official else billed


def _priced(entry: ModelSpec, ledger: Ledger) -> ModelSpec:
    """The entry, with the price that its last beat was sent at where the file has none."""
    latest = ledger.latest_beat(entry.name) if entry.price is None else None
    return entry if latest is None or latest.price is None else replace(entry, price=Price.read(latest.price))


def _saved(entry: ModelSpec, past: _Past, host: Billed) -> Decimal | None:
    """What a response cache would save in a month as things are, of the calls whose input was seen."""
    if past.repeats is None or past.traffic is None or past.others is None:
        return None
    with_all, with_others = (Ways(entry, traffic, host).as_it_is().cost.usd for traffic in (past.traffic, past.others))
    return None if with_all is None or with_others is None else max(with_all - with_others, Decimal(0))

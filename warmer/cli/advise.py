"""`warmer advise`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warmer.cli.options import ConfigOption, JsonOption, duration
from warmer.cli.progress import progress
from warmer.core.spec import ModelSpec, Spec
from warmer.ports import Ledger

if TYPE_CHECKING:
    from warmer.core.advise import Advice
    from warmer.core.backtest.entry import Traffic
    from warmer.core.repeats import Repeats
    from warmer.core.waste import Finding
    from warmer.core.ways import Billed, Option

HEADERS = ("model", "way", "", "a month", "cold", "cold in hours", "added wait")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What is on record of one model's calls."""

    traffic: Traffic | None = None
    call_s: float | None = None  # that one runs, in the mean
    repeats: Repeats | None = None
    others: Traffic | None = None  # without those that a response cache would answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """All that is told of one model."""

    advice: Advice
    repeats: Repeats | None
    cache_saves_usd: Decimal | None
    findings: tuple[Finding, ...]


def advise(
    config: ConfigOption = None,
    since: Annotated[
        timedelta,
        typer.Option(parser=duration, metavar="DURATION", help="How far back from the ledger's last record to look."),
    ] = timedelta(days=28),
    as_json: JsonOption = False,
) -> None:
    """What to do with each model: leave it cold, heartbeats, a floor or self-hosting, each with its whole bill."""
    from warmer import report
    from warmer.cli import wiring
    from warmer.clock import SystemClock

    spec = wiring.load(config)
    ledger = wiring.ledger_of(spec)
    now = SystemClock().now()
    end = _end(ledger, spec) or now
    past = _past_of(ledger, spec, end - since, end)
    silent_for = _silences(ledger, spec, now)
    found: list[_Found] = []
    with progress("models", len(spec.models)) as step:
        for entry in spec.models:
            found.append(_found(entry, past[entry.name], ledger, now, silent_for.get(entry.name)))
            step(advance=1)
    if as_json:
        document = {"schema": 1, "from": end - since, "to": end, "models": [_facts(one) for one in found]}
        report.write_json(document, sys.stdout)
        return
    report.write_table(HEADERS, [row for one in found for row in _rows(one.advice)], sys.stdout, left=3)
    for one in found:
        for line in _lines(one):
            typer.echo(line)


def _end(ledger: Ledger, spec: Spec) -> datetime | None:
    """The last call or beat of any model: of silence after that nothing is known. None: there is no call."""
    beats = [beat.created_at for entry in spec.models if (beat := ledger.latest_beat(entry.name)) is not None]
    call = ledger.newest_request_at()
    return None if call is None else max([call, *beats])


def _past_of(ledger: Ledger, spec: Spec, start: datetime, end: datetime) -> Mapping[str, _Past]:
    from warmer.core.backtest.entry import Traffic
    from warmer.core.repeats import Repeats

    def past(entry: ModelSpec) -> _Past:
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

    return {entry.name: past(entry) for entry in spec.models}


def _silences(ledger: Ledger, spec: Spec, now: datetime) -> Mapping[str, timedelta]:
    """How long each model has not been called that warmer has watched for longer than that, and still does."""
    from warmer.core.waste import UNUSED_FOR

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


def _found(entry: ModelSpec, past: _Past, ledger: Ledger, now: datetime, silent_for: timedelta | None) -> _Found:
    from warmer.core.advise import advise as advise_on
    from warmer.core.waste import wastes

    entry, host = _known(entry, past, ledger, now)
    advice = advise_on(entry, past.traffic, host)
    return _Found(
        advice=advice,
        repeats=past.repeats,
        cache_saves_usd=_saved(entry, past, host),
        findings=tuple(wastes(entry, past.traffic, entry.billing or host.billing, silent_for=silent_for)),
    )


def _known(entry: ModelSpec, past: _Past, ledger: Ledger, now: datetime) -> tuple[ModelSpec, Billed]:
    """The entry and its host, with what the provider has told: the class, and the price of a deployment."""
    from warmer.cli.hosts import hosts_of
    from warmer.cli.official import is_left_alone
    from warmer.core.price import Billing, Price
    from warmer.core.ways import Billed

    host = Billed.at(hosts_of(ledger, now)(entry), past.call_s)
    if is_left_alone(entry, ledger, now):
        host = replace(host, billing=Billing.OFFICIAL)
    latest = ledger.latest_beat(entry.name)
    if entry.price is None and latest is not None and latest.price is not None:
        entry = replace(entry, price=Price.read(latest.price))
    return entry, host


def _saved(entry: ModelSpec, past: _Past, host: Billed) -> Decimal | None:
    """What a response cache would save in a month as things are, of the calls whose input was seen."""
    from warmer.core.ways import Ways

    if past.repeats is None or past.traffic is None or past.others is None:
        return None
    with_all, with_others = (Ways(entry, traffic, host).as_it_is().cost.usd for traffic in (past.traffic, past.others))
    return None if with_all is None or with_others is None else max(with_all - with_others, Decimal(0))


def _facts(one: _Found) -> dict[str, Any]:
    advice, repeats = one.advice, one.repeats
    return {
        "model": advice.model,
        "billing": advice.billing,
        "now": advice.now.value,
        "advice": None if advice.way is None else advice.way.value,
        "why": advice.why,
        "calls": advice.calls,
        "days": advice.days,
        "idle_timeout_known": advice.is_learned,
        "options": [_option(option) for option in advice.options],
        "break_even": advice.break_even,
        "cache": None
        if repeats is None
        else {
            "calls": repeats.calls,
            "repeated_24h_share": len(repeats.lately) / repeats.calls,
            "repeated_share": repeats.repeated / repeats.calls,
            "monthly_usd": one.cache_saves_usd,
        },
        "findings": [{"finding": found.waste, "why": found.why, "write": found.write} for found in one.findings],
    }


def _option(one: Option) -> dict[str, Any]:
    return {
        "option": one.way.value,
        "monthly_usd": one.cost.usd,
        "known": one.cost.known,
        "cold_share": one.cold_share,
        "cold_share_in_hours": one.cold_share_in_hours,
        "added_wait_s": one.added_wait_s,
        "applies": one.applies,
        "why": one.why,
    }


def _rows(advice: Advice) -> Iterator[Sequence[str]]:
    """Its ways, under HEADERS."""
    from warmer import report

    for one in advice.options:
        marks = ("now", one.way is advice.now), ("advised", one.way is advice.way), ("cannot be", not one.applies)
        yield (
            advice.model,
            str(one.way),
            ", ".join(mark for mark, is_so in marks if is_so),
            _money(one.cost.usd, is_estimated=one.cost.is_estimated),
            report.share(one.cold_share),
            report.share(one.cold_share_in_hours),
            report.seconds(one.added_wait_s),
        )


def _lines(one: _Found) -> Iterator[str]:
    """What is to be said beside the figures, one sentence a line."""
    advice, repeats = one.advice, one.repeats
    way = "" if advice.way is None else f"{advice.way}: "
    yield f"{advice.model}: {way}{advice.why}"
    for option in advice.options[1:]:
        yield f"  {option.way}: {option.why}"
    if advice.options and not advice.is_learned:
        yield "  how long its host keeps an idle instance is not learned yet: 60 s are taken, and the sums hang on it"
    for sentence in advice.break_even.sentences():
        yield f"  {sentence}"
    if repeats is not None:
        lately, ever = (count / repeats.calls * 100 for count in (len(repeats.lately), repeats.repeated))
        saves = "what is not known" if one.cache_saves_usd is None else f"{_money(one.cache_saves_usd)} a month or more"
        yield (
            f"  of {repeats.calls:,} calls whose input was seen, {lately:.1f} % repeat one of the 24 h before and "
            f"{ever:.1f} % any: a response cache would save {saves}"
        )
    for found in one.findings:
        yield f"  waste: {found.why}. Write: {found.write}"


def _money(usd: Decimal | None, *, is_estimated: bool = False) -> str:
    """USD to a cent; small sums as finely as everywhere else."""
    from warmer import report

    if usd is None or usd < 10:
        return report.money(usd, is_estimated=is_estimated)
    return f"{'~' if is_estimated else ''}${usd:,.2f}"

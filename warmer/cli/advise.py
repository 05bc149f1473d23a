"""`warmer advise`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warmer.cli.options import ConfigOption, JsonOption, duration
from warmer.cli.progress import progress

if TYPE_CHECKING:
    from warmer.core.advise import Advice, Advised
    from warmer.core.ways import Option

HEADERS = ("model", "way", "", "a month", "cold", "cold in hours", "added wait")
_DAY = timedelta(days=1)


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
    from warmer.engine.advising import advisor, last_on_record

    spec = wiring.load(config)
    ledger = wiring.ledger_of(spec)
    now = SystemClock().now()
    end = last_on_record(ledger, spec) or now
    advised = advisor(ledger, spec, now, end - since, end)
    found: list[Advised] = []
    with progress("models", len(spec.models)) as step:
        for entry in spec.models:
            found.append(advised(entry))
            step(advance=1)
    if as_json:
        document = {"schema": 1, "from": end - since, "to": end, "models": [_facts(one) for one in found]}
        report.write_json(document, sys.stdout)
        return
    report.write_table(HEADERS, [row for one in found for row in _rows(one.advice)], sys.stdout, left=3)
    for one in found:
        for line in _lines(one):
            typer.echo(line)


def _facts(one: Advised) -> dict[str, Any]:
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


def _lines(one: Advised) -> Iterator[str]:
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

"""`warmer tune`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warmer.cli.options import ConfigOption, JsonOption, TracesArgument, duration
from warmer.cli.progress import progress
from warmer.core.spec import Spec
from warmer.errors import UsageError

if TYPE_CHECKING:
    from warmer.core.backtest.entry import Traffic
    from warmer.core.tune import Standing, Tuned

HEADERS = ("model", "entry", "policy", "hours", "beats a day", "cost a day", "cold")
_MONDAY = datetime(2024, 2, 26, tzinfo=UTC)
"""The day that a trace file is taken to begin with: a Monday, and few holidays in the weeks after it."""


def tune(
    traces: TracesArgument = None,
    config: ConfigOption = None,
    since: Annotated[
        timedelta,
        typer.Option(parser=duration, metavar="DURATION", help="How far back from the ledger's last record to look."),
    ] = timedelta(days=56),
    write: Annotated[bool, typer.Option("--write", help="Change the file; comments and all else in it stay.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The policy, target and hours that the past calls of each model ask for, what they save, and the file's diff."""
    import os

    from warmer import config as file_of
    from warmer import report
    from warmer.cli import wiring
    from warmer.clock import SystemClock
    from warmer.config.edit import edited, replace_file
    from warmer.core.tune import tune as tune_model
    from warmer.engine.advising import traffic_on_record
    from warmer.engine.hosts import hosts_of

    path = file_of.find(config, os.environ, Path())
    spec = file_of.load(path)
    before = path.read_bytes()
    ledger = wiring.ledger_of(spec)
    host_of = hosts_of(ledger, SystemClock().now())
    traffic = _from_traces(traces, spec) if traces else traffic_on_record(ledger, spec, since)
    found: list[Tuned] = []
    with progress("models", len(spec.models)) as step:
        for entry in spec.models:
            found.append(tune_model(entry, traffic.get(entry.name), host_of(entry)))
            step(advance=1)

    wanted = {one.model: one.suggested.entry for one in found if one.suggested is not None}
    after, problem = before, ""
    try:
        after = edited(before, wanted, path=str(path))
    except UsageError as exc:
        if write:
            raise
        problem = str(exc)
    diff = _diff(before.decode(), after.decode(), str(path))
    if write and after != before:
        replace_file(path, before=before, after=after)
    if as_json:
        document = {
            "schema": 1,
            "models": [_facts(one) for one in found],
            "diff": diff,
            "written": write and bool(diff),
        }
        report.write_json(document, sys.stdout)
        return
    report.write_table(HEADERS, [row for one in found for row in _rows(one)], sys.stdout, left=4)
    for one in found:
        typer.echo(f"{one.model}: {one.why}{_saved(one)}")
    if not diff:
        typer.echo(problem or f"{path} stays as it is.")
        return
    typer.echo(f"\n{diff}", nl=False)
    typer.echo(f"\nWritten to {path}." if write else "\n`--write` changes the file so.")


def _from_traces(paths: Sequence[Path], spec: Spec) -> dict[str, Traffic]:
    """The traffic of the file's models in the traces, whose clock is taken for the file's."""
    from warmer.cli.traces import read_trace
    from warmer.core.backtest.entry import Traffic
    from warmer.core.backtest.trace import DAY, Trace, midnight_of

    found: dict[str, Traffic] = {}
    called: list[str] = []
    for trace in map(read_trace, paths):
        whole_days = -(-trace.end // DAY) * DAY
        for arrivals in trace.models:
            called.append(arrivals.model)
            entry = spec.model(arrivals.model)
            if entry is None:
                continue
            if entry.name in found:
                raise UsageError(f"{entry.name} is in two of the traces: name one of them")
            one = Trace(name=trace.name, models=(arrivals,), end=whole_days)
            found[entry.name] = Traffic(trace=one, midnight=midnight_of(_MONDAY, entry.hours.zone))
    if not found:
        there = ", ".join(sorted(called)[:5]) or "none"
        raise UsageError(f"no model of the traces ({there}) is in {spec.path}: give an entry the `name` of one")
    return found


def _diff(before: str, after: str, path: str) -> str:
    lines = unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), path, path)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _facts(one: Tuned) -> dict[str, Any]:
    return {
        "model": one.model,
        "calls": one.calls,
        "days": one.days,
        "now": _standing(one.now),
        "suggested": _standing(one.suggested),
        "saved_usd_per_day": one.saved_usd_a_day,
        "saved_beats_per_day": one.saved_beats_a_day,
        "why": one.why,
    }


def _standing(one: Standing | None) -> dict[str, Any] | None:
    if one is None:
        return None
    entry = one.entry
    return {
        "policy": entry.policy,
        "cold_target": one.cold_target,
        "cold_start_price": entry.cold_start_price,
        "every_s": entry.every,
        "hours": entry.hours.lines,
        "beats_per_day": one.days.beats_a_day,
        "cost_usd_per_day": one.cost_usd_a_day,
        "cold_share": one.days.cold_band,
    }


def _rows(one: Tuned) -> Iterator[Sequence[str]]:
    """The entry as it is, and the one suggested, under HEADERS."""
    from warmer import report

    for label, standing in (("now", one.now), ("suggested", one.suggested)):
        if standing is None:
            continue
        cold = standing.days.cold_band
        yield (
            one.model,
            label,
            standing.policy,
            " + ".join(standing.entry.hours.lines),
            f"{standing.days.beats_a_day:,.0f}",
            report.money(standing.cost_usd_a_day),
            f"{report.share(cold.mean)} ({cold.low * 100:.1f}-{cold.high * 100:.1f})",
        )


def _saved(one: Tuned) -> str:
    """What the suggestion saves a day and how sure that is: in USD, or in beats where their price is unknown."""
    beats, usd = one.saved_beats_a_day, one.saved_usd_a_day
    if beats is None:
        return ""
    if usd is None:
        told = f"{beats.mean:,.0f} beats a day ({beats.low:,.0f} to {beats.high:,.0f}"
    else:
        told = f"${usd.mean:.4f} a day (${usd.low:.4f} to ${usd.high:.4f}"
    return f"; saves {told} in nine cases of ten)"

"""`warmer backtest`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption, duration
from warmer.errors import UsageError

if TYPE_CHECKING:
    from warmer.core.backtest.outcome import Row
    from warmer.core.backtest.policies import Policy, Settings
    from warmer.core.backtest.replay import Replay
    from warmer.core.backtest.trace import Trace
    from warmer.core.backtest.world import World

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s?%", re.ASCII)
HEADERS = ("trace", "policy", "cold", "heartbeats", "of cron", "wait p99", "online")


def _share(given: str | float) -> float:
    """A share given on the command line."""
    if isinstance(given, float):
        return given
    match = _SHARE.fullmatch(given.strip())
    if match is None or not 0 < float(match[1]) < 100:
        raise typer.BadParameter(f"{given!r} is no share: write one between 0 % and 100 %, such as 2%")
    return float(match[1]) / 100


def _usd(given: str | Decimal) -> Decimal:
    """A price given on the command line."""
    try:
        usd = Decimal(given)
    except InvalidOperation:
        usd = Decimal("NaN")
    if not usd.is_finite() or usd < 0:
        raise typer.BadParameter(f"{given!r} is no price: write USD a second, such as 0.000225")
    return usd


def backtest(
    traces: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[TRACE]...",
            help="Past calls: csv files with the header `t,model`, .gz too. Default: the ledger's.",
        ),
    ] = None,
    config: ConfigOption = None,
    policies: Annotated[
        str, typer.Option("--policy", metavar="P,…", help="Policies to replay, besides the reference rows.")
    ] = "fixed,aware,ski,learned-stop,hybrid",
    idle_timeout: Annotated[
        timedelta, typer.Option(parser=duration, metavar="DURATION", help="How long an idle instance really stays.")
    ] = timedelta(seconds=60),
    interval: Annotated[
        timedelta, typer.Option(parser=duration, metavar="DURATION", help="How long the policies trust it to stay.")
    ] = timedelta(seconds=50),
    boot: Annotated[
        timedelta, typer.Option(parser=duration, metavar="DURATION", help="How long a boot takes, median.")
    ] = timedelta(seconds=12),
    cold_target: Annotated[
        float | None,
        typer.Option(parser=_share, metavar="SHARE", help="Share of requests that may be cold, such as 2%."),
    ] = None,
    cold_start_worth: Annotated[
        float, typer.Option(metavar="K", help="How many heartbeats an avoided cold start is worth.")
    ] = 80.0,
    example: Annotated[
        str | None, typer.Option(metavar="NAME", help="Replay a made-up situation: office, evening, timer …")
    ] = None,
    price_per_second: Annotated[
        Decimal | None,
        typer.Option(parser=_usd, metavar="USD", help="What a second of a heartbeat costs. Default: unknown."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other boots and delays.", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Replay past traffic through policies: what each would have sent, and who would still have waited."""
    from warmer import report
    from warmer.core.backtest.policies import REFERENCES, Settings, policy
    from warmer.core.backtest.world import World

    try:
        world = World(idle_timeout=_micros(idle_timeout), boot_median=_micros(boot), seed=seed)
        settings = Settings(interval=_micros(interval), cold_start_worth=cold_start_worth, cold_target=cold_target)
        names = [*REFERENCES, *(name.strip() for name in policies.split(",") if name.strip())]
        chosen = [policy(name, settings) for name in dict.fromkeys(names)]
    except ValueError as exc:
        raise UsageError(str(exc)) from exc
    if cold_target is not None and not any("cold_target" in one.heeds for one in chosen):
        raise UsageError("--cold-target: none of the chosen policies aims at one (choose --policy adaptive)")

    rows: list[Row] = []
    yardsticks: list[Row] = []
    table: list[Sequence[str]] = []
    for trace in _traces(traces or [], example, config):
        with _progress(trace, len(chosen) + 2) as done:
            replayed = [_replayed(trace, one, world, price_per_second, done) for one in chosen]
            bounds = list(_measured(trace, settings, world, price_per_second, done))
        rows += replayed
        yardsticks += bounds
        table += _cells([*replayed, *bounds])
    if as_json:
        facts = {"idle_timeout_s": idle_timeout, "boot_s": boot, "seed": seed}
        report.write_json({"schema": 1, "world": facts, "rows": rows, "yardsticks": yardsticks}, sys.stdout)
    else:
        headers = HEADERS if price_per_second is None else (*HEADERS, "cost")
        report.write_table(headers, table, sys.stdout, left=2)
        typer.echo("The last two of each trace know the future: bounds, not policies.")


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _traces(paths: Sequence[Path], example: str | None, config: Path | None) -> Iterator[Trace]:
    from warmer.cli.traces import ledger_trace, read_trace
    from warmer.core.situations import situation

    if sum((bool(paths), example is not None, config is not None)) > 1:
        raise UsageError("a trace, --example and --config each say what to replay: use one of them")
    if paths:
        yield from map(read_trace, paths)
    elif example is None:
        yield ledger_trace(config)
    else:
        try:
            yield situation(example)
        except ValueError as exc:
            raise UsageError(str(exc)) from exc


def _replayed(trace: Trace, chosen: Policy, world: World, per_second: Decimal | None, done: Callable[[], None]) -> Row:
    from warmer.core.backtest.outcome import row

    replays = list(_counted(chosen.on(trace, world), done))
    return row(trace, chosen.name, chosen.parameters, replays, world, per_second=per_second)


def _measured(
    trace: Trace, settings: Settings, world: World, per_second: Decimal | None, done: Callable[[], None]
) -> Iterator[Row]:
    """What could have been done by who knew the future."""
    from warmer.core.backtest.outcome import row
    from warmer.core.backtest.yardsticks import best_fixed_stop, keep_only

    for name, best in (("keep-only-optimum", keep_only), ("best-fixed-stop", best_fixed_stop)):
        replays = list(_counted((best(one, trace.end, world, settings) for one in trace.models), done))
        parameters = {"cold_start_worth": settings.cold_start_worth}
        yield row(trace, name, parameters, replays, world, per_second=per_second)


def _counted(replays: Iterator[Replay], done: Callable[[], None]) -> Iterator[Replay]:
    for replay in replays:
        yield replay
        done()


@contextmanager
def _progress(trace: Trace, policies: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr, where that is a terminal, for as long as one trace takes."""
    from rich.progress import Progress

    from warmer import report

    with Progress(console=report.console_on(sys.stderr), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(trace.name, total=len(trace.models) * policies)
        yield lambda: bar.advance(task)


def _cells(rows: Sequence[Row]) -> Iterator[Sequence[str]]:
    """The rows of one trace under HEADERS, and the cost where it is known."""
    from warmer import report

    cron = next(row.heartbeats for row in rows if row.policy == "cron-30s")
    for row in rows:
        yield (
            row.trace,
            row.policy,
            "-" if row.cold_share is None else f"{row.cold_share * 100:.2f} %",
            f"{row.heartbeats:,}",
            f"{row.heartbeats / cron:.3f}" if cron else "-",
            report.seconds(row.added_latency_s.p99),
            f"{row.online_seconds / 3600:,.1f} h",
            *((report.money(row.cost_usd),) if row.cost_usd is not None else ()),
        )

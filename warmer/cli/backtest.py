"""`warmer backtest`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warmer.cli.options import ConfigOption, JsonOption, TracesArgument, duration
from warmer.cli.progress import progress
from warmer.errors import UsageError

if TYPE_CHECKING:
    from warmer.core.backtest.compare import Comparison
    from warmer.core.backtest.trace import Trace

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s?%", re.ASCII)
ALL = "fixed,aware,ski,learned-stop,adaptive,hybrid"
AUTO = timedelta.max
"""No interval: it is hidden, and learned."""
HEADERS = ("trace", "policy", "cold", "heartbeats", "of cron", "wait p99", "online")


def _share(given: str | float) -> float:
    """A share given on the command line."""
    if isinstance(given, float):
        return given
    match = _SHARE.fullmatch(given.strip())
    if match is None or not 0 < float(match[1]) < 100:
        raise typer.BadParameter(f"{given!r} is no share: write one between 0 % and 100 %, such as 2%")
    return float(match[1]) / 100


def _interval(given: str | timedelta) -> timedelta:
    """An interval given on the command line."""
    return AUTO if given == "auto" else duration(given)


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
    traces: TracesArgument = None,
    config: ConfigOption = None,
    policies: Annotated[
        str | None,
        typer.Option(
            "--policy",
            metavar="P,…",
            help="Policies to replay, besides the reference rows. "
            f"Default: {ALL}; of these, with --interval auto, the ones that learn.",
        ),
    ] = None,
    idle_timeout: Annotated[
        timedelta, typer.Option(parser=duration, metavar="DURATION", help="How long an idle instance really stays.")
    ] = timedelta(seconds=60),
    interval: Annotated[
        timedelta,
        typer.Option(
            parser=_interval, metavar="DURATION", help="How long the policies trust it to stay; auto: they learn it."
        ),
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
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also a page with a chart, for any browser.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay past traffic through policies: what each would have sent, and who would still have waited."""
    from warmer import report
    from warmer.cli.page_file import check_page, write_page
    from warmer.core.backtest.compare import SWEPT, compare, steps
    from warmer.core.backtest.learning import LEARNERS
    from warmer.core.backtest.policies import REFERENCES, Settings, policy
    from warmer.core.backtest.world import World

    if html is not None:
        check_page(html)
    try:
        world = World(idle_timeout=_micros(idle_timeout), boot_median=_micros(boot), seed=seed)
        learns = interval == AUTO
        settings = Settings(
            # What knows the future knows the time-out too, and leaves it the margin that the default does.
            interval=world.idle_timeout * 5 // 6 if learns else _micros(interval),
            learns=learns,
            cold_start_worth=cold_start_worth,
            cold_target=cold_target,
        )
        given = (",".join(LEARNERS) if learns else ALL) if policies is None else policies
        names = [*REFERENCES, *(name.strip() for name in given.split(",") if name.strip())]
        chosen = [policy(name, settings) for name in dict.fromkeys(names)]
    except ValueError as exc:
        raise UsageError(str(exc)) from exc
    if cold_target is not None and not any("cold_target" in one.heeds for one in chosen):
        raise UsageError("--cold-target: none of the chosen policies aims at one (choose --policy adaptive)")

    curves = [name for name in SWEPT if html is not None and name in names]
    compared: list[Comparison] = []
    for trace in _traces(traces or [], example, config):
        with progress(trace.name, steps(trace, len(chosen), len(curves))) as step:
            compared.append(
                compare(
                    trace,
                    chosen,
                    settings,
                    world,
                    curves=curves,
                    per_second=price_per_second,
                    done=partial(step, advance=1),
                )
            )
    headers = HEADERS if price_per_second is None else (*HEADERS, "cost")
    tables = [list(_cells(one)) for one in compared]
    if html is not None:
        from warmer.charts.backtest import backtest_page

        write_page(html, backtest_page(compared, headers, tables, settings, world))
    if as_json:
        document = {
            "schema": 1,
            "world": {"idle_timeout_s": idle_timeout, "boot_s": boot, "seed": seed},
            "rows": [row for one in compared for row in one.rows],
            "yardsticks": [row for one in compared for row in one.yardsticks],
        }
        report.write_json(document, sys.stdout)
    else:
        report.write_table(headers, chain.from_iterable(tables), sys.stdout, left=2)
        typer.echo("The last two of each trace know the future: bounds, not policies.")
        if learns and policies is None:
            left_out = [name for name in ALL.split(",") if name not in LEARNERS]
            typer.echo(f"Without an --interval there is no {', '.join(left_out)}: they learn none.")
        if html is not None:
            typer.echo(f"The same with a chart, for any browser: {html}")


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


def _cells(compared: Comparison) -> Iterator[Sequence[str]]:
    """The rows of one trace under HEADERS, and the cost where it is known."""
    from warmer import report

    cron = next(row.heartbeats for row in compared.rows if row.policy == "cron-30s")
    for row in (*compared.rows, *compared.yardsticks):
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

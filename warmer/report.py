"""Facts as people and programs read them: tables, JSON, CSV. Writes to the stream it is given, nothing else."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import IO, TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from warmer.core.plain import plain

if TYPE_CHECKING:
    from warmer.core.insight import Percentiles, Summary

_PIPE_WIDTH = 100_000
"""Columns of a pipe: a table there is cut nowhere, so that `grep` and `awk` find whole cells."""
_LEAST_SHOWN = Decimal("0.0001")  # USD
UNKNOWN = "unknown"


def write_json(document: Any, out: IO[str]) -> None:
    """One document and a line end."""
    out.write(json.dumps(plain(document), indent=2, ensure_ascii=False) + "\n")


def write_rows(rows: Iterable[Any], columns: Sequence[str], out: IO[str], *, as_csv: bool) -> None:
    """One row a line, as CSV with a header or as JSON lines. Streams: a long ledger needs no memory."""
    if as_csv:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(["" if (cell := plain(getattr(row, name))) is None else cell for name in columns])
    else:
        for row in rows:
            out.write(json.dumps({name: plain(getattr(row, name)) for name in columns}, ensure_ascii=False) + "\n")


def write_table(headers: Sequence[str], rows: Iterable[Sequence[str]], out: IO[str], *, left: int = 1) -> None:
    """A table: fitted to a terminal, unbroken lines in a pipe. The first `left` columns are text, the rest figures."""
    console = console_on(out)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold" if console.is_terminal else "")
    for index, header in enumerate(headers):
        table.add_column(header, justify="left" if index < left else "right", no_wrap=not console.is_terminal)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def console_on(out: IO[str]) -> Console:
    """Rich's console on `out`. No terminal gets plain text, even under FORCE_COLOR, in lines of any length."""
    is_terminal = out.isatty()
    return Console(
        file=out,
        width=None if is_terminal else _PIPE_WIDTH,
        force_terminal=is_terminal,
        soft_wrap=not is_terminal,
        highlight=False,
        markup=False,
        emoji=False,  # `a:warning:b` is a name, not a drawing
    )


def share(value: float | None) -> str:
    """A share as per cent."""
    return "-" if value is None else f"{value * 100:.1f} %"


def seconds(value: float | None) -> str:
    """Seconds, as exact as is of use."""
    if value is None:
        return "-"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


def money(value: Decimal | None, *, is_estimated: bool = False) -> str:
    """USD to a hundredth of a cent; unknown says so, and what is less than that is not shown as nothing.

    An estimate has a `~` before it.
    """
    if value is None:
        return UNKNOWN
    shown = "<$0.0001" if 0 < value < _LEAST_SHOWN else f"${value:.4f}"
    return f"~{shown}" if is_estimated else shown


def cost(summary: Summary) -> str:
    """What beats and floors of a summary cost; what is not known of it is named, and stands alone if nothing is."""
    floor = summary.floor
    return partly(
        summary.cost_usd + (floor.usd or 0),
        summary.cost_unknown + (floor.usd is None),
        summary.beats + (floor.usd != 0),
        is_estimated=summary.cost_is_estimated or floor.is_estimated,
    )


def partly(known_usd: Decimal, unknown: int, count: int, *, is_estimated: bool) -> str:
    """What `count` things cost, of which `unknown` have no known cost."""
    if unknown and unknown == count:
        return UNKNOWN
    known = money(known_usd, is_estimated=is_estimated)
    return f"{known} + {unknown} {UNKNOWN}" if unknown else known


def figures(value: Decimal | None, *, is_estimated: bool = False) -> str:
    """USD to three significant figures, for prices that are far below a dollar."""
    if value is None:
        return UNKNOWN
    return f"{'~' if is_estimated else ''}${Context(prec=3).plus(value):f}"


def local(moment: datetime | None, zone: ZoneInfo) -> str:
    """An instant on the file's clock."""
    return "-" if moment is None else f"{moment.astimezone(zone):%a %d %b %H:%M:%S}"


SUMMARY_HEADERS = (
    "model",
    "day",
    "calls",
    "found cold",
    "wait p50",
    "wait p95",
    "beats",
    "cold beats",
    "failed",
    "boot p50",
    "boot p95",
    "cost",
)


def summary_cells(row: Summary) -> tuple[str, ...]:
    """One row under `SUMMARY_HEADERS`."""
    return (
        row.model,
        row.day.isoformat() if row.day else "all",
        str(row.calls),
        share(row.cold_share),
        seconds(row.waits.p50),
        seconds(row.waits.p95),
        str(row.beats),
        str(row.beats_cold),
        str(row.beats_failed),
        seconds(row.boots.p50),
        seconds(row.boots.p95),
        cost(row),
    )


def summary_facts(row: Summary) -> dict[str, Any]:
    """One summary for JSON and CSV, with stable keys."""
    return {
        "model": row.model,
        "day": row.day,
        "calls": row.calls,
        "calls_cold": row.calls_cold,
        "calls_unsure": row.calls_unsure,
        "cold_share": None if row.cold_share is None else round(row.cold_share, 6),
        "beats": row.beats,
        "beats_cold": row.beats_cold,
        "beats_unsure": row.beats_unsure,
        "beats_failed": row.beats_failed,
        "wait_s": _percentiles(row.waits),
        "boot_s": _percentiles(row.boots),
        "cost_usd": row.cost.usd,
        "cost_known": row.cost.known,
        "cost_known_usd": row.cost_usd,
        "cost_unknown_beats": row.cost_unknown,
        "floor_cost_usd": row.floor.usd,
    }


def _percentiles(of: Percentiles) -> dict[str, float | int | None]:
    return {"count": of.count, "p50": of.p50, "p95": of.p95, "p99": of.p99, "max": of.longest}

"""Traces from files and from the ledger.

A file is `t,model`, plain or gzipped. Every fault names its line and what to write.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import IO

import numpy as np

from warmer.core.backtest.trace import LONGEST_S, Trace
from warmer.core.plain import one_line
from warmer.core.situations import NAMES
from warmer.errors import TraceError, UsageError

HEADER = ["t", "model"]
_ROWS = 50_000
"""Rows looked at together: what is fast for many is still little memory."""
_LONGEST_LINE = 1000
"""Characters: a file may be one line without end."""
_GZIP = b"\x1f\x8b"
_EXAMPLE = "write `t,model` on the first line, then one call a line, such as `61.5,llama`"


def read_trace(path: Path) -> Trace:
    """The trace in the file at `path`, called after it. Raises TraceError where it cannot be used.

    10 million rows take about 15 s and 0.5 GB.
    """
    times, models, names = array("d"), array("i"), dict[str, int]()
    with _opened(path) as file:
        reader = csv.reader(file)
        header = next(reader, None)
        if header is None or [cell.strip() for cell in header] != HEADER:
            found = "the file is empty" if header is None else f"the header is `{one_line(','.join(header)[:60])}`"
            raise TraceError(path, 1, found, _EXAMPLE)
        last = 0.0
        while rows := list(islice(reader, _ROWS)):
            try:
                texts, called = zip(*filter(None, rows), strict=True) if any(rows) else ((), ())
                moments = [float(text) for text in texts]
            except ValueError:
                raise _fault(path, rows, reader.line_num, last) from None
            chunk = np.array([last, *moments])
            # Written so that what is no number fails it too.
            in_order = np.all(chunk[1:] >= chunk[:-1]) and chunk[-1] <= LONGEST_S
            if not in_order or "" in called or any("_" in text for text in texts):
                raise _fault(path, rows, reader.line_num, last)
            times.extend(moments)
            models.extend([names.setdefault(name, len(names)) for name in called])
            last = float(chunk[-1])
    seconds, model = np.frombuffer(times), np.frombuffer(models, dtype=np.int32)
    by_model = np.argsort(model, kind="stable")
    parts = np.split(seconds[by_model], np.cumsum(np.bincount(model, minlength=len(names)))[:-1])
    return Trace.of(_name(path), dict(zip(names, parts, strict=False)))


def ledger_trace(config: Path | None) -> Trace:
    """The calls in the ledger of the file at `config`, on the file's clock. Raises UsageError where it has none."""
    from warmer.cli import wiring

    others = f"name a trace, or an example: --example {', '.join(NAMES)}"
    try:
        spec = wiring.load(config)
    except UsageError as exc:
        raise UsageError(f"{exc}; or {others}") from exc
    calls: dict[str, list[datetime]] = {}
    for call in wiring.ledger_of(spec).requests():
        calls.setdefault(call.model, []).append(call.created_at)
    if not calls:
        raise UsageError(f"the ledger has no customer's call yet: {others}")
    return Trace.of_moments("ledger", calls, spec.zone)


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[str]]:
    """The lines of `path`. What goes wrong while it is read comes out as a TraceError."""
    lines = 0

    def counted(file: IO[str]) -> Iterator[str]:
        nonlocal lines
        while line := file.readline(_LONGEST_LINE):
            lines += 1
            if len(line) == _LONGEST_LINE:
                raise TraceError(path, lines, f"the line has {_LONGEST_LINE:,} characters or more", _EXAMPLE)
            if line.count('"') % 2:  # or a field would go on over lines, without end
                raise TraceError(path, lines, "a quote is not closed on its line", "close it, or leave quotes out")
            yield line

    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == _GZIP
        if path.suffix == ".gz" and not is_gzip and path.stat().st_size:
            raise TraceError(path, 1, "the file is not gzipped", "name it `.csv`, or compress it with `gzip`")
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if is_gzip
            else path.open(encoding="utf-8-sig", newline="") as file
        ):
            yield counted(file)
    except UnicodeDecodeError as exc:
        raise TraceError(path, lines + 1, "the text is not UTF-8", "save the file as UTF-8") from exc
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise TraceError(path, lines + 1, "the compressed data is cut off or broken", "fetch the file anew") from exc
    except csv.Error as exc:
        raise TraceError(path, lines, f"this is no CSV: {exc}", _EXAMPLE) from exc
    except OSError as exc:
        raise TraceError(path, None, f"cannot be read: {exc.strerror}", "name a `t,model` csv file") from exc


def _fault(path: Path, rows: list[list[str]], line_num: int, last: float) -> TraceError:
    """The first fault in `rows`, the last of which ends on line `line_num`."""
    for line, row in enumerate(rows, start=line_num - len(rows) + 1):
        if not row:
            continue
        fault = _fault_of(row, last)
        if fault is not None:
            return TraceError(path, line, *fault)
        last = float(row[0])
    raise AssertionError("no fault in rows that were refused")


def _fault_of(row: list[str], last: float) -> tuple[str, str] | None:
    """What is wrong with one row, and what to write. None where nothing is."""
    if len(row) != 2:
        count = "1 column" if len(row) == 1 else f"{len(row)} columns"
        return f"{count} where there must be two", "write a time and a model, such as `61.5,llama`"
    text, model = row
    shown = one_line(text if len(text) <= 40 else f"{text[:40]}…")
    try:
        at = float(text)
    except ValueError:
        at = float("nan")
    if not isfinite(at) or "_" in text:
        return f"`{shown}` is no time", "write seconds since the midnight the trace begins with, such as `61.5`"
    if at < 0:
        return f"`{shown}` lies before the trace", "let `t` begin at 0, the midnight before the first call"
    if at > LONGEST_S:
        return f"`{shown}` is more than ten years", "write seconds since the trace began, not Unix time"
    if not model:
        return "the model is missing", "write its name after the comma, such as `61.5,llama`"
    if at < last:
        return f"`{shown}` comes after {last:g}", "sort the rows by `t`; two calls may share a moment"
    return None

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from warmer import report
from warmer.core.beat import Reason
from warmer.core.insight import Percentiles, Summary
from warmer.core.price import UNKNOWN, Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    at: datetime
    cost_usd: Decimal | None
    gap_s: float | None = None
    reason: Reason = Reason.IDLE


AT = datetime(2026, 11, 21, 9, 0, 0, 500_000, tzinfo=UTC)
COLUMNS = ["name", "at", "cost_usd", "gap_s", "reason"]


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def summary(**facts: Any) -> Summary:
    return Summary(model="meta/llama", day=None, **facts)


# -- JSON --------------------------------------------------------------------------------------------------------------


def test_a_document_is_json_with_plain_values_and_a_line_end(out: io.StringIO) -> None:
    report.write_json(
        {
            "money": Decimal("1E-7"),
            "unknown": None,
            "at": AT.astimezone(timezone(timedelta(hours=1))),
            "day": date(2026, 11, 21),
            "lasting": timedelta(minutes=1),
            "row": Row(name="ü", at=AT, cost_usd=None),
            "ticks": MappingProxyType({Reason.IDLE: 3}),
            "pair": (1, 2.5),
        },
        out,
    )

    assert out.getvalue().endswith("}\n")
    assert "ü" in out.getvalue()
    assert json.loads(out.getvalue()) == {
        "money": "0.0000001",
        "unknown": None,
        "at": "2026-11-21T09:00:00.500Z",
        "day": "2026-11-21",
        "lasting": 60.0,
        "row": {"name": "ü", "at": "2026-11-21T09:00:00.500Z", "cost_usd": None, "gap_s": None, "reason": "idle"},
        "ticks": {"idle": 3},
        "pair": [1, 2.5],
    }


# -- rows --------------------------------------------------------------------------------------------------------------


def test_rows_as_csv_have_a_header_and_empty_cells_for_what_is_unknown(out: io.StringIO) -> None:
    rows = [
        Row(name='a, "b"\nc', at=AT, cost_usd=Decimal("0.000100"), gap_s=0.5),
        Row(name="ü", at=AT, cost_usd=None),
    ]
    report.write_rows(rows, COLUMNS, out, as_csv=True)

    assert list(csv.reader(io.StringIO(out.getvalue()))) == [
        COLUMNS,
        ['a, "b"\nc', "2026-11-21T09:00:00.500Z", "0.000100", "0.5", "idle"],
        ["ü", "2026-11-21T09:00:00.500Z", "", "", "idle"],
    ]
    assert "\r" not in out.getvalue()


def test_rows_as_json_lines_have_one_object_a_line_and_null_for_what_is_unknown(out: io.StringIO) -> None:
    rows = [Row(name="a\nb", at=AT, cost_usd=Decimal(0)), Row(name="c", at=AT, cost_usd=None)]
    report.write_rows(rows, COLUMNS, out, as_csv=False)

    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["name"], first["cost_usd"]) == ("a\nb", "0")
    assert second == {"name": "c", "at": "2026-11-21T09:00:00.500Z", "cost_usd": None, "gap_s": None, "reason": "idle"}


def test_no_rows_are_a_header_or_nothing() -> None:
    as_csv, as_lines = io.StringIO(), io.StringIO()
    report.write_rows([], COLUMNS, as_csv, as_csv=True)
    report.write_rows([], COLUMNS, as_lines, as_csv=False)

    assert as_csv.getvalue() == "name,at,cost_usd,gap_s,reason\n"
    assert as_lines.getvalue() == ""


@pytest.mark.parametrize("as_csv", [True, False])
def test_each_row_is_written_before_the_next_is_read(out: io.StringIO, as_csv: bool) -> None:
    written: list[int] = []

    def rows() -> Iterator[Row]:
        for number in range(5):
            written.append(out.getvalue().count("\n") - as_csv)
            yield Row(name=str(number), at=AT, cost_usd=None)

    report.write_rows(rows(), COLUMNS, out, as_csv=as_csv)

    assert written == [0, 1, 2, 3, 4]


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}, {"COLUMNS": "20", "LINES": "5"}, {"TERM": "xterm-256color"}],
)
def test_a_table_in_a_pipe_is_plain_text_in_whole_lines(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    long = "a-very-long-owner-name/and-a-model-name-that-goes-on-" + "and-on-" * 60
    report.write_table(
        ("model", "why", "cost"), [(long, "two words " * 40, "$0.0041"), ("b", "c", "unknown")], out, left=2
    )

    text = out.getvalue()
    assert "\x1b" not in text
    assert "…" not in text
    header, first, second = text.splitlines()
    assert header.split() == ["model", "why", "cost"]
    assert long in first
    assert ("two words " * 40).strip() in first
    assert first.endswith("$0.0041")
    assert second.endswith("unknown")


def test_text_in_a_table_is_taken_as_it_is(out: io.StringIO) -> None:
    report.write_table(("model", "cost"), [("a:warning:[bold]b[/bold]", "[red]1[/]")], out)

    assert "a:warning:[bold]b[/bold]  [red]1[/]" in out.getvalue()


def test_figures_stand_at_the_right(out: io.StringIO) -> None:
    report.write_table(("model", "beats"), [("a", "1"), ("bbb", "1000")], out)

    assert [line.rstrip() for line in out.getvalue().splitlines()] == ["model  beats", "a          1", "bbb     1000"]


# -- money and other cells ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "unknown"),
        (Decimal(0), "$0.0000"),
        (Decimal("0.000001"), "<$0.0001"),
        (Decimal("0.000099"), "<$0.0001"),
        (Decimal("0.0001"), "$0.0001"),
        (Decimal("0.00415"), "$0.0042"),
        (Decimal("1234.5"), "$1234.5000"),
    ],
)
def test_money_is_never_shown_as_nothing_unless_it_is(usd: Decimal | None, text: str) -> None:
    assert report.money(usd) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (summary(beats=2, cost_usd=Decimal("0.0041")), "$0.0041"),
        (summary(beats=0), "$0.0000"),
        (summary(beats=3, cost_unknown=3), "unknown"),
        (summary(beats=3, cost_usd=Decimal("0.0041"), cost_unknown=2), "$0.0041 + 2 unknown"),
        (summary(beats=3, cost_unknown=2), "$0.0000 + 2 unknown"),
        (summary(beats=0, floor=Cost(usd=Decimal("0.5"), is_estimated=True)), "~$0.5000"),
        (summary(beats=1, cost_usd=Decimal("0.25"), floor=Cost(usd=Decimal("0.5"), is_estimated=True)), "~$0.7500"),
        (summary(beats=0, floor=UNKNOWN), "unknown"),
        (summary(beats=1, cost_usd=Decimal("0.25"), floor=UNKNOWN), "$0.2500 + 1 unknown"),
    ],
)
def test_a_cost_names_what_is_not_known_of_it(row: Summary, text: str) -> None:
    assert report.cost(row) == text
    assert report.summary_cells(row)[-1] == text


def test_a_summary_in_json_has_no_cost_where_a_part_of_it_is_unknown() -> None:
    facts = report.plain(report.summary_facts(summary(beats=3, cost_usd=Decimal("0.004100"), cost_unknown=2)))

    assert facts["cost_usd"] is None
    assert facts["cost_known_usd"] == "0.004100"
    assert facts["cost_unknown_beats"] == 2


def test_a_summary_has_a_cell_for_each_header_and_says_what_it_is_of() -> None:
    whole = summary(calls=4, calls_cold=1, calls_unsure=2, waits=Percentiles.of([0.5, 120.4]))
    day = Summary(model="a", day=date(2026, 11, 21))

    cells = dict(zip(report.SUMMARY_HEADERS, report.summary_cells(whole), strict=True))
    assert cells["day"] == "all"
    assert cells["found cold"] == "50.0 %"
    assert (cells["wait p50"], cells["wait p95"]) == ("0.50 s", "120 s")
    assert cells["boot p95"] == "-"
    assert report.summary_cells(day)[1] == "2026-11-21"
    assert report.summary_facts(day)["cold_share"] is None


def test_an_instant_is_shown_on_the_files_clock() -> None:
    assert report.local(AT, ZoneInfo("Europe/Berlin")) == "Sat 21 Nov 10:00:00"
    assert report.local(None, ZoneInfo("UTC")) == "-"

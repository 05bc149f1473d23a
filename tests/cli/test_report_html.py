"""`report --html`: one file, with the figures that are printed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from harness.processes import Desk
from harness.records import moments_of, record_beat, record_calls

HOSTILE = "</script><img src=x onerror=alert(1)>"


class Read(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags = list[tuple[str, dict[str, str | None]]]()
        self.cells, self.charts = list[str](), list[Any]()
        self._within, self._is_data = "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within, self._is_data = tag, ("type", "application/json") in attrs
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("td", "th"):
            self.cells[-1] += data
        if self._is_data and self._within == "script":
            self.charts.append(json.loads(data))


def filled(desk: Desk) -> str:
    file = str(desk.write(f"{{model: a/b, name: '{HOSTILE}', hardware: gpu-t4}}", top="budget: {monthly: 2}"))
    calls = moments_of("steady", days=2, begins=datetime.now(UTC) - timedelta(days=3))
    record_calls(desk.ledger, HOSTILE, calls, idle_timeout_s=240.0)
    for slot, call in enumerate(calls[-5:], start=1):
        record_beat(desk.ledger, HOSTILE, call - timedelta(seconds=5), slot=slot)
    return file


def test_the_page_has_what_is_printed_and_refers_to_nothing_outside_itself(desk: Desk) -> None:
    file = filled(desk)
    ran = desk.run("report", "-c", file, "--html", "page.html")
    assert ran.code == 0, ran.err
    plain = desk.run("report", "-c", file)
    assert ran.out.splitlines()[:-1] == plain.out.splitlines()
    assert "page.html" in ran.out.splitlines()[-1]
    text = (desk.folder / "page.html").read_text("utf-8")
    page = Read(text)
    head, *rest = ran.out.splitlines()
    assert re.split(r" {2,}", head.strip()) == page.cells[:12]
    assert re.split(r" {2,}", rest[0].strip()) == page.cells[12:24]
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "a"}
        assert not {"src", "href", "srcset", "action", "style"} & attributes.keys()
    titles = [chart["title"] for chart in page.charts]
    assert titles[0] == "Cost by day"
    assert "Calls found cold by day" in titles
    (series,) = page.charts[0]["series"]
    assert series["name"] == HOSTILE
    assert round(sum(value or 0 for value in series["values"]), 6) == 5 * 0.0001


def test_json_and_csv_are_as_they_are_without_a_page(desk: Desk) -> None:
    file = filled(desk)
    ran = desk.run("report", "-c", file, "--csv", "--html", "page.html")
    assert ran.out == desk.run("report", "-c", file, "--csv").out
    assert (desk.folder / "page.html").is_file()
    asked = desk.run("report", "-c", file, "--json", "--html", "other.html")
    assert asked.document["schema"] == 1
    assert (desk.folder / "other.html").is_file()
    refused = desk.run("report", "-c", file, "--html", "nowhere/page.html")
    assert refused.code == 2
    assert "there is no folder nowhere" in " ".join(refused.err.split())

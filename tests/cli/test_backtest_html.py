"""`backtest --html` as a process: the page that it writes."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from harness.processes import Desk, Ran

from warmer.cli.page_file import write_page
from warmer.core.backtest.compare import WORTHS

HOSTILE = "<img src=x onerror=alert(1)>&lt;'\"{{ 7 * 7 }}<!--"
VOID = {"meta", "br", "img"}


class Read(HTMLParser):
    """What a browser would make of a page: its elements, their text, and that each is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []  # by the innermost element
        self._open: list[int] = []  # places in `texts`
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(len(self.texts))
            self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.texts[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            tag, text = self.texts[self._open[-1]]
            self.texts[self._open[-1]] = (tag, text + data)

    def all(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]

    @property
    def charts(self) -> list[Any]:
        """The data of each chart, as the page's script reads it."""
        data = [attributes.get("type") == "application/json" for tag, attributes in self.found if tag == "script"]
        return [json.loads(text) for text, is_data in zip(self.all("script"), data, strict=True) if is_data]


def replay(desk: Desk, *arguments: str) -> tuple[Ran, Read]:
    ran = desk.run("backtest", *arguments, "--html", "page.html")
    assert ran.code == 0, ran.err
    return ran, Read((desk.folder / "page.html").read_text("utf-8"))


def test_the_page_has_the_figures_of_the_table_in_words_as_a_chart_and_as_a_table(desk: Desk) -> None:
    ran, page = replay(desk, "--example", "office")
    lines = [re.split(r" {2,}", line.strip()) for line in ran.out.splitlines()[1:-2]]
    assert "page.html" in ran.out.splitlines()[-1]
    rows = [[name, *page.all("td")[at * 5 : at * 5 + 5]] for at, name in enumerate(page.all("th")[6:])]
    assert rows == [line[1:] for line in lines]
    (chart,) = page.charts
    assert [point["name"] for point in chart["points"]] == [row[0] for row in rows]
    assert [curve["name"] for curve in chart["curves"]] == ["adaptive", "ski"]
    for curve in chart["curves"]:
        assert [point["worth"] for point in curve["points"]] == [f"{worth:,g}" for worth in WORTHS]
    adaptive = next(row for row in rows if row[0] == "adaptive")
    assert any(adaptive[1] in text and adaptive[2] in text for text in page.all("p"))
    assert "1,626" in page.all("dd")


def test_the_page_refers_to_nothing_outside_itself(desk: Desk) -> None:
    _, page = replay(desk, "--example", "rare", "--policy", "aware")
    for tag, attributes in page.found:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "a"}
        assert not {"src", "href", "srcset", "action", "style"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
    (style,) = page.all("style")
    assert "url(" not in style
    assert "@import" not in style
    assert page.charts[0]["curves"] == []


def test_a_hostile_name_is_text_wherever_it_stands(desk: Desk) -> None:
    trace = desk.folder / f"{HOSTILE}.csv"
    trace.write_text("t,model\n" + "".join(f'{at},"</script><script>alert(1)</script>"\n' for at in range(0, 9000, 50)))
    _, page = replay(desk, str(trace))
    assert page.all("h2") == [HOSTILE]
    assert HOSTILE in page.all("caption")[0]
    assert HOSTILE in page.charts[0]["description"]
    ordinary = replay(desk, "--example", "rare")[1]
    assert [tag for tag, _ in page.found].count("script") == [tag for tag, _ in ordinary.found].count("script")
    assert not any(tag == "img" for tag, _ in page.found)


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", "<h2>caf\udce9</h2>")
    assert (tmp_path / "page.html").read_text("utf-8") == "<h2>caf?</h2>"


def test_each_trace_has_a_section_and_one_without_requests_has_no_chart(desk: Desk) -> None:
    (desk.folder / "some.csv").write_text("t,model\n1,a\n100,a\n")
    (desk.folder / "none.csv").write_text("t,model\n")
    _, page = replay(desk, "some.csv", "none.csv", "--price-per-second", "0.000225")
    assert page.all("h2") == ["some", "none"]
    assert len(page.charts) == 1
    assert page.charts[0]["in_usd"]
    assert any("no requests" in text for text in page.all("p"))


def test_json_and_a_page_can_be_had_at_once(desk: Desk) -> None:
    (desk.folder / "page.html").write_text("an older one")
    ran, page = replay(desk, "--example", "rare", "--policy", "ski", "--json")
    assert [point["cold_share"] for point in page.charts[0]["points"]] == pytest.approx(
        [row["cold_share"] for row in ran.document["rows"] + ran.document["yardsticks"]], abs=1e-6
    )
    assert ran.document == desk.run("backtest", "--example", "rare", "--policy", "ski", "--json").document
    assert [path.name for path in desk.folder.iterdir() if "page" in path.name] == ["page.html"]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("nowhere/page.html", "there is no folder nowhere (make it"),
        ("file/page.html", "there is no folder file"),
        ("folder", "folder is no file (name one"),
        ("/dev/null", "/dev/null is no file"),
        ("x" * 300 + ".html", "name another file"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_with_what_to_do(desk: Desk, file: str, told: str) -> None:
    (desk.folder / "folder").mkdir()
    (desk.folder / "file").write_text("")
    ran = desk.run("backtest", "--example", "rare", "--policy", "ski", "--html", file)
    assert ran.code == 2
    assert told in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
    assert ran.out == ""

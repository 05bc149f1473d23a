"""What every page with a chart is made of."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import pytest
from jinja2 import UndefinedError

from warmer.charts.page import SCRIPTS, render

ROOM = files("warmer.charts")


def test_the_page_allows_its_own_scripts_and_no_request() -> None:
    page = render("backtest.html.j2", headers=[], sections=[])
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    rules = dict(rule.split(maxsplit=1) for rule in found[1].split(";"))
    assert rules["default-src"] == "'none'"
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == len(SCRIPTS)
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    assert rules["script-src"].split() == hashes


@pytest.mark.parametrize("name", [*SCRIPTS, "assets/page.css"])
def test_what_is_put_into_the_page_cannot_end_its_element(name: str) -> None:
    text = ROOM.joinpath(name).read_bytes().decode()
    assert not re.search(r"</(script|style)|<!--", text, re.IGNORECASE)
    assert "\r" not in text  # a browser would hash it as another character


def test_the_chart_library_is_the_release_that_its_note_tells() -> None:
    told = re.match(r"# Apache ECharts (\S+)\n", ROOM.joinpath("vendor/README.md").read_text("utf-8"))
    assert told is not None
    assert f'version="{told[1]}"' in ROOM.joinpath("vendor/echarts.min.js").read_text("utf-8")
    for name in ("LICENSE", "LICENSE-d3", "NOTICE"):
        assert ROOM.joinpath("vendor", name).is_file()


def test_a_template_does_not_pass_over_what_it_was_not_given() -> None:
    with pytest.raises(UndefinedError):
        render("backtest.html.j2", headers=[])

"""What the pages point to is there, and what they show can be used as it stands."""

from __future__ import annotations

import re
import subprocess
from collections import Counter

import pytest
from harness.pages import PAGES, ROOT, Page

from warmer import config

EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=str)


def anchors(page: Page) -> set[str]:
    """As GitHub makes them of headings: lower case, punctuation dropped, blanks to hyphens, repeats counted."""
    seen = Counter[str]()
    found = set()
    for title in page.headings():
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


@EACH_PAGE
def test_every_relative_link_and_its_anchor_resolve(page: Page) -> None:
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", page.prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.path.parent / path).resolve() if path else page.path
        assert there.exists(), f"{page}: {target}"
        assert there.is_relative_to(ROOT), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(Page(there)), f"{page}: {target}"


@EACH_PAGE
def test_no_page_speaks_of_the_machine_it_was_written_on(page: Page) -> None:
    assert not re.findall(r"/work/|/tmp/\w+|/root/\.|/home/\w+/", page.text)


@EACH_PAGE
def test_every_whole_file_that_a_page_shows_is_valid(page: Page) -> None:
    for block in page.blocks("yaml"):
        if re.search(r"^models:", block, re.MULTILINE):
            assert config.parse(block.encode(), path=str(page)).models


@EACH_PAGE
def test_every_shell_block_is_shell(page: Page) -> None:
    for block in page.blocks("sh", "bash"):
        checked = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, f"{page}: {checked.stderr}\n{block}"


@EACH_PAGE
def test_every_block_says_what_it_is(page: Page) -> None:
    assert not page.blocks(""), f"{page}: a fenced block names no language (text, where it is none)"


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    listed = re.findall(r"^- \[[^\]]+\]\(([^)#]+)\)", index, re.MULTILINE)
    assert sorted(listed) == sorted(p.name for p in (ROOT / "docs").glob("*.md") if p.name != "README.md")

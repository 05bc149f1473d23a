"""What the pages that people follow tell them to type is typed by a machine: each block says where."""

from __future__ import annotations

import re

import pytest
from harness.pages import OPERATIONS, ROOT, Page
from lab.blocks import Block, blocks

FOLLOWED = pytest.mark.parametrize("page", [Page(ROOT / "README.md"), OPERATIONS], ids=str)
PARTS = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "tests" / "lab" / "parts").glob("*.sh")))
CI = (ROOT / ".ci" / "run").read_text("utf-8")


def shell(page: Page) -> list[Block]:
    return [block for block in blocks(page.text) if block.language in ("sh", "bash")]


@FOLLOWED
def test_every_shell_block_says_where_it_is_run(page: Page) -> None:
    unmarked = [f"{page}:{block.line}" for block in shell(page) if block.kind is None]
    assert not unmarked, f"{unmarked}: `<!-- run: WHERE -->` on the line above, as tests/lab/blocks.py tells"


@FOLLOWED
def test_every_mark_can_be_carried_out(page: Page) -> None:
    for block in blocks(page.text):
        if block.kind is not None:
            assert block.shell()


@FOLLOWED
def test_every_place_is_one_that_runs_its_blocks(page: Page) -> None:
    for block in blocks(page.text):
        if block.where == "ci":
            for line in block.text.splitlines():
                assert re.search(rf"^{re.escape(line)}( |$)", CI, re.MULTILINE), f"{page}: {line} is not in .ci/run"
        elif block.where is not None:
            assert re.search(rf"(--where|page) {block.where}\b", PARTS), f"{page}: no part runs the place {block.where}"


def test_page_that_the_machine_types_is_typed_whole() -> None:
    assert {block.where for block in shell(OPERATIONS)} <= {"machine", "machine-leaves"}

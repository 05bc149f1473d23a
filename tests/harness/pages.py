"""The written pages, read as a reader finds things: by heading, by table, by code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @property
    def prose(self) -> str:
        """Without fenced blocks."""
        return _FENCED.sub("", self.text)

    def blocks(self, *languages: str) -> list[str]:
        """The fenced blocks in one of `languages`; all of them where none is named."""
        return [body for language, body in _FENCED.findall(self.text) if not languages or language in languages]

    def spans(self) -> list[str]:
        """The code within lines."""
        return re.findall(r"`([^`\n]+)`", self.prose)

    def headings(self) -> list[str]:
        return [title for _, title in _HEADING.findall(self.prose)]

    def section(self, title: str) -> str:
        """What stands under the heading `title`, down to the next one of its rank or higher; blocks left out."""
        prose = self.prose
        found = [match for match in _HEADING.finditer(prose) if match[2] == title]
        assert len(found) == 1, f"{self}: {len(found)} headings are called {title!r}"
        end = next(
            (m.start() for m in _HEADING.finditer(prose, found[0].end()) if len(m[1]) <= len(found[0][1])), len(prose)
        )
        return prose[found[0].end() : end]

    def table(self, title: str) -> list[list[str]]:
        """The rows of every table under the heading `title`, as cells; headers left out."""
        return list(_rows(self.section(title)))

    def first_cells(self, title: str) -> list[str]:
        """What the first cells of those rows hold as code."""
        return [code for row in self.table(title) for code in re.findall(r"`([^`]+)`", row[0])]


def _rows(text: str) -> Iterator[list[str]]:
    lines = text.splitlines()
    for index, line in enumerate(lines):
        is_rule = re.match(r"\|[ -]+\|", line) is not None
        is_header = index + 1 < len(lines) and re.match(r"\|[ :-]*-", lines[index + 1]) is not None
        if line.startswith("|") and not is_header and not is_rule:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


PAGES = [
    Page(path)
    for path in (
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "SECURITY.md",
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "systemd" / "README.md",
        ROOT / "config" / "kubernetes" / "README.md",
    )
]
REFERENCE, ARCHITECTURE, CONFIG, OPERATIONS = (
    Page(ROOT / "docs" / f"{name}.md") for name in ("reference", "architecture", "config", "operations")
)

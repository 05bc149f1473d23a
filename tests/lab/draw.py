"""The chart of a page that warmer wrote, drawn by Chromium, as an SVG file: `draw.py PAGE SVG`.

Fails where the page drew no chart or wrote anything to its console.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

HEADLESS = (
    "--headless",
    "--no-sandbox",  # root has none, and the page is our own
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
    "--window-size=1040,900",
)


def drawn(page: Path) -> str:
    """The SVG of the first chart on `page`."""
    with tempfile.TemporaryDirectory() as profile:
        ran = subprocess.run(
            ["chromium", *HEADLESS, f"--user-data-dir={profile}", "--dump-dom", page.resolve().as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    told = [line for line in ran.stderr.splitlines() if ":CONSOLE:" in line]
    svg = re.search(r"<svg .*?</svg>", ran.stdout, re.DOTALL)
    if told or svg is None:
        raise SystemExit("\n".join(told) or f"{page}: Chromium drew no chart")
    # The page sizes its chart by the window; a file is sized by what shows it.
    alone = re.sub(r'width="(\d+)" height="(\d+)" style="[^"]*"', r'viewBox="0 0 \1 \2"', svg[0], count=1)
    ET.fromstring(alone)
    return alone


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(drawn(source) + "\n", encoding="utf-8")

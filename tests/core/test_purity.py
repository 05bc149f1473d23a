from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import warmer

PACKAGE = Path(warmer.__file__).parent
CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "localtime"}
OWNERS = {"datetime", "date", "time"}


def clock_calls(path: Path) -> Iterator[str]:
    """Every place that reads the machine's wall clock: datetime.now, date.today, time.time and their like."""
    tree = ast.parse(path.read_text("utf-8"))
    from_time = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if owner in OWNERS:
                yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.Name) and node.id in from_time:
            yield f"time.{node.id}"


def modules(folder: str) -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def test_the_core_reads_no_clock() -> None:
    read = {str(path.relative_to(PACKAGE)): list(clock_calls(path)) for path in modules("core")}
    assert {name: calls for name, calls in read.items() if calls} == {}
    assert len(read) > 15


def test_only_the_clocks_the_log_and_the_timers_know_what_time_it_is() -> None:
    wall = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
    found = {str(path.relative_to(PACKAGE)) for path in modules(".") if wall & set(clock_calls(path))}
    assert found == {"clock.py", "log.py", "engine/schedule_local.py"}


def test_the_search_would_find_one(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import datetime, time\nfrom time import monotonic as tick\nfrom datetime import date\n"
        "a = datetime.datetime.now()\nb = date.today()\nc = time.time()\nd = tick()\n"
    )
    assert sorted(clock_calls(bad)) == ["date.today", "datetime.now", "time.tick", "time.time"]

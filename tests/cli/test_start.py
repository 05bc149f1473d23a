"""What a command imports before it does anything: an editor's hook calls `check` at every save."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness.processes import environment

HEAVY = {"sqlalchemy", "alembic", "httpx", "apscheduler", "jsonschema", "starlette", "uvicorn", "jinja2"}


@pytest.mark.parametrize("command", [["--version"], ["schema"], ["check", "-c", "warmer.yaml"]], ids=lambda it: it[0])
def test_a_command_that_needs_nothing_heavy_imports_nothing_heavy(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "warmer.yaml").write_text("models: [{model: acme/chat, input: {prompt: hi}}]\n")
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "warmer", *command],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & (HEAVY if command[0] == "check" else HEAVY | {"numpy"})  # it reckons what beats may cost

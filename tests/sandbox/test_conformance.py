"""The official Python clients, each in an environment of its own, against a sandbox in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).with_name("conformance")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The Python of an environment with one release of the client; filled on first use, then kept in `.venv`."""

    def find(release: str) -> Path:
        kept = REPOSITORY / ".venv"
        home = (kept if kept.is_dir() else tmp_path_factory.getbasetemp()) / "conformance" / release
        python, filled = home / "bin" / "python", home / "filled"
        if not filled.exists():
            venv.create(home, clear=True, with_pip=True)
            wanted = [f"replicate=={release}"]
            subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True, timeout=300)
            filled.touch()
        return python

    return find


@pytest.fixture
def sandbox() -> Iterator[str]:
    """The address of a running sandbox."""
    with subprocess.Popen(
        [sys.executable, SCRIPTS / "server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(timeout=10)


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("release", "script", "base"), [("1.0.7", "client_1.py", ""), ("2.0.0b4", "client_2.py", "/v1")]
)
def test_the_official_client_finds_what_it_expects(
    interpreter: Callable[[str], Path], sandbox: str, release: str, script: str, base: str
) -> None:
    quiet = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [interpreter(release), SCRIPTS / script],
        env={
            **quiet,
            "REPLICATE_API_TOKEN": "r8_conformance_token",
            "REPLICATE_BASE_URL": f"{sandbox}{base}",
            "REPLICATE_POLL_INTERVAL": "0.02",
            "PYTHONPATH": "",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("conforms\n", 0), done.stderr

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.postgres import Server
from harness.processes import PATIENCE_S, Desk, Sandbox, environment


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    processes: list[subprocess.Popen[str]] = []

    def start(*args: str) -> Sandbox:
        process = subprocess.Popen(
            [sys.executable, "-m", "warmer", "sandbox", *args],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("listening http://127.0.0.1:"), first
        return Sandbox(first.removeprefix("listening ").strip())

    yield start
    for process in processes:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def wired(tmp_path: Path, sandbox: Sandbox) -> Iterator[Desk]:
    made = Desk(tmp_path, sandbox.url)
    yield made
    made.close()


@pytest.fixture
def shared(sandbox: Sandbox, tmp_path: Path, postgres: Server) -> Iterator[Desk]:
    """A desk whose ledger several processes can share."""
    made = Desk(tmp_path, sandbox.url)
    made.address = postgres.database()
    yield made
    made.close()
    postgres.drop(made.address)

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.postgres import Server
from harness.processes import PATIENCE_S, Desk, Sandbox, environment
from harness.started import Started


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    processes: list[Started] = []

    def start(*args: str) -> Sandbox:
        said = tmp_path / f"sandbox-{len(processes)}.txt"
        said.touch()
        process = Started(
            ("sandbox", *args), tmp_path, environment(tmp_path), stdin=Path(os.devnull), stdout=said, stderr=said
        )
        processes.append(process)
        end = time.monotonic() + PATIENCE_S
        while "\n" not in (first := said.read_text()):
            assert process.poll() is None and time.monotonic() < end, first
            time.sleep(0.02)
        assert first.startswith("listening http://127.0.0.1:"), first
        return Sandbox(first.splitlines()[0].removeprefix("listening "))

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

"""`warmer` as a process of its own that is there at once: forked from one that has imported what it needs.

Every command and every daemon of the tests begins so: most of what each takes otherwise is to import its libraries.
How a command begins by itself is tested in `cli/test_start.py`.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

IMPORTED = (
    "warmer.cli.app",
    "warmer.cli.wiring",
    "warmer.cli.demo_outcome",
    "warmer.charts.board",
    "warmer.charts.report",
    "warmer.core.advise",
    "warmer.core.backtest",
    "warmer.core.schema_input",
    "warmer.core.tune",
    "warmer.engine.backfill",
    "warmer.engine.daemon",
    "warmer.engine.once",
    "warmer.engine.schedule_local",
    "warmer.engine.schedule_shared",
    "warmer.ledger",
    "warmer.ledger.postgres",
    "warmer.providers.contacts",
    "warmer.providers.replicate",
    "warmer.providers.webhooks",
    "warmer.sandbox.server",
    "warmer.sandbox.world_file",
    "warmer.web.serve",
    "alembic.command",
    "alembic.config",
    "alembic.runtime.migration",
    "rich.progress",
    "psycopg",
    "anyio._backends._asyncio",
    "httpcore",
    "jsonschema",
)
"""What commands and daemons import sooner or later: some of it once they run, which would hold up their loop."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([*IMPORTED])


class Started:
    """A process of `warmer`, with what a `subprocess.Popen` offers that tests ask for."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, env: Mapping[str, str], *, stdin: Path, stdout: Path, stderr: Path
    ) -> None:
        self._process = _FORKS.Process(
            target=_command, args=([*arguments], str(folder), dict(env), str(stdin), str(stdout), str(stderr))
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("warmer", timeout)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _command(arguments: list[str], folder: str, env: dict[str, str], stdin: str, stdout: str, stderr: str) -> None:
    """What the process is: `python -m warmer`, in that folder and environment, between those files."""
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(folder)
    for fd, path, flags in (
        (0, stdin, os.O_RDONLY),
        (1, stdout, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, fd)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process is there
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.argv = ["warmer", *arguments]
    runpy.run_module("warmer", run_name="__main__", alter_sys=True)

"""One `warmer run` after another, each in a process of its own that takes no time to start; made to be killed.

As a program (`lives.py FILE URL SPEED`): each line on stdin, a Death as JSON, begins a life; its process id is the
answer, and its exit status once it is over.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from harness.started import IMPORTED
from warmer import config, log
from warmer.cli import wiring
from warmer.clock import FastClock
from warmer.core.spec import Engine
from warmer.engine.daemon import Daemon
from warmer.engine.schedule_local import LocalSchedule
from warmer.ledger import open_ledger
from warmer.providers.replicate import Replicate
from warmer.providers.wire import TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """When a life kills itself with signal 9: so long after it has begun so many transactions."""

    transactions: int
    delay_s: float
    at_latest_s: float = 15.0
    """After so long in any case."""


class Lives:
    """The program, from outside."""

    def __init__(self, file: Path, url: str, speed: float, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(file), url, str(speed)],
            env=env | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid: int | None = None
        """Of the life that goes on."""

    def begin(self, death: Death | None = None) -> int:
        """The process id of another life; without a death it lives until it is told to stop."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(asdict(death) if death else None)}\n")
        self._process.stdin.flush()
        self.pid = int(self._answer())
        return self.pid

    def over(self) -> int:
        """Wait for the end of the life, and return its status: the exit code, or a negative signal number."""
        status = int(self._answer())
        self.pid = None
        return status

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell the life to end by that signal, and return its status."""
        assert self.pid is not None
        os.kill(self.pid, number)
        return self.over()

    def close(self) -> None:
        """No more lives, nor the one that goes on."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
        self._process.communicate(timeout=60)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def live(
    file: Path,
    url: str,
    speed: float,
    death: Death | None,
    *,
    clock: FastClock | None = None,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """What `warmer run` does, on a clock as fast as the sandbox's; `timeout_s` are real seconds."""
    spec = config.load(file)
    clock = clock or clock_of(url, speed)
    ledger = open_ledger(str(spec.ledger))
    is_shared = spec.engine is Engine.SHARED  # in real time
    if death is not None:
        die_by(death, ledger._engine)

    async def serve() -> None:
        await Daemon(
            spec,
            load=lambda: config.load(file),
            connect=lambda new: Replicate(
                new,
                config.read_secret(new.token, os.environ),
                clock,
                notes=ledger if is_shared else None,
                timeout_s=timeout_s,
            ),
            ledger=ledger,
            clock=clock,
            schedule=wiring.schedule_of(spec) if is_shared else lambda on_due: LocalSchedule(on_due, speed=speed),
        ).run()

    with file.with_suffix(".jsonl").open("a", encoding="utf-8") as stream:
        log.configure(stream=stream, now=clock.now)
        asyncio.run(serve())


def clock_of(url: str, speed: float) -> FastClock:
    """One that shows the sandbox's time."""
    with urllib.request.urlopen(f"{url}/sandbox/clock", timeout=10) as reply:
        return FastClock(datetime.fromisoformat(json.load(reply)["now"]), speed)


def die_by(death: Death, engine: sa.Engine) -> None:
    """Arm it."""
    kill = partial(os.kill, os.getpid(), signal.SIGKILL)
    left = death.transactions

    def begun(_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            threading.Timer(death.delay_s, kill).start()

    sa.event.listen(engine, "begin", begun)
    threading.Timer(death.at_latest_s, kill).start()


def main() -> None:
    """Begin lives as told."""
    file, url, speed = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    spec = config.load(file)
    wiring.schedule_of(spec)
    for name in IMPORTED:
        import_module(name)
    open_ledger(str(spec.ledger)).close()
    for line in iter(sys.stdin.readline, ""):
        if not (pid := os.fork()):
            told = json.loads(line)
            status = 1
            try:
                live(file, url, speed, Death(**told) if told else None)
                status = 0
            finally:
                os._exit(status)
        _answer(pid)
        _answer(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Many `warmer run` side by side, each a process of its own that takes no time to start, on a machine with outages.

As a program, with the path of a ledger to be made: it says that it is ready; then each line on stdin,
[FILE, URL, SPEED] as JSON, begins a daemon. Its process id is the answer, and later its process id and exit status.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import sys
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.faults import AN_HOUR, Outage
from harness.lives import clock_of, live
from harness.started import IMPORTED
from warmer.clock import FastClock
from warmer.ledger import open_ledger
from warmer.providers.wire import TIMEOUT_S

_LEAST_TIMEOUT_S = 2.0
"""Real seconds of silence, at any speed, until a reply is given up: a busy machine is silent for some."""


class Hatchery:
    """The program, from outside. `blank` is an empty ledger, to be copied: to make one takes longer than a start."""

    def __init__(self, folder: Path) -> None:
        self._home, self.blank = folder, folder / "blank.db"
        self._process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]
        self._begun: asyncio.Queue[int] = asyncio.Queue()
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Hatchery:
        from harness.processes import environment

        env = environment(self._home, PYTHONPATH=os.pathsep.join(sys.path))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, str(self.blank)),
            env=env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if not await self._process.stdout.readline():
            raise RuntimeError("the hatchery did not begin")
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def begin(self, file: Path, url: str, speed: float) -> int:
        """The process id of another daemon."""
        assert self._process.stdin is not None
        async with self._turn:
            self._process.stdin.write(f"{json.dumps([str(file), url, speed])}\n".encode())
            return await self._begun.get()

    async def over(self, pid: int) -> int:
        """Wait for its end, and return its status: the exit code, or a negative signal number."""
        return await self._ends[pid]

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            pid, *status = map(int, line.split())
            if status:
                self._ends[pid].set_result(status[0])
            else:
                self._ends[pid] = asyncio.get_running_loop().create_future()
                self._begun.put_nowait(pid)


class TornClock(FastClock):
    """One that somebody sets an hour ahead for a while."""

    def __init__(self, origin: datetime, speed: float, outages: Path) -> None:
        super().__init__(origin, speed)
        self._torn = outages / Outage.CLOCK

    def now(self) -> datetime:
        return super().now() + (AN_HOUR if self._torn.exists() else timedelta(0))


def suffer(outages: Path) -> None:
    """From now on this process has no names, or no network, while a file of that name is there."""
    resolve, connect = socket.getaddrinfo, socket.socket.connect
    no_names, no_network = outages / Outage.NO_NAMES, outages / Outage.NO_NETWORK

    def getaddrinfo(*args: Any, **more: Any) -> Any:
        if no_names.exists() or no_network.exists():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(*args, **more)

    def reach(self: socket.socket, address: Any) -> None:
        if no_network.exists():
            raise OSError(101, "Network is unreachable")
        connect(self, address)

    socket.getaddrinfo = getaddrinfo
    socket.socket.connect = reach  # type: ignore[assignment, method-assign] # the outage is the machine's


def main() -> None:
    """Begin daemons as told, and tell of their ends."""
    for name in IMPORTED:
        import_module(name)
    open_ledger(f"sqlite:///{sys.argv[1]}").close()
    tell("ready")
    left = 0
    while True:
        if left:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                left -= 1
                tell(pid, os.waitstatus_to_exitcode(status))
        if not select.select([sys.stdin], [], [], 0.02)[0]:
            continue
        if not (line := sys.stdin.readline()):
            return
        file, url, speed = json.loads(line)
        sys.stdout.flush()
        if not (pid := os.fork()):
            status = 1
            try:
                daemon(Path(file), url, speed)
                status = 0
            finally:
                os._exit(status)
        left += 1
        tell(pid)


def tell(*words: object) -> None:
    sys.stdout.write(f"{' '.join(map(str, words))}\n")
    sys.stdout.flush()


def daemon(file: Path, url: str, speed: float) -> None:
    """What the process is."""
    clock = TornClock(clock_of(url, speed).now(), speed, file.parent)
    suffer(file.parent)
    live(file, url, speed, None, clock=clock, timeout_s=max(_LEAST_TIMEOUT_S, TIMEOUT_S / speed))


if __name__ == "__main__":
    main()

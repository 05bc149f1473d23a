"""A host of each kind that a file can name, behind a real socket, and all of them seen alike.

Each listens apart from the test's own loop, so that whatever is left in that is of the provider that was opened there.
"""

from __future__ import annotations

import asyncio
import queue
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from harness.cogs import CogProcess
from harness.doubles import Double, HuggingFace, RunPod
from harness.wire import Asked
from warmer import config
from warmer.cli.wiring import hosts_of
from warmer.clock import FastClock, SystemClock
from warmer.core.spec import Spec
from warmer.ports import Clock, Provider
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.world_file import world_of

KEY = "r8_C4naryC4naryC4naryC4naryC4naryC4nary1"
WRONG_KEY = "r8_Wr0ngWr0ngWr0ngWr0ngWr0ngWr0ngWr0ng2"
_SPEED = 50.0
_LONG = 1500
"""Seconds of a run that is not to end by itself: half a minute at the sandbox's speed."""
_PATIENCE_S = 60.0
_BEGIN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
_T = TypeVar("_T")
Do = Callable[[Callable[[], bool]], bool]


class Host(ABC):
    """One host with one model, which is cold at first and then kept for longer than any test takes.

    `short`, `long` and `wrong` are what an entry says of a run of next to no time, of one that outlasts every deadline
    here, and of one that the host refuses.
    """

    short = long = wrong = ""
    is_lone = True  # called by its own address: no account, no list
    has_key = True
    tells_work = True  # whether anybody but its caller can see what it is at
    deadline_s = 3.0  # that a long run is given: its create has come back by then

    def __init__(self, folder: Path) -> None:
        self._folder, self.url = folder, ""
        self.clock: Clock = SystemClock()
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    @abstractmethod
    def serving(self) -> Iterator[None]:
        """Listen at `url`."""

    @abstractmethod
    def file(self, url: str, key: str, run: str) -> str:
        """A file with one entry, which runs what `run` says at `url`, and whose key is in the file `key`."""

    def is_at_work(self) -> bool:
        """Whether anything of anybody's is out there; asked only where it `tells_work`."""
        raise NotImplementedError

    def spec(self, run: str, *more: str, url: str | None = None, key: str = KEY) -> Spec:
        """What a file says of it: `short`, `long` or `wrong`, and `more` keys of the entry."""
        kept = self._folder / key[3:8]
        kept.write_text(key)
        kept.chmod(0o600)
        return config.parse(self.file(url or self.url, str(kept), ", ".join((run, *more))).encode(), path="warmer.yaml")

    def open(self, spec: Spec) -> Provider:
        """The provider of the file's entry, opened as the commands do it."""
        return hosts_of(spec, self.clock)(spec.host_of(spec.models[0]))


class _Sandbox(Host):
    """The look-alike of Replicate, faster than life."""

    short, long, wrong = "input: {text: hi}", f"input: {{text: {'x' * _LONG}}}", "input: {text: 5}"
    is_lone = False
    deadline_s = 6.0  # it takes none below 5 s

    @contextmanager
    def serving(self) -> Iterator[None]:
        echo = {
            "kind": "greeting",
            "boot_s": 12,
            "idle_timeout_s": 86_400,
            "growth": [{"keys": ["text"], "seconds": 1}],
        }
        account = {"username": "acme", "tokens": [KEY]}
        document: dict[str, Any] = {"catalogue": False, "account": account, "models": {"acme/echo": echo}}
        server = SandboxServer(world_of(document, begin=_BEGIN), speed=_SPEED)
        with _aside(lambda: server) as (_, self._do):
            self.url, self.clock = server.url, FastClock(server.now(), _SPEED)
            self._world = server.world
            yield

    def file(self, url: str, key: str, run: str) -> str:
        account = f"replicate: {{token: 'file:{key}', base_url: {url}/v1}}"
        return f"{account}\nmodels:\n  - {{model: acme/echo, name: it, {run}}}\n"

    def is_at_work(self) -> bool:
        return self._do(lambda: any(not one.status.over for one in self._world.predictions()))


class _Cog(Host):
    """A Cog server in a process of its own, which is in its setup at first."""

    short, long, wrong = "input: {text: hi}", "input: {text: hi, sleep: 60}", "input: {text: hi, sleep: soon}"
    has_key = False

    @contextmanager
    def serving(self) -> Iterator[None]:
        with CogProcess(self._folder, setup_s=2) as self._process:
            self.url = self._process.url
            yield

    def file(self, url: str, key: str, run: str) -> str:
        return f"models:\n  - {{cog: '{url}', name: it, {run}}}\n"

    def is_at_work(self) -> bool:
        return bool(self._process.health()["status"] == "BUSY")


class _RunsAsAsked(Double):
    """Runs for as long as it is told in what it is sent."""

    async def reply(self, asked: Asked, path: str) -> bytes:
        if (told := re.search(rb'"run_s": ?([\d.]+)', asked.body)) is not None:
            self.run_s = float(told[1])
        return await super().reply(asked, path)


class _Jobs(_RunsAsAsked, RunPod):
    @property
    def is_at_work(self) -> bool:
        """Whether the latest job is out; the ones before were seen to their end."""
        return any(self._state(job)["status"] in ("IN_QUEUE", "IN_PROGRESS") for job in list(self.jobs)[-1:])


class _Holding(_RunsAsAsked, HuggingFace):
    pass


class _Queue(Host):
    """An endpoint that answers with the id of a job."""

    short, long = "body: {input: {run_s: 0.05}}", f"body: {{input: {{run_s: {_LONG}}}}}"
    wrong = "body: {text: hi}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        self._double = _Jobs(self.clock, boot_s=1.5, idle_timeout_s=86_400, key=KEY)
        with _aside(self._double.serving) as (self.url, self._do):
            yield

    def file(self, url: str, key: str, run: str) -> str:
        poll = (
            "path: '/v2/e1/status/{id}', state: status, done: COMPLETED, running: IN_PROGRESS, "
            "failed: [FAILED, CANCELLED], cancel: 'POST /v2/e1/cancel/{id}'"
        )
        replies = f"poll: {{{poll}}}, times: {{wait: delayTime ms, run: executionTime ms}}, warm: {{within: 1s}}"
        return _endpoint(f"{url}/v2/e1/run", key, f"{replies}, {run}")

    def is_at_work(self) -> bool:
        return self._do(lambda: self._double.is_at_work)


class _Hold(Host):
    """An endpoint that answers 503 while it boots, and holds what it runs."""

    short, long = "body: {inputs: {run_s: 0.05}}", f"body: {{inputs: {{run_s: {_LONG}}}}}"
    wrong = "body: {text: hi}"
    tells_work = False

    @contextmanager
    def serving(self) -> Iterator[None]:
        double = _Holding(self.clock, boot_s=1.0, idle_timeout_s=86_400, key=KEY)
        with _aside(double.serving) as (self.url, _):
            yield

    def file(self, url: str, key: str, run: str) -> str:
        return _endpoint(f"{url}/", key, f"warm: {{waking: 503, within: 30s}}, {run}")


def _endpoint(url: str, key: str, more: str) -> str:
    entry = f"url: '{url}', name: it, method: POST, headers: {{Authorization: 'Bearer file:{key}'}}"
    return f"models:\n  - {{{entry}, {more}}}\n"


KINDS: dict[str, type[Host]] = {"replicate": _Sandbox, "cog": _Cog, "url, queued": _Queue, "url, held": _Hold}


class Street:
    """A host of each kind, begun when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._hosts, self._exits = folder, dict[str, Host](), ExitStack()

    def __getitem__(self, kind: str) -> Host:
        if kind not in self._hosts:
            host = KINDS[kind](self._folder / kind.replace(", ", "-"))
            self._exits.enter_context(host.serving())
            self._hosts[kind] = host
        return self._hosts[kind]

    def close(self) -> None:
        """Nothing is left of them."""
        self._exits.close()


@contextmanager
def _aside(serve: Callable[[], AbstractAsyncContextManager[_T]]) -> Iterator[tuple[_T, Do]]:
    """What `serve` gives, in the loop of a thread of its own, and what has something looked up there."""
    begun: queue.SimpleQueue[tuple[_T, asyncio.AbstractEventLoop, asyncio.Event]] = queue.SimpleQueue()

    async def live() -> None:
        async with serve() as given:
            over = asyncio.Event()
            begun.put((given, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    given, loop, over = begun.get(timeout=_PATIENCE_S)

    def do(work: Callable[[], bool]) -> bool:
        async def there() -> bool:
            return work()

        return asyncio.run_coroutine_threadsafe(there(), loop).result(_PATIENCE_S)

    try:
        yield given, do
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(_PATIENCE_S)

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.started import Started

CANARY = "r8_warmer_CanaryThatMustNotSing"
PATIENCE_S = 60.0
"""How long anything may take before a test gives up; nothing is asserted about times shorter than that."""
_COMMAND_WITHIN_S = 120.0


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "VIRTUAL_ENV")}
    return kept | {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "WARMER_TEST_TOKEN": CANARY} | more


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Daemon:
    """A `warmer` process whose log lines are read as they come."""

    def __init__(self, process: Started, log: Path) -> None:
        self.process, self.log = process, log

    def lines(self) -> list[dict[str, Any]]:
        whole = self.log.read_text(encoding="utf-8")
        return [json.loads(line) for line in whole.splitlines(keepends=True) if line.endswith("\n")]

    def events(self, event: str, **facts: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in self.lines()
            if line["event"] == event and all(line.get(key) == value for key, value in facts.items())
        ]

    def wait_for(self, event: str, count: int = 1, **facts: Any) -> list[dict[str, Any]]:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if len(found := self.events(event, **facts)) >= count:
                return found
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"no {count} x {event} {facts} in\n{self.log.read_text()}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


class Sandbox:
    """A `warmer sandbox` process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as reply:
            return json.load(reply)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.loads(reply.read() or "null")

    def delete(self, path: str) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", method="DELETE"), timeout=10).close()

    def clear_faults(self) -> None:
        self.delete("/sandbox/faults")

    def creates(self) -> list[dict[str, Any]]:
        return list(self.get("/sandbox/journal")["predictions"])

    def running(self) -> int:
        return int(self.get("/sandbox/totals")["running_now"])


@contextmanager
def sandbox_at(folder: Path) -> Iterator[Sandbox]:
    """One of the catalogue's models, begun by itself, for programs that have no fixtures."""
    process = subprocess.Popen(
        [sys.executable, "-m", "warmer", "sandbox"], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Sandbox(process.stdout.readline().removeprefix("listening ").strip())
    finally:
        process.terminate()
        process.wait(20)


class Desk:
    """A folder with a file in it, and the commands run there."""

    def __init__(self, folder: Path, sandbox_url: str | None = None) -> None:
        self.folder, self.url = folder, sandbox_url
        self.file = folder / "warmer.yaml"
        self.ledger = folder / "ledger.db"
        self.address = f"sqlite:///{self.ledger}"
        self._daemons: list[Daemon] = []

    def write(self, models: str, *, top: str = "", listen: str = "off") -> Path:
        self.file.write_text(self.text(models, top=top, listen=listen), encoding="utf-8")
        return self.file

    def text(self, models: str, *, top: str = "", listen: str = "off") -> str:
        base = f"base_url: '{self.url}/v1'" if self.url else ""
        return (
            f"ledger: {self.address}\nlisten: {listen}\n"  # several daemons run side by side
            f"replicate: {{token: env:WARMER_TEST_TOKEN, {base}}}\n{top}\nmodels:\n"
            + "".join(f"  - {line}\n" for line in models.strip().splitlines())
        )

    def run(self, *args: str, stdin: str | None = None, **env: str) -> Ran:
        with tempfile.TemporaryDirectory() as folder:
            given, out, err = (Path(folder) / name for name in ("in", "out", "err"))
            given.write_text(stdin or "", encoding="utf-8")
            process = Started(args, self.folder, environment(self.folder, **env), stdin=given, stdout=out, stderr=err)
            try:
                code = process.wait(_COMMAND_WITHIN_S)
            finally:
                process.kill()
            return Ran(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    def start(self, *args: str, **env: str) -> Daemon:
        log = self.folder / f"log-{len(self._daemons)}.jsonl"
        log.write_text("")
        env = environment(self.folder, **env)
        daemon = Daemon(Started(args, self.folder, env, stdin=Path(os.devnull), stdout=log, stderr=log), log)
        self._daemons.append(daemon)
        return daemon

    def close(self) -> None:
        for daemon in self._daemons:
            if daemon.process.poll() is None:
                daemon.process.kill()
                daemon.process.wait(PATIENCE_S)

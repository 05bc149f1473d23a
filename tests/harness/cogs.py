"""Real Cog servers on this machine, without containers: a model of four lines behind the server that Cog ships."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.ports import free_port

_MODEL = """\
import os, time
from cog import BaseRunner

class Runner(BaseRunner):
    def setup(self) -> None:
        time.sleep(float(os.environ["SETUP_S"]))
        if os.environ["SETUP_S"] == "0":
            raise RuntimeError("no weights here")

    def run(self, text: str, sleep: float = 0) -> str:
        end = time.monotonic() + sleep
        while time.monotonic() < end:
            time.sleep(0.01)
        if text == "wrong":
            raise ValueError("of that text nothing can be made")
        return "echo: " + text
"""
_SCHEMA = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {"/predictions": {"post": {"responses": {"200": {"description": "OK"}}}}},
    "components": {
        "schemas": {
            "Input": {
                "type": "object",
                "required": ["text"],
                "properties": {
                    "text": {"type": "string", "title": "Text", "x-order": 0},
                    "sleep": {"type": "number", "title": "Sleep", "default": 0, "x-order": 1},
                },
            },
            "Output": {"type": "string", "title": "Output"},
        }
    },
}


class CogProcess:
    """A server in a folder of its own. A setup of no time at all fails."""

    def __init__(self, folder: Path, *, setup_s: float = 0.01, has_schema: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "predict.py").write_text(_MODEL)
        if has_schema:
            (folder / ".cog").mkdir(exist_ok=True)
            (folder / ".cog" / "openapi_schema.json").write_text(json.dumps(_SCHEMA))
        self._folder, self._setup_s, self._port = folder, setup_s, free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> CogProcess:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def start(self, *, is_up: bool = False) -> None:
        """Returns as soon as its port answers, when it is in its setup; or as soon as that is over."""
        # Its worker is whatever `python` is found on the path.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        more = {
            "PATH": path,
            "PORT": str(self._port),
            "SETUP_S": str(self._setup_s),
            "COG_PREDICT_TYPE_STUB": "predict.py:Runner",
        }
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"],
                cwd=self._folder,
                env={**os.environ, **more},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                stage = self.health()["status"]
            except OSError:
                stage = None
            if stage == "READY" or (stage and not is_up):
                return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError((self._folder / "log").read_text()[-2000:])

    def kill(self) -> None:
        """It and its worker are gone at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def health(self) -> dict[str, Any]:
        """What it says of itself."""
        with urllib.request.urlopen(f"{self.url}/health-check", timeout=5) as reply:
            said: dict[str, Any] = json.load(reply)
        return said

    @property
    def setup_s(self) -> float:
        """How long its setup took, by its own stamps."""
        setup = self.health()["setup"]
        began, ended = (datetime.fromisoformat(setup[key][:26] + "+00:00") for key in ("started_at", "completed_at"))
        return (ended - began).total_seconds()

    @property
    def log(self) -> str:
        """What it printed."""
        return (self._folder / "log").read_text()

"""`warmer run` asked over HTTP, as processes: the sandbox, the daemon, and this one."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import httpx
from harness.processes import Daemon, Desk, Sandbox

TOKEN = "admin-of-the-tests"
HELLO = "{model: replicate/hello-world, every: 1s, hardware: cpu}"
NAME = "replicate%2Fhello-world"
TOP = "admin_token: env:ADMIN"


def started(desk: Desk, models: str, **env: str) -> tuple[Daemon, httpx.Client]:
    file = desk.write(models, top=TOP, listen="127.0.0.1:0")
    daemon = desk.start("run", "-c", str(file), **{"ADMIN": TOKEN} | env)
    url = daemon.wait_for("web.opened")[0]["url"]
    daemon.wait_for("daemon.ready")
    return daemon, httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=30)


def test_a_pause_over_http_stops_beats_and_outlives_the_daemon(wired: Desk, sandbox: Sandbox) -> None:
    daemon, client = started(wired, HELLO)
    daemon.wait_for("beat.done", 2)
    assert client.post(f"/api/v1/models/{NAME}/pause").status_code == 200
    daemon.wait_for("override.set", scope="replicate/hello-world", kind="pause")
    time.sleep(1)  # a beat that was out has come in
    before = len(sandbox.creates())
    time.sleep(3)
    assert len(sandbox.creates()) == before
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(30)
    again, other = started(wired, HELLO)
    again.wait_for("override.set", kind="pause")
    time.sleep(2)
    assert len(sandbox.creates()) == before
    assert other.get(f"/api/v1/models/{NAME}").json()["override"]["kind"] == "pause"
    assert other.post(f"/api/v1/models/{NAME}/beat").json()["reason"] == "paused"
    assert other.post(f"/api/v1/models/{NAME}/resume").status_code == 200
    again.wait_for("beat.done")
    assert again.stop() == 0


def test_a_told_call_puts_the_next_beat_off(wired: Desk, sandbox: Sandbox) -> None:
    daemon, client = started(wired, "{model: replicate/hello-world, every: 8s, hardware: cpu}")
    done = daemon.wait_for("beat.done")
    told = client.post("/api/v1/requests", json={"model": "replicate/hello-world", "prediction_id": "elsewhere"})
    assert told.json() == {"model": "replicate/hello-world", "prediction_id": "elsewhere", "counted": True}
    next_done = daemon.wait_for("beat.done", 2)[1]
    assert next_done["gap_s"] < 8.5
    rows = wired.run("export", "requests", "-c", str(wired.file)).out
    assert rows.count('"elsewhere"') == 1
    assert done[0]["prediction_id"] != next_done["prediction_id"]
    assert client.get("/api/v1/warmth").json()["models"][0]["verdict"] == "warm"
    assert daemon.stop() == 0


def test_the_token_is_read_at_the_start_and_again_at_a_reload_and_stands_in_no_line(wired: Desk) -> None:
    file = wired.write(HELLO, top=TOP)
    assert wired.run("run", "-c", str(file)).code == 2
    secret = wired.folder / "admin"
    secret.write_text("first-secret\n")
    file = wired.write(HELLO, top=f"admin_token: file:{secret}", listen="127.0.0.1:0")
    daemon = wired.start("run", "-c", str(file))
    client = httpx.Client(base_url=daemon.wait_for("web.opened")[0]["url"], trust_env=False, timeout=30)

    def status(token: str) -> Any:
        path = f"/api/v1/models/{NAME}/resume"
        return client.post(path, headers={"Authorization": f"Bearer {token}"}).status_code

    assert (status("first-secret"), status("other-secret")) == (200, 401)
    secret.write_text("other-secret\n")
    os.kill(daemon.process.pid, signal.SIGHUP)
    daemon.wait_for("config.reloaded")
    assert (status("first-secret"), status("other-secret")) == (401, 200)
    secret.unlink()
    os.kill(daemon.process.pid, signal.SIGHUP)
    daemon.wait_for("config.rejected")
    assert status("other-secret") == 200
    assert daemon.stop() == 0
    assert "-secret" not in daemon.log.read_text()

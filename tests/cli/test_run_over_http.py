"""What a daemon answers over HTTP, as a process."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from typing import Any

from harness.processes import PATIENCE_S, Daemon, Desk
from prometheus_client.parser import text_string_to_metric_families

HELLO = "{model: replicate/hello-world, every: 2s, hardware: cpu}"


def get(url: str) -> tuple[int, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PATIENCE_S) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def opened(daemon: Daemon, count: int = 1) -> str:
    return str(daemon.wait_for("web.opened", count)[-1]["url"])


def test_it_answers_before_it_says_that_it_is_ready_and_leaves_in_spite_of_a_client(wired: Desk) -> None:
    daemon = wired.start("run", "-c", str(wired.write(HELLO, listen="127.0.0.1:0")))
    daemon.wait_for("daemon.ready")
    url = opened(daemon)
    assert get(f"{url}/healthz") == (200, b"ok\n")
    status, body = get(f"{url}/readyz")
    assert (status, json.loads(body)["ready"]) == (200, True)
    events = [line["event"] for line in daemon.lines()]
    assert events.index("web.opened") < events.index("daemon.ready")
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert daemon.stop() == 0  # the connection is open
    assert daemon.events("daemon.stopped")[0]["drained"]
    assert daemon.events("library.warned") == []


def test_what_is_scraped_is_what_is_logged(wired: Desk) -> None:
    daemon = wired.start("run", "-c", str(wired.write(HELLO, listen="127.0.0.1:0", top="budget: {daily: 5}")))
    url = opened(daemon)
    daemon.wait_for("beat.done", 3)
    _, body = get(f"{url}/metrics")
    done = len(daemon.events("beat.done"))
    shown = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert 3 <= shown["warmer_beats_total", "replicate/hello-world", "succeeded"] <= done
    assert 4 < shown["warmer_budget_remaining_usd", "all models"] < 5
    assert shown[("warmer_config_last_reload_successful",)] == 1
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(PATIENCE_S) == 0


def test_a_port_that_is_taken_keeps_no_model_cold(wired: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = wired.start("run", "-c", str(wired.write(HELLO, listen=f"127.0.0.1:{port}")))
        daemon.wait_for("beat.done", 2)
        (line,) = daemon.events("web.failed")
        assert str(port) in line["hint"]
    wired.write(HELLO, listen="127.0.0.1:0")  # the file is followed, and so is where to listen
    assert get(f"{opened(daemon)}/healthz") == (200, b"ok\n")
    assert daemon.stop() == 0


def test_once_listens_nowhere(wired: Desk) -> None:
    file = str(wired.write(HELLO, listen="127.0.0.1:0"))
    ran = wired.run("once", "-c", file)
    assert ran.code == 0
    assert "web." not in ran.out

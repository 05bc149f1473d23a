"""Real daemons that a real sandbox tells how beats ended."""

from __future__ import annotations

import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness.ports import free_port
from harness.processes import PATIENCE_S, Daemon, Desk, Sandbox

SLUGS = [f"acme/model-{number}" for number in range(6)]
BOOTING = "acme/model-0"


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Sandbox:
    file = tmp_path / "sandbox.toml"
    file.write_text(
        "[account]\ncreates_per_minute = 60000\nreads_per_minute = 60000\n"
        + "".join(f'[models."{slug}"]\nkind = "greeting"\nboot_s = 0.2\nrun_s = 0.05\n' for slug in SLUGS[1:])
        + f'[models."{BOOTING}"]\nkind = "greeting"\nboot_s = 6.0\nboot_spread = 0.0\nrun_s = 0.05\n'
    )
    return start_sandbox("--world", str(file))


@pytest.fixture
def port() -> int:
    return free_port()


def written(desk: Desk, port: int, name: str, top: str = "", every_s: int = 2) -> str:
    entries = "\n".join(f"{{model: {slug}, every: {every_s}s, policy: fixed}}" for slug in SLUGS)
    top = f"public_url: http://{name}:{port}\n{top}"
    text = desk.text(entries, top=top, listen=f"127.0.0.1:{port}")
    desk.file.write_text(text.replace("base_url:", "creates_per_minute: 60000, base_url:"), "utf-8")
    return str(desk.file)


def until(happened: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.1)


def heard(daemon: Daemon) -> Counter[str]:
    """What /metrics says of webhooks."""
    url = daemon.wait_for("web.opened")[-1]["url"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/metrics", timeout=PATIENCE_S) as reply:
        found = re.findall(r'^warmer_webhooks_total{outcome="(\w+)"} (\d+)', reply.read().decode(), re.MULTILINE)
    return Counter({outcome: int(count) for outcome, count in found})


def reads(sandbox: Sandbox) -> int:
    return sum(sandbox.get("/sandbox/totals")["replies"].get("get", {}).values())


def test_an_address_that_changes_while_beats_are_out_loses_none(shared: Desk, sandbox: Sandbox, port: int) -> None:
    daemon = shared.start("run", "-c", written(shared, port, "127.0.0.1"))
    daemon.wait_for("webhooks.opened")
    daemon.wait_for("beat.sent", model=BOOTING)
    written(shared, port, "localhost")
    assert daemon.wait_for("webhooks.opened", 2)[-1]["url"] == f"http://localhost:{port}/webhooks/replicate"
    daemon.wait_for("beat.done", 2, model=BOOTING)
    until(lambda: len(sandbox.creates()) >= 40)
    beats = len(daemon.events("beat.sent"))
    outcomes = heard(daemon)
    assert outcomes["taken"] >= 0.8 * beats
    assert reads(sandbox) <= 0.2 * beats
    assert daemon.stop() == 0
    assert daemon.events("daemon.stopped", drained=True)
    assert len(daemon.events("beat.done")) == len(sandbox.creates())


def test_of_two_processes_the_one_that_is_told_tells_the_other(shared: Desk, sandbox: Sandbox, port: int) -> None:
    file = written(shared, port, "127.0.0.1", top="engine: shared")
    told = shared.start("run", "-c", file)
    told.wait_for("web.opened")
    other = shared.start("run", "-c", file)
    other.wait_for("web.failed")  # the port is the first one's, and so are all webhooks
    for daemon in (told, other):
        daemon.wait_for("webhooks.opened")
        daemon.wait_for("worker.joined")
    until(lambda: all(len(daemon.events("beat.done")) >= 25 for daemon in (told, other)))
    outcomes = heard(told)
    assert outcomes["handed_on"] >= 10
    assert outcomes["taken"] >= 10
    assert reads(sandbox) <= 1.2 * len(sandbox.creates())
    assert [daemon.stop() for daemon in (told, other)] == [0, 0]
    done = len(told.events("beat.done")) + len(other.events("beat.done"))
    assert done == len(sandbox.creates())
    waits = [line["wait_s"] for line in other.events("beat.done")]
    assert all(wait is not None for wait in waits)

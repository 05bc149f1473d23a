"""Overrides where several processes divide the beats: one command, and all of them go by it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from harness.processes import PATIENCE_S, Desk, Sandbox

HELLO = "replicate/hello-world"


def test_two_processes_wake_a_model_together_and_pause_it(shared: Desk, sandbox: Sandbox) -> None:
    opens = datetime.now(UTC) + timedelta(hours=6)
    entry = f"{{model: {HELLO}, every: 1s, hours: '{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}'}}"
    file = str(shared.write(entry, top="engine: shared"))
    first = shared.start("run", "-c", file)
    first.wait_for("beat.skipped", reason="closed")
    second = shared.start("run", "-c", file)
    second.wait_for("worker.joined")

    assert shared.run("warm", HELLO, "--for", "1h", "-c", file).code == 0
    for daemon in (first, second):
        daemon.wait_for("override.set", scope=HELLO, kind="warm")
    end = time.monotonic() + PATIENCE_S
    while len(sandbox.creates()) < 3:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert shared.run("pause", "-c", file).code == 0
    for daemon in (first, second):
        daemon.wait_for("override.set", scope="all models", kind="pause")
        daemon.wait_for("override.ended", scope=HELLO, why="resumed")
    time.sleep(1)  # a beat that was out has come in
    before = len(sandbox.creates())
    time.sleep(3)
    assert len(sandbox.creates()) == before
    assert (first.stop(), second.stop()) == (0, 0)

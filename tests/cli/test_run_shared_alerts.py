"""Alerts where several processes divide the beats: all of them see what is wrong, and one tells."""

from __future__ import annotations

import time

from harness.processes import PATIENCE_S, Desk, Sandbox
from harness.receiver import Receiver

from warmer.engine.alerting import LOOK_S


def test_an_account_that_is_refused_is_told_once_by_two_processes(shared: Desk, sandbox: Sandbox) -> None:
    sandbox.post("/sandbox/faults", {"kind": "status", "status": 401})
    with Receiver() as receiver:
        file = str(
            shared.write("{model: replicate/hello-world, every: 1s}", top="engine: shared\nalerts: {to: env:TO}")
        )
        daemons = [shared.start("run", "-c", file, TO=f"json://127.0.0.1:{receiver.port}/") for _ in range(2)]
        for daemon in daemons:
            daemon.wait_for("daemon.ready")
        assert receiver.arrived.wait(PATIENCE_S)
        time.sleep(LOOK_S + 2)  # by now the other has looked too
        assert [daemon.stop() for daemon in daemons] == [0, 0]
        assert [note["title"] for note in receiver.posted] == ["warmer: account refused, all models"]
        assert sum(len(daemon.events("alert.sent")) for daemon in daemons) == 1

"""A process that was stopped for a while, as on a machine that slept: it goes on, and does not catch up."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from datetime import datetime
from itertools import pairwise

from harness.processes import Desk, Sandbox

MODELS = ("replicate/hello-world", "black-forest-labs/flux-schnell")
STOPPED_S = 6.0


def test_a_process_that_was_stopped_sends_no_burst_and_goes_on(wired: Desk, sandbox: Sandbox) -> None:
    file = wired.write(
        "\n".join(f"{{model: {slug}, policy: fixed, billing: public, hardware: cpu, every: 1s}}" for slug in MODELS)
    )
    daemon = wired.start("run", "-c", str(file))
    for slug in MODELS:
        daemon.wait_for("beat.done", 3, model=slug)
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(STOPPED_S)
    done = len(daemon.events("beat.done"))
    daemon.process.send_signal(signal.SIGCONT)
    daemon.wait_for("beat.done", done + 8)
    assert daemon.stop() == 0
    moments = defaultdict[str, list[datetime]](list)
    for call in sandbox.creates():
        moments[call["model"]].append(datetime.fromisoformat(call["created_at"]))
    assert set(moments) == set(MODELS)
    for of_model in moments.values():
        pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(sorted(of_model))]
        assert max(pauses) > STOPPED_S - 2
        assert min(pauses) > 0.8  # the interval, but for what a create takes on its way
    assert not daemon.events("tick.crashed")

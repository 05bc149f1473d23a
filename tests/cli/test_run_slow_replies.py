"""Real processes before a provider whose replies take ten times the interval."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.pods import Pods, fast_world
from harness.postgres import Server
from harness.processes import Sandbox

EVERY_S, SLOW_S = 1.0, 10.0
SLUGS = {name: [f"{name}/model-{number}" for number in range(6)] for name in ("lone", "shared")}


def at(call: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(call["created_at"])


def test_one_beat_a_model_at_a_time_and_no_burst_afterwards(
    start_sandbox: Callable[..., Sandbox], tmp_path: Path, postgres: Server
) -> None:
    world = fast_world(tmp_path, (slug for some in SLUGS.values() for slug in some))
    sandbox = start_sandbox("--world", str(world))
    with (
        closing(Pods(tmp_path / "lone", sandbox, SLUGS["lone"], every_s=EVERY_S)) as lone,
        closing(
            Pods(
                tmp_path / "shared", sandbox, SLUGS["shared"], every_s=EVERY_S, postgres=postgres, top="engine: shared"
            )
        ) as shared,
    ):
        daemons = [one.desk.start("run", "-c", one.file) for one in (lone, shared, shared)]
        for daemon in daemons:
            daemon.wait_for("beat.done", 6)
        sandbox.post("/sandbox/faults", {"kind": "delay", "seconds": SLOW_S, "on": "any"})
        slow_from = datetime.fromisoformat(sandbox.get("/sandbox/clock")["now"])
        time.sleep(1.5 * SLOW_S)
        slow_until = datetime.fromisoformat(sandbox.get("/sandbox/clock")["now"])
        sandbox.clear_faults()
        before = [len(daemon.events("beat.done")) for daemon in daemons]
        for daemon, done in zip(daemons, before, strict=True):
            daemon.wait_for("beat.done", done + 12)
        assert [daemon.stop() for daemon in daemons] == [0, 0, 0]
        for one in (lone, shared):
            calls = sorted((call for call in sandbox.creates() if call["model"] in one.models), key=at)
            for slug in one.models:
                times = [at(call) for call in calls if call["model"] == slug]
                # One more is sent when the reply to the one before has come.
                slow = [moment for moment in times if slow_from < moment < slow_until]
                assert len(slow) <= 2
                assert all((later - sooner).total_seconds() >= SLOW_S for sooner, later in pairwise(slow))
            assert one.doubled() == 0, one.gaps_s()
            seconds = Counter(int((at(call) - slow_until).total_seconds()) for call in calls if at(call) > slow_until)
            assert max(seconds.values()) <= 2 * len(one.models) / EVERY_S
        assert not [line for daemon in daemons for line in daemon.events("tick.crashed")]

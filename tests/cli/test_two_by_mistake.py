"""Two of it where there should be one: on a ledger in a file and in a server, what one sends the other does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

import pytest
from harness.postgres import Server
from harness.processes import Daemon, Desk, Sandbox

EVERY_S = 2.0
MODELS = "\n".join(
    f"{{model: {slug}, policy: fixed, every: {EVERY_S:g}s}}" for slug in ("replicate/hello-world", "salesforce/blip")
)


@pytest.fixture(params=["sqlite", "postgres"])
def either(wired: Desk, request: pytest.FixtureRequest) -> Iterator[Desk]:
    if request.param == "sqlite":
        yield wired
        return
    postgres: Server = request.getfixturevalue("postgres")
    wired.address = postgres.database()
    yield wired
    wired.close()
    postgres.drop(wired.address)


def doubled(sandbox: Sandbox) -> int:
    times = defaultdict[str, list[datetime]](list)
    for call in sandbox.creates():
        times[call["model"]].append(datetime.fromisoformat(call["created_at"]))
    return sum(
        (later - sooner).total_seconds() < EVERY_S - 0.1
        for found in times.values()
        for sooner, later in pairwise(sorted(found))
    )


def beats(*daemons: Daemon) -> int:
    return sum(len(daemon.events("beat.done")) for daemon in daemons)


def test_two_daemons_that_look_after_the_same_models_double_no_beat(either: Desk, sandbox: Sandbox) -> None:
    file = str(either.write(MODELS))
    daemons = [either.start("run", "-c", file) for _ in range(2)]
    for daemon in daemons:
        daemon.wait_for("beat.skipped", 5)
    daemons[0].wait_for("beat.done", 4)
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert beats(*daemons) >= 4
    assert doubled(sandbox) == 0


def test_passes_beside_a_daemon_double_no_beat(either: Desk, sandbox: Sandbox) -> None:
    file = str(either.write(MODELS))
    daemon = either.start("run", "-c", file)
    daemon.wait_for("beat.done")
    assert [either.run("once", "-c", file).code for _ in range(5)] == [0] * 5
    assert daemon.stop() == 0
    assert doubled(sandbox) == 0

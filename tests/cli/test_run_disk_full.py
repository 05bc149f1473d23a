"""A daemon whose disk is full: it says so, sends nothing that it cannot write down, and goes on when there is room."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

from harness.processes import PATIENCE_S, Desk, Sandbox, environment

from warmer.core.beat import Status
from warmer.ledger import open_ledger

MODELS = (
    "{model: replicate/hello-world, policy: fixed, every: 1s}\n"
    "{model: black-forest-labs/flux-schnell, policy: fixed, billing: official, every: 1s}"
)
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Python itself writes half of it to a full disk, and stumbles over that ever after."""


def limit_files(pid: int, size: int) -> None:
    """No file of that process grows beyond `size` bytes from now on."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def size_of_log(ledger: Path) -> int:
    return ledger.with_name(f"{ledger.name}-wal").stat().st_size


def test_a_full_disk_holds_every_beat_and_room_on_it_lets_them_go(wired: Desk, sandbox: Sandbox) -> None:
    daemon = wired.start("run", "-c", str(wired.write(MODELS)), **NO_BYTECODE)
    daemon.wait_for("beat.done", 4)
    limit_files(daemon.process.pid, size_of_log(wired.ledger))
    (failed,) = daemon.wait_for("ledger.failed")
    assert str(wired.ledger) in failed["error"]
    assert "disk" in failed["error"]
    time.sleep(2.5)  # two intervals and more
    claimed, created = claims(wired.ledger), len(sandbox.creates())
    time.sleep(2.5)
    assert (claims(wired.ledger), len(sandbox.creates())) == (claimed, created)
    assert created <= claimed

    limit_files(daemon.process.pid, resource.RLIM_INFINITY)
    daemon.wait_for("ledger.resumed")
    before = len(daemon.events("beat.done"))
    daemon.wait_for("beat.done", before + 4)
    # What could not be written down is found in the account's list.
    end = time.monotonic() + PATIENCE_S
    while unfinished(wired.ledger, {call["id"] for call in sandbox.creates()[:created]}):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert daemon.stop() == 0
    assert not daemon.events("tick.crashed")
    ledger = open_ledger(f"sqlite:///{wired.ledger}")
    beats = list(ledger.beats())
    ids = [beat.prediction_id for beat in beats if beat.prediction_id]
    assert sorted(ids) == sorted(call["id"] for call in sandbox.creates())
    assert all(beat.status is Status.UNKNOWN for beat in beats if not beat.prediction_id)
    ledger.close()


def claims(path: Path) -> int:
    ledger = open_ledger(f"sqlite:///{path}")
    try:
        return len(list(ledger.beats())) + len(ledger.open_beats())
    finally:
        ledger.close()


def unfinished(path: Path, ids: set[str]) -> set[str]:
    ledger = open_ledger(f"sqlite:///{path}")
    try:
        return ids - {beat.prediction_id for beat in ledger.beats() if beat.prediction_id}
    finally:
        ledger.close()


START_FULL = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
sys.argv = ["warmer", *sys.argv[1:]]
runpy.run_module("warmer", run_name="__main__")
"""


def test_a_daemon_that_finds_the_disk_full_at_its_start_leaves_with_a_clear_error(
    wired: Desk, sandbox: Sandbox
) -> None:
    wired.write(MODELS)
    done = subprocess.run(
        [sys.executable, "-c", START_FULL, "run", "-c", str(wired.file)],
        cwd=wired.folder,
        env=environment(wired.folder, **NO_BYTECODE),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert str(wired.ledger) in done.stderr
    assert "disk" in done.stderr
    assert "Traceback" not in done.stderr
    assert sandbox.creates() == []
    assert wired.run("once", "-c", str(wired.file)).code == 0  # there is room again

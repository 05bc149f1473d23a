"""Plays systemd to the real daemon, confined as warmer.service confines it, against the sandbox.

The daemon gets what the unit gives: a state directory, a credential, a notify socket and a watchdog. It must say READY,
feed the watchdog, send a beat, take an edit on SIGHUP, refuse a broken one and run on, and leave within the unit's time
when told to.

Usage, as root: python service.py UNIT
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent
CONFINE = Path(__file__).with_name("confine.py")
TOKEN = "r8_canary-of-the-lab"
PATIENCE_S = 60.0  # for anything that must happen; a machine under load is slow, not wrong
FILE = """\
replicate:
  token: credential:replicate-token
  base_url: {address}/v1
models:
  - model: meta/meta-llama-3-8b-instruct
    policy: fixed
    every: {every}
"""


class Manager:
    """The end of the notify socket that systemd would hold."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(PATIENCE_S)

    def await_message(self, field: str) -> dict[str, str]:
        """The fields of the next message that has `field`; others are read past."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            message = dict(line.partition("=")[::2] for line in self.socket.recv(4096).decode().splitlines())
            if field in message:
                return message
        sys.exit(f"no {field}= from the daemon in {PATIENCE_S} s")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def setting(unit: Path, key: str) -> str:
    return next(line for line in unit.read_text("utf-8").splitlines() if line.startswith(f"{key}=")).partition("=")[2]


def seconds(setting: str) -> float:
    return float(setting.removesuffix("s"))


@contextmanager
def running(command: list[str], output: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has ended when the block ends, however that goes. Its output goes to a file, as to the journal."""
    with output.open("wb") as journal:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=journal, stderr=journal)
    try:
        yield process
    except BaseException:
        say(output.read_text("utf-8"))
        raise
    finally:
        process.kill()
        process.wait()


def await_true(found: Callable[[], bool], what: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not found():
        if process.poll() is not None:
            sys.exit(f"ended with {process.returncode} before this was seen: {what}")
        if time.monotonic() > until:
            sys.exit(f"not seen in {PATIENCE_S} s: {what}")
        time.sleep(0.05)


def events(journal: Path) -> list[str]:
    """The event of every line that is complete; a line that is no JSON ends the lab."""
    return [
        json.loads(line)["event"] for line in journal.read_text("utf-8").splitlines(keepends=True) if line[-1] == "\n"
    ]


def main(unit: Path, home: Path) -> None:
    state, credentials, sandbox_output, journal = (home / n for n in ("state", "credentials", "sandbox", "journal"))
    state.mkdir()
    credentials.mkdir()
    (credentials / "replicate-token").write_text(f"{TOKEN}\n", "utf-8")
    file = home / "warmer.yaml"
    manager = Manager(home / "notify")
    watchdog_s, stop_s = seconds(setting(unit, "WatchdogSec")), seconds(setting(unit, "TimeoutStopSec"))

    def write(every: str, address: str) -> None:
        """Replaces the file in one step, as editors do."""
        (home / "new.yaml").write_text(FILE.format(every=every, address=address), "utf-8")
        (home / "new.yaml").replace(file)

    sandbox = [str(BIN / "warmer"), "sandbox", "--port", "0", "--speed", "60"]
    with running(sandbox, sandbox_output, PATH=os.environ["PATH"]) as look_alike:
        await_true(lambda: "listening http" in sandbox_output.read_text("utf-8"), "the sandbox listening", look_alike)
        address = next(word for word in sandbox_output.read_text("utf-8").split() if word.startswith("http"))
        write("2s", address)

        confined = [sys.executable, str(CONFINE), str(unit), str(state)]
        daemon = [*confined, str(BIN / "warmer"), "run", "-c", str(file)]
        with running(
            daemon,
            journal,
            PATH=os.environ["PATH"],
            LANG="C.UTF-8",
            PYTHONFAULTHANDLER="1",
            STATE_DIRECTORY=str(state),
            CREDENTIALS_DIRECTORY=str(credentials),
            NOTIFY_SOCKET=str(home / "notify"),
            # A tenth of the unit's time, so that one beat of the dog is not waited for long.
            WATCHDOG_USEC=str(int(watchdog_s * 100_000)),
        ) as process:
            manager.await_message("READY")
            say("READY=1 once the file is valid, the ledger open and the schedule running")
            manager.await_message("WATCHDOG")
            say("WATCHDOG=1 while the loop turns")
            await_true(lambda: "beat.done" in events(journal), "a beat.done in the journal", process)
            assert (state / "ledger.db").stat().st_size > 0
            say("beat.done in the journal, as JSON; ledger.db in the state directory")

            copy = home / "copy.db"
            subprocess.run(["sqlite3", state / "ledger.db", f".backup '{copy}'"], check=True)
            whole = subprocess.run(["sqlite3", copy, "PRAGMA integrity_check"], check=True, capture_output=True)
            assert whole.stdout == b"ok\n", whole.stdout
            say("sqlite3's .backup of the ledger in use: a whole copy")

            write("3s", address)
            process.send_signal(signal.SIGHUP)
            began = manager.await_message("RELOADING")
            assert 0 < int(began["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            manager.await_message("READY")
            await_true(lambda: "config.reloaded" in events(journal), "config.reloaded in the journal", process)
            say("SIGHUP: RELOADING=1 with its moment, then READY=1")

            write("0s", address)
            process.send_signal(signal.SIGHUP)
            await_true(lambda: "config.rejected" in events(journal), "config.rejected in the journal", process)
            before = events(journal).count("beat.done")
            await_true(lambda: events(journal).count("beat.done") > before, "a beat after the refused edit", process)
            say("a broken edit is refused, and the old file runs on")

            process.send_signal(signal.SIGTERM)
            manager.await_message("STOPPING")
            status = process.wait(stop_s)
            assert status == 0, f"exit status {status} after SIGTERM"
            assert "daemon.stopped" in events(journal)
            say(f"SIGTERM: STOPPING=1, exit status 0 within the {stop_s:.0f} s of the unit")

        refused = subprocess.run(
            daemon, env={"PATH": os.environ["PATH"], "STATE_DIRECTORY": str(state)}, capture_output=True, check=False
        )
        assert str(refused.returncode) == setting(unit, "RestartPreventExitStatus"), refused.stderr.decode()
        say("a start on a broken file: the exit status that the unit does not restart on")

    for written in (journal, *state.iterdir()):
        assert TOKEN.encode() not in written.read_bytes(), f"the token is in {written.name}"
    say("the token is in no line of the journal and in no file of the state directory")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="warmer-lab-") as folder:
        main(Path(sys.argv[1]).resolve(), Path(folder))

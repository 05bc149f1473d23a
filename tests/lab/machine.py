"""What a real systemd makes of the units: run by parts/machine.sh, in its machine, one check at a time.

Usage, as root, after the blocks of docs/operations.md: python machine.py CHECK
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

SERVICE, SHOP, PASS, TIMER = "warmer.service", "warmer@shop.service", "warmer-once.service", "warmer-once.timer"
CONFIG = Path("/etc/warmer")
FILE = CONFIG / "warmer.yaml"
DROP_IN = Path("/usr/local/lib/systemd/system/warmer.service.d/systemd-254.conf")
SANDBOX = "http://127.0.0.1:8400/sandbox"
SLOW = "acme/slow"
PATIENCE_S = 60.0  # for anything that must happen; a machine under load is slow, not wrong
HIGHEST_EXPOSURE = 15  # in tenths: 1.5

Line = dict[str, Any]


# -- what is asked ---------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def run(*command: str) -> str:
    """What it prints; its failure is ours."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def systemctl(*words: str) -> str:
    return run("systemctl", *words).strip()


def shown(unit: str, key: str) -> str:
    return systemctl("show", "--value", f"--property={key}", unit)


def is_active(unit: str) -> bool:
    return shown(unit, "ActiveState") == "active"


def main_pid(unit: str) -> int:
    return int(shown(unit, "MainPID"))


def said(unit: str, since: float) -> list[str]:
    """The lines that the unit's processes wrote, systemd's own left out."""
    subprocess.run(["journalctl", "--sync"], check=True)
    entries = run("journalctl", "--quiet", "--output=json", f"--since=@{since:.6f}", f"_SYSTEMD_UNIT={unit}")
    return [json.loads(entry)["MESSAGE"] for entry in entries.splitlines()]


def lines(unit: str, since: float, event: str = "") -> list[Line]:
    """Its log lines, or those of one event."""
    found = [json.loads(text) for text in said(unit, since) if text.startswith("{")]
    return [line for line in found if event in ("", line["event"])]


def host(path: str) -> Any:
    with urllib.request.urlopen(f"{SANDBOX}/{path}", timeout=10) as reply:
        return json.load(reply)


def predictions(caller: str, target: str = "") -> list[Line]:
    """What the host has of a caller, whose name is in its token, oldest first."""
    found = host(f"journal?caller={caller}" + (f"&target={target}" if target else ""))["predictions"]
    return sorted(found, key=lambda each: each["created_at"])


def until(found: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first true answer of `found`."""
    end = time.monotonic() + patience_s
    while not (answer := found()):
        assert time.monotonic() < end, f"not seen in {patience_s:.0f} s: {what}"
        time.sleep(0.1)
    return answer


@contextmanager
def edited(old: str, new: str) -> Iterator[None]:
    """The file with an edit, made in one step as editors do, and taken back in the end."""
    before = FILE.read_text("utf-8")
    assert old in before, f"{old!r} is not in {FILE}"

    def replace(text: str) -> None:
        beside = FILE.with_suffix(".new")
        beside.write_text(text, "utf-8")
        beside.replace(FILE)

    replace(before.replace(old, new))
    try:
        yield
    finally:
        replace(before)


# -- the checks ------------------------------------------------------------------------------------------------------


def ready() -> None:
    DROP_IN.unlink(missing_ok=True)
    systemctl("daemon-reload")
    systemctl("disable", "--now", TIMER)
    since = time.time()
    systemctl("restart", SERVICE)
    assert lines(SERVICE, since, "daemon.ready"), "`systemctl restart` returned before daemon.ready"
    assert is_active(SERVICE)
    assert shown(SERVICE, "Type") == "notify"
    (started,) = lines(SERVICE, since, "daemon.started")
    took_s = time.time() - since
    say(f"warmer {started['version']}: active after daemon.ready, {took_s:.1f} s after `systemctl restart`")
    limit = Path(f"/sys/fs/cgroup{shown(SERVICE, 'ControlGroup')}/memory.max")
    if limit.exists():
        say(f"memory: at most {limit.read_text().strip()} bytes, so far {shown(SERVICE, 'MemoryPeak')}")
    else:
        say("MemoryMax= is not in force: this host gives the machine no memory controller")


def beats() -> None:
    since = time.time()
    done = until(lambda: (found := lines(SERVICE, since, "beat.done"))[2:] and found, "three beat.done in the journal")
    for text in said(SERVICE, since):
        assert {"timestamp", "level", "event"} <= json.loads(text).keys(), text
    there = {each["id"] for each in predictions("main") if each["status"] == "succeeded"}
    assert {line["prediction_id"] for line in done} <= there
    say(f"{len(done)} beats, each known to the host; every line of the journal is JSON")


def reload() -> None:
    pid, since = main_pid(SERVICE), time.time()
    with edited("every: 2s", "every: 1s"):
        systemctl("reload", SERVICE)
        changed = until(
            lambda: [line for line in lines(SERVICE, since, "config.reloaded") if line["changed"]],
            "config.reloaded in the journal",
        )
    assert main_pid(SERVICE) == pid
    say(f"config.reloaded: changed {', '.join(changed[0]['changed'])}; the same process")


def wrong_file() -> None:
    pid, since = main_pid(SERVICE), time.time()
    with edited("every: 2s", "every: 0s"):
        refused = subprocess.run(["systemctl", "reload", SERVICE], capture_output=True, text=True, check=False)
        assert refused.returncode != 0, "`systemctl reload` took a file that is wrong"
        rejected = until(lambda: lines(SERVICE, since, "config.rejected"), "config.rejected in the journal")
        later = time.time()
        until(lambda: lines(SERVICE, later, "beat.done"), "a beat by the old file")
    assert main_pid(SERVICE) == pid
    assert is_active(SERVICE)
    say(f"reload ended with {refused.returncode}; {rejected[0]['where']}: {rejected[0]['problem']}")


def notify_reload() -> None:
    run("make", "--silent", "--directory", str(Path(__file__).parents[2]), "install-units")
    systemctl("daemon-reload")
    systemctl("restart", SERVICE)
    assert shown(SERVICE, "Type") == "notify-reload"
    pid = main_pid(SERVICE)
    with edited("every: 2s", "every: 1s"):
        since = time.time()
        systemctl("reload", SERVICE)
        assert lines(SERVICE, since, "config.reloaded"), "`systemctl reload` returned before config.reloaded"
    with edited("every: 2s", "every: 0s"):
        since = time.time()
        systemctl("reload", SERVICE)
        assert lines(SERVICE, since, "config.rejected"), "`systemctl reload` returned before config.rejected"
    assert main_pid(SERVICE) == pid
    steps, longest = shown(SERVICE, "RestartSteps"), shown(SERVICE, "RestartMaxDelayUSec")
    assert (steps, longest) == ("5", "1min")
    say(f"Type=notify-reload; restarts in {steps} steps to {longest}")


def accounts() -> None:
    since = time.time()
    ledgers = {SERVICE: Path("/var/lib/private/warmer/ledger.db"), SHOP: Path("/var/lib/private/warmer-shop/ledger.db")}
    secrets, uids = set(), set()
    for unit, caller, secret in ((SERVICE, "main", "replicate-token"), (SHOP, "shop", "shop.token")):
        done = until(lambda unit=unit: lines(unit, since, "beat.done"), f"a beat of {unit}")
        assert {line["prediction_id"] for line in done} <= {each["id"] for each in predictions(caller)}
        secrets.add((CONFIG / secret).read_text())
        pid = main_pid(unit)
        uid = Path(f"/proc/{pid}").stat().st_uid
        uids.add(uid)
        as_it = [
            "nsenter",
            f"--target={pid}",
            "--mount",
            "setpriv",
            f"--reuid={uid}",
            f"--regid={uid}",
            "--clear-groups",
        ]
        for owner, ledger in ledgers.items():
            read = subprocess.run([*as_it, "head", "-c1", str(ledger)], capture_output=True, check=False).returncode
            assert (read == 0) == (owner == unit), f"{unit} reads {ledger}: {read}"
    assert len(secrets) == len(uids) == 2
    say(f"users {sorted(uids)}; each called the host with its own token, and reads no ledger but its own")


def out_now() -> Line:
    """A beat of the slow model that the service has sent from now on, while the host still runs it."""
    since = time.time()

    def out() -> Line | None:
        sent = (line for line in lines(SERVICE, since, "beat.sent") if line["model"] == SLOW)
        return next((beat for beat in sent if is_running(beat["prediction_id"])), None)

    found: Line = until(out, f"a beat of {SLOW} that is out")
    return found


def at_host(prediction_id: str) -> Line:
    (found,) = (each for each in predictions("main", SLOW) if each["id"] == prediction_id)
    return found


def is_running(prediction_id: str) -> bool:
    return at_host(prediction_id)["completed_at"] is None


def killed() -> None:
    beat = out_now()
    pid, begun = main_pid(SERVICE), time.time()
    os.kill(pid, signal.SIGKILL)
    until(lambda: is_active(SERVICE) and main_pid(SERVICE) not in (0, pid), "another process")
    again_s = time.time() - begun
    until(
        lambda: beat["prediction_id"] in {line["prediction_id"] for line in lines(SERVICE, begun, "beat.done")},
        f"beat.done of {beat['prediction_id']}, which was out",
    )
    assert at_host(beat["prediction_id"])["status"] == "succeeded"
    say(f"another process after {again_s:.1f} s; beat.done of {beat['prediction_id']}, sent before the kill")


def frozen() -> None:
    systemctl("reset-failed", SERVICE)
    pid, begun = main_pid(SERVICE), time.time()
    os.kill(pid, signal.SIGSTOP)
    until(lambda: is_active(SERVICE) and main_pid(SERVICE) not in (0, pid), "another process", 2 * PATIENCE_S)
    again_s = time.time() - begun
    manager = run("journalctl", "--quiet", "--output=cat", f"--since=@{begun:.6f}", f"--unit={SERVICE}", "_PID=1")
    assert "atchdog timeout" in manager, manager
    stack = [text for text in said(SERVICE, begun) if not text.startswith("{")]
    assert any("most recent call first" in text for text in stack), "no stack of the loop that hung"
    until(lambda: lines(SERVICE, begun, "beat.done"), "a beat of the new process")
    say(f"another process after {again_s:.1f} s; the journal has the watchdog's word and the stack")


def timer() -> None:
    systemctl("stop", SERVICE)
    since = time.time()
    systemctl("start", TIMER)
    until(lambda: lines(PASS, since, "beat.done"), "a beat of a pass")
    first_s = time.time() - since
    systemctl("start", SERVICE)
    both = time.time()
    until(lambda: lines(SERVICE, both, "beat.done") and lines(PASS, both, "beat.done"), "beats of both")
    uid = Path(f"/proc/{main_pid(SERVICE)}").stat().st_uid
    assert Path(f"/proc/{main_pid(PASS)}").stat().st_uid == uid
    systemctl("stop", TIMER, PASS)
    assert shown(PASS, "Result") == "success"
    systemctl("restart", SERVICE)  # takes up at once what the pass has left open
    say(f"a beat {first_s:.1f} s after the timer was started; then both beat on one ledger, as one user ({uid})")


def exposure() -> None:
    for unit in (SERVICE, SHOP, PASS):
        told = run("systemd-analyze", "security", "--no-pager", f"--threshold={HIGHEST_EXPOSURE}", unit)
        say(f"{unit}: {re.search(r'exposure level.*: ([0-9.]+)', told)[1]}")  # type: ignore[index]


def token() -> None:
    secrets = [
        path.read_text().strip() for path in (CONFIG / "replicate-token", CONFIG / "shop.token", CONFIG / "admin-token")
    ]
    places = {"the journal": run("journalctl", "--quiet", "--output=export")}
    for unit in (SERVICE, SHOP):
        pid = main_pid(unit)
        places[f"systemctl show {unit}"] = systemctl("show", unit)
        places[f"systemctl status {unit}"] = systemctl("status", "--full", unit)
        for name in ("environ", "cmdline"):
            text = Path(f"/proc/{pid}/{name}").read_text()
            assert text, f"/proc/{pid}/{name} is empty"
            places[f"/proc/{pid}/{name}"] = text
    for folder in ("warmer", "warmer-shop"):
        for path in Path("/var/lib/private", folder).iterdir():
            places[str(path)] = path.read_bytes().decode("latin-1")
    # A name in front of it is no secret, and the sandbox shows it.
    for place, text in places.items():
        for secret in secrets:
            assert secret not in text, f"a token is in {place}"
    held = Path(f"/proc/{main_pid(SERVICE)}/environ").read_text().split("\0")
    say(", ".join(sorted(variable.partition("=")[0] for variable in held if variable)))
    say(f"looked for {len(secrets)} tokens in {len(places)} places")


def stopped() -> None:
    beat, since = out_now(), time.time()
    for unit in (SERVICE, SHOP):
        systemctl("stop", unit)
        assert shown(unit, "Result") == "success"
        assert shown(unit, "ExecMainStatus") == "0"
        (last,) = lines(unit, since, "daemon.stopped")
        assert last["drained"], last
    took_s = time.time() - since
    every = [each for caller in ("main", "shop") for each in predictions(caller)]
    running = [each["id"] for each in every if each["completed_at"] is None]
    assert not running, f"still running at the host: {running}"
    assert at_host(beat["prediction_id"])["status"] == "canceled"
    say(f"both within {took_s:.1f} s, exit status 0, drained; the beat that was out is canceled at the host")


def nothing_twice() -> None:
    for caller, ledger in (("main", FILE), ("shop", CONFIG / "shop.yaml")):
        by_model = defaultdict(list)
        for each in predictions(caller):
            by_model[each["model"]].append(each)
        for model, found in by_model.items():
            for one, after in pairwise(found):
                ended, began = (datetime.fromisoformat(text) for text in (one["completed_at"], after["created_at"]))
                assert ended <= began, f"{model}: {after['id']} was created while {one['id']} ran"
        rows = run("warmer", "export", "beats", "-c", str(ledger)).splitlines()
        counted = Counter(json.loads(row)["prediction_id"] for row in rows)
        assert max(counted.values()) == 1
        known = {each["id"] for found in by_model.values() for each in found}
        assert counted.keys() <= known
        say(f"{caller}: {len(known)} at the host, one after another; {len(counted)} on record")


CHECKS = (
    ready,
    beats,
    reload,
    wrong_file,
    notify_reload,
    accounts,
    killed,
    frozen,
    timer,
    exposure,
    token,
    stopped,
    nothing_twice,
)

if __name__ == "__main__":
    {check.__name__: check for check in CHECKS}[sys.argv[1]]()

"""Several `warmer run` with `engine: shared`: processes, a PostgreSQL and a sandbox, all of them real."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from harness.postgres import Server, server
from harness.processes import PATIENCE_S, Daemon, Desk, Sandbox

COUNT, EVERY_S = 30, 3.0
SLUGS = [f"acme/model-{number}" for number in range(COUNT)]
ROUNDING_S = 0.1
LOOK_S = 6.0
"""Within this time each process has looked for who takes part, and at the server's clock."""


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Sandbox:
    """Models that boot and run in next to no time, and an account that lets them."""
    file = tmp_path / "sandbox.toml"
    file.write_text(
        "[account]\ncreates_per_minute = 60000\nreads_per_minute = 60000\n"
        + "".join(f'[models."{slug}"]\nkind = "greeting"\nboot_s = 0.2\nrun_s = 0.05\n' for slug in SLUGS)
    )
    return start_sandbox("--world", str(file))


def written(
    desk: Desk,
    models: list[str] | None = None,
    *,
    every_s: float = EVERY_S,
    rate: int = 60_000,
    listen: str = "off",
) -> str:
    entries = "\n".join(f"{{model: {slug}, every: {every_s:g}s, policy: fixed}}" for slug in models or SLUGS)
    text = desk.text(entries, top="engine: shared", listen=listen)
    text = text.replace("base_url:", f"creates_per_minute: {rate}, base_url:")
    desk.file.write_text(text, "utf-8")
    return str(desk.file)


def joined(daemon: Daemon) -> int:
    return int(daemon.wait_for("worker.joined")[0]["worker"])


def until(happened: Callable[[], Any], within_s: float = PATIENCE_S) -> float:
    """Seconds until it had happened."""
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < within_s
        time.sleep(0.1)
    return time.monotonic() - begun


def beats_at(sandbox: Sandbox) -> dict[str, list[datetime]]:
    """When the sandbox had beats of each model."""
    found = defaultdict[str, list[datetime]](list)
    for call in sandbox.get("/sandbox/journal?caller=warmer")["predictions"]:
        found[call["model"]].append(datetime.fromisoformat(call["created_at"]))
    return {model: sorted(times) for model, times in found.items()}


def doubled(sandbox: Sandbox, every_s: float = EVERY_S) -> list[float]:
    """Seconds between beats that came sooner after the one before than the file asks for."""
    gaps = [
        (later - sooner).total_seconds() for times in beats_at(sandbox).values() for sooner, later in pairwise(times)
    ]
    return [gap for gap in gaps if gap < every_s - ROUNDING_S]


def queue(postgres: Server, desk: Desk, statement: str) -> list[Any]:
    return postgres.do(statement, database=urlsplit(desk.address).path.removeprefix("/"))


def test_three_processes_divide_the_beats_and_double_none(shared: Desk, sandbox: Sandbox, postgres: Server) -> None:
    file = written(shared)
    daemons = [shared.start("run", "-c", file) for _ in range(3)]
    numbers = {joined(daemon) for daemon in daemons}
    assert len(numbers) == 3
    together = max(daemon.events("worker.joined")[0]["timestamp"] for daemon in daemons)

    def parts() -> list[int]:
        """Of the beats since all are there, however slowly one of them began."""
        return [sum(line["timestamp"] > together for line in daemon.events("beat.sent")) for daemon in daemons]

    until(lambda: len(sandbox.creates()) >= 5 * COUNT)
    until(lambda: min(parts()) >= COUNT // 2)
    codes = [daemon.stop() for daemon in daemons]
    assert codes == [0, 0, 0]

    sent = [len(daemon.events("beat.sent")) for daemon in daemons]
    beats = beats_at(sandbox)
    assert sorted(beats) == sorted(SLUGS)
    assert sum(sent) == len(sandbox.creates())
    assert min(parts()) > 0.1 * sum(parts())
    assert doubled(sandbox) == []
    slots = (
        "SELECT model, count(*), count(DISTINCT slot), count(DISTINCT prediction_id), max(slot) FROM beats GROUP BY 1"
    )
    assert {model: (count,) * 4 for model, count in Counter(call["model"] for call in sandbox.creates()).items()} == {
        model: tuple(counts) for model, *counts in queue(postgres, shared, slots)
    }
    assert [line["why"] for daemon in daemons for line in daemon.events("worker.left")] == ["stopped"] * 3
    assert queue(postgres, shared, "SELECT count(*) FROM procrastinate_workers") == [(0,)]
    # Nothing piles up: a job a model, waiting for whoever comes next.
    assert queue(postgres, shared, "SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY 1") == [
        ("todo", COUNT)
    ]


def members(daemon: Daemon) -> tuple[set[int], int, bool]:
    """Who takes part as /readyz has it, how many by /metrics, and whether the process is ready."""
    url = daemon.wait_for("web.opened")[-1]["url"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=PATIENCE_S) as reply:
            found = json.load(reply)
    except urllib.error.HTTPError as refused:
        found = json.load(refused)
    with opener.open(f"{url}/metrics", timeout=PATIENCE_S) as reply:
        count = re.search(rb"^warmer_members (\d+)", reply.read(), re.MULTILINE)
    assert count is not None
    return {member["number"] for member in found["members"]}, int(count[1]), found["ready"]


def test_the_models_of_a_process_that_is_killed_or_frozen_go_on_in_the_others(shared: Desk, sandbox: Sandbox) -> None:
    file = written(shared, SLUGS[:12], listen="127.0.0.1:0")
    daemons = [shared.start("run", "-c", file) for _ in range(3)]
    killed, frozen, last = daemons
    numbers = [joined(daemon) for daemon in daemons]
    until(lambda: len(beats_at(sandbox)) == 12)
    until(lambda: members(last) == (set(numbers), 3, True))

    def said(why: str) -> list[int]:
        return [line["worker"] for one in (frozen, last) for line in one.events("worker.left", why=why)]

    killed.process.kill()
    killed_at = datetime.now(UTC)
    until(lambda: said("gone"))
    until(lambda: members(last) == members(frozen) == (set(numbers[1:]), 2, True))
    until(lambda: all(sum(at > killed_at for at in times) > 1 for times in beats_at(sandbox).values()))

    frozen.process.send_signal(signal.SIGSTOP)
    until(lambda: members(last) == ({numbers[2]}, 1, True))
    frozen_at = datetime.now(UTC)
    until(lambda: all(sum(at > frozen_at for at in times) > 1 for times in beats_at(sandbox).values()))
    frozen.process.send_signal(signal.SIGCONT)
    (_, again) = frozen.wait_for("worker.joined", 2)
    until(lambda: members(last) == members(frozen) == ({numbers[2], again["worker"]}, 2, True))
    # Each of them by one process.
    assert (said("gone"), said("silent")) == ([numbers[0]], [numbers[1]])
    assert [daemon.stop() for daemon in (frozen, last)] == [0, 0]
    assert doubled(sandbox) == []
    assert sandbox.running() == 0


def test_a_job_that_was_deleted_by_hand_is_made_anew(shared: Desk, sandbox: Sandbox, postgres: Server) -> None:
    file = written(shared, SLUGS[:4])
    daemon = shared.start("run", "-c", file)
    until(lambda: len(beats_at(sandbox)) == 4)
    queue(postgres, shared, "DELETE FROM procrastinate_jobs")
    before = len(sandbox.creates())
    until(lambda: len(sandbox.creates()) >= before + 12)
    assert daemon.stop() == 0
    assert doubled(sandbox) == []


def test_a_file_that_has_changed_is_followed_by_all(shared: Desk, sandbox: Sandbox) -> None:
    file = written(shared, SLUGS[:4], every_s=600)
    daemons = [shared.start("run", "-c", file) for _ in range(2)]
    for daemon in daemons:
        joined(daemon)
    until(lambda: len(beats_at(sandbox)) == 4)
    written(shared, SLUGS[2:6], every_s=3)
    for daemon in daemons:
        daemon.wait_for("config.reloaded")
    until(lambda: all(len(beats_at(sandbox).get(slug, [])) >= 3 for slug in SLUGS[2:6]))
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert [len(beats_at(sandbox)[slug]) for slug in SLUGS[:2]] == [1, 1]
    assert doubled(sandbox) == []


def test_all_processes_together_keep_to_one_rate(shared: Desk, sandbox: Sandbox) -> None:
    file = written(shared, SLUGS[:12], rate=60)  # and want four times as much
    daemons = [shared.start("run", "-c", file) for _ in range(3)]
    for daemon in daemons:
        joined(daemon)
    until(lambda: len(sandbox.creates()) >= 30)
    until(lambda: all(len(daemon.events("beat.sent")) >= 3 for daemon in daemons))  # each has its part
    assert [daemon.stop() for daemon in daemons] == [0, 0, 0]
    moments = sorted(at for times in beats_at(sandbox).values() for at in times)
    # 90 % of 60 a minute. A request may be late on its way, and the next one on time.
    assert (moments[-1] - moments[0]).total_seconds() > 0.95 * (len(moments) - 1) * 60 / 54
    assert doubled(sandbox) == []


def test_customers_calls_are_read_once_however_many_processes(shared: Desk, sandbox: Sandbox, postgres: Server) -> None:
    entries = "\n".join(f"{{model: {slug}, every: {EVERY_S:g}s}}" for slug in SLUGS)
    text = shared.text(entries, top="engine: shared").replace("base_url:", "creates_per_minute: 60000, base_url:")
    shared.file.write_text(text, "utf-8")
    daemons = [shared.start("run", "-c", str(shared.file)) for _ in range(3)]
    for daemon in daemons:
        joined(daemon)

    def read() -> int:
        return sandbox.get("/sandbox/totals")["replies"].get("list", {}).get("200", 0)  # type: ignore[no-any-return]

    begun, before = time.monotonic(), read()
    until(lambda: len(sandbox.creates()) >= 5 * COUNT)
    readings = read() - before
    lasted_s = time.monotonic() - begun
    assert readings <= lasted_s / 2 + 2
    sandbox.post("/sandbox/customer", {"model": SLUGS[0], "input": {"text": "hi"}, "caller": "shop"})
    until(lambda: queue(postgres, shared, "SELECT count(*) FROM requests") == [(1,)])
    assert [daemon.stop() for daemon in daemons] == [0, 0, 0]
    assert doubled(sandbox) == []


def test_an_account_without_credit_holds_all_of_them_and_is_said_once(shared: Desk, sandbox: Sandbox) -> None:
    file = written(shared, SLUGS[:8])
    daemons = [shared.start("run", "-c", file) for _ in range(2)]
    for daemon in daemons:
        joined(daemon)
    until(lambda: all(len(daemon.events("beat.done")) > 2 for daemon in daemons))
    sandbox.post("/sandbox/faults", {"kind": "status", "status": 402, "on": "create"})

    def refused() -> int:
        return int(sandbox.get("/sandbox/totals")["replies"]["create"].get("402", 0))

    def said(event: str) -> int:
        return sum(len(daemon.events(event)) for daemon in daemons)

    until(refused)
    time.sleep(LOOK_S)
    held = refused()
    time.sleep(2 * EVERY_S)
    assert refused() == held
    sandbox.clear_faults()
    # Whoever has added credit need not wait: one is told to try, and all go on.
    daemons[0].process.send_signal(signal.SIGHUP)
    before = [len(daemon.events("beat.done")) for daemon in daemons]
    until(lambda: all(len(d.events("beat.done")) > done for d, done in zip(daemons, before, strict=True)))
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert (said("account.paused"), said("account.resumed")) == (1, 1)
    assert refused() == held
    assert doubled(sandbox) == []


def test_a_pass_beside_them_doubles_nothing(shared: Desk, sandbox: Sandbox) -> None:
    file = written(shared, SLUGS[:8])
    daemons = [shared.start("run", "-c", file) for _ in range(2)]
    for daemon in daemons:
        joined(daemon)
    codes = [shared.run("once", "-c", file).code for _ in range(5)]
    assert codes == [0] * 5
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert len(beats_at(sandbox)) == 8
    assert doubled(sandbox) == []


def test_a_server_that_was_restarted_finds_them_all_again(sandbox: Sandbox, tmp_path: Path) -> None:
    with server() as own:
        desk = Desk(tmp_path, sandbox.url)
        desk.address = own.database()
        try:
            file = written(desk, SLUGS[:8], listen="127.0.0.1:0")
            daemons = [desk.start("run", "-c", file) for _ in range(2)]
            for daemon in daemons:
                joined(daemon)
            until(lambda: len(beats_at(sandbox)) == 8)
            own.stop()
            for daemon in daemons:
                daemon.wait_for("ledger.failed")
                until(lambda one=daemon: members(one) == (set(), 0, False))
            time.sleep(13)  # longer than a connection is waited for
            own.start()
            back_at = datetime.now(UTC)
            for daemon in daemons:
                daemon.wait_for("worker.joined", 2)
            now = {daemon.events("worker.joined")[-1]["worker"] for daemon in daemons}
            for daemon in daemons:
                until(lambda one=daemon: members(one) == (now, 2, True))
            until(lambda: all(sum(at > back_at for at in times) > 1 for times in beats_at(sandbox).values()), 120)
            assert [daemon.stop() for daemon in daemons] == [0, 0]
        finally:
            desk.close()
    assert doubled(sandbox) == []


def test_a_server_whose_clock_is_set_back_keeps_nobody_waiting(
    shared: Desk, sandbox: Sandbox, postgres: Server
) -> None:
    def set_clock(by: str) -> None:
        for name in ("now", "clock_timestamp"):
            queue(
                postgres,
                shared,
                f"CREATE OR REPLACE FUNCTION public.{name}() RETURNS timestamptz STABLE LANGUAGE sql "
                f"AS $$ SELECT pg_catalog.{name}() + interval '{by}' $$",
            )

    set_clock("0")
    shared.address += "&options=-csearch_path%3Dpublic%2Cpg_catalog"
    file = written(shared, SLUGS[:6])
    daemons = [shared.start("run", "-c", file) for _ in range(2)]
    for daemon in daemons:
        joined(daemon)
    for by in ("-1 day", "10 years"):
        until(lambda: len(beats_at(sandbox)) == 6)
        time.sleep(LOOK_S)
        set_clock(by)
        set_at = datetime.now(UTC)
        until(lambda at=set_at: all(sum(one > at for one in times) > 3 for times in beats_at(sandbox).values()))
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert doubled(sandbox) == []


def test_a_floor_is_looked_after_by_one_and_then_by_another(shared: Desk, sandbox: Sandbox) -> None:
    entries = "{deployment: acme/upscaler, name: up, policy: floor}"
    shared.file.write_text(shared.text(entries, top="engine: shared"), "utf-8")
    daemons = [shared.start("run", "-c", str(shared.file)) for _ in range(2)]
    for daemon in daemons:
        joined(daemon)
    until(lambda: any(daemon.events("floor.raised") for daemon in daemons))
    looks = sum(sandbox.get("/sandbox/totals")["replies"]["deployment"].values())
    (first,) = (daemon for daemon in daemons if daemon.events("floor.raised"))
    (second,) = (daemon for daemon in daemons if daemon is not first)
    time.sleep(LOOK_S)  # until each has seen the other
    assert first.stop() == 0
    assert first.events("floor.left") == []
    # It is the other one's now, who looks at it at once.
    until(lambda: sum(sandbox.get("/sandbox/totals")["replies"]["deployment"].values()) > looks)
    time.sleep(LOOK_S)  # until it has seen that it is alone
    assert second.stop() == 0
    assert second.events("floor.raised") == []
    assert len(second.events("floor.left")) == 1

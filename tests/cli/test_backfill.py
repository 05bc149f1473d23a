"""`warmer backfill` as a process, over HTTP, on an account of more than a thousand predictions."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.processes import PATIENCE_S, Daemon, Desk

from warmer.sandbox.faults import Fault
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.world import World

HELLO, BLIP = "replicate/hello-world", "salesforce/blip"
MODELS = f"{{model: {HELLO}}}\n{{model: {BLIP}}}"
CALLS = 1130
DAYS = 3


@pytest.fixture
def host() -> Iterator[Callable[[int], SandboxServer]]:
    """Serves a world in which so many calls came in the last three days, from a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[SandboxServer] = []

    def serve(calls: int) -> SandboxServer:
        now = datetime.now(UTC)
        world = World(begin=now - timedelta(days=DAYS), seed=1)
        for number in range(calls):
            moment = now - timedelta(days=DAYS) * (1 - (number + 0.5) / calls)
            slug = (HELLO, HELLO, BLIP)[number % 3]
            world.create(moment, slug, world.model(slug).default_example or {}, caller="customer")
        world.advance(now)
        servers.append(SandboxServer(world))
        asyncio.run_coroutine_threadsafe(servers[-1].start(), loop).result(PATIENCE_S)
        return servers[-1]

    yield serve
    for server in servers:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE_S)
    loop.close()


@pytest.fixture
def account(host: Callable[[int], SandboxServer]) -> SandboxServer:
    return host(CALLS)


@pytest.fixture
def wired(tmp_path: Path, account: SandboxServer) -> Iterator[Desk]:
    made = Desk(tmp_path, account.url)
    made.write(MODELS)
    yield made
    made.close()


def on_record(desk: Desk) -> int:
    if not desk.ledger.exists():
        return 0
    with closing(sqlite3.connect(f"file:{desk.ledger}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM requests").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # not made yet


def exported(desk: Desk) -> str:
    return desk.run("export", "requests", "-c", str(desk.file)).out


def half_way(desk: Desk, account: SandboxServer) -> Daemon:
    """An import that has written some pages and has others before it."""
    slow = Fault(kind="delay", on="list", seconds=0.15)
    account.faults.add(slow)
    process = desk.start("backfill", "-c", str(desk.file))
    end = time.monotonic() + PATIENCE_S
    while on_record(desk) < 300:
        assert time.monotonic() < end
        assert process.process.poll() is None, process.log.read_text()
        time.sleep(0.01)
    return process


def lists(account: SandboxServer) -> int:
    return account.replies["list", "200"]


def test_the_past_is_imported_and_told(wired: Desk, account: SandboxServer) -> None:
    done = wired.run("backfill", "-c", str(wired.file), "--json")
    assert (done.code, done.err) == (0, "")
    calls = account.world.journal.calls()
    hello = sum(call.model == HELLO for call in calls)
    document = done.document
    assert document.pop("since") < document["from"] < document["to"]
    assert document.pop("from")[:19] == f"{min(call.created_at for call in calls):%Y-%m-%dT%H:%M:%S}"
    assert document.pop("to")[:19] == f"{max(call.created_at for call in calls):%Y-%m-%dT%H:%M:%S}"
    assert document == {
        "schema": 1,
        "seen": CALLS,
        "new": CALLS,
        "complete": False,
        "models": [
            {"model": HELLO, "calls": hello, "new": hello},
            {"model": BLIP, "calls": CALLS - hello, "new": CALLS - hello},
        ],
    }
    assert lists(account) == 12
    assert on_record(wired) == CALLS
    rows = exported(wired)
    assert rows.count('"gap_s": null') == 2  # the first of each model
    assert '"verdict": "cold"' in rows
    again = wired.run("backfill", "-c", str(wired.file), "--since", "1d")
    assert again.code == 0
    assert again.out.count("\n") == 1
    assert f"{HELLO} 0 of " in again.out
    assert "nothing older" not in again.out
    assert exported(wired) == rows


def test_a_killed_import_goes_on_where_it_was(wired: Desk, account: SandboxServer, tmp_path: Path) -> None:
    killed = half_way(wired, account)
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait(PATIENCE_S)
    account.faults.clear()
    there, before = on_record(wired), lists(account)
    assert 300 <= there < CALLS
    assert there % 100 == 0  # whole pages
    done = wired.run("backfill", "-c", str(wired.file), "--json")
    assert done.code == 0, done.err
    assert done.document["new"] == CALLS - there
    # What was left, the newest page to see what came since, and perhaps one that was under way when it was killed.
    assert lists(account) - before <= 12 - there // 100 + 2 < 12
    (tmp_path / "other").mkdir()
    other = Desk(tmp_path / "other", account.url)
    other.write(MODELS)
    assert other.run("backfill", "-c", str(other.file)).code == 0
    assert exported(wired) == exported(other)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_import_cleanly_and_it_says_how_to_go_on(
    wired: Desk, account: SandboxServer, number: signal.Signals
) -> None:
    process = half_way(wired, account)
    process.process.send_signal(number)
    assert process.process.wait(PATIENCE_S) == 130
    said = process.log.read_text()
    assert "`warmer backfill` again goes on from there" in said
    assert "Traceback" not in said
    account.faults.clear()
    there = on_record(wired)
    assert wired.run("backfill", "-c", str(wired.file), "--json").document["new"] == CALLS - there
    assert on_record(wired) == CALLS


def test_a_cursor_that_is_refused_begins_the_import_anew(wired: Desk, account: SandboxServer) -> None:
    process = half_way(wired, account)
    process.process.kill()
    process.process.wait(PATIENCE_S)
    account.faults.clear()
    account.faults.add(Fault(kind="delay", on="list", times=1))  # the newest page
    account.faults.add(Fault(kind="status", status=404, on="list", times=1))
    done = wired.run("backfill", "-c", str(wired.file), "--json")
    assert done.code == 0, done.err
    assert done.document["seen"] == CALLS
    assert on_record(wired) == CALLS


def test_a_429_in_the_middle_is_waited_out(wired: Desk, account: SandboxServer) -> None:
    account.faults.add(Fault(kind="delay", on="list", times=4))
    account.faults.add(
        Fault(
            kind="status", status=429, on="list", times=1, body={"detail": "Request was throttled.", "retry_after": 1}
        )
    )
    done = wired.run("backfill", "-c", str(wired.file), "--json")
    assert done.code == 0, done.err
    assert done.document["new"] == on_record(wired) == CALLS
    assert account.replies["list", "429"] == 1


@pytest.mark.parametrize(("status", "code"), [(503, 3), (401, 4)])
def test_a_provider_that_fails_leaves_what_was_imported(
    wired: Desk, account: SandboxServer, status: int, code: int
) -> None:
    account.faults.add(Fault(kind="delay", on="list", times=4))
    account.faults.add(Fault(kind="status", status=status, on="list"))
    failed = wired.run("backfill", "-c", str(wired.file), "--json")
    assert (failed.code, failed.out) == (code, "")
    assert "What was imported stays on record" in failed.err
    assert "Traceback" not in failed.err
    assert on_record(wired) == 400
    account.faults.clear()
    assert wired.run("backfill", "-c", str(wired.file), "--json").document["new"] == CALLS - 400


def test_beats_of_ours_are_no_calls(wired: Desk, account: SandboxServer) -> None:
    once = wired.run("once", "-c", str(wired.write(f"{{model: {HELLO}, policy: fixed}}")))
    assert once.code == 0
    document = wired.run("backfill", "-c", str(wired.file), "--json").document
    assert document["seen"] == CALLS + 1
    hello: dict[str, Any] = document["models"][0]
    assert hello["calls"] == on_record(wired) == sum(call.model == HELLO for call in account.world.journal.calls()) - 1


def test_a_model_that_is_not_there_is_named_and_the_others_are_imported(wired: Desk) -> None:
    wired.write(f"{{model: no/body}}\n{{model: {BLIP}}}")
    done = wired.run("backfill", "-c", str(wired.file), "--json")
    assert done.code == 3
    assert "no/body: nothing imported" in done.err
    assert [model["model"] for model in done.document["models"]] == [BLIP]


def test_an_empty_account_has_nothing_to_import(tmp_path: Path, host: Callable[[int], SandboxServer]) -> None:
    desk = Desk(tmp_path, host(0).url)
    desk.write(MODELS)
    done = desk.run("backfill", "-c", str(desk.file))
    assert done.code == 0
    assert done.out.startswith("the account's list has no prediction since")
    document = desk.run("backfill", "-c", str(desk.file), "--json").document
    assert (document["seen"], document["new"], document["from"], document["to"]) == (0, 0, None, None)
    desk.write(f"{{model: {HELLO}, traffic: off}}")
    off = desk.run("backfill", "-c", str(desk.file))
    assert off.code == 2
    assert "`traffic` is off" in off.err

"""Several `warmer run` with `engine: shared`: processes, a PostgreSQL and a sandbox, all of them real."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
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
def world(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Sandbox:
    """Models that boot and run in next to no time, and an account that lets them."""
    file = tmp_path / "world.toml"
    file.write_text(
        "[account]\ncreates_per_minute = 60000\nreads_per_minute = 60000\n"
        + "".join(f'[models."{slug}"]\nkind = "greeting"\nboot_s = 0.2\nrun_s = 0.05\n' for slug in SLUGS)
    )
    return start_sandbox("--world", str(file))


@pytest.fixture
def shared(world: Sandbox, tmp_path: Path, postgres: Server) -> Iterator[Desk]:
    made = Desk(tmp_path, world.url)
    made.address = postgres.database()
    yield made
    made.close()
    postgres.drop(made.address)


def written(desk: Desk, models: list[str] | None = None, *, every_s: float = EVERY_S, rate: int = 60_000) -> str:
    entries = "\n".join(f"{{model: {slug}, every: {every_s:g}s, policy: fixed}}" for slug in models or SLUGS)
    text = desk.text(entries, top="engine: shared").replace("base_url:", f"creates_per_minute: {rate}, base_url:")
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


def beats_at(world: Sandbox) -> dict[str, list[datetime]]:
    """When the sandbox had beats of each model."""
    found = defaultdict[str, list[datetime]](list)
    for call in world.get("/sandbox/journal?caller=warmer")["predictions"]:
        found[call["model"]].append(datetime.fromisoformat(call["created_at"]))
    return {model: sorted(times) for model, times in found.items()}


def doubled(world: Sandbox, every_s: float = EVERY_S) -> int:
    """Beats that came sooner after the one before than the file asks for."""
    return sum(
        (later - sooner).total_seconds() < every_s - ROUNDING_S
        for times in beats_at(world).values()
        for sooner, later in pairwise(times)
    )


def queue(postgres: Server, desk: Desk, statement: str) -> list[Any]:
    return postgres.do(statement, database=urlsplit(desk.address).path.removeprefix("/"))


def test_three_processes_divide_the_beats_and_double_none(shared: Desk, world: Sandbox, postgres: Server) -> None:
    file = written(shared)
    daemons = [shared.start("run", "-c", file) for _ in range(3)]
    numbers = {joined(daemon) for daemon in daemons}
    assert len(numbers) == 3
    until(lambda: len(world.creates()) >= 5 * COUNT)
    codes = [daemon.stop() for daemon in daemons]
    assert codes == [0, 0, 0]

    sent = [len(daemon.events("beat.sent")) for daemon in daemons]
    beats = beats_at(world)
    assert sorted(beats) == sorted(SLUGS)
    assert sum(sent) == len(world.creates())
    assert min(sent) > 0.1 * sum(sent)
    assert doubled(world) == 0
    slots = (
        "SELECT model, count(*), count(DISTINCT slot), count(DISTINCT prediction_id), max(slot) FROM beats GROUP BY 1"
    )
    assert {model: (count,) * 4 for model, count in Counter(call["model"] for call in world.creates()).items()} == {
        model: tuple(counts) for model, *counts in queue(postgres, shared, slots)
    }
    assert [line["why"] for daemon in daemons for line in daemon.events("worker.left")] == ["stopped"] * 3
    assert queue(postgres, shared, "SELECT count(*) FROM procrastinate_workers") == [(0,)]
    # Nothing piles up: a job a model, waiting for whoever comes next.
    assert queue(postgres, shared, "SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY 1") == [
        ("todo", COUNT)
    ]


def test_the_models_of_a_process_that_is_killed_go_on_in_the_others(shared: Desk, world: Sandbox) -> None:
    file = written(shared)
    daemons = [shared.start("run", "-c", file) for _ in range(3)]
    numbers = [joined(daemon) for daemon in daemons]
    until(lambda: len(beats_at(world)) == COUNT)
    victim, *others = daemons
    victim.process.kill()
    killed_at = datetime.now(UTC)
    until(lambda: all(sum(at > killed_at for at in times) > 1 for times in beats_at(world).values()), 120)

    def said() -> int:
        return sum(len(other.events("worker.left", worker=numbers[0], why="silent")) for other in others)

    until(lambda: said() > 0)
    assert said() == 1  # by one of them
    first = {model: min(at for at in times if at > killed_at) for model, times in beats_at(world).items()}
    late = max((at - killed_at).total_seconds() for at in first.values())
    assert late < 60
    assert doubled(world) == 0
    # What it was in the middle of was seen to its end.
    fourth = shared.start("run", "-c", file)
    joined(fourth)
    until(lambda: fourth.events("beat.done"))
    assert [daemon.stop() for daemon in (*others, fourth)] == [0, 0, 0]
    assert doubled(world) == 0
    assert world.running() == 0


def test_a_job_that_was_deleted_by_hand_is_made_anew(shared: Desk, world: Sandbox, postgres: Server) -> None:
    file = written(shared, SLUGS[:4])
    daemon = shared.start("run", "-c", file)
    until(lambda: len(beats_at(world)) == 4)
    queue(postgres, shared, "DELETE FROM procrastinate_jobs")
    before = len(world.creates())
    until(lambda: len(world.creates()) >= before + 12)
    assert daemon.stop() == 0
    assert doubled(world) == 0


def test_a_file_that_has_changed_is_followed_by_all(shared: Desk, world: Sandbox) -> None:
    file = written(shared, SLUGS[:4], every_s=600)
    daemons = [shared.start("run", "-c", file) for _ in range(2)]
    for daemon in daemons:
        joined(daemon)
    until(lambda: len(beats_at(world)) == 4)
    written(shared, SLUGS[2:6], every_s=3)
    for daemon in daemons:
        daemon.wait_for("config.reloaded")
    until(lambda: all(len(beats_at(world).get(slug, [])) >= 3 for slug in SLUGS[2:6]))
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert [len(beats_at(world)[slug]) for slug in SLUGS[:2]] == [1, 1]
    assert doubled(world) == 0


def test_all_processes_together_keep_to_one_rate(shared: Desk, world: Sandbox) -> None:
    file = written(shared, SLUGS[:12], rate=60)  # and want four times as much
    daemons = [shared.start("run", "-c", file) for _ in range(3)]
    for daemon in daemons:
        joined(daemon)
    until(lambda: len(world.creates()) >= 30)
    assert [daemon.stop() for daemon in daemons] == [0, 0, 0]
    sent = [len(daemon.events("beat.sent")) for daemon in daemons]
    moments = sorted(at for times in beats_at(world).values() for at in times)
    assert min(sent) >= 3
    # 90 % of 60 a minute. A request may be late on its way, and the next one on time.
    assert (moments[-1] - moments[0]).total_seconds() > 0.95 * (len(moments) - 1) * 60 / 54
    assert doubled(world) == 0


def test_customers_calls_are_read_once_however_many_processes(shared: Desk, world: Sandbox, postgres: Server) -> None:
    entries = "\n".join(f"{{model: {slug}, every: {EVERY_S:g}s}}" for slug in SLUGS)
    text = shared.text(entries, top="engine: shared").replace("base_url:", "creates_per_minute: 60000, base_url:")
    shared.file.write_text(text, "utf-8")
    daemons = [shared.start("run", "-c", str(shared.file)) for _ in range(3)]
    for daemon in daemons:
        joined(daemon)

    def read() -> int:
        return world.get("/sandbox/totals")["replies"].get("list", {}).get("200", 0)  # type: ignore[no-any-return]

    begun, before = time.monotonic(), read()
    until(lambda: len(world.creates()) >= 5 * COUNT)
    readings = read() - before
    lasted_s = time.monotonic() - begun
    assert readings <= lasted_s / 2 + 2
    world.post("/sandbox/customer", {"model": SLUGS[0], "input": {"text": "hi"}, "caller": "shop"})
    until(lambda: queue(postgres, shared, "SELECT count(*) FROM requests") == [(1,)])
    assert [daemon.stop() for daemon in daemons] == [0, 0, 0]
    assert doubled(world) == 0


def test_a_pass_beside_them_doubles_nothing(shared: Desk, world: Sandbox) -> None:
    file = written(shared, SLUGS[:8])
    daemons = [shared.start("run", "-c", file) for _ in range(2)]
    for daemon in daemons:
        joined(daemon)
    codes = [shared.run("once", "-c", file).code for _ in range(5)]
    assert codes == [0] * 5
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert len(beats_at(world)) == 8
    assert doubled(world) == 0


def test_a_server_that_was_restarted_finds_them_all_again(world: Sandbox, tmp_path: Path) -> None:
    with server() as own:
        desk = Desk(tmp_path, world.url)
        desk.address = own.database()
        try:
            file = written(desk, SLUGS[:8])
            daemons = [desk.start("run", "-c", file) for _ in range(2)]
            for daemon in daemons:
                joined(daemon)
            until(lambda: len(beats_at(world)) == 8)
            own.stop()
            for daemon in daemons:
                daemon.wait_for("ledger.failed")
            time.sleep(13)  # longer than a connection is waited for
            own.start()
            back_at = datetime.now(UTC)
            for daemon in daemons:
                daemon.wait_for("worker.joined", 2)
            until(lambda: all(sum(at > back_at for at in times) > 1 for times in beats_at(world).values()), 120)
            assert [daemon.stop() for daemon in daemons] == [0, 0]
        finally:
            desk.close()
    assert doubled(world) == 0


def test_a_server_whose_clock_is_set_back_keeps_nobody_waiting(shared: Desk, world: Sandbox, postgres: Server) -> None:
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
        until(lambda: len(beats_at(world)) == 6)
        time.sleep(LOOK_S)
        set_clock(by)
        set_at = datetime.now(UTC)
        until(lambda at=set_at: all(sum(one > at for one in times) > 3 for times in beats_at(world).values()))
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert doubled(world) == 0


def test_a_floor_is_looked_after_by_one_and_then_by_another(shared: Desk, world: Sandbox) -> None:
    entries = "{deployment: acme/upscaler, name: up, policy: floor}"
    shared.file.write_text(shared.text(entries, top="engine: shared"), "utf-8")
    daemons = [shared.start("run", "-c", str(shared.file)) for _ in range(2)]
    for daemon in daemons:
        joined(daemon)
    until(lambda: any(daemon.events("floor.raised") for daemon in daemons))
    looks = sum(world.get("/sandbox/totals")["replies"]["deployment"].values())
    (first,) = (daemon for daemon in daemons if daemon.events("floor.raised"))
    (second,) = (daemon for daemon in daemons if daemon is not first)
    time.sleep(LOOK_S)  # until each has seen the other
    assert first.stop() == 0
    assert first.events("floor.left") == []
    # It is the other one's now, who looks at it at once.
    until(lambda: sum(world.get("/sandbox/totals")["replies"]["deployment"].values()) > looks)
    time.sleep(LOOK_S)  # until it has seen that it is alone
    assert second.stop() == 0
    assert second.events("floor.raised") == []
    assert len(second.events("floor.left")) == 1

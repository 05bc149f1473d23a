"""`warmer pause`, `resume` and `warm` as processes, beside a daemon and the sandbox as others."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from harness.processes import Desk, Sandbox

HELLO = "{model: replicate/hello-world, every: 1s, hardware: cpu}"


def shut() -> str:
    """Hours that are far from now."""
    opens = datetime.now(UTC) + timedelta(hours=6)
    return f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"


def test_a_running_daemon_takes_up_a_pause_and_goes_on_when_resumed(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(HELLO))
    daemon = wired.start("run", "-c", file)
    daemon.wait_for("beat.done", 2)
    paused = wired.run("pause", "replicate/hello-world", "-c", file)
    assert (paused.code, paused.out) == (0, "replicate/hello-world: paused until it is resumed\n")
    daemon.wait_for("override.set", scope="replicate/hello-world", kind="pause")
    daemon.wait_for("beat.skipped", reason="paused")
    before = len(sandbox.creates())
    time.sleep(3)  # three beats would have gone out
    assert len(sandbox.creates()) == before
    assert wired.run("resume", "-c", file).code == 0
    daemon.wait_for("override.ended", why="resumed")
    daemon.wait_for("beat.done", len(daemon.events("beat.done")) + 1)
    assert daemon.stop() == 0


def test_a_warmed_model_beats_outside_its_hours(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(f"{{model: replicate/hello-world, every: 1s, hardware: cpu, hours: '{shut()}'}}"))
    daemon = wired.start("run", "-c", file)
    daemon.wait_for("beat.skipped", reason="closed")
    asked_at = time.time()
    assert wired.run("warm", "replicate/hello-world", "--for", "2h", "-c", file).code == 0
    sent = daemon.wait_for("beat.sent", reason="ordered")[0]
    assert datetime.fromisoformat(sent["timestamp"]).timestamp() > asked_at
    daemon.wait_for("beat.done", 2)
    assert daemon.stop() == 0


def test_one_pass_heeds_what_was_asked_for(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(HELLO))
    assert wired.run("pause", "-c", file).code == 0
    assert wired.run("once", "-c", file).code == 0
    assert sandbox.creates() == []
    assert wired.run("warm", "replicate/hello-world", "--for", "1h", "-c", file).code == 0
    assert wired.run("once", "-c", file).code == 0
    assert len(sandbox.creates()) == 1


def test_status_and_plan_say_what_is_asked_for_and_go_by_it(desk: Desk) -> None:
    file = str(desk.write(f"{{model: a/b, hours: '{shut()}'}}\n{{model: c/d}}\n{{model: e/f, policy: observe}}"))
    closed = desk.run("plan", "--days", "1", "--json", "-c", file).document["models"]
    assert desk.run("warm", "a/b", "e/f", "--for", "2h", "-c", file).code == 0
    assert desk.run("pause", "c/d", "-c", file).code == 0

    rows = desk.run("status", "--json", "-c", file).document["models"]
    assert [row["reason"] for row in rows] == ["ordered", "paused", "ordered"]
    assert [row["override"]["kind"] for row in rows] == ["warm", "pause", "warm"]
    planned = desk.run("plan", "--days", "1", "--json", "-c", file).document["models"]
    assert planned[0]["beats"] > closed[0]["beats"]
    assert [model["beats"] for model in closed[1:]] == [closed[1]["beats"], 0]
    assert planned[1]["beats"] == 0
    assert planned[1]["windows"] == []
    assert planned[2]["beats"] > 0
    for command in ("status", "plan"):
        shown = desk.run(command, "-c", file).out
        assert "c/d: paused until it is resumed" in shown
        assert "a/b: kept warm until " in shown


def test_the_document_has_every_model_and_the_same_thing_twice_is_the_same(desk: Desk) -> None:
    file = str(desk.write("{model: a/b}\n{model: c/d}"))
    first = desk.run("pause", "c/d", "--json", "-c", file).document
    again = desk.run("pause", "c/d", "--json", "-c", file).document
    assert [row["override"] and row["override"]["kind"] for row in first["models"]] == [None, "pause"]
    assert again["models"] == first["models"]
    whole = desk.run("pause", "--for", "1h", "--json", "-c", file).document
    assert whole["all"]["kind"] == "pause"
    assert [row["override"]["kind"] for row in whole["models"]] == ["pause", "pause"]
    assert desk.run("resume", "--json", "-c", file).document["all"] is None


@pytest.mark.parametrize("command", [("pause",), ("resume",), ("warm", "--for", "1h")], ids=lambda args: args[0])
def test_a_model_that_is_not_there_is_told_with_those_that_are(desk: Desk, command: tuple[str, ...]) -> None:
    file = str(desk.write("{model: a/b}\n{model: c/d}"))
    refused = desk.run(*command, "a/b", "a/x", "-c", file)
    assert refused.code == 2
    assert "'a/x'" in refused.err
    assert "a/b, c/d" in refused.err
    assert desk.run("status", "--json", "-c", file).document["models"][0]["override"] is None, "nothing is done by half"


@pytest.mark.parametrize("given", ["0s", "400d", "2", "soon"])
def test_a_time_that_cannot_be_is_a_wrong_use(desk: Desk, given: str) -> None:
    file = str(desk.write("{model: a/b}"))
    assert desk.run("warm", "a/b", "--for", given, "-c", file).code == 2
    assert desk.run("warm", "a/b", "-c", file).code == 2

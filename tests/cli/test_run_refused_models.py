"""What the provider refuses of a file: each once, with the line to change, and the other models go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness.processes import Daemon, Desk, Ran, Sandbox

from warmer.sandbox.traits import version_id

WORLD = "catalogue = false\n" + "".join(
    f'[models."acme/{name}"]\nkind = "greeting"\nversions = 2\nboot_s = 0.05\nrun_s = 0.01\n{more}\n'
    for name, more in {
        "good": "",
        "input": "",
        "pinned": "",
        "retired": "",
        "vanished": "",
        "secret": "private = true\npermitted = false",
    }.items()
)
GONE = "0" * 64
OLD = version_id("acme/retired", 1)
MODELS = f"""\
defaults: {{policy: fixed, every: 1s}}
models:
  - model: acme/good
  - name: input
    model: acme/input
    input:
      text: 7
  - name: version
    model: acme/pinned:{GONE}
  - name: private
    model: acme/secret
  - name: retired
    model: acme/retired:{OLD}
  - model: acme/vanished
"""
LINES = {"input": "    input:", "version": "    model: acme/pinned", "private": "    model: acme/secret"}
LATER = {"retired": "    model: acme/retired", "acme/vanished": "  - model: acme/vanished"}


@pytest.fixture
def desk(tmp_path: Path, start_sandbox: Callable[..., Sandbox]) -> Any:
    world = tmp_path / "world.toml"
    world.write_text(WORLD)
    made = Desk(tmp_path, start_sandbox("--world", str(world)).url)
    text = made.text("").removesuffix("models:\n") + MODELS
    made.file.write_text(text, encoding="utf-8")
    yield made
    made.close()


def place(desk: Desk, begins: str) -> str:
    lines = desk.file.read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, start=1) if line.startswith(begins))
    return f"{desk.file}:{number}"


def disabled(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = [line for line in lines if line["event"] == "model.disabled"]
    by_name = {line["model"]: line for line in found}
    assert len(by_name) == len(found), found
    return by_name


def assert_told(desk: Desk, told: dict[str, dict[str, Any]], expected: dict[str, str]) -> None:
    assert {name: line["where"] for name, line in told.items()} == {
        name: place(desk, begins) for name, begins in expected.items()
    }


def good_beats(daemon: Daemon) -> int:
    return len(daemon.events("beat.done", model="acme/good"))


def test_each_is_said_once_with_its_line_and_the_good_one_beats_on(desk: Desk) -> None:
    sandbox = Sandbox(desk.url or "")
    daemon = desk.start("run", "-c", str(desk.file))
    for name in ("acme/vanished", "retired"):
        daemon.wait_for("beat.done", 2, model=name)
    for name in LINES:
        daemon.wait_for("model.disabled", model=name)
    assert_told(desk, disabled(daemon.lines()), LINES)

    sandbox.delete("/sandbox/models?model=acme/vanished")
    sandbox.delete(f"/sandbox/versions?model=acme/retired&version={OLD}")
    for name in LATER:
        daemon.wait_for("model.disabled", model=name)
    daemon.wait_for("beat.done", good_beats(daemon) + 3, model="acme/good")
    told = disabled(daemon.lines())
    assert_told(desk, told, LINES | LATER)
    assert "input.text" in told["input"]["error"]
    assert "string" in told["input"]["hint"]
    assert GONE in told["version"]["error"]
    assert "acme/pinned:" + version_id("acme/pinned", 2) in told["version"]["hint"]
    assert "spelling of acme/secret" in told["private"]["hint"]
    assert "private" in told["private"]["hint"]
    assert "Invalid version" in told["retired"]["error"]
    assert "write acme/retired for its latest version" in told["retired"]["hint"]
    assert "take the entry out if acme/vanished is gone" in told["acme/vanished"]["hint"]
    assert not daemon.events("account.paused")
    assert not daemon.events("model.failed")
    assert daemon.stop() == 0
    # None is tried again and again: the first pause is a quarter of an hour.
    refused = sandbox.get("/sandbox/totals")["replies"]["create"]["422"]
    assert refused == 3


def test_a_check_and_a_pass_tell_each_with_its_line_and_end_in_3(desk: Desk) -> None:
    sandbox = Sandbox(desk.url or "")
    sandbox.delete("/sandbox/models?model=acme/vanished")
    sandbox.delete(f"/sandbox/versions?model=acme/retired&version={OLD}")
    ran = desk.run("check", "--online", "--json", "-c", str(desk.file))
    assert ran.code == 3
    answers = {one["model"]: one["answer"] for one in ran.document["online"]}
    assert answers.pop("acme/good") == "fine"
    assert answers.keys() == LINES.keys() | LATER.keys()
    for name, begins in (LINES | LATER).items():
        assert f"{place(desk, begins)}: " in answers[name]
    assert "text" in answers["input"]
    assert sandbox.creates() == []

    ran = desk.run("once", "-c", str(desk.file))
    assert ran.code == 3
    assert_told(desk, disabled(lines_of(ran)), LINES | LATER)
    assert done(ran) == {"acme/good"}
    sandbox.post("/sandbox/models", {"model": "acme/secret", "permitted": True})
    assert done(desk.run("once", "-c", str(desk.file))) == {"acme/good", "private"}


def done(ran: Ran) -> set[str]:
    return {line["model"] for line in lines_of(ran) if line["event"] == "beat.done"}


def lines_of(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]

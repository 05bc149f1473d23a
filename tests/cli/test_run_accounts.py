"""Several accounts in one file: what one of them refuses is no matter of another's models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from harness.processes import CANARY, Desk, Sandbox

OTHER = "r8_warmer_TheOtherTokenMustNotSingEither"
MODELS = """\
{model: replicate/hello-world, every: 1s, policy: fixed}
{model: replicate/hello-world, every: 1s, policy: fixed, account: other, name: theirs}
{model: salesforce/blip, every: 1s, policy: fixed, account: other}
"""


@pytest.fixture
def sandboxes(tmp_path: Path, start_sandbox: Callable[..., Sandbox]) -> tuple[Sandbox, Sandbox]:
    world = tmp_path / "world.toml"
    world.write_text("seed = 2\n")  # else both name their predictions alike
    return start_sandbox(), start_sandbox("--world", str(world))


@pytest.fixture
def both(tmp_path: Path, sandboxes: tuple[Sandbox, Sandbox]) -> Desk:
    own, other = sandboxes
    made = Desk(tmp_path, own.url)
    made.write(MODELS, top=f"accounts: {{other: {{token: env:OTHER_TOKEN, base_url: '{other.url}/v1'}}}}")
    return made


def test_each_entry_goes_by_its_account_and_one_that_is_refused_holds_its_own_alone(
    both: Desk, sandboxes: tuple[Sandbox, Sandbox]
) -> None:
    own, other = sandboxes
    daemon = both.start("run", "-c", str(both.file), OTHER_TOKEN=OTHER)
    try:
        for name in ("replicate/hello-world", "theirs", "salesforce/blip"):
            daemon.wait_for("beat.done", model=name)
        other.post("/sandbox/faults", {"kind": "status", "status": 401})
        daemon.wait_for("account.paused")
        seen = len(daemon.events("beat.done", model="replicate/hello-world"))
        daemon.wait_for("beat.done", seen + 3, model="replicate/hello-world")
        assert len(daemon.events("account.paused")) == 1
        other.clear_faults()
        assert daemon.stop() == 0
    finally:
        both.close()
    assert {call["model"] for call in own.creates()} == {"replicate/hello-world"}
    assert {call["model"] for call in other.creates()} == {"replicate/hello-world", "salesforce/blip"}
    text = daemon.log.read_text()
    assert CANARY not in text and OTHER not in text


def test_a_pass_and_a_check_ask_each_account_for_its_own(both: Desk, sandboxes: tuple[Sandbox, Sandbox]) -> None:
    own, other = sandboxes
    assert both.run("once", "-c", str(both.file), OTHER_TOKEN=OTHER).code == 0
    assert (len(own.creates()), len(other.creates())) == (1, 2)
    other.post("/sandbox/faults", {"kind": "status", "status": 401})
    checked = both.run("check", "--online", "--json", "-c", str(both.file), OTHER_TOKEN=OTHER)
    assert checked.code == 3
    answers = {answer["model"]: answer["answer"] for answer in checked.document["online"]}
    assert answers.pop("replicate/hello-world") == "fine"
    assert all("401" in answer for answer in answers.values())


def test_a_token_that_is_missing_is_named_before_anything_begins(both: Desk) -> None:
    ran = both.run("once", "-c", str(both.file))
    assert ran.code == 2
    assert "OTHER_TOKEN" in ran.err

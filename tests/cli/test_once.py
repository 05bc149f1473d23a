"""`warmer once` as a process."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from harness.processes import Desk, Sandbox, environment

MODELS = (
    "{model: replicate/hello-world, every: 60s}\n{model: black-forest-labs/flux-schnell, billing: official, every: 60s}"
)


def test_one_pass_warms_what_is_due_and_leaves(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(MODELS))
    assert wired.run("once", "-c", file).code == 0
    assert len(sandbox.creates()) == 2
    second = wired.run("once", "-c", file)
    assert second.code == 0
    assert second.out.count('"recent_activity"') == 2
    assert len(sandbox.creates()) == 2


def test_two_started_in_the_same_second_send_one_beat_a_model(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(MODELS))
    command = [sys.executable, "-m", "warmer", "once", "-c", file]
    running = [
        subprocess.Popen(command, cwd=wired.folder, env=environment(wired.folder), stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in running:
        process.communicate(timeout=60)
    assert [process.returncode for process in running] == [0, 0, 0]
    assert Counter(call["model"] for call in sandbox.creates()) == {
        "replicate/hello-world": 1,
        "black-forest-labs/flux-schnell": 1,
    }


def test_an_empty_ledger_learns_from_the_account_s_list_who_has_called(wired: Desk, sandbox: Sandbox) -> None:
    sandbox.post("/sandbox/customer", {"model": "replicate/hello-world", "input": {"text": "hi"}, "caller": "customer"})
    done = wired.run("once", "-c", str(wired.write("{model: replicate/hello-world, every: 60s}")))
    assert done.code == 0
    assert "recent_activity" in done.out
    assert [call["caller"] for call in sandbox.creates()] == ["customer"]


def test_for_a_while_it_keeps_going(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write("{model: black-forest-labs/flux-schnell, billing: official, every: 1s}"))
    done = wired.run("once", "-c", file, "--for", "4s")
    assert done.code == 0
    assert len(sandbox.creates()) >= 2


def test_a_beat_left_booting_is_finished_by_the_next_pass(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write("{model: openai/whisper, every: 60s}"))
    assert wired.run("once", "-c", file, "--for", "1s").code == 0
    assert sandbox.running() == 1
    waiting = wired.run("once", "-c", file)
    assert waiting.code == 0
    assert "in_flight" in waiting.out
    assert len(sandbox.creates()) == 1


def test_exit_codes_tell_what_went_wrong(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(MODELS))
    for status, code in ((401, 4), (402, 4), (503, 3)):
        sandbox.post("/sandbox/faults", {"kind": "status", "status": status, "on": "create"})
        assert wired.run("once", "-c", file).code == code, status
        assert wired.run("once", "-c", str(wired.write(MODELS.replace("60s", "1s")))).code == code, status
        request = __import__("urllib.request", fromlist=["Request"])
        request.urlopen(request.Request(f"{sandbox.url}/sandbox/faults", method="DELETE"), timeout=10)
    assert wired.run("once", "-c", "nowhere.yaml").code == 2
    assert wired.run("once", "--for", "soon", "-c", file).code == 2
    assert wired.run("once", "-c", file, "--nonsense").code == 2


FOUR = "\n".join(
    f"{{model: {slug}, every: 60s}}"
    for slug in ("replicate/hello-world", "stability-ai/sdxl", "salesforce/blip", "meta/meta-llama-3-8b-instruct")
)


def test_shards_beat_every_model_once_between_them(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(FOUR))
    assert wired.run("once", "-c", file, "--shard", "1/3").code == 0
    first = len(sandbox.creates())
    assert wired.run("once", "-c", file, "--shard", "2/3").code == 0
    assert wired.run("once", "-c", file, "--shard", "auto/3", "--for", "3s", JOB_COMPLETION_INDEX="2").code == 0
    assert first < 4
    assert Counter(call["model"] for call in sandbox.creates()) == dict.fromkeys(
        ("replicate/hello-world", "stability-ai/sdxl", "salesforce/blip", "meta/meta-llama-3-8b-instruct"), 1
    )


def test_a_shard_without_models_is_done_at_once(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write("{model: replicate/hello-world, every: 60s}"))
    codes = [wired.run("once", "-c", file, "--shard", f"{number}/3").code for number in (1, 2, 3)]
    assert codes == [0, 0, 0]
    assert len(sandbox.creates()) == 1


def test_a_shard_that_cannot_be_is_refused(wired: Desk) -> None:
    file = str(wired.write(MODELS))
    for given in ("6/5", "auto/5"):
        refused = wired.run("once", "-c", file, "--shard", given)
        assert refused.code == 2
        assert "--shard" in refused.err

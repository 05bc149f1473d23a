"""`warmer once` as a process."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing

from harness.processes import Desk, Sandbox

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


def fault(sandbox: Sandbox, status: int | None) -> None:
    """Creates are answered with that status from now on; None: as they should be."""
    sandbox.clear_faults()
    if status is not None:
        sandbox.post("/sandbox/faults", {"kind": "status", "status": status, "on": "create"})


def test_exit_codes_tell_what_went_wrong(wired: Desk, sandbox: Sandbox) -> None:
    for status, code in ((503, 3), (401, 4)):
        fault(sandbox, status)
        assert wired.run("once", "-c", str(wired.write(MODELS.replace("60s", "1s")))).code == code, status
    file = str(wired.write(MODELS))
    assert wired.run("once", "-c", "nowhere.yaml").code == 2
    assert wired.run("once", "--for", "soon", "-c", file).code == 2
    assert wired.run("once", "-c", file, "--nonsense").code == 2


def test_passes_keep_to_a_hold_that_one_before_them_met_and_the_pause_grows(wired: Desk, sandbox: Sandbox) -> None:
    slugs = ("replicate/hello-world", "salesforce/blip", "stability-ai/sdxl")
    file = str(wired.write("\n".join(f"{{model: {slug}, every: 1s}}" for slug in slugs)))
    fault(sandbox, 402)

    def refused() -> int:
        return int(sandbox.get("/sandbox/totals")["replies"].get("create", {}).get("402", 0))

    def later(by_s: float) -> float:
        """So much later; what is left of the hold then, in seconds."""
        with closing(sqlite3.connect(wired.ledger)) as ledger, ledger:
            ((name, value),) = ledger.execute("SELECT name, value FROM notes WHERE name LIKE 'trouble of %'")
            note = json.loads(value)
            left_s = note["trouble"]["ends_at"] - note["at"]
            note["trouble"]["ends_at"] -= by_s
            ledger.execute("UPDATE notes SET value = ? WHERE name = ?", (json.dumps(note), name))
        return float(left_s - by_s)

    first = wired.run("once", "-c", file)
    assert (first.code, refused(), first.out.count("account.paused")) == (4, 1, 1)
    second = wired.run("once", "-c", file)
    assert (second.code, refused(), second.out.count("account.paused")) == (4, 1, 0)
    assert "credit_exhausted" in second.out
    assert 0 < later(0) <= 180
    later(200)
    third = wired.run("once", "-c", file)
    assert (third.code, refused(), third.out.count("account.paused")) == (4, 2, 0)
    assert 180 < later(0) <= 360
    fault(sandbox, None)
    assert wired.run("once", "-c", file).code == 4
    back = wired.run("once", "-c", file, "--retry")
    assert (back.code, back.out.count("account.resumed"), len(sandbox.creates())) == (0, 1, 3)


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

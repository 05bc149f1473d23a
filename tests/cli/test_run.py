"""`warmer run` as a process, against `warmer sandbox` as another."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from harness.processes import PATIENCE_S, Desk, Sandbox

HELLO = "{model: replicate/hello-world, every: 2s, hardware: cpu}"
SAMPLED = ("meta/meta-llama-3-8b-instruct", "stability-ai/sdxl", "openai/whisper", "salesforce/blip")
LLAMA = "{model: meta/meta-llama-3-8b-instruct, every: 5s, hardware: gpu-l40s}"


def test_each_beat_is_one_json_line_with_its_facts(wired: Desk) -> None:
    daemon = wired.start("run", "-c", str(wired.write(HELLO)))
    first, *_, last = daemon.wait_for("beat.done", 3)
    assert first["verdict"] == "cold"
    assert last["verdict"] == "warm"
    assert {"model", "verdict", "gap_s", "wait_s", "run_s", "cost_usd", "reason", "prediction_id"} <= last.keys()
    assert last["model"] == "replicate/hello-world"
    assert last["reason"] == "idle"
    assert last["gap_s"] >= 1.9
    assert last["price"].startswith("0.000100/s cpu@")
    assert list(last)[:3] == ["timestamp", "level", "event"]
    assert daemon.stop() == 0


def test_what_is_logged_is_what_the_server_saw(wired: Desk, sandbox: Sandbox) -> None:
    daemon = wired.start("run", "-c", str(wired.write(HELLO)))
    daemon.wait_for("beat.done", 4)
    assert daemon.stop() == 0
    truth = {call["id"]: call for call in sandbox.creates()}
    done = daemon.events("beat.done")
    assert {line["prediction_id"] for line in done} <= truth.keys()
    for line in done:
        assert line["verdict"] in (truth[line["prediction_id"]]["found"], "unsure")
    stats = wired.run("export", "beats", "-c", str(wired.file))
    assert stats.out.count("\n") == len(truth)


def test_outside_hours_not_one_create_reaches_the_server(wired: Desk, sandbox: Sandbox) -> None:
    shut = datetime.now(UTC) + timedelta(hours=3)
    hours = f"{shut:%H:%M}-{shut + timedelta(hours=1):%H:%M}"
    daemon = wired.start(
        "run", "-c", str(wired.write(f"{{model: replicate/hello-world, every: 1s, hours: '{hours}'}}"))
    )
    skipped = daemon.wait_for("beat.skipped", reason="closed")
    assert skipped[0]["until"].startswith(f"{shut:%Y-%m-%dT%H:%M}")
    wired.file.write_text(wired.file.read_text().replace("every: 1s", "every: 2s"))
    daemon.wait_for("beat.skipped", 2, reason="closed")
    assert daemon.stop() == 0
    assert sandbox.creates() == []


def test_an_edit_is_followed_and_unchanged_models_go_on(wired: Desk) -> None:
    daemon = wired.start("run", "-c", str(wired.write(HELLO)))
    daemon.wait_for("beat.done", 1)
    staged = wired.folder / "staged"
    staged.write_text(wired.text(f"{HELLO}\n{LLAMA}"))
    edited_at = time.time()
    staged.replace(wired.file)
    line = daemon.wait_for("config.reloaded")[0]
    took = datetime.fromisoformat(line["timestamp"]).timestamp() - edited_at
    assert line["added"] == ["meta/meta-llama-3-8b-instruct"]
    assert line["changed"] == []
    assert line["removed"] == []
    assert took < PATIENCE_S
    daemon.wait_for("beat.sent", model="meta/meta-llama-3-8b-instruct")
    assert daemon.stop() == 0


def test_a_broken_edit_is_refused_with_its_line_and_the_old_plan_runs_on(wired: Desk) -> None:
    daemon = wired.start("run", "-c", str(wired.write(HELLO)))
    daemon.wait_for("beat.done", 1)
    wired.file.write_text(wired.text(f"{HELLO}\n{{model: a/b, evry: 3s}}"))
    line = daemon.wait_for("config.rejected")[0]
    assert line["where"] == f"{wired.file}:7:18"
    assert "evry" in line["problem"]
    assert "every" in line["hint"]
    before = len(daemon.events("beat.done"))
    daemon.wait_for("beat.done", before + 2)
    wired.file.write_text(wired.text(HELLO.replace("2s", "3s")))
    assert daemon.wait_for("config.reloaded")[0]["changed"] == ["replicate/hello-world"]
    assert daemon.stop() == 0


def test_a_configmap_swap_is_followed(wired: Desk) -> None:
    for number, every in ((1, "2s"), (2, "3s")):
        folder = wired.folder / f"..{number}"
        folder.mkdir()
        (folder / "warmer.yaml").write_text(wired.text(HELLO.replace("2s", every)))
    data = wired.folder / "..data"
    data.symlink_to("..1")
    wired.file.symlink_to("..data/warmer.yaml")
    daemon = wired.start("run", "-c", str(wired.file))
    daemon.wait_for("daemon.ready")
    time.sleep(0.5)  # the daemon's first look at the file
    swapped = wired.folder / "..data_tmp"
    swapped.symlink_to("..2")
    swapped.replace(data)
    assert daemon.wait_for("config.reloaded")[0]["changed"] == ["replicate/hello-world"]
    assert daemon.stop() == 0


def test_sighup_reads_the_file_again(wired: Desk) -> None:
    daemon = wired.start("run", "-c", str(wired.write(HELLO)))
    daemon.wait_for("beat.done", 1)
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.wait_for("config.reloaded")[0]["changed"] == []
    assert daemon.stop() == 0


def test_sigterm_leaves_nothing_running_on_the_server(wired: Desk, sandbox: Sandbox) -> None:
    daemon = wired.start("run", "-c", str(wired.write("{model: openai/whisper}\n{deployment: acme/upscaler}")))
    end = time.monotonic() + PATIENCE_S
    while sandbox.running() < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert daemon.stop() == 0
    assert sandbox.running() == 0
    stopped = daemon.events("daemon.stopped")
    assert stopped[0]["drained"] is True
    beats = wired.run("export", "beats", "-c", str(wired.file)).out
    assert beats.count('"status": "canceled"') + beats.count('"status": "aborted"') == 2


def test_a_killed_daemon_s_open_beat_is_picked_up(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write("{model: openai/whisper, every: 60s, hardware: gpu-t4}"))
    daemon = wired.start("run", "-c", file)
    sent = daemon.wait_for("beat.sent")[0]
    os.kill(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait(PATIENCE_S)
    again = wired.start("run", "-c", file)
    done = again.wait_for("beat.done")[0]
    assert done["prediction_id"] == sent["prediction_id"]
    assert again.stop() == 0
    assert len(sandbox.creates()) == 1


def test_a_refused_token_stops_the_account_and_says_so_once(wired: Desk, sandbox: Sandbox) -> None:
    sandbox.post("/sandbox/faults", {"kind": "status", "status": 401, "on": "any"})
    daemon = wired.start("run", "-c", str(wired.write(f"{HELLO}\n{LLAMA}")))
    daemon.wait_for("beat.skipped", 2, reason="account_refused")
    paused = daemon.events("account.paused")
    assert len(paused) == 1
    assert paused[0]["reason"] == "account_refused"
    assert daemon.stop() == 0
    assert sandbox.creates() == []


def test_without_credit_every_model_is_held_at_once_with_one_line(wired: Desk, sandbox: Sandbox) -> None:
    names = {f"m{number}" for number in range(20)}
    entry = "{{model: replicate/hello-world, every: 1s, hardware: cpu, name: {}}}"
    file = str(wired.write("\n".join(entry.format(name) for name in names)))
    daemon = wired.start("run", "-c", file)
    daemon.wait_for("beat.sent", 5)
    detail = "Monthly spend limit reached"
    sandbox.post("/sandbox/faults", {"kind": "status", "status": 402, "on": "create", "body": {"detail": detail}})
    paused = daemon.wait_for("account.paused")[0]
    end = time.monotonic() + PATIENCE_S
    decided = set[str]()
    while decided != names:  # each was refused, was held, or ended what it had begun: and decided anew
        assert time.monotonic() < end
        time.sleep(0.02)
        lines = daemon.lines()
        lines = lines[lines.index(paused) :]
        decided = {line["model"] for line in lines if line["event"] in ("beat.skipped", "beat.failed", "beat.done")}
    assert daemon.stop() == 0
    assert daemon.events("account.paused") == [paused]
    assert detail in paused["error"]
    pause = datetime.fromisoformat(paused["until"]) - datetime.fromisoformat(paused["timestamp"])
    assert pause > timedelta(minutes=2)
    assert daemon.events("account.resumed") == []
    assert 1 <= sandbox.get("/sandbox/totals")["replies"]["create"]["402"] <= 20  # what was under way, and no more
    assert wired.run("once", "-c", file).code == 4


def test_one_model_refused_does_not_stop_the_others(wired: Desk) -> None:
    daemon = wired.start("run", "-c", str(wired.write(f"{HELLO}\n{{model: acme/no-such-model}}")))
    line = daemon.wait_for("model.disabled")[0]
    assert line["model"] == "acme/no-such-model"
    assert line["where"] == f"{wired.file}:7"
    assert line["hint"]
    daemon.wait_for("beat.done", 2, model="replicate/hello-world")
    assert len(daemon.events("model.disabled")) == 1
    assert daemon.stop() == 0


def test_the_sample_file_runs_against_the_sandbox(desk: Desk, start_sandbox: Callable[..., Sandbox]) -> None:
    from warmer.cli.wiring import sample

    world = desk.folder / "world.toml"
    world.write_text("".join(f'[models."{slug}"]\nboot_s = 4\n' for slug in SAMPLED))
    sandbox = start_sandbox("--world", str(world))
    text = sample().read_text(encoding="utf-8")
    text = text.replace("env:REPLICATE_API_TOKEN", f"env:WARMER_TEST_TOKEN\n  base_url: {sandbox.url}/v1")
    text = text.replace("Mo-Fr 08:00-20:00; PH off   #", "24/7   #")  # the test runs on any day
    desk.file.write_text(text)
    daemon = desk.start("run", "-c", str(desk.file))
    daemon.wait_for("beat.done", 4)
    assert daemon.stop() == 0
    done = daemon.events("beat.done")
    assert {line["model"] for line in done} == set(SAMPLED)
    assert all(line["cost_usd"] is not None for line in done)

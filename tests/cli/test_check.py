"""`warmer check`, `schema` and `inspect` as processes; every broken file ends in exit code 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from harness.processes import CANARY, Desk, Sandbox
from typer.testing import CliRunner

from warmer.cli import main
from warmer.cli.app import app

INVALID = sorted((Path(__file__).parents[1] / "config" / "invalid").glob("*.yaml"))


def test_there_are_enough_broken_files() -> None:
    assert len(INVALID) >= 60


def assert_refused(path: Path, code: object, out: str, err: str) -> None:
    assert (code, out) == (2, ""), path
    assert "Traceback" not in err, path
    assert f"{path}:" in err, path
    assert all(piece.isdigit() for piece in err.split(f"{path}:", 1)[1].split(":")[:2]), path


def test_every_broken_file_ends_in_2_with_a_place_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in INVALID:
        monkeypatch.setattr(sys, "argv", ["warmer", "check", "-c", str(path)])
        with pytest.raises(SystemExit) as left:
            main()
        assert_refused(path, left.value.code, *capsys.readouterr())


def test_so_it_does_as_a_process(desk: Desk) -> None:
    for path in INVALID[::10]:
        ran = desk.run("check", "-c", str(path))
        assert_refused(path, ran.code, ran.out, ran.err)


def test_a_huge_file_is_refused(desk: Desk) -> None:
    with desk.file.open("wb") as out:
        for _ in range(50):
            out.write(b"# " + b"x" * 1_048_573 + b"\n")
    ran = desk.run("check", "-c", str(desk.file))
    assert ran.code == 2
    assert f"{desk.file}:" in ran.err
    assert "Traceback" not in ran.err


def test_of_several_files_every_fault_is_named_and_good_ones_are_passed(desk: Desk) -> None:
    good, bad, worse = (desk.folder / f"{name}.yaml" for name in ("good", "bad", "worse"))
    good.write_text("models: [{model: a/b}]\n")
    bad.write_text("models: [{model: a/b, every: 30}]\n")
    worse.write_text("models: [{model: a/b, polcy: aware}]\nzone: UTC\n")
    ran = desk.run("check", str(good), str(bad), str(worse))
    assert (ran.code, ran.out) == (2, "")
    assert [line.rpartition("/")[2].partition(":")[0] for line in ran.err.splitlines()] == [
        *("bad.yaml", "worse.yaml", "worse.yaml")
    ]
    ran = desk.run("check", str(good), str(good))
    assert (ran.code, ran.out.count("good.yaml: fine, 1 models")) == (0, 2)
    assert desk.run("check", str(good), "-c", str(good)).code == 2
    assert desk.run("check", "--json", str(good), str(bad)).code == 2
    assert desk.run("check", "--json", str(good)).document["file"] == str(good)


def test_the_shell_completes_names_of_the_file_and_nothing_where_it_is_wrong(desk: Desk) -> None:
    def completed(line: str) -> list[str]:
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1), "_WARMER_COMPLETE": "complete_bash"}
        ran = CliRunner().invoke(app, prog_name="warmer", env=asked)
        assert ran.exit_code == 0
        return ran.stdout.split()

    file = desk.write("{model: acme/chat}\n{model: acme/draw}\n{model: other/one}")
    assert completed(f"warmer pause -c {file} acme/") == ["acme/chat", "acme/draw"]
    assert completed(f"warmer inspect -c {file} ot") == ["other/one"]
    desk.write("{model: acme/chat, polcy: aware}")
    assert completed(f"warmer pause -c {file} acme/") == []


def test_a_good_file_shows_its_coming_week(desk: Desk) -> None:
    ran = desk.run("check", "-c", str(desk.write("{model: a/b, hours: 'Sa 22:00-02:00; Su 10:00-12:00'}")))
    assert ran.code == 0
    assert "22:00-24:00" in ran.out
    assert "warning:" in ran.out
    assert "Sa 22:00-02:00, Su 10:00-12:00" in ran.out
    assert "fine, 1 models" in ran.out


def test_faults_as_json_name_their_places(desk: Desk) -> None:
    ran = desk.run("check", "--json", "-c", str(desk.write("{model: a/b, every: 30}\n{model: a/b, polcy: aware}")))
    assert ran.code == 2
    assert ran.document["ok"] is False
    assert [fault["line"] for fault in ran.document["faults"]] == sorted(f["line"] for f in ran.document["faults"])
    assert len(ran.document["faults"]) >= 2


def test_show_prints_the_effective_file_without_the_secret(desk: Desk) -> None:
    ran = desk.run("check", "--show", "-c", str(desk.write("{model: a/b}")))
    assert "env:WARMER_TEST_TOKEN" in ran.out
    assert "policy: aware" in ran.out
    assert CANARY not in ran.out


def test_online_asks_the_api_and_runs_nothing(wired: Desk, sandbox: Sandbox) -> None:
    file = wired.write(
        "{model: replicate/hello-world, hardware: cpu}\n{model: replicate/hello-world, name: bad, input: {}}"
    )
    ran = wired.run("check", "--online", "-c", str(file))
    assert ran.code == 3
    assert "replicate/hello-world: fine" in ran.out
    assert "bad: " in ran.out
    assert "text" in ran.out.split("bad: ")[1]
    assert sandbox.creates() == []


def test_online_with_a_refused_token_ends_in_4(wired: Desk, sandbox: Sandbox) -> None:
    sandbox.post("/sandbox/faults", {"kind": "status", "status": 401, "on": "any"})
    ran = wired.run("check", "--online", "-c", str(wired.write("{model: replicate/hello-world}")))
    assert ran.code == 4
    assert CANARY not in ran.err + ran.out
    assert "token" in ran.err


def test_a_missing_token_says_which_variable_to_set(desk: Desk) -> None:
    desk.file.write_text("replicate: {token: env:NOT_SET_ANYWHERE}\nmodels: [{model: a/b}]\n")
    ran = desk.run("once", "-c", str(desk.file))
    assert ran.code == 2
    assert "NOT_SET_ANYWHERE" in ran.err
    assert "Traceback" not in ran.err


def test_without_any_file_the_places_looked_at_are_named(desk: Desk) -> None:
    ran = desk.run("check")
    assert ran.code == 2
    assert "config/warmer.yaml" in ran.err
    assert "WARMER_CONFIG" in ran.err


def test_the_environment_names_the_file(desk: Desk) -> None:
    file = desk.write("{model: a/b}")
    assert desk.run("check", WARMER_CONFIG=str(file)).code == 0


def test_schema_is_json(desk: Desk) -> None:
    assert "models" in json.loads(desk.run("schema").out)["properties"]


def test_inspect_has_the_documented_keys(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write("{model: replicate/hello-world, hardware: cpu}"))
    facts = wired.run("inspect", "replicate/hello-world", "-c", file, "--json").document
    assert {"model", "input", "billing", "price", "version", "versions", "typical_wait_s"} <= facts.keys()
    assert facts["input"] == {"text": "hi"}
    assert facts["billing"] == "public"
    other = wired.run("inspect", "openai/whisper", "-c", file, "--json").document
    assert other["price"] is None
    assert wired.run("inspect", "not a model", "-c", file).code == 2
    assert sandbox.creates() == []


def test_inspect_shows_the_input_that_a_beat_sends_even_an_empty_one(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write("{model: replicate/hello-world, input: {}}"))
    assert wired.run("inspect", "replicate/hello-world", "-c", file, "--json").document["input"] == {}
    assert sandbox.creates() == []


def test_inspect_compares_what_a_beat_sends_with_what_runs_by_default(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write("{model: stability-ai/sdxl}\n{model: meta/meta-llama-3-8b-instruct, input: {prompt: x}}"))
    facts = wired.run("inspect", "stability-ai/sdxl", "-c", file, "--json").document
    assert facts["smallest"]["input"] == facts["input"]
    assert facts["effort"]["steps"] == 1
    assert facts["default"]["effort"]["steps"] == facts["default"]["input"]["num_inference_steps"] == 50
    assert 0 < facts["share"] <= 1 / 50
    assert not any(facts["measured"].values())
    shown = wired.run("inspect", "stability-ai/sdxl", "-c", file).out
    assert "steps 1 of 50" in shown
    assert "of the default's work" in shown
    own = wired.run("inspect", "meta/meta-llama-3-8b-instruct", "-c", file, "--json").document
    assert own["input"] == {"prompt": "x"}
    assert own["smallest"]["input"]["max_tokens"] == 1
    assert own["share"] == 1
    assert sandbox.creates() == []


def test_inspect_shows_what_beats_took(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write("{model: replicate/hello-world, hardware: cpu}"))
    assert wired.run("once", "-c", file).code == 0
    measured = wired.run("inspect", "replicate/hello-world", "-c", file, "--json").document["measured"]
    assert measured["beats"] == 1
    assert measured["beat_run_s"] >= 0
    assert float(measured["beat_cost_usd"]) >= 0
    assert "1 beats in 7 days ran" in wired.run("inspect", "replicate/hello-world", "-c", file).out

"""`tune` as a process, on ledgers and traces with a past in them."""

from __future__ import annotations

import json
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.processes import Desk
from harness.records import moments_of, record_beat, record_calls

SAMPLE = Path(__file__).parents[2] / "config" / "warmer.yaml"
MONDAY = datetime(2026, 9, 7, tzinfo=UTC)
PLAIN = "{model: a/office, hardware: gpu-t4}"


@pytest.fixture
def sample(desk: Desk) -> Desk:
    """The annotated sample, its ledger with three weeks of three kinds of traffic."""
    text = re.sub(r"(?m)^# ledger: \S+", f"ledger: sqlite:///{desk.ledger}", SAMPLE.read_text("utf-8"))
    desk.file.write_text(text, "utf-8")
    for model, name in (("stability-ai/sdxl", "office"), ("openai/whisper", "timer"), ("salesforce/blip", "rare")):
        record_calls(desk.ledger, model, moments_of(name, days=21, begins=MONDAY))
    return desk


def tuned(desk: Desk, *args: str) -> dict[str, Any]:
    document: dict[str, Any] = desk.run("tune", "-c", str(desk.file), "--json", *args).document
    return document


def comments(text: str) -> list[str]:
    return re.findall(r"(?m)(?:^|(?<=\s))#.*$", text)


def test_the_sample_keeps_every_comment_and_passes_check_and_is_left_alone_the_next_time(sample: Desk) -> None:
    before, file = sample.file.read_text("utf-8"), str(sample.file)
    sample.file.chmod(0o640)
    document = tuned(sample, "--write")
    assert document["written"]
    after = sample.file.read_text("utf-8")
    assert comments(after) == comments(before)
    assert [line for line in after.splitlines() if line in before.splitlines()] == before.splitlines()
    assert stat.S_IMODE(sample.file.stat().st_mode) == 0o640
    assert sample.run("check", "-c", file).code == 0
    again = tuned(sample, "--write")
    assert [model["suggested"] for model in again["models"]] == [None] * 4
    assert (again["diff"], again["written"]) == ("", False)
    assert sample.file.read_text("utf-8") == after


def test_without_write_nothing_is_written_and_the_diff_is_what_would_be(sample: Desk) -> None:
    before, file = sample.file.read_bytes(), str(sample.file)
    ran = sample.run("tune", "-c", file)
    assert ran.code == 0, ran.err
    assert sample.file.read_bytes() == before
    assert f"--- {file}\n+++ {file}\n" in ran.out
    assert "\n+    policy: observe\n" in ran.out
    assert "salesforce/blip: not worth warming: it takes" in ran.out
    assert "in nine cases of ten" in ran.out
    assert "\x1b" not in ran.out
    diff = tuned(sample)["diff"]
    assert diff in ran.out
    removed = [line for line in diff.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert removed == []


def test_the_document_has_the_figures_and_their_error_bars(sample: Desk) -> None:
    llama, sdxl, whisper, blip = tuned(sample)["models"]
    assert llama["now"] is llama["suggested"] is llama["saved_usd_per_day"] is None
    assert "too few to judge" in llama["why"]
    assert sdxl["now"]["policy"] == "aware"
    assert sdxl["now"]["hours"] == ["Mo-Fr 08:00-20:00; PH off"]
    saved = sdxl["saved_usd_per_day"]
    assert 0 < float(saved["low"]) < float(saved["mean"]) < float(saved["high"])
    assert re.fullmatch(r"0\.\d{6}", saved["mean"])
    share = sdxl["suggested"]["cold_share"]
    assert share["low"] <= share["mean"] <= share["high"] < 0.02
    assert whisper["suggested"]["policy"] == "adaptive"
    assert blip["suggested"]["beats_per_day"] == 0
    assert tuned(sample) == tuned(sample)


def test_a_ledger_too_small_to_say_anything_says_so_and_changes_nothing(desk: Desk) -> None:
    file = desk.write(PLAIN)
    moments = moments_of("office", days=2, begins=MONDAY)[:12]
    before = file.read_bytes()
    for calls in ([], moments):
        record_calls(desk.ledger, "a/office", calls)
        ran = desk.run("tune", "--write", "-c", str(file))
        assert ran.code == 0, ran.err
        assert f"a/office: {len(calls)} calls on 0 whole days: too few to judge" in ran.out
        assert f"{file} stays as it is." in ran.out
        assert file.read_bytes() == before


def test_silence_counts_as_far_as_anything_is_on_record(desk: Desk) -> None:
    file = str(desk.write(PLAIN))
    begins = MONDAY
    record_calls(desk.ledger, "a/office", moments_of("office", days=5, begins=begins))
    assert tuned(desk)["models"][0]["days"] == 4
    record_beat(desk.ledger, "a/office", begins + timedelta(days=30, hours=12))
    (model,) = tuned(desk)["models"]
    assert model["days"] == 30
    assert model["now"]["cost_usd_per_day"] is not None
    assert tuned(desk, "--since", "2d")["models"][0]["calls"] == 0
    assert desk.run("tune", "-c", file, "--since", "soon").code == 2


def test_traces_take_the_place_of_the_ledger_for_models_of_their_name(desk: Desk) -> None:
    file = desk.write("{model: a/b, name: office}\n{model: c/d}")
    calls = moments_of("office", days=14, begins=MONDAY)
    rows = "".join(f"{(at - MONDAY).total_seconds()},office\n" for at in calls)
    trace = desk.folder / "past.csv"
    trace.write_text(f"t,model\n{rows}1209599,other\n")
    office, other = tuned(desk, str(trace))["models"]
    assert office["suggested"]["hours"] == ["Mo-Fr 08:00-18:00"]
    assert office["saved_usd_per_day"] is None
    assert office["saved_beats_per_day"]["low"] > 0
    assert other["calls"] == 0
    twice = desk.run("tune", str(trace), str(trace), "-c", str(file))
    assert (twice.code, "office is in two of the traces" in twice.err) == (2, True)
    trace.write_text("t,model\n1,elsewhere\n")
    strange = desk.run("tune", str(trace), "-c", str(file))
    assert (strange.code, "no model of the traces (elsewhere) is in" in strange.err) == (2, True)


def test_a_link_is_followed_and_stays_one(desk: Desk) -> None:
    real = desk.write(PLAIN)
    link = desk.folder / "link.yaml"
    link.symlink_to(real)
    record_calls(desk.ledger, "a/office", moments_of("office", days=14, begins=MONDAY))
    ran = desk.run("tune", "--write", "-c", str(link))
    assert f"Written to {link}." in ran.out
    assert link.is_symlink()
    assert "hours: Mo-Fr 08:00-18:00" in real.read_text("utf-8")


def test_an_entry_that_cannot_be_changed_alone_is_told_and_left(desk: Desk) -> None:
    file = desk.write("&one {model: a/office, hours: &open 24/7}\n{model: c/d, hours: *open}")
    record_calls(desk.ledger, "a/office", moments_of("office", days=14, begins=MONDAY))
    before = file.read_bytes()
    told = desk.run("tune", "-c", str(file))
    assert (told.code, "by hand" in told.out) == (0, True)
    refused = desk.run("tune", "--write", "-c", str(file))
    assert (refused.code, "by hand" in refused.err) == (2, True)
    assert file.read_bytes() == before
    assert json.loads(desk.run("tune", "--json", "-c", str(file)).out)["diff"] == ""

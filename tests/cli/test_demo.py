"""`warmer demo` as a process: shorter than by default, and held against the sandbox's journal."""

from __future__ import annotations

import json

from harness.processes import Desk


def test_the_demo_adds_up_with_the_sandbox_s_journal(desk: Desk) -> None:
    ran = desk.run("demo", "--for", "12m", "--speed", "40", "--json")
    assert ran.code == 0, ran.out + ran.err
    document = ran.document
    assert document["adds_up"] is True
    assert document["verdicts_wrong"] == 0
    assert document["verdicts"] > 40
    assert len(document["models"]) == 4
    for model in document["models"]:
        assert model["beats"] > 0
        assert model["cron_beats"] == 24
        assert sum(model["ticks"].values()) >= model["beats"]
    assert document["beats"] < document["cron_beats"]
    lines = [json.loads(line) for line in (desk.folder / "demo.jsonl").read_text().splitlines()]
    done = [line for line in lines if line["event"] == "beat.done"]
    assert len(done) == document["beats"]


def test_the_demo_prints_its_result_as_a_table(desk: Desk) -> None:
    ran = desk.run("demo", "--for", "3m", "--speed", "40")
    assert ran.code == 0, ran.out + ran.err
    assert "found cold" in ran.out
    assert "adds up with the sandbox's journal" in ran.out
    assert "\x1b" not in ran.out
    assert (desk.folder / "demo.db").exists()

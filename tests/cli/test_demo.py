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


def test_every_kind_of_entry_is_reported_right(desk: Desk) -> None:
    ran = desk.run("demo", "--every-kind", "--for", "12m", "--speed", "40", "--json")
    assert ran.code == 0, ran.out + ran.err
    document = ran.document
    assert document["adds_up"] is True
    assert document["verdicts_wrong"] == 0
    more = {model["model"]: model for model in document["models"][4:]}
    assert set(more) == {"acme/upscaler", "echo, on Cog", "upscaling, at a URL"}
    assert all(model["beats"] > 3 and model["cron_beats"] is None for model in more.values())
    assert {name: model["cost_known"] for name, model in more.items()} == {
        "acme/upscaler": "estimated",
        "echo, on Cog": "exact",
        "upscaling, at a URL": "exact",
    }


def test_the_demo_prints_its_result_as_a_table(desk: Desk) -> None:
    ran = desk.run("demo", "--for", "3m", "--speed", "40")
    assert ran.code == 0, ran.out + ran.err
    assert "found cold" in ran.out
    assert "adds up with the sandbox's journal" in ran.out
    assert "\x1b" not in ran.out
    assert (desk.folder / "demo.db").exists()

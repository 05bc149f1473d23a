"""`status`, `report` and `export` as processes, on a ledger with facts in it."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from harness.processes import Desk, Sandbox

MODELS = (
    "{model: replicate/hello-world, every: 1s, hardware: cpu}\n"
    "{model: black-forest-labs/flux-schnell, billing: official, every: 1s}"
)


@pytest.fixture
def used(wired: Desk, sandbox: Sandbox) -> Desk:
    file = str(wired.write(MODELS))
    assert wired.run("once", "-c", file).code == 0
    for _ in range(2):
        sandbox.post(
            "/sandbox/customer", {"model": "replicate/hello-world", "input": {"text": "x"}, "caller": "customer"}
        )
    assert wired.run("once", "-c", file, "--for", "2500ms").code == 0
    return wired


def test_status_says_what_was_found_and_what_comes_next(used: Desk) -> None:
    hello, flux = used.run("status", "--json", "-c", str(used.file)).document["models"]
    assert hello["model"] == "replicate/hello-world"
    assert hello["verdict"] in ("warm", "cold")
    assert hello["reason"] in ("idle", "recent_activity")
    assert hello["next_beat_at"].endswith("Z")
    assert re.fullmatch(r"0\.0000\d\d", hello["spent_today_usd"])
    assert flux["spent_today_usd"] is None
    table = used.run("status", "-c", str(used.file)).out
    assert "unknown" in table
    assert "\x1b" not in table


def test_report_adds_up_and_never_calls_an_unknown_cost_zero(used: Desk) -> None:
    document = used.run("report", "--json", "-c", str(used.file)).document
    hello, flux = document["models"]
    beats = [json.loads(line) for line in used.run("export", "beats", "-c", str(used.file)).out.splitlines()]
    assert hello["calls"] == 2
    assert hello["beats"] == sum(beat["model"] == "replicate/hello-world" for beat in beats)
    assert flux["cost_usd"] is None
    assert flux["cost_unknown_beats"] == flux["beats"] > 0
    assert sum(count for reason, count in hello["ticks"].items() if reason in ("first_sight", "idle")) == hello["beats"]
    assert hello["boot_s"]["p50"] > 1
    assert [day["model"] for day in document["days"]] == ["replicate/hello-world", "black-forest-labs/flux-schnell"]
    text = used.run("report", "-c", str(used.file)).out
    assert "unknown" in text
    assert "\x1b" not in text
    rows = list(csv.DictReader(io.StringIO(used.run("report", "--csv", "-c", str(used.file)).out)))
    assert rows[0]["calls"] == "2"
    assert rows[1]["cost_usd"] == ""


def test_export_has_the_documented_columns(used: Desk) -> None:
    columns = [
        "model",
        "prediction_id",
        "policy",
        "reason",
        "created_at",
        "started_at",
        "completed_at",
        "gap_s",
        "wait_s",
        "run_s",
        "verdict",
        "status",
        "error",
        "cost_usd",
        "price",
        "billing",
        "first_token_s",
        "boot_s",
    ]
    as_csv = used.run("export", "beats", "--format", "csv", "-c", str(used.file)).out
    rows = list(csv.DictReader(io.StringIO(as_csv)))
    assert list(rows[0]) == columns
    lines = used.run("export", "beats", "-c", str(used.file)).out.splitlines()
    assert len(lines) == len(rows)
    assert list(json.loads(lines[0])) == columns
    calls = [json.loads(line) for line in used.run("export", "requests", "-c", str(used.file)).out.splitlines()]
    assert {call["model"] for call in calls} == {"replicate/hello-world"}
    assert all(call["completed_at"] for call in calls)
    only = used.run("export", "beats", "--model", "black-forest-labs/flux-schnell", "-c", str(used.file)).out
    assert 0 < only.count("\n") < len(lines)


def test_reading_commands_work_on_a_ledger_that_is_not_there_yet(desk: Desk) -> None:
    file = str(desk.write("{model: a/b}"))
    assert desk.run("status", "-c", file).code == 0
    assert "no beat on record yet" in desk.run("status", "-c", file).out
    assert desk.run("report", "-c", file).code == 0
    assert desk.run("export", "beats", "-c", file).out == ""


def test_a_ledger_that_cannot_be_used_says_what_to_do(desk: Desk) -> None:
    desk.ledger.write_text("this is no database, and long enough to be read as one" * 20)
    ran = desk.run("status", "-c", str(desk.write("{model: a/b}")))
    assert ran.code == 1
    assert "ledger.db: file is not a database" in ran.err
    assert "name another one under `ledger`" in ran.err
    assert "Traceback" not in ran.err

"""A model whose price nobody knows: shown as unknown wherever money is told, and never as 0."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from harness.processes import Desk, Ran, Sandbox

MODEL = "{model: replicate/hello-world, every: 1h}"
NOTHING_KNOWN = (None, "unknown")


@pytest.fixture
def passed(wired: Desk) -> Ran:
    """One beat was sent."""
    ran = wired.run("once", "-c", str(wired.write(MODEL)))
    assert ran.code == 0
    return ran


def document(wired: Desk, *command: str) -> Any:
    return wired.run(*command, "--json", "-c", str(wired.file)).document


def row(table: str) -> list[str]:
    """The cells of the first row under the headers."""
    return table.splitlines()[1].split()


def test_the_log_says_so(passed: Ran) -> None:
    (done,) = [line for line in map(json.loads, passed.out.splitlines()) if line["event"] == "beat.done"]
    assert (done["cost_usd"], done["cost_known"], done["price"]) == (*NOTHING_KNOWN, "unknown")


def test_report_says_so(passed: Ran, wired: Desk) -> None:
    told = document(wired, "report")
    for one in (*told["models"], *told["days"]):
        assert (one["cost_usd"], one["cost_known"], one["cost_unknown_beats"]) == (*NOTHING_KNOWN, 1)
    (reason, _) = told["reasons"]
    assert (reason["cost_usd"], reason["cost_known"], reason["cost_unknown_beats"]) == (*NOTHING_KNOWN, 1)
    avoided = told["models"][0]["avoided"]
    assert (avoided["price_usd"], avoided["price_known"]) == NOTHING_KNOWN
    tables = wired.run("report", "-c", str(wired.file)).out
    assert "unknown" in row(tables)
    assert "$0" not in tables
    (day,) = csv.DictReader(io.StringIO(wired.run("report", "--csv", "-c", str(wired.file)).out))
    assert (day["cost_usd"], day["cost_known"]) == ("", "unknown")


def test_plan_says_so(passed: Ran, wired: Desk) -> None:
    told = document(wired, "plan")
    for one in (told, *told["models"]):
        assert one["beats"] > 0
        assert (one["cost_usd"], one["cost_known"]) == NOTHING_KNOWN
    table = wired.run("plan", "-c", str(wired.file)).out
    assert table.count("unknown") == 2  # the model, and all
    assert "$" not in table


def test_status_says_so(passed: Ran, wired: Desk) -> None:
    (told,) = document(wired, "status")["models"]
    assert (told["spent_today_usd"], told["cost_known"], told["cost_unknown_beats"]) == (*NOTHING_KNOWN, 1)
    table = wired.run("status", "-c", str(wired.file)).out
    assert row(table)[-1] == "unknown"


def test_what_is_exported_leaves_it_out(passed: Ran, wired: Desk) -> None:
    (told,) = document(wired, "export", "beats")["beats"]
    assert (told["cost_usd"], told["price"]) == (None, None)


def test_under_a_budget_nothing_is_sent_and_each_command_says_why(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(MODEL, top="budget: {daily: 9}"))
    stopped = wired.run("once", "-c", file)
    assert stopped.code == 5
    (skipped,) = [line for line in map(json.loads, stopped.out.splitlines()) if line["event"] == "beat.skipped"]
    assert (skipped["reason"], skipped["until"]) == ("price_unknown", None)
    assert sandbox.creates() == []
    (planned,) = document(wired, "plan")["models"]
    assert planned["beats"] == 0
    assert "write `hardware` or `price`" in planned["note"]
    (shown,) = document(wired, "status")["models"]
    assert (shown["reason"], shown["next_beat_at"]) == ("price_unknown", None)
    assert "unknown price" in wired.run("check", "-c", file).out

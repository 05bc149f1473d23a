"""The money of `report`, as a process on a ledger with facts in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from harness.processes import Desk, Sandbox
from harness.records import moments_of, record_beat, record_calls

MODELS = "{model: a/b, name: m, hardware: gpu-t4, budget: {daily: 0.5}}\n{model: c/d, hardware: gpu-t4}"
BEATS = 20


def filled(desk: Desk) -> str:
    """A file and its ledger: calls by the hour for five days, and a beat before each of the last of them."""
    file = str(desk.write(MODELS, top="timezone: Europe/Berlin\nbudget: {monthly: 2}"))
    begins = datetime.now(UTC) - timedelta(days=6)
    calls = moments_of("steady", days=5, begins=begins)
    record_calls(desk.ledger, "m", calls, idle_timeout_s=240.0)
    for slot, call in enumerate(calls[-BEATS:], start=1):
        record_beat(desk.ledger, "m", call - timedelta(seconds=5), slot=slot)
    return file


def test_report_says_what_an_avoided_cold_start_cost_and_what_was_spent_why(desk: Desk) -> None:
    file = filled(desk)
    document = desk.run("report", "--json", "-c", file).document
    ours, other = document["models"]
    avoided = ours["avoided"]
    assert 0 < avoided["calls"] <= avoided["unwarmed_cold"] + BEATS
    assert (avoided["price_usd"] is None) == (avoided["why"] is not None)
    assert other["avoided"] | {"why": None, "calls": None} == dict.fromkeys(other["avoided"]) | {
        "price_known": "unknown"
    }
    assert other["avoided"]["why"] == "nothing was sent to warm it"
    whole, *days = document["reasons"]
    assert (whole["model"], whole["day"], whole["reason"], whole["beats"]) == ("m", None, "idle", BEATS)
    assert Decimal(whole["cost_usd"]) == Decimal("0.0001") * BEATS == Decimal(ours["cost_usd"])
    assert sum(Decimal(day["cost_usd"]) for day in days) == Decimal(whole["cost_usd"])
    assert {day["day"] for day in days} == {day["day"] for day in document["days"] if day["beats"]}

    text = desk.run("report", "-c", file).out
    assert "m: avoided " in text
    assert "c/d: no word on avoided cold starts: nothing was sent to warm it" in text
    assert any(line.split() == ["m", "idle", str(BEATS), "$0.0020"] for line in text.splitlines())


def test_report_says_what_the_caps_leave_and_when_that_is_gone(desk: Desk) -> None:
    file = filled(desk)
    own, total = desk.run("report", "--json", "-c", file).document["budgets"]
    assert (own["cap"], own["period"], total["cap"]) == ("daily of m", "daily", "monthly of all models")
    for budget in (own, total):
        assert Decimal(budget["left_usd"]) == Decimal(budget["cap_usd"]) - Decimal(budget["spent_usd"])
        assert 0 < Decimal(budget["usd_a_day"]) < Decimal("0.01")
        assert budget["runs_out_on"] is None
    assert "monthly of all models: $" in desk.run("report", "-c", file).out

    desk.write(MODELS.replace(", budget: {daily: 0.5}", ""), top="budget: {monthly: 0.000001}")
    (tight,) = desk.run("report", "--json", "-c", file).document["budgets"]
    assert tight["runs_out_on"] is not None


def test_a_model_that_the_file_has_no_more_has_its_costs_and_no_price(desk: Desk) -> None:
    filled(desk)
    file = str(desk.write("{model: c/d}"))
    _, past = desk.run("report", "--json", "-c", file).document["models"]
    assert past["model"] == "m"
    assert past["avoided"]["why"] == "the file has no such model any more"
    assert past["avoided"]["price_usd"] is None


def test_a_raised_floor_costs_by_the_second_and_is_no_beat(wired: Desk, sandbox: Sandbox) -> None:
    floor = "{deployment: acme/upscaler, name: up, policy: floor, hardware: gpu-t4}"
    file = str(wired.write(floor, top="budget: {daily: 99}"))
    assert wired.run("once", "-c", file).code == 0
    document = wired.run("report", "--json", "-c", file).document
    assert {row["reason"] for row in document["reasons"]} == {"floor"}
    whole = document["reasons"][0]
    assert (whole["model"], whole["day"], whole["beats"], whole["cost_known"]) == ("up", None, 0, "estimated")
    assert Decimal(whole["cost_usd"]) > 0
    assert document["models"][0]["avoided"]["why"] == "nobody called while it was kept warm"
    (budget,) = document["budgets"]
    assert Decimal(budget["usd_a_day"]) > 0
    assert Decimal(budget["spent_usd"]) + Decimal(budget["reserved_usd"]) <= Decimal("19.44")  # until midnight

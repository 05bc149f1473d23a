"""Budgets as a person meets them: exit code 5, and what `status` says is left."""

from __future__ import annotations

from datetime import datetime, timedelta

from harness.processes import Desk, Sandbox

MODEL = "{model: replicate/hello-world, every: 1s, hardware: cpu, deadline: 10s}"


def test_a_pass_that_a_budget_stopped_ends_with_5_and_names_the_cap(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(MODEL, top="budget: {daily: 0.000999}"))  # a beat may cost 0.001
    stopped = wired.run("once", "-c", file)
    assert stopped.code == 5, stopped.out + stopped.err
    assert '"cap": "daily of all models"' in stopped.out
    assert '"budget.reached"' in stopped.out
    assert sandbox.creates() == []


def test_what_is_left_is_told_and_counts_what_was_spent_before(wired: Desk) -> None:
    assert wired.run("once", "-c", str(wired.write(MODEL))).code == 0
    file = str(wired.write(MODEL.replace("deadline", "budget: {daily: 0.5}, deadline"), top="budget: {monthly: 2}"))
    document = wired.run("status", "--json", "-c", file).document
    own, total = document["budgets"]
    assert (own["cap"], total["cap"]) == ("daily of replicate/hello-world", "monthly of all models")
    spent = document["models"][0]["spent_today_usd"]
    assert float(spent) > 0
    assert float(own["spent_usd"]) == float(total["spent_usd"]) == float(spent)
    assert float(own["left_usd"]) == 0.5 - float(spent)
    assert "monthly of all models: $" in wired.run("status", "-c", file).out


def test_check_says_what_no_beat_can_ever_be_sent_of(desk: Desk) -> None:
    models = (
        "{model: a/b}\n{model: c/d, hardware: gpu-t4}\n{model: e/f, hardware: gpu-t4, deadline: 1m}\n{deployment: g/h}"
    )
    file = str(desk.write(models, top="budget: {daily: 0.1}"))
    first, second = desk.run("check", "--json", "-c", file).document["budget"]
    assert "a/b: under a cap no beat is sent at an unknown price: write `hardware` or `price`" in first
    assert "c/d: a beat may cost 0.135000 USD, more than the cap daily of all models of 0.1 USD" in second
    shown = desk.run("check", "-c", file)
    assert shown.code == 0
    assert f"warning: {first}" in shown.out


def test_status_shows_the_next_beat_where_the_budget_lets_it_go(wired: Desk) -> None:
    assert wired.run("once", "-c", str(wired.write(MODEL))).code == 0
    file = str(wired.write(MODEL, top="budget: {daily: 0.001}"))  # a beat may cost as much, and some is spent
    document = wired.run("status", "--json", "-c", file).document
    (row,) = document["models"]
    assert (row["reason"], row["next_beat_at"]) == ("over_budget", document["budgets"][0]["until"])
    assert "over_budget" in wired.run("status", "-c", file).out
    free = wired.run("status", "--json", "-c", str(wired.write(MODEL, top="budget: {daily: 1}"))).document
    assert free["models"][0]["reason"] != "over_budget"


def test_a_plan_ends_each_day_where_the_budget_does(wired: Desk) -> None:
    assert wired.run("once", "-c", str(wired.write(MODEL))).code == 0
    file = str(wired.write(MODEL, top="budget: {daily: 0.001}"))
    document = wired.run("plan", "--days", "2", "--json", "-c", file).document
    (planned,) = document["models"]
    begins, stopped_from = (datetime.fromisoformat(text) for text in (document["from"], planned["stopped_from"]))
    assert begins <= stopped_from < begins + timedelta(minutes=2)  # when the next beat would be due
    assert planned["stopped_by"] == "daily of all models"
    assert planned["beats"] == 2  # one at the beginning of each day to come
    assert planned["stops"] == 3
    assert "stopped by the budget from" in wired.run("plan", "-c", file).out

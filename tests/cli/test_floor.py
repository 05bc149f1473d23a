"""A floor moved by `warmer once`, over HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from harness.processes import Desk, Sandbox

FLOOR = "{deployment: acme/upscaler, name: up, policy: floor, hardware: gpu-t4}"
ELSE = "{deployment: acme/upscaler, name: up, policy: observe}"


def faulty(sandbox: Sandbox, **fault: Any) -> None:
    sandbox.post("/sandbox/faults", {"on": "deployment", "match": "min_instances", **fault})


def held(wired: Desk, sandbox: Sandbox) -> int:
    """By the world's own word: how many instances its floor has made."""
    return sum(one["target"] == "acme/upscaler" for one in sandbox.get("/sandbox/journal")["instances"])


def test_passes_raise_it_leave_it_and_put_it_back_when_the_entry_asks_no_more(wired: Desk, sandbox: Sandbox) -> None:
    first = wired.run("once", "-c", str(wired.write(FLOOR)))
    assert (first.code, first.out.count("floor.raised")) == (0, 1)
    assert held(wired, sandbox) == 1
    second = wired.run("once", "-c", str(wired.file))
    assert (second.code, second.out.count("floor.")) == (0, 0)
    third = wired.run("once", "-c", str(wired.write(ELSE)))
    assert (third.code, third.out.count("floor.lowered")) == (0, 1)


def test_a_refused_raise_says_so_and_the_next_pass_makes_up_for_it(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(FLOOR))
    for status, code in ((402, 4), (403, 3), (409, 3), (500, 3)):
        faulty(sandbox, kind="status", status=status, times=1)
        refused = wired.run("once", "--retry", "-c", file)
        assert (refused.code, refused.out.count("floor.failed")) == (code, 1)
        assert held(wired, sandbox) == 0
    assert wired.run("once", "--retry", "-c", file).code == 0
    assert held(wired, sandbox) == 1


def test_a_reply_that_is_cut_off_is_looked_for(wired: Desk, sandbox: Sandbox) -> None:
    faulty(sandbox, kind="cut", times=1)
    ran = wired.run("once", "-c", str(wired.write(FLOOR)))
    assert (ran.code, ran.out.count("floor.raised")) == (0, 1)


def test_hours_that_a_cap_leaves_too_little_for_are_not_begun_and_every_command_says_so(
    wired: Desk, sandbox: Sandbox
) -> None:
    capped = FLOOR.replace("hardware", "budget: {daily: 0.5}, hardware")
    file = str(wired.write(capped))
    ran = wired.run("once", "-c", file)
    assert (ran.code, ran.out.count('"budget.reached"'), held(wired, sandbox)) == (5, 1, 0), ran.out
    assert '"reason": "over_budget"' in ran.out
    (row,) = wired.run("status", "-c", file, "--json").document["models"]
    assert row["reason"] == "over_budget"
    (planned,) = wired.run("plan", "-c", file, "--json").document["models"]
    assert (Decimal(planned["cost_usd"]), planned["stopped_by"]) == (0, "daily of up")
    assert "its floor costs 19.440000 USD at least" in wired.run("check", "-c", file).out


def test_check_warns_and_plan_says_what_it_comes_to(wired: Desk) -> None:
    file = str(wired.write(FLOOR))
    assert "its floor holds 1 instances" in wired.run("check", "-c", file).out
    (planned,) = wired.run("plan", "-c", file, "--json").document["models"]
    assert (planned["beats"], Decimal(planned["cost_usd"])) == (0, Decimal("136.08"))  # a week of $0.000225/s
    assert "floor" in planned["note"]

"""`report` on a model with a shadow, as a process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from harness.processes import Desk
from harness.records import moments_of, record_beat, record_calls

SHADOWED = "{model: a/b, hardware: gpu-t4, shadow: adaptive, %s}"


def test_a_shadow_scores_as_the_backtest_of_the_ledger_does(desk: Desk) -> None:
    file = str(desk.write(SHADOWED % "name: m"))
    begins = datetime.now(UTC) - timedelta(days=6)
    record_calls(desk.ledger, "m", moments_of("evening", days=5, begins=begins), idle_timeout_s=240.0)
    record_beat(desk.ledger, "m", begins + timedelta(days=1), run_s=0.4)
    (shadow,) = desk.run("report", "--json", "-c", file).document["shadows"]
    assert (shadow["model"], shadow["policy"], shadow["shadow"]) == ("m", "aware", "adaptive")
    host = shadow["host"]
    assert 200 < shadow["interval_s"] <= host["idle_timeout_s"] < 280
    assert host["boot_s"] == 20
    told = (f"--idle-timeout={host['idle_timeout_s']}s", f"--interval={shadow['interval_s']}s", "--boot=20s")
    rows = desk.run("backtest", "-c", file, *told, "--policy=aware,adaptive", "--cold-target=2%", "--json").document
    by_policy = {row["policy"]: row for row in rows["rows"]}
    for score, policy in (("replayed", "aware"), ("shadowed", "adaptive")):
        assert shadow[score]["beats"] == by_policy[policy]["heartbeats"]
        assert shadow[score]["cold_share"] == by_policy[policy]["cold_share"]
    assert float(shadow["shadowed"]["cost_usd"]) == round(shadow["shadowed"]["beats"] * 0.4 * 0.000225, 6)
    assert shadow["measured"]["beats"] == 1
    table = desk.run("report", "-c", file).out
    for how in ("measured", "replayed", "shadow"):
        assert any(line.split()[:2] == ["m", how] for line in table.splitlines())


def test_a_shadow_keeps_to_the_hours_and_needs_a_call(desk: Desk) -> None:
    file = str(desk.write(SHADOWED % "hours: '00:00-04:00'"))
    assert desk.run("report", "--json", "-c", file).document["shadows"] == []
    begins = datetime.now(UTC) - timedelta(days=6)
    record_calls(desk.ledger, "a/b", moments_of("steady", days=5, begins=begins))
    (some,) = desk.run("report", "--json", "-c", file).document["shadows"]
    desk.write(SHADOWED % "hours: 24/7")
    (all_day,) = desk.run("report", "--json", "-c", file).document["shadows"]
    assert 0 < some["shadowed"]["beats"] < 0.3 * all_day["shadowed"]["beats"]
    assert some["calls"] == all_day["calls"]

"""`warmer plan` as a process."""

from __future__ import annotations

from decimal import Decimal

from harness.processes import Desk, Sandbox

MODELS = "{model: replicate/hello-world, every: 60s, hardware: cpu}\n{model: black-forest-labs/flux-schnell, every: 1h}"


def test_a_plan_needs_no_network_and_no_token(desk: Desk) -> None:
    desk.url = "http://127.0.0.1:9"
    file = str(desk.write(MODELS))
    planned = desk.run("plan", "--days", "2", "--json", "-c", file, WARMER_TEST_TOKEN="").document
    assert planned["beats"] == sum(model["beats"] for model in planned["models"])
    assert abs(planned["models"][0]["beats"] - 2 * 24 * 60) < 30  # a beat takes half a second itself
    assert planned["models"][1]["beats"] == 48
    assert planned["cost_usd"] is None
    assert len(planned["models"][0]["windows"]) == 1
    assert desk.run("plan", "--days", "0", "-c", file).code == 2


def test_a_plan_knows_the_cost_once_beats_have_shown_it(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(MODELS.replace("black-forest-labs/flux-schnell", "replicate/hello-world, name: other")))
    assert wired.run("once", "-c", file).code == 0
    planned = wired.run("plan", "--days", "1", "--json", "-c", file).document
    (beat,) = [m for m in wired.run("export", "beats", "--json", "-c", file).document["beats"] if m["model"] != "other"]
    first = planned["models"][0]
    assert Decimal(first["cost_usd"]) == Decimal(beat["cost_usd"]) * first["beats"]
    table = wired.run("plan", "-c", file).out
    assert "all" in table
    assert "\x1b" not in table
    assert len(sandbox.creates()) >= 1

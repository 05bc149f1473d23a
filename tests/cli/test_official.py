"""What the commands say of a model that is always on."""

from __future__ import annotations

from harness.processes import Desk

from warmer.core.official import ALWAYS_ON

FLUX = "black-forest-labs/flux-schnell"
HELLO = "replicate/hello-world"


def test_every_command_says_why_an_official_model_is_left_alone(wired: Desk) -> None:
    file = str(wired.write(f"{{model: {FLUX}}}\n{{model: {HELLO}, policy: observe}}"))
    (asked, plain) = wired.run("check", "--online", "--json", "-c", file).document["online"]
    assert (asked["answer"], asked["billing"], asked["note"]) == ("fine", "official", ALWAYS_ON)
    assert plain["note"] is None
    assert ALWAYS_ON in wired.run("check", "--online", "-c", file).out
    assert wired.run("inspect", FLUX, "--json", "-c", file).document["note"] == ALWAYS_ON

    assert wired.run("once", "-c", file).code == 0
    assert wired.run("export", "beats", "--json", "-c", file).document["beats"] == []
    planned = wired.run("plan", "--json", "-c", file).document
    assert [model["note"] for model in planned["models"]] == [ALWAYS_ON, None]
    assert (planned["beats"], planned["cost_usd"], planned["cost_known"]) == (0, "0", "exact")
    assert wired.run("status", "--json", "-c", file).document["models"][0]["reason"] == "always_on"


def test_a_class_in_the_file_sends_beats_whose_cost_is_an_output(wired: Desk) -> None:
    file = str(wired.write(f"{{model: {FLUX}, billing: official, price: {{per_output: 0.003}}}}"))
    assert wired.run("once", "-c", file).code == 0

    (beat,) = wired.run("export", "beats", "--json", "-c", file).document["beats"]
    assert (beat["cost_usd"], beat["price"], beat["billing"]) == ("0.003000", "0.003/output file", "official")
    (model,) = wired.run("status", "--json", "-c", file).document["models"]
    assert (model["spent_today_usd"], model["cost_known"]) == ("0.003000", "estimated")
    assert "~$0.0030" in wired.run("report", "-c", file).out

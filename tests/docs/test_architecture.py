"""docs/architecture.md tells the rooms, rules and limits that the code has."""

from __future__ import annotations

import tomllib
from datetime import timedelta

from harness.pages import ARCHITECTURE, ROOT

from warmer import errors
from warmer.core.standing import rule_for
from warmer.core.units import format_duration
from warmer.core.verdict import BASELINE_FROM, BASELINE_WAITS, COLD_AT_LEAST_S, DEFAULT_WARM_WAIT_S, WARM_AT_MOST_S


def test_the_rooms_are_those_that_the_import_rules_know() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(rule["layers"] for rule in rules if rule["type"] == "layers")
    wanted = [[room.strip().removeprefix("warmer.") for room in layer.split(":")] for layer in layers]
    drawn = [[line.split() for line in block.splitlines()] for block in ARCHITECTURE.blocks("text")]
    assert wanted in drawn
    told = {name.rstrip("/").removesuffix(".py") for name in ARCHITECTURE.first_cells("The rooms")}
    assert told == {room for layer in wanted for room in layer}


def test_the_holds_are_those_of_the_rules() -> None:
    rows = ARCHITECTURE.table("When the provider says no")
    told = {row[0].strip("`"): [cell.strip("`") for cell in row[1:]] for row in rows}
    more = {errors.Throttled: timedelta(0), errors.ModelRefused: "hint"}
    wanted = {}
    for kind in errors.ProviderError.__subclasses__():
        rule = rule_for(kind("what happened", *([more[kind]] if kind in more else [])))
        pauses = (format_duration(rule.backoff.first), format_duration(rule.backoff.longest))
        wanted[kind.__name__] = [rule.scope.value, rule.reason.value, *pauses]
    assert told == wanted


def test_the_limits_of_verdicts_are_those_of_the_code() -> None:
    text = ARCHITECTURE.section("Warm or cold")
    assert f"up to {WARM_AT_MOST_S:g} s" in text
    assert f"from {COLD_AT_LEAST_S:g} s" in text
    assert f"{DEFAULT_WARM_WAIT_S:g} s until three" in text
    assert BASELINE_FROM == 3
    assert f"last {BASELINE_WAITS} waits" in text

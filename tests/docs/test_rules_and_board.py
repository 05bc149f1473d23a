"""The alert rules and the board speak of metrics that there are, and the pages of the rules that there are.

Whether rules fire and panels have data, `make lab` shows on a real Prometheus.
"""

from __future__ import annotations

import json
import re

import yaml
from harness.pages import OPERATIONS, REFERENCE, ROOT

RULES = ROOT / "config" / "prometheus" / "warmer.rules.yml"
BOARD = ROOT / "config" / "grafana" / "warmer.json"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def metrics_in(text: str) -> set[str]:
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bwarmer_\w+", text)}


def test_every_metric_of_a_rule_and_of_the_board_is_one_that_is_told() -> None:
    known = {row[0].strip("`") for row in REFERENCE.table("Metrics")}
    board = json.loads(BOARD.read_text("utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked = metrics_in(" ".join([*(rule["expr"] for rule in ALERTS), *queries]))
    assert asked <= known
    assert metrics_in(" ".join(queries)) == known  # each has a panel


def test_every_rule_is_told_and_tried_both_ways() -> None:
    names = [rule["alert"] for rule in ALERTS]
    assert OPERATIONS.first_cells("Metrics, alert rules and a board") == names
    tried = yaml.safe_load((ROOT / "tests" / "lab" / "rules.test.yml").read_text("utf-8"))["tests"]
    fires, quiet = set[str](), set[str]()
    for one in (one for test in tried for one in test["alert_rule_test"]):
        (fires if one.get("exp_alerts") else quiet).add(one["alertname"])
    assert fires == quiet == set(names)
    assert all(
        rule["labels"]["severity"] and rule["annotations"].keys() == {"summary", "description"} for rule in ALERTS
    )


def test_panels_of_the_board_do_not_overlap() -> None:
    board = json.loads(BOARD.read_text("utf-8"))
    taken = set[tuple[int, int]]()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells

"""The JSON Schema, the sample and the reference say what the reader does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from warmer import config
from warmer.core.endpoint import Poll, Warm
from warmer.core.hours import hidden_rules
from warmer.core.price import Billing, worst_case
from warmer.core.spec import (
    AUTO_INTERVAL,
    DEFAULT_BASE_URL,
    DEFAULT_COLD_TARGET,
    DEFAULT_DEADLINE,
    AccountSpec,
    Listen,
    Retention,
)
from warmer.core.units import format_duration

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "config" / "warmer.yaml"
FILES = [SAMPLE, *sorted((ROOT / "config" / "examples").glob("*.yaml"))]


MUST = {
    *("models", "model", "deployment", "cog", "url"),
    *("token", "per_second", "per_output", "per_hour", "path", "done"),
}
"""Keys that have to be written where the mapping they stand in is, or one of which has to be."""


def keys(schema: Any = None) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = config.json_schema() if schema is None else schema
    for part in (schema, *schema["$defs"].values()):
        yield from part.get("properties", {}).items()


def test_the_schema_beside_the_sample_is_up_to_date() -> None:
    written = (SAMPLE.parent / "warmer.schema.json").read_text("utf-8")
    assert written == json.dumps(config.json_schema(), indent=2, ensure_ascii=False) + "\n", (
        "run `warmer schema > config/warmer.schema.json`"
    )
    assert SAMPLE.read_text("utf-8").startswith("# yaml-language-server: $schema=warmer.schema.json\n")


def test_the_schema_is_one_and_describes_every_key() -> None:
    schema = config.json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for key, told in keys():
        assert told["description"].endswith("."), key
        assert told["examples"], key
        assert "null" not in json.dumps(told), key
        assert "default" in told or "ithout it" in told["description"] or key in MUST, key


def test_the_schema_tells_the_defaults_that_hold() -> None:
    account = AccountSpec()
    told = {key: value["default"] for key, value in keys() if "default" in value}
    assert told == {
        "timezone": "UTC",
        "listen": str(Listen()),
        "beats": format_duration(Retention().beats),
        "requests": format_duration(Retention().requests),
        "engine": "local",
        "token": str(account.token),
        "base_url": DEFAULT_BASE_URL,
        "creates_per_minute": account.creates_per_minute,
        "reads_per_minute": account.reads_per_minute,
        "hours": "24/7",
        "policy": "aware",
        "every": "auto",
        "lead": "auto",
        "instances": 1,
        "cold_target": f"{DEFAULT_COLD_TARGET:.0%}",
        "deadline": format_duration(DEFAULT_DEADLINE),
        "alerts": "on",
        "traffic": "auto",
        "measure": "off",
        "cancel_on_start": False,
        "within": format_duration(Warm().within),
        "waking": Warm().waking[0],
        "id": Poll(path="/{id}").id,
    }
    assert f"{AUTO_INTERVAL.total_seconds():.0f}s" in dict(keys())["every"]["description"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_schema_accepts_what_the_reader_accepts(path: Path) -> None:
    shown = json.loads(json.dumps(config.show(config.load(path)), default=float))
    Draft202012Validator(config.json_schema()).validate(shown)


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"model": "acme/chat", "deployment": "acme/chat"},
        {"model": "chat"},
        {"model": "acme/chat", "every": "0:30"},
        {"model": "acme/chat", "every": 30},
        {"model": "acme/chat", "polcy": "aware"},
        {"model": "acme/chat", "policy": "always"},
        {"deployment": "acme/chat", "policy": "floor", "instances": 6},
        {"model": "acme/chat", "cold_target": 2},
        {"model": "acme/chat", "cold_target": "100%"},
        {"model": "acme/chat", "cold_start_price": 0},
        {"model": "acme/chat", "lead": "soon"},
        {"model": "acme/chat", "price": {"per_second": -1}},
        {"model": "acme/chat", "self_host": {"per_hour": -1}},
        {"model": "acme/chat", "hardware": "Nvidia T4"},
        {"model": "acme/chat", "traffic": False},
        {"model": "acme/chat", "hours": []},
        {"model": "acme/chat", "url": "https://example.test/"},
        {"url": "ftp://example.test/"},
        {"url": "https://example.test/", "method": "BREW"},
        {"url": "https://example.test/", "headers": {}},
        {"url": "https://example.test/", "warm": {"status": "200"}},
        {"url": "https://example.test/", "poll": {"path": "/status"}},
    ],
)
def test_the_schema_refuses_what_an_editor_can_see(model: dict[str, Any]) -> None:
    assert not Draft202012Validator(config.json_schema()).is_valid({"models": [model]})


def test_the_reference_has_a_heading_for_every_key_and_for_no_other() -> None:
    reference = (ROOT / "docs" / "config.md").read_text("utf-8")
    headings = set(re.findall(r"^#+ `([a-z_]+)`$", reference, re.MULTILINE))
    assert headings == {key for key, _ in keys()}


def test_every_example_of_the_reference_is_valid() -> None:
    reference = (ROOT / "docs" / "config.md").read_text("utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", reference, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert config.parse(block.encode(), path="docs/config.md").models


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_rule_of_the_sample_hides_another(path: Path) -> None:
    for model in config.load(path).models:
        for line in model.hours.lines:
            assert hidden_rules(line, model.hours.zone, model.hours.country, datetime.now(UTC)) == ()


def test_the_beats_of_the_sample_have_a_known_cost() -> None:
    spec = config.load(SAMPLE)
    assert len(spec.models) == 4
    for model in spec.models:
        cost = worst_case(model.price, Billing.PUBLIC, model.deadline, 0.0)
        assert cost is not None
        assert cost > Decimal(0)

"""One mistake a file: each is told once, at its place, with what to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from warmer import config
from warmer.errors import ConfigError

INVALID = sorted((Path(__file__).parent / "invalid").glob("*.yaml"))
EXPECT = re.compile(r"# expect: (\d+):(\d+): (.+)")


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_broken_file_is_refused_at_the_place_of_its_mistake(path: Path) -> None:
    line, column, fragment = EXPECT.search(path.read_text("utf-8", errors="replace")).groups()

    with pytest.raises(ConfigError) as caught:
        config.load(path)

    (fault,) = caught.value.faults
    assert (fault.file, fault.line, fault.column) == (str(path), int(line), int(column))
    assert fragment in str(fault)
    assert fault.hint
    assert "NotARealToken" not in str(caught.value)
    assert "\n" not in str(fault)


def test_there_are_many_broken_files() -> None:
    assert len(INVALID) >= 60


def test_every_fault_of_a_file_is_told_at_once_and_in_order() -> None:
    text = b"""\
timezone: Mars/Olympus
defaults: {polcy: aware, hours: 22:00}
replicate: {token: 0123456789, creates_per_minute: 0}
models:
  - model: acme/chat
    every: 30
    every: 0s
  - model: acme/chat
    billing: deployment
  - deployment: chat
    input: {temperature: .nan}
    price: {per_second: -1}
"""
    with pytest.raises(ConfigError) as caught:
        config.parse(text, path="warmer.yaml")

    places = [(fault.line, fault.column) for fault in caught.value.faults]
    expected = [
        (1, 11),
        (2, 12),
        (2, 33),
        (3, 20),
        (3, 52),
        (6, 12),
        (7, 5),
        (8, 12),
        (9, 14),
        (10, 17),
        (11, 26),
        (12, 25),
    ]
    assert places == expected


def test_a_fault_in_defaults_is_told_once_however_many_models_there_are() -> None:
    models = b"".join(b"  - model: acme/m%d\n" % number for number in range(20))
    with pytest.raises(ConfigError) as caught:
        config.parse(b"defaults:\n  every: 0s\nmodels:\n" + models, path="warmer.yaml")
    assert [(fault.line, fault.column) for fault in caught.value.faults] == [(2, 10)]


def test_hours_are_judged_even_where_the_country_is_wrong() -> None:
    text = b"country: Narnia\nmodels:\n  - {model: acme/chat, hours: [Mo-Fr 08:00-20:00; PH off, noon]}\n"
    with pytest.raises(ConfigError) as caught:
        config.parse(text, path="warmer.yaml")
    assert [(fault.line, fault.column) for fault in caught.value.faults] == [(1, 10), (3, 59)]

"""Every input that ever broke something, or was made to: replayed. `make fuzz` looks for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[1] / "corpus"


@pytest.mark.parametrize("name", [f"{path.parent.name}/{path.name}" for path in sorted(CORPUS.glob("*/*"))])
def test_what_has_to_hold_of_any_bytes_holds_of_these(name: str) -> None:
    TARGETS[name.partition("/")[0]]((CORPUS / name).read_bytes())


def test_each_target_has_something_to_begin_with() -> None:
    assert {path.parent.name for path in CORPUS.glob("*/*")} == TARGETS.keys()

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from warmer.ledger import open_ledger


@pytest.fixture(scope="session")
def blank_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: its migrations take longer than most tests here."""
    path = tmp_path_factory.mktemp("ledger") / "blank.db"
    open_ledger(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def db(tmp_path: Path, blank_ledger: Path) -> Path:
    return Path(shutil.copy(blank_ledger, tmp_path / "ledger.db"))


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """What was logged, as values."""
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def seldom_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that looks at its file each 5 s, and each minute whether people ask for something, which nobody does:
    in a week it does little else otherwise."""
    monkeypatch.setattr("warmer.engine.daemon.POLL_S", 5.0)
    monkeypatch.setattr("warmer.engine.overriding.LOOK_S", 60.0)

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import structlog
from harness.cases import THOROUGH, cases
from hypothesis import settings

if TYPE_CHECKING:
    from harness.postgres import Server


settings.register_profile("usual", max_examples=cases(400))
settings.load_profile("usual")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Weeks of virtual time and whole matrices are left to `make thorough`."""
    if THOROUGH in os.environ:
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("thorough")])
    items[:] = [item for item in items if not item.get_closest_marker("thorough")]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """No test's lines go where another's went: to a file, say, that is closed by then."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL for this process's tests; `postgres.database()` is the address of an empty database in it."""
    from harness.postgres import server  # most tests need none of it

    with server() as started:
        yield started

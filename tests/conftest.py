from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from harness.postgres import Server


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

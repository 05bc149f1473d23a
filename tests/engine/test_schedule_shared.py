"""The shared schedule alone: several of them in one process, on a PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from harness.postgres import Server
from harness.processes import Desk, environment
from procrastinate.schema import SchemaManager
from structlog.testing import capture_logs

from warmer.engine.schedule_shared import SharedSchedule
from warmer.ports import OnDue

PATIENCE_S = 60.0


@pytest.fixture
def address(postgres: Server) -> Iterator[str]:
    made = postgres.database()
    yield made
    postgres.drop(made)


class Crew:
    """Schedules, and what each of them was called for."""

    def __init__(self, address: str, count: int) -> None:
        server = psycopg.conninfo.conninfo_to_dict(address)
        self.called: list[list[str]] = [[] for _ in range(count)]
        self.schedules = [SharedSchedule(self._due_of(index), server=server) for index in range(count)]

    def _due_of(self, index: int) -> OnDue:
        def due(name: str, late_s: float | None = None, left: bool = False) -> asyncio.Task[Any]:
            self.called[index].append(name)
            return asyncio.ensure_future(asyncio.sleep(0.01))

        return due

    @property
    def calls(self) -> Counter[str]:
        return Counter(name for called in self.called for name in called)


@asynccontextmanager
async def at_work(crew: Crew) -> Any:
    for schedule in crew.schedules:
        schedule.start()
    try:
        yield
    finally:
        await asyncio.gather(*(schedule.close() for schedule in crew.schedules))


async def until(happened: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


def jobs(postgres: Server, address: str) -> Any:
    database = urlsplit(address).path.removeprefix("/")
    return postgres.do("SELECT args ->> 'name', status::text FROM procrastinate_jobs ORDER BY 1", database=database)


def test_what_several_arm_is_called_for_once(address: str) -> None:
    crew = Crew(address, 3)

    async def scene() -> None:
        async with at_work(crew):
            for schedule in crew.schedules:
                for name in ("a", "b", "c"):
                    schedule.arm(name, 1.0)
            await until(lambda: len(crew.calls) == 3)
            await asyncio.sleep(1)

    asyncio.run(scene())
    assert crew.calls == {"a": 1, "b": 1, "c": 1}


def test_what_one_says_all_hear(address: str) -> None:
    crew, heard = Crew(address, 3), list[tuple[int, str]]()
    for number, schedule in enumerate(crew.schedules):
        schedule.heed(lambda word, number=number: heard.append((number, word)))

    async def scene() -> None:
        await crew.schedules[0].say("before it began")  # nobody hears that
        async with at_work(crew):
            await until(lambda: all(len(schedule.members) == 3 for schedule in crew.schedules))
            for word in ("one", "tw'o é"):
                await crew.schedules[1].say(word)
            await crew.schedules[1].say("x" * 9000)  # more than the server takes
            await until(lambda: len(heard) == 6)
            await crew.schedules[2].say("three")
            await until(lambda: len(heard) == 9)

    asyncio.run(scene())
    assert sorted(heard) == sorted((number, word) for number in range(3) for word in ("one", "tw'o é", "three"))


def test_the_sooner_of_two_times_holds(address: str) -> None:
    crew = Crew(address, 2)

    async def scene() -> None:
        async with at_work(crew):
            crew.schedules[0].arm("a", 600)
            await until(lambda: crew.schedules[0].members)
            crew.schedules[1].arm("a", 0.2)
            await until(lambda: crew.calls)
            crew.schedules[0].arm("b", 0.5)
            crew.schedules[1].arm("b", 600)
            await until(lambda: crew.calls["b"])

    asyncio.run(scene())
    assert crew.calls == {"a": 1, "b": 1}


def test_one_that_leaves_lets_the_others_go_on(address: str, postgres: Server) -> None:
    crew = Crew(address, 2)

    async def scene() -> None:
        async with at_work(crew):
            first, second = crew.schedules
            await until(lambda: len(first.members) == len(second.members) == 2)
            assert [member.is_self for member in first.members] != [member.is_self for member in second.members]
            await first.close()
            second.arm("a", 0.0)
            await until(lambda: crew.called[1])
            await until(lambda: len(second.members) == 1)

    with capture_logs() as logs:
        asyncio.run(scene())
    assert [line["why"] for line in logs if line["event"] == "worker.left"] == ["stopped"] * 2
    assert crew.called[0] == []
    assert jobs(postgres, address) == [("a", "todo")]


def test_what_is_done_once_is_done_by_one_and_goes_to_another_when_that_ends(address: str) -> None:
    crew = Crew(address, 3)
    working: list[int] = []

    def work_of(number: int) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            working.append(number)
            try:
                await asyncio.Event().wait()
            finally:
                working.remove(number)

        return work

    async def scene() -> None:
        async with at_work(crew):
            chores = [asyncio.ensure_future(s.alone(work_of(n))) for n, s in enumerate(crew.schedules)]
            for left in (3, 2, 1):
                await until(lambda: working)
                assert len(working) == 1
                await asyncio.sleep(0.2)
                chores[working[0]].cancel()
                await asyncio.wait([chores[working[0]]])
                assert sum(not chore.done() for chore in chores) == left - 1

    asyncio.run(scene())


def test_a_bug_in_what_is_done_once_is_not_swallowed(address: str) -> None:
    crew = Crew(address, 1)

    async def work() -> None:
        raise ZeroDivisionError

    async def scene() -> None:
        async with at_work(crew):
            await crew.schedules[0].alone(work)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scene())


def test_a_queue_of_any_older_procrastinate_is_brought_up_to_date(address: str) -> None:
    first = min(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(first.read_bytes())
        connection.execute(f"COMMENT ON TABLE procrastinate_jobs IS 'The queue of warmer, up to {first.name}'")
    crew = Crew(address, 3)

    async def scene() -> None:
        async with at_work(crew):
            for schedule in crew.schedules:
                schedule.arm("a", 0.0)
            await until(lambda: crew.calls)

    asyncio.run(scene())
    assert set(crew.calls) == {"a"}


def test_a_queue_of_a_newer_procrastinate_is_left_alone_and_said(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE procrastinate_jobs ()")
        connection.execute("COMMENT ON TABLE procrastinate_jobs IS 'The queue of warmer, up to 99.00.00_01_x.sql'")
    crew = Crew(address, 1)

    async def scene() -> None:
        async with at_work(crew):
            await asyncio.sleep(1)

    with capture_logs() as logs:
        asyncio.run(scene())
    (said,) = logs
    assert said["event"] == "ledger.failed"
    assert "pip install --upgrade 'warmer[shared]'" in said["error"]


def test_without_the_parts_for_it_the_command_says_what_to_install(tmp_path: Any, address: str) -> None:
    desk = Desk(tmp_path)
    desk.address = address
    file = desk.write("{model: acme/chat}", top="engine: shared")
    program = "import sys; sys.modules['procrastinate'] = None; from warmer.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", program, "run", "-c", str(file)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert "pip install 'warmer[shared]'" in ran.stderr

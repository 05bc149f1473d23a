from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import pytest

from warmer.engine.desk import Desk
from warmer.engine.readings import OwnReadings, Readings, SharedReadings
from warmer.ports import Ledger
from warmer.testing import VirtualClock, run

T = TypeVar("T")

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Board:
    """A ledger that has nothing but notes."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.ahead_s = 1e9

    def change_note(self, name: str, change: Callable[[str, float], tuple[str, T]]) -> T:
        now = asyncio.get_running_loop().time() + self.ahead_s
        self.texts[name], result = change(self.texts.get(name, ""), now)
        return result

    def close(self) -> None:
        pass


def shared(count: int, board: Board | None = None) -> list[SharedReadings]:
    ledger, clock = cast("Ledger", board or Board()), VirtualClock(NOON)
    return [SharedReadings(Desk(ledger), clock, "acme") for _ in range(count)]


async def read(readings: Readings, max_age_s: float, *, lasts_s: float = 0.5) -> bool:
    """Whether it was its turn."""
    turn = await readings.begin(max_age_s)
    if turn is None:
        return False
    await asyncio.sleep(lasts_s)
    await readings.end(turn, NOON)
    return True


@pytest.mark.parametrize("kind", ["own", "shared"])
def test_a_reading_that_is_fresh_is_not_repeated(kind: str) -> None:
    async def scene() -> list[bool]:
        one: Readings = OwnReadings(VirtualClock(NOON)) if kind == "own" else shared(1)[0]
        done = [await read(one, 2.0)]
        done.append(await read(one, 2.0))
        await asyncio.sleep(2)
        return [*done, await read(one, 2.0)]

    assert run(scene()) == [True, False, True]


def test_of_many_processes_that_ask_at_once_one_reads_and_the_others_wait_for_it() -> None:
    async def scene() -> tuple[list[bool], float]:
        done = await asyncio.gather(*(read(one, 2.0, lasts_s=1.0) for one in shared(5)))
        return done, asyncio.get_running_loop().time()

    done, ended = run(scene())
    assert sum(done) == 1
    assert 1.0 <= ended < 1.3


def test_in_a_minute_of_asking_there_is_one_reading_every_two_seconds() -> None:
    async def keep_asking(one: SharedReadings) -> int:
        count = 0
        while asyncio.get_running_loop().time() < 60:
            count += await read(one, 2.0, lasts_s=0.3)
            await asyncio.sleep(0.05)
        return count

    async def scene() -> list[int]:
        return await asyncio.gather(*(keep_asking(one) for one in shared(4)))

    assert 26 <= sum(run(scene())) <= 31


def test_one_that_began_too_early_is_followed_by_another() -> None:
    async def scene() -> list[bool]:
        first, second = shared(2)
        begun = asyncio.create_task(read(first, 2.0, lasts_s=1.0))
        await asyncio.sleep(0.5)
        # What is asked for is a reading that begins from now on.
        return [await read(second, 0.0), await begun]

    assert run(scene()) == [True, True]


def test_the_next_one_goes_on_where_the_last_one_ended_whoever_did_it() -> None:
    async def scene() -> list[Any]:
        first, second = shared(2)
        await read(first, 2.0)
        await asyncio.sleep(3)
        turn = await second.begin(2.0)
        assert turn is not None
        await second.give_up(turn)
        again = await first.begin(2.0)
        assert again is not None
        await first.end(again, NOON + timedelta(seconds=5))
        await asyncio.sleep(7200)
        later = await second.begin(2.0)
        assert later is not None
        return [turn.newest, again.newest, later.newest]

    assert run(scene()) == [NOON, NOON, None]


def test_a_process_that_dies_while_it_reads_holds_nobody_up_for_long() -> None:
    async def scene() -> tuple[bool, float]:
        first, second = shared(2)
        assert await first.begin(2.0) is not None
        done = await read(second, 2.0, lasts_s=0)
        return done, asyncio.get_running_loop().time()

    done, ended = run(scene())
    assert done
    assert 3 <= round(ended, 3) < 4


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_clock_that_is_set_stops_no_reading(step_s: float) -> None:
    async def scene() -> tuple[bool, float]:
        board = Board()
        first, second = shared(2, board)
        await read(first, 2.0)
        assert await first.begin(0.0) is not None
        board.ahead_s += step_s
        return await read(second, 2.0, lasts_s=0), asyncio.get_running_loop().time()

    done, ended = run(scene())
    assert done
    assert ended < 2


def test_a_note_of_another_version_is_begun_anew() -> None:
    async def scene() -> None:
        board = Board()
        board.texts["readings of acme"] = '{"read": {"at": 5}, "busy_since": "now"}'
        (readings,) = shared(1, board)
        assert await read(readings, 2.0)
        assert not await read(readings, 2.0)

    run(scene())

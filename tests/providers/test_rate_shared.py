from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.errors import LedgerError
from warmer.providers.rate import LONGEST_SPREAD_S, Limit, RateBudget
from warmer.providers.rate_shared import SharedRate
from warmer.testing import VirtualClock, run

T = TypeVar("T")


class Board:
    """Notes in memory, whose clock is set apart from that of the processes."""

    def __init__(self, ahead_s: float = 1e9) -> None:
        self.texts: dict[str, str] = {}
        self.ahead_s, self.changes, self.broken = ahead_s, 0, False

    def change_note(self, name: str, change: Callable[[str, float], tuple[str, T]]) -> T:
        if self.broken:
            raise LedgerError("gone")
        self.changes += 1
        now = asyncio.get_running_loop().time() + self.ahead_s
        self.texts[name], result = change(self.texts.get(name, ""), now)
        return result


def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 11, 21, tzinfo=UTC))


def rates(board: Board, count: int, per_minute: float, **more: Any) -> list[SharedRate]:
    random = Random(7)
    return [SharedRate(clock(), board, "creates", per_minute, jitter=random.random, **more) for _ in range(count)]


async def keep_sending(rate: SharedRate | RateBudget, until_s: float, pause_s: float = 0.0) -> list[float]:
    """When each went out."""
    loop, sent = asyncio.get_running_loop(), list[float]()
    while True:
        await rate.admit()
        if loop.time() > until_s:
            return sent
        sent.append(loop.time())
        rate.sent()
        await rate.accepted()
        await asyncio.sleep(pause_s)


def test_all_together_keep_to_the_rate_and_use_it_up() -> None:
    async def scene() -> list[list[float]]:
        return await asyncio.gather(*(keep_sending(rate, 600) for rate in rates(Board(), 3, 60)))

    sent = run(scene())
    moments = sorted(moment for one in sent for moment in one)
    assert 0.95 * 540 < len(moments) <= 541
    assert min(b - a for a, b in pairwise(moments)) > 60 / 54 - 0.01
    assert min(len(one) for one in sent) > 0.2 * len(moments)


def test_one_alone_is_as_quick_as_without_others() -> None:
    async def scene(shared: bool) -> list[float]:
        (one,) = rates(Board(), 1, 600, careful=True)
        return await keep_sending(one if shared else RateBudget(clock(), 600, careful=True), 60)

    alone, shared = run(scene(False)), run(scene(True))
    assert len(shared) > 0.98 * len(alone) > 400
    assert max(abs(a - b) for a, b in zip(alone, shared, strict=False)) < 0.2


def test_the_careful_beginning_is_one_for_all() -> None:
    async def scene() -> list[list[float]]:
        return await asyncio.gather(*(keep_sending(rate, 3) for rate in rates(Board(), 4, 600, careful=True)))

    moments = sorted(moment for one in run(scene()) for moment in one)
    assert moments[:4] == pytest.approx([0, 1, 1.5, 1.75], abs=0.05)


def test_what_one_was_refused_slows_all() -> None:
    async def scene() -> tuple[float, float, timedelta]:
        first, second = rates(Board(), 2, 600)
        await first.admit()
        await first.refused(first.sent(), timedelta(seconds=30), Limit(per_minute=6, burst=1))
        await second.admit()
        one = asyncio.get_running_loop().time()
        held = second.held
        await first.admit()
        return one, asyncio.get_running_loop().time() - one, held

    waited, pace, held = run(scene())
    assert waited >= 31
    assert pace == pytest.approx(60 / 5.4, abs=0.05)
    assert held == timedelta(0)


def test_a_refusal_is_learned_from_as_by_one_alone() -> None:
    async def scene(shared: bool) -> float:
        (one,) = rates(Board(), 1, 600, careful=True)
        rate = one if shared else RateBudget(clock(), 600, careful=True)
        sent_at = 0.0
        for _ in range(2):
            await rate.admit()
            sent_at = rate.sent()
            await asyncio.sleep(0.2)
        await rate.refused(sent_at, timedelta(seconds=9))
        await rate.admit()
        begun = asyncio.get_running_loop().time()
        await rate.admit()
        return asyncio.get_running_loop().time() - begun

    assert run(scene(True)) == pytest.approx(run(scene(False)), abs=0.05)


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_clock_that_is_set_holds_nobody_up(step_s: float) -> None:
    async def scene() -> tuple[float, float]:
        board = Board()
        one, two = rates(board, 2, 60)
        for rate in (one, two):
            await rate.admit()
        board.ahead_s += step_s
        begun = asyncio.get_running_loop().time()
        await two.admit()
        await one.refused(one.sent(), timedelta(seconds=10))
        board.ahead_s += step_s
        await two.admit()
        return begun, asyncio.get_running_loop().time()

    begun, ended = run(scene())
    assert ended - begun < 15


def test_without_the_note_each_keeps_to_the_pace_it_saw() -> None:
    async def scene() -> list[float]:
        board = Board()
        (one,) = rates(board, 1, 60)
        await one.admit()
        board.broken = True
        sent = await keep_sending(one, 60)
        board.broken = False
        return sent + await keep_sending(one, 70)

    sent = run(scene())
    assert min(b - a for a, b in pairwise(sent)) > 1.0
    assert len(sent) > 50


def test_whoever_sends_many_takes_some_together_and_all_stay_under_the_rate() -> None:
    async def scene() -> tuple[list[list[float]], int]:
        board = Board()
        sent = await asyncio.gather(*(keep_sending(rate, 60) for rate in rates(board, 2, 3000)))
        return sent, board.changes

    sent, changes = run(scene())
    total = sum(len(one) for one in sent)
    assert 2600 < total < 2700 + 45 + 20
    assert changes < total / 3


def test_creates_are_taken_some_together_too_and_go_out_evenly() -> None:
    async def scene(pause_s: float) -> tuple[list[list[float]], int]:
        board = Board()
        two = rates(board, 2, 3000, careful=True)
        sent = await asyncio.gather(*(keep_sending(rate, 60, pause_s) for rate in two))
        return sent, board.changes

    sent, changes = run(scene(0.06))
    assert changes < sum(map(len, sent)) / 2
    sent, _ = run(scene(0))
    assert 2500 < sum(map(len, sent)) < 2700 + 20
    for one in sent:
        grown = [moment for moment in one if moment > 10]
        assert min(b - a for a, b in pairwise(grown)) > 0.99 * 60 / 2700 / 2  # none goes ahead of its turn
    together = sorted(moment for one in sent for moment in one)
    assert all(last - first > 0.8 for first, last in zip(together, together[50:], strict=False))


@pytest.mark.parametrize("is_shared", [False, True])
def test_beats_that_were_held_up_together_come_apart_again_and_none_waits_long_for_that(is_shared: bool) -> None:
    every_s, models, apart_s = 30.0, 300, 1 / 11

    async def scene() -> tuple[list[float], list[tuple[float, float]]]:
        loop, sent, waits = asyncio.get_running_loop(), list[float](), list[tuple[float, float]]()
        alone = RateBudget(clock(), 3000, careful=True)
        two = rates(Board(), 2, 3000, careful=True) if is_shared else [alone, alone]

        async def model(number: int) -> None:
            rate = two[number % 2]
            await asyncio.sleep(24 * number / models)
            while (asked := loop.time()) < 28 * every_s:
                await rate.admit(apart_s)
                waits.append((asked, loop.time() - asked))
                sent.append(loop.time())
                rate.sent()
                await rate.accepted()
                await asyncio.sleep(every_s)

        await asyncio.gather(*map(model, range(models)))
        return sorted(sent), waits

    sent, waits = run(scene())
    # The pace has grown by then; two that take turns may wait for each other.
    assert max(wait for asked, wait in waits if asked > every_s) < (3.0 if is_shared else 1.5) * LONGEST_SPREAD_S
    assert max(wait for asked, wait in waits if asked > 26 * every_s) < apart_s + 0.01
    closest = [
        min(after - one for one, after in zip(sent, sent[11:], strict=False) if begin < one < begin + every_s)
        for begin in (every_s, 26 * every_s)
    ]
    assert closest[0] < 0.7
    assert closest[1] > 0.9


@given(
    per_minute=st.sampled_from((6, 60, 600, 3000)),
    gaps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from((0.0, 0.01, 0.1, 0.5, 0.99, 1.01, 4.0))), max_size=300),
)
def test_what_was_taken_together_and_is_used_late_passes_no_rate(
    per_minute: int, gaps: list[tuple[int, float]]
) -> None:
    """Three processes send by fits and starts: in no window more than a burst, the rate, and a second of it."""

    async def scene() -> list[float]:
        loop, sent = asyncio.get_running_loop(), list[float]()
        three = rates(Board(), 3, per_minute)
        for index, gap in gaps:
            await asyncio.sleep(gap)
            await three[index].admit()
            sent.append(loop.time())
        return sent

    sent = run(scene())
    a_second, burst = 0.9 * per_minute / 60, max(1, int(0.9 * per_minute / 60))
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= burst + a_second * (sent[last] - begin + 1.0) + 1e-6


def test_who_sends_seldom_takes_no_more_than_it_sends() -> None:
    async def scene() -> list[list[float]]:
        board = Board()

        async def seldom(rate: SharedRate) -> list[float]:
            sent = list[float]()
            for _ in range(100):
                await rate.admit()
                sent.append(asyncio.get_running_loop().time())
                await asyncio.sleep(1.5)
            return sent

        return await asyncio.gather(*(seldom(rate) for rate in rates(board, 10, 600)))

    for sent in run(scene()):  # 400 of the 540 a minute
        assert sent[-1] - sent[0] < 99 * 1.5 * 1.05


def test_a_note_of_another_version_is_begun_anew() -> None:
    async def scene() -> None:
        board = Board()
        board.texts["creates"] = '{"pace": "fast"}'
        (rate,) = rates(board, 1, 60)
        await rate.admit()
        assert '"per_minute": 60' in board.texts["creates"]

    run(scene())

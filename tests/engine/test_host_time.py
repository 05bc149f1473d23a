from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from engine.stage import START

from warmer.engine.hosttime import HostTime
from warmer.errors import Unreachable
from warmer.testing import VirtualClock, run


class Host:
    """Stands for a provider: it is asked for the account's name only, for its time."""

    def __init__(self, true: VirtualClock, ours: VirtualClock) -> None:
        self._true, self._ours = true, ours
        self.skew = timedelta(0)
        self.asked = 0
        self.is_away = False

    async def verify(self) -> str:
        self.asked += 1
        await asyncio.sleep(0.1)
        if self.is_away:
            raise Unreachable("no network yet")
        self.skew = self._true.now() - self._ours.now()
        return "acme"


def played(scene: Callable[[Any, HostTime, VirtualClock], Awaitable[None]]) -> None:
    async def play() -> None:
        true, ours = VirtualClock(START), VirtualClock(START)
        host: Any = Host(true, ours)
        await scene(host, HostTime(host, ours), ours)

    run(play())


def test_nobody_asks_while_the_clocks_agree() -> None:
    async def scene(host: Any, time: HostTime, clock: VirtualClock) -> None:
        for _ in range(10):
            await asyncio.sleep(600)
            await time.make_sure(clock.now())
        assert host.asked == 0

    played(scene)


@pytest.mark.parametrize("step", [timedelta(seconds=3), timedelta(days=-3652), timedelta(days=3652)])
def test_after_a_step_one_asks_for_all(step: timedelta) -> None:
    async def scene(host: Any, time: HostTime, clock: VirtualClock) -> None:
        clock.step(step)
        await asyncio.gather(*(time.make_sure(START) for _ in range(100)))
        assert host.asked == 1
        assert host.skew == -step
        await time.make_sure(START)
        assert host.asked == 1

    played(scene)


def test_one_failure_is_everybody_s_and_it_is_tried_again_later() -> None:
    async def scene(host: Any, time: HostTime, clock: VirtualClock) -> None:
        clock.step(timedelta(hours=6))
        host.is_away = True
        failed = await asyncio.gather(*(time.make_sure(START) for _ in range(100)), return_exceptions=True)
        assert all(isinstance(error, Unreachable) for error in failed)
        assert host.asked == 1
        host.is_away = False
        await asyncio.sleep(6)
        await time.make_sure(START)
        assert host.asked == 2
        assert host.skew == -timedelta(hours=6)

    played(scene)


def test_a_stamp_of_the_future_asks_too() -> None:
    async def scene(host: Any, time: HostTime, clock: VirtualClock) -> None:
        await time.make_sure(clock.now() + timedelta(seconds=4))
        assert host.asked == 0
        await time.make_sure(clock.now() + timedelta(seconds=6))
        assert host.asked == 1

    played(scene)

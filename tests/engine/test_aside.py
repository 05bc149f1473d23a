"""What is reckoned aside: in another process, without this one's environment, for a bounded time."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from warmer.engine.aside import Aside


def test_it_comes_from_another_process_which_has_nothing_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", "geheim")

    async def scene() -> None:
        aside = Aside({"GIVEN": "this"})
        assert await aside.do(os.getpid, within_s=60) != os.getpid()
        assert await aside.do(os.getenv, "REPLICATE_API_TOKEN", within_s=60) is None
        assert await aside.do(os.getenv, "GIVEN", within_s=60) == "this"
        with pytest.raises(ZeroDivisionError):
            await aside.do(divmod, 1, 0, within_s=60)

    asyncio.run(scene())


def test_what_takes_too_long_is_ended() -> None:
    async def scene() -> None:
        with pytest.raises(TimeoutError):
            await Aside().do(time.sleep, 600, within_s=0.5)

    asyncio.run(scene())


def test_closing_ends_what_is_under_way() -> None:
    async def scene() -> None:
        aside = Aside()
        threading.Timer(0.5, aside.close).start()
        with pytest.raises(TimeoutError):
            await aside.do(time.sleep, 600, within_s=600)
        with pytest.raises(TimeoutError):
            await aside.do(os.getpid, within_s=60)

    asyncio.run(scene())

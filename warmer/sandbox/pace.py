"""Virtual time at a steady speed: keeps the world moving while real time passes, and lets others wait for it."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

from warmer.sandbox.predictions import Prediction
from warmer.sandbox.world import Moment, World


class Pace:
    """The world's clock: `origin` when started, then `speed` virtual seconds for each real one."""

    def __init__(self, world: World, *, speed: float, origin: datetime) -> None:
        if not speed > 0:
            raise ValueError(f"speed is {speed}: use a number above 0; 1 is real time")
        self._world, self._speed, self._origin = world, speed, origin
        self._began: float | None = None
        self._wake = asyncio.Event()
        self.stopped = False  # nothing is worth waiting for any more
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._task: asyncio.Task[None] | None = None
        world.subscribe(self._on_moment)
        world.on_schedule(self._wake.set)

    @property
    def speed(self) -> float:
        """Virtual seconds for each real one."""
        return self._speed

    def now(self) -> datetime:
        """The virtual instant; never earlier than the world's own."""
        if self._began is None:
            return max(self._origin, self._world.now)
        passed = timedelta(seconds=(time.monotonic() - self._began) * self._speed)
        return max(self._origin + passed, self._world.now)

    def start(self) -> None:
        """Let time run."""
        self._world.advance(self.now())
        self._began = time.monotonic()
        self._task = asyncio.create_task(self._run(), name="sandbox pace")

    async def stop(self) -> None:
        """Let time stand still, and nobody wait any longer."""
        self.stopped = True
        for prediction_id in list(self._waiting):
            self._let_go(prediction_id)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def sleep(self, span: timedelta) -> None:
        """Wait for a virtual span."""
        await asyncio.sleep(span.total_seconds() / self._speed)

    async def over(self, prediction: Prediction, until: datetime) -> None:
        """Wait for the prediction's end, but no longer than `until`."""
        while not (self.stopped or prediction.status.over) and self.now() < until:
            await self.changed(prediction, until)

    async def changed(self, prediction: Prediction, until: datetime | None) -> None:
        """Wait until the prediction starts or ends, but no longer than `until`; None waits as long as it takes."""
        if self.stopped or prediction.status.over:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(prediction.id, []).append(future)
        try:
            async with asyncio.timeout(self._real_seconds(until)):
                await future
        except TimeoutError:
            pass
        finally:
            waiting = self._waiting.get(prediction.id, [])
            if future in waiting:
                waiting.remove(future)

    def _real_seconds(self, until: datetime | None) -> float | None:
        return None if until is None else max(0.0, (until - self.now()).total_seconds() / self._speed)

    async def _run(self) -> None:
        while True:
            self._world.advance(self.now())
            self._wake.clear()
            try:
                async with asyncio.timeout(self._real_seconds(self._world.next_event())):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _on_moment(self, prediction: Prediction, moment: Moment) -> None:
        if moment is not Moment.CREATED:
            self._let_go(prediction.id)

    def _let_go(self, prediction_id: str) -> None:
        for future in self._waiting.pop(prediction_id, []):
            if not future.done():
                future.set_result(None)

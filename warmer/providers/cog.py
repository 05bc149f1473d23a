"""A Cog server of the owner's own as a host: beats over its HTTP API, their times by our clock."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from warmer.core.beat import BeatRequest, Contract, Prediction, Status
from warmer.core.price import Billing
from warmer.core.spec import CogServer, Target
from warmer.core.units import format_duration
from warmer.errors import Doubtful, ModelRefused, ProviderError, Unavailable, Unreachable
from warmer.ports import Clock
from warmer.providers.cog_server import CogWire, Look, Stage
from warmer.providers.lone import LoneHost
from warmer.providers.replies import prediction_of, word
from warmer.providers.wire import TIMEOUT_S, Reply

HOLD_S = 1.0
"""How long a create is held for the end of its run: most beats need no look at all then."""
SETUP_WAITED_S = 20.0
"""How long a server in its setup is waited for that cannot yet say what it takes."""
_LOOK_AGAIN_S = (0.1, 1.0)
"""Between two looks at a setup: a twentieth of how long it has been waited for, within these."""
_LET_GO_S = 3.0
"""How long the end of a run is waited for that was told to stop: Python code stops between two of its steps."""
_KEPT = 200
"""Predictions that are over and kept for whoever asks how they ended."""
_ID = re.compile(r"warmer-([0-9a-f]{1,11})-[0-9a-f]{8}")
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Out:
    """A prediction of ours, and the connection on which its end is told."""

    id: str
    created_at: datetime
    since: float  # monotonic, of `created_at`
    deadline: timedelta
    status: Status = Status.STARTING
    started: float | None = None  # monotonic
    ended: float | None = None
    predict_s: float | None = None
    error: str | None = None
    boot_s: float | None = None
    refused: ProviderError | None = None  # why it never ran
    told: asyncio.Event = field(default_factory=asyncio.Event)  # to stop
    why: str | None = None  # it was stopped; None where that was asked for

    @property
    def prediction(self) -> Prediction:
        """As it stands."""
        return Prediction(
            id=self.id,
            status=self.status,
            created_at=self.created_at,
            started_at=self._at(self.started),
            completed_at=self._at(self.ended),
            predict_s=self.predict_s,
            error=self.error,
            boot_s=self.boot_s,
        )

    def _at(self, moment: float | None) -> datetime | None:
        return None if moment is None else self.created_at + timedelta(seconds=max(0.0, moment - self.since))


class Cog(LoneHost):
    """The `Provider` port over one Cog server.

    A beat is one synchronous prediction: the server stops it by itself where nobody waits for it any more, so that a
    process that is killed leaves nothing running. Nobody else is told how it ended.
    """

    def __init__(self, server: CogServer, clock: Clock) -> None:
        super().__init__(server.label)
        self._server, self._clock = CogWire(server.url, clock), clock
        self._outs: dict[str, _Out] = {}
        self._tasks = set[asyncio.Task[None]]()
        self._asked_at: float | None = None  # monotonic: when it was looked at for the first time
        self._life: datetime | None = None  # of the server that was seen up last: when its setup began
        self._was_booting = False
        self._boot_s: float | None = None  # of a boot that no beat has told of

    def __repr__(self) -> str:
        return f"Cog({self._server.url!r})"

    async def verify(self) -> str:
        """What answers there, and its version. Raises where that is no Cog server."""
        await self._look()
        return f"Cog {await self._server.version()}".strip()

    async def describe(self, target: Target) -> Contract:
        """What the server takes. It cannot say before its setup is over, which is waited for some seconds."""
        began = self._clock.monotonic()
        while True:
            look = await self._look()
            if look.stage is not Stage.STARTING and not look.stage.is_up:
                raise self._server.trouble_of(look)
            takes = await self._server.takes()
            waited_s = self._clock.monotonic() - began
            if takes is not None or look.stage.is_up or waited_s >= SETUP_WAITED_S:
                break
            await self._clock.sleep(_pause_s(waited_s))
        return Contract(
            target=target,
            version=None,
            billing=Billing.OWN,
            kind=takes.kind if takes else "model",
            input_schema=takes.input_schema if takes else None,
            schema_to_come=takes is None and not look.stage.is_up,
        )

    async def create(self, request: BeatRequest) -> Prediction:
        """Send one prediction as soon as the server is ready. Returns within a second, be it over or not.

        Raises what keeps it from running, where that is known by then.
        """
        now = self._clock.now()
        name = f"warmer-{(now - _EPOCH) // _MS:x}-{secrets.token_hex(4)}"
        out = self._outs[name] = _Out(id=name, created_at=now, since=self._clock.monotonic(), deadline=request.deadline)
        task = asyncio.create_task(self._carry(out, request.input))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=HOLD_S)
        if task.done() and not task.cancelled():
            task.result()
        if out.refused is not None:
            del self._outs[name]
            raise out.refused
        return out.prediction

    async def read(self, prediction_id: str) -> Prediction:
        """The prediction as it stands. One of another process is over, unless the server is at something.

        Raises Unavailable for an id that is not of our making.
        """
        out = self._outs.get(prediction_id)
        if out is not None:
            return out.prediction
        made = _ID.fullmatch(prediction_id)
        if made is None:
            raise Unavailable(f"prediction {prediction_id} is not one that warmer sent to {self._server.url}")
        created_at = _EPOCH + int(made[1], 16) * _MS
        try:
            stage = (await self._look()).stage
        except Unreachable:
            stage = Stage.DEFUNCT  # who is not there runs nothing
        if stage in (Stage.STARTING, Stage.BUSY):
            status = Status.STARTING if stage is Stage.STARTING else Status.PROCESSING
            return Prediction(id=prediction_id, status=status, created_at=created_at)
        error = "the process that sent it has left, and nobody else was told how it ended"
        return Prediction(id=prediction_id, status=Status.UNKNOWN, created_at=created_at, error=error)

    async def cancel(self, prediction_id: str) -> None:
        """Ask for the prediction to be stopped; harmless on a finished one."""
        if (out := self._outs.get(prediction_id)) is not None:
            out.told.set()
            return
        try:
            await self._server.cancel(prediction_id)
        except Doubtful as exc:
            raise Unavailable(str(exc)) from None

    async def close(self) -> None:
        """Give the connections back. What is still out is given up: the server stops it by itself."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.close()

    # -- one beat ----------------------------------------------------------------------------------------------------

    async def _carry(self, out: _Out, given: Mapping[str, Any]) -> None:
        """See a prediction to its end, which is its deadline or a word to stop at the latest."""
        work = asyncio.create_task(self._run(out, given))
        deadline = asyncio.create_task(self._clock.sleep(out.deadline.total_seconds()))
        told = asyncio.create_task(out.told.wait())
        try:
            await asyncio.wait((work, deadline, told), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._stop(out, work, why=None if told.done() else _overdue(out))
        finally:
            for task in (work, deadline, told):
                task.cancel()
            ended, *_ = await asyncio.gather(work, deadline, told, return_exceptions=True)
            if out.status.is_open:
                self._end(out, Status.UNKNOWN, None, "warmer left while it was out")
            self._forget_oldest()
            if isinstance(ended, Exception):  # no error of the server's: those are how it ended
                raise ended

    async def _stop(self, out: _Out, work: asyncio.Task[None], why: str | None) -> None:
        out.why = why
        if out.started is None:
            self._end(out, Status.CANCELED if why is None else Status.ABORTED, self._clock.monotonic(), why)
            return
        try:
            async with asyncio.timeout(_LET_GO_S):
                await self._server.cancel(out.id)
                await asyncio.wait((work,))
        except (ProviderError, TimeoutError):
            pass  # the end of its connection tells it the same
        if out.status.is_open:
            self._end(out, Status.CANCELED, self._clock.monotonic())

    async def _run(self, out: _Out, given: Mapping[str, Any]) -> None:
        """Wait until the server is ready, have it run once, and take note of how that ended."""
        try:
            while not await self._is_run(out, given):
                await self._clock.sleep(_pause_s(self._waited_s(out)))
        except Doubtful as exc:
            self._end(out, Status.UNKNOWN, None, f"{exc}: how it ended is not known")
        except ProviderError as exc:
            out.refused = exc
            out.started = None
            error = f"{exc}: {exc.hint}" if isinstance(exc, ModelRefused) else str(exc)
            self._end(out, Status.FAILED, self._clock.monotonic(), error)

    async def _is_run(self, out: _Out, given: Mapping[str, Any]) -> bool:
        """Whether it was run as soon as the server was up, and is over. Not where that was started anew meanwhile."""
        look = await self._until_up(out)
        if look.stage is Stage.BUSY:
            self._found_busy(out)
            return True
        out.started, out.status = self._clock.monotonic(), Status.PROCESSING
        reply, answered = await self._server.predict(out.id, given, self._left_s(out) + TIMEOUT_S)
        if reply.status == 503 and "setup" in (word(reply.body, "error") or "").lower():
            out.started, out.status = None, Status.STARTING
            return False
        self._take(out, reply, answered)
        return True

    async def _until_up(self, out: _Out) -> Look:
        """How it stands once its setup is over. Raises ModelFailed where it does not come up by itself."""
        while True:
            look = await self._look(self._left_s(out) + TIMEOUT_S)
            if look.stage.is_up:
                return look
            if look.stage is not Stage.STARTING:
                raise self._server.trouble_of(look)
            await self._clock.sleep(_pause_s(self._waited_s(out)))

    def _take(self, out: _Out, reply: Reply, answered: float) -> None:
        """What a reply says of how it ended, which began to come at `answered`."""
        if reply.status == 409:
            self._found_busy(out)
        elif reply.status >= 500:
            self._end(out, Status.FAILED, answered, str(self._server.problem_of(reply)))
        elif not 200 <= reply.status < 300:
            raise self._server.problem_of(reply)
        else:
            seen = prediction_of(reply.body, self._clock.now())
            if seen is None or seen.status.is_open or seen.status is Status.UNKNOWN:
                raise Doubtful(f"{self._server.url} answered {reply.status} without an end")
            out.predict_s = seen.predict_s
            if out.started is not None and seen.predict_s is not None:
                # A run begins as soon as it arrives. What lies before was a wait on the way there.
                out.started = max(out.started, answered - seen.predict_s)
            self._end(out, seen.status, answered, seen.error)

    def _found_busy(self, out: _Out) -> None:
        """Somebody uses it: what a beat is for is done, and the slot is theirs."""
        now = self._clock.monotonic()
        out.started, out.predict_s = now, 0.0
        self._end(out, Status.SUCCEEDED, now)

    def _end(self, out: _Out, status: Status, ended: float | None, error: str | None = None) -> None:
        out.status, out.ended = status, ended
        out.error = out.why if status is Status.CANCELED else error
        if out.started is not None:
            out.boot_s, self._boot_s = self._boot_s, None

    def _left_s(self, out: _Out) -> float:
        return max(0.0, out.deadline.total_seconds() - self._waited_s(out))

    def _waited_s(self, out: _Out) -> float:
        return self._clock.monotonic() - out.since

    def _forget_oldest(self) -> None:
        over = [name for name, out in self._outs.items() if not out.status.is_open]
        for name in over[: max(0, len(over) - _KEPT)]:
            del self._outs[name]

    # -- boots ---------------------------------------------------------------------------------------------------------

    async def _look(self, patience_s: float = TIMEOUT_S) -> Look:
        """How the server stands. A boot of it that is news is kept for the next beat to tell of."""
        self._asked_at = self._clock.monotonic() if self._asked_at is None else self._asked_at
        look = await self._server.look(patience_s)
        if look.stage is Stage.STARTING:
            self._was_booting = self._was_booting or look.since is not None
        elif look.boot_s is not None:
            if look.since != self._life and self._is_news(look):
                self._boot_s = look.boot_s
            self._life, self._was_booting = look.since, False
        return look

    def _is_news(self, look: Look) -> bool:
        """Whether it was met in its setup, or started since the last look, or held the first one until it was up."""
        if self._was_booting or self._life is not None:
            return True
        if look.at is None or look.ready_at is None or self._asked_at is None:
            return False
        asked = look.at + timedelta(seconds=1) - timedelta(seconds=self._clock.monotonic() - self._asked_at)
        return look.ready_at > asked


def _pause_s(waited_s: float) -> float:
    least, most = _LOOK_AGAIN_S
    return min(most, max(least, waited_s / 20))


def _overdue(out: _Out) -> str:
    where = "its run" if out.started is not None else "the setup of its server"
    return f"{where} was not over within its deadline of {format_duration(out.deadline)}: write a longer `deadline`"

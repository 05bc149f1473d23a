"""For tests, ours and yours: days in milliseconds, on a clock that jumps to wherever somebody wants to wait.

`run` drives a coroutine on a `VirtualLoop`; `VirtualClock`, `VirtualSchedule` and `WorldProvider` are the ports of a
warmer that lives on it, against the sandbox's world and without sockets.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

from warmer.core.beat import BeatRequest, Contract, Prediction, Status
from warmer.core.floor import Instances
from warmer.core.health import Member
from warmer.core.listing import Page
from warmer.core.price import Billing
from warmer.core.schema_input import component, kind_of
from warmer.core.spec import Target, TargetKind
from warmer.errors import ModelRefused, ProviderError, Unavailable
from warmer.ports import RECENT_AT_MOST, Clock
from warmer.sandbox import predictions as sandbox
from warmer.sandbox.inputs import InvalidInputError
from warmer.sandbox.traits import Deployment
from warmer.sandbox.world import NotThereError, World

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_SKEW_NOTED = timedelta(seconds=2)
_PAGE = 100  # predictions, as the API has it


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's time on."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everything waits, and nothing is to come: the test would hang")
        if not events and timeout:
            self.loop.jump(timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while there is work, and jumps to the next timer when there is none."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        super().__init__(selector)
        selector.loop = self
        self._virtual_s = 0.0

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_s

    def jump(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._virtual_s += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` at once: a thread would race with a time that jumps."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is for whoever awaits the future
            future.set_exception(exc)
        return future


def run(main: Coroutine[Any, Any, T]) -> T:
    """The result of `main`, run in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class VirtualClock:
    """The `Clock` port on the running loop's time. `step` changes the wall clock alone, as an administrator would."""

    def __init__(self, origin: datetime) -> None:
        self._origin = origin
        self._start = asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """`origin` plus what has passed, and the steps taken."""
        return self._origin + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Virtual seconds since the clock was made."""
        return asyncio.get_running_loop().time() - self._start

    async def sleep(self, seconds: float) -> None:
        """Return at once, that much later."""
        await asyncio.sleep(max(0.0, seconds))

    def step(self, by: timedelta) -> None:
        """Set the wall clock forward, or back."""
        self._origin += by


class VirtualSchedule:
    """The `Schedule` port on the running loop's timers."""

    is_shared = False
    members: tuple[Member, ...] = ()

    def __init__(self, on_due: Callable[[str], object]) -> None:
        self._on_due = on_due
        self._armed: dict[str, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Nothing to do: the loop's timers run already."""

    def arm(self, name: str, delay_s: float) -> None:
        """Call for `name` once, `delay_s` from now; replaces what was armed for it."""
        self.disarm(name)
        self._armed[name] = asyncio.get_running_loop().call_later(max(0.0, delay_s), self._on_due, name)

    def disarm(self, name: str) -> None:
        """Forget `name`."""
        if (handle := self._armed.pop(name, None)) is not None:
            handle.cancel()

    def stop(self) -> None:
        """No more calls."""
        for name in list(self._armed):
            self.disarm(name)

    async def alone(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`: there is no other process."""
        await work()

    def heed(self, hear: Callable[[str], None]) -> None:
        """Nobody else speaks."""

    async def say(self, word: str) -> None:
        """Nobody else hears."""

    async def close(self) -> None:
        """Nothing is behind it."""


class WorldProvider:
    """The ports `Provider` and `Scaler` straight on a sandbox world.

    `failing` is raised instead of the next creates, in turn.
    """

    def __init__(
        self, world: World, now: Callable[[], datetime], *, caller: str = "warmer", clock: Clock | None = None
    ) -> None:
        """`now` is the world's own clock: stamps are of it, whatever the warmer's `clock` says.

        Given that clock, `skew` is what it was at the last call, as a provider's replies would tell it.
        """
        self._world, self._caller, self._clock = world, caller, clock
        self._world_now = now
        self.failing = list[ProviderError]()
        self.skew = timedelta(0)
        self.token_mark = ""
        self.reads = self.lists = 0

    def _now(self) -> datetime:
        now = self._world_now()
        if self._clock is not None:
            skew = now - self._clock.now()
            self.skew = skew if abs(skew) > _SKEW_NOTED else timedelta(0)
        return now

    async def describe(self, target: Target) -> Contract:
        """From the world's catalogue."""
        self._now()
        try:
            deployment = self._world.deployment(target.slug) if target.kind is TargetKind.DEPLOYMENT else None
            traits = self._world.model(deployment.model if deployment else target.slug)
        except NotThereError as exc:
            raise ModelRefused(str(exc), "write a model of the world", "target") from exc
        release = traits.version(target.version) if target.version else traits.latest
        if release is None:
            raise ModelRefused(f"{target}: no such version", "leave the version out", "target")
        schemas: Mapping[str, Any] = release.openapi_schema["components"]["schemas"]
        takes = component(schemas, "Input")
        return Contract(
            target=target,
            version=None if traits.is_official or deployment else release.id,
            billing=Billing.DEPLOYMENT if deployment else Billing(traits.billing.value),
            kind=kind_of(takes, component(schemas, "Output")),
            input_schema=takes,
            example_input=traits.default_example,
            hardware=deployment.hardware if deployment else None,
        )

    async def versions(self, target: Target) -> tuple[str, ...]:
        """The world's versions of the model."""
        return tuple(version.id for version in self._world.model(target.slug).versions)

    async def admit(self, apart_s: float = 0.0) -> None:
        """Always at once."""

    async def create(self, request: BeatRequest) -> Prediction:
        """Create in the world, or fail as told."""
        if self.failing:
            raise self.failing.pop(0)
        try:
            made = self._world.create(
                self._now(),
                request.target.slug,
                request.input,
                caller=self._caller,
                version=request.version,
                cancel_after=request.deadline,
            )
        except InvalidInputError as exc:
            raise ModelRefused(f"input: {exc}", "change `input`", "input") from exc
        except NotThereError as exc:
            raise ModelRefused(str(exc), "write a model of the world", "target") from exc
        return prediction_of(made)

    async def read(self, prediction_id: str) -> Prediction:
        """The prediction, once the world has caught up with its clock."""
        self.reads += 1
        self._world.advance(self._now())
        try:
            return prediction_of(self._world.prediction(prediction_id))
        except NotThereError as exc:
            raise Unavailable(str(exc)) from exc

    async def first_output(self, stream: str) -> None:
        """Wait until the world has made it."""
        one = self._world.prediction(stream)
        while not one.status.over:
            now = self._now()
            self._world.advance(now)
            if one.first_token_at is not None and one.first_token_at <= now:
                return
            if (coming := one.next_output(now) or self._world.next_event()) is None:
                break
            await asyncio.sleep((coming - now).total_seconds())
        if one.first_token_at is None:
            raise Unavailable("the stream ended without an output")

    async def cancel(self, prediction_id: str) -> None:
        """Cancel in the world."""
        self._world.cancel(self._now(), prediction_id)

    async def pages(self, since: datetime | None = None, *, cursor: str | None = None) -> AsyncIterator[Page]:
        """The world's own list; a cursor says how many predictions are older."""
        while True:
            self._world.advance(self._now())
            listed = self._world.predictions()[: None if cursor is None else int(cursor)]
            older = max(0, len(listed) - _PAGE)
            found = [prediction_of(one) for one in reversed(listed[older:]) if since is None or one.created_at >= since]
            cursor = str(older) if older and len(found) == _PAGE else None
            yield Page(predictions=tuple(found), cursor=cursor)
            if cursor is None:
                return

    async def recent(self, since: datetime, *, limit: int = RECENT_AT_MOST) -> tuple[Prediction, ...]:
        """The newest of the world's own list."""
        self.lists += 1
        found = list[Prediction]()
        async for page in WorldProvider.pages(self, since):
            found += page.predictions
            if len(found) >= limit:
                break
        return tuple(found[:limit])

    async def verify(self) -> str:
        """The account's name."""
        self._now()
        return self._world.account.username

    @property
    def scaler(self) -> WorldProvider:
        """Itself."""
        return self

    @property
    def webhooks(self) -> None:
        """None: there are no sockets."""
        return

    async def instances(self, target: Target) -> Instances:
        """Of the deployment's current release."""
        self._now()
        try:
            return _instances_of(self._world.deployment(target.slug))
        except NotThereError as exc:
            raise ModelRefused(str(exc), "write a deployment of the world") from exc

    async def set_minimum(self, target: Target, instances: int) -> Instances:
        """Change it in the world."""
        try:
            return _instances_of(self._world.release(self._now(), target.slug, min_instances=instances))
        except (NotThereError, ValueError) as exc:
            raise ModelRefused(str(exc), "write a deployment of the world, and 0 to max_instances") from exc

    async def close(self) -> None:
        """Nothing is held."""


def _instances_of(one: Deployment) -> Instances:
    return Instances(least=one.min_instances, most=one.max_instances, release=one.number, hardware=one.hardware)


def prediction_of(one: sandbox.Prediction) -> Prediction:
    """A world's prediction as the provider would report it."""
    return Prediction(
        id=one.id,
        status=Status(one.status.value),
        created_at=one.created_at,
        started_at=one.started_at,
        completed_at=one.completed_at,
        predict_s=one.run.total_seconds() if one.run is not None and one.completed_at is not None else None,
        error=one.error,
        model=one.traits.slug,
        version=None if one.version == "hidden" else one.version,
        deployment=one.deployment,
        deadline=one.deadline,
        input=one.input,
        stream=one.id if one.traits.streams else None,
    )

"""A warmer in virtual time: the real ledger and the real engine, on a world whose provider can be told to fail."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from warmer.core.beat import BeatRequest, Contract, Observation, Prediction, Reason
from warmer.core.floor import Instances
from warmer.core.hours import ActiveHours
from warmer.core.listing import Page
from warmer.core.price import price_of
from warmer.core.spec import Host as SpecHost
from warmer.core.spec import ModelSpec, PolicyName, Spec, Target, TargetKind
from warmer.engine.account import Account
from warmer.engine.accounts import Accounts
from warmer.engine.daemon import Daemon
from warmer.engine.desk import Desk
from warmer.engine.fleet import Fleet
from warmer.engine.heartbeat import Tick
from warmer.engine.recovery import Recovery
from warmer.errors import Doubtful, ProviderError, Unreachable
from warmer.ledger import SqlLedger, open_ledger
from warmer.ports import RECENT_AT_MOST, Provider
from warmer.sandbox.catalogue import MODELS, schema
from warmer.sandbox.journal import Call
from warmer.sandbox.traits import Kind, Traits, Version, version_id
from warmer.sandbox.world import World
from warmer.testing import VirtualClock, VirtualSchedule, WorldProvider

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)  # a Tuesday
ALWAYS = ActiveHours.always_open()
LLAMA, SDXL, WHISPER, BLIP = (model.slug for model in MODELS[:4])
HARDWARE = {model.slug: model.hardware for model in MODELS}


def model(slug: str, *, every: float | None = None, hours: ActiveHours = ALWAYS, **more: Any) -> ModelSpec:
    owner, name = slug.split("/")
    return ModelSpec(
        name=more.pop("name", slug),
        target=Target(kind=more.pop("kind", TargetKind.MODEL), owner=owner, name=name),
        hours=hours,
        every=None if every is None else timedelta(seconds=every),
        price=price_of(HARDWARE.get(slug, "gpu-t4")),
        where=more.pop("where", f"warmer.yaml:{len(slug)}"),
        lead=more.pop("lead", timedelta(0)),  # a window begins when it opens, unless that is what is looked at
        **more,
    )


def fixed(slug: str, every: float, **more: Any) -> ModelSpec:
    return model(slug, every=every, policy=PolicyName.FIXED, **more)


def traits(slug: str, **more: Any) -> Traits:
    """A plain public model of our own making."""
    owner, name = slug.split("/")
    only = Version(id=version_id(slug, 1), created_at=START, openapi_schema=schema("blip"))
    facts: dict[str, Any] = {"kind": Kind.CAPTION, "hardware": "gpu-t4", "versions": (only,), "run_s": 0.5} | more
    return Traits(owner=owner, name=name, **facts)


def file_of(*models: ModelSpec, **more: Any) -> Spec:
    return Spec(zone=ZoneInfo("UTC"), models=models, path=more.pop("path", "warmer.yaml"), **more)


def ledger_at(path: Path) -> SqlLedger:
    """The ledger in that file, which need not outlive a power cut: waiting for the disk is most of a test's time."""
    ledger = open_ledger(f"sqlite:///{path}")
    connection = ledger._engine.raw_connection()
    connection.cursor().execute("PRAGMA synchronous = OFF")
    connection.close()
    return ledger


class Host(WorldProvider):
    """The world behind a network: it takes a while, and fails as told."""

    def __init__(self, world: World, true: VirtualClock, ours: VirtualClock) -> None:
        super().__init__(world, true.now, clock=ours)
        self.world, self.true = world, true
        self.latency_s = 0.05
        self.accepting_s = 0.0  # more, before a create is carried out or refused
        self.refusing: dict[str, ProviderError] = {}  # by call, or by call and slug: for as long as it stands there
        self.changes: list[tuple[datetime, int]] = []  # every floor that was set here, by warmer
        self.losing_changes = 0  # of the next changes of a floor: carried out, and the reply is lost
        self.losing_replies = 0  # of the next creates: carried out, and the reply is lost
        self.sent: list[tuple[datetime, str]] = []  # every create that was tried
        self.since: list[datetime] = []  # what each listing asked for
        self.listed: list[int] = []  # how many predictions it gave
        self.paged: list[int] = []  # how many predictions each page gave
        self.cancelled: list[str] = []
        self.closed = False

    async def _travel(self, call: str, slug: str = "") -> None:
        await asyncio.sleep(self.latency_s)
        for name in (call, f"{call} {slug}"):
            if name in self.refusing:
                self._now()
                error = self.refusing[name]
                if isinstance(error, Unreachable):
                    await asyncio.sleep(error.waited_s)
                raise error

    async def describe(self, target: Target) -> Contract:
        await self._travel("describe", target.slug)
        return await super().describe(target)

    async def create(self, request: BeatRequest) -> Prediction:
        self.sent.append((self.true.now(), request.target.slug))
        await asyncio.sleep(self.accepting_s)
        await self._travel("create", request.target.slug)
        made = await super().create(request)
        await asyncio.sleep(self.latency_s)
        if self.losing_replies:
            self.losing_replies -= 1
            raise Doubtful("the reply was lost")
        return made

    async def read(self, prediction_id: str) -> Prediction:
        await self._travel("read")
        return await super().read(prediction_id)

    async def pages(self, since: datetime | None = None, *, cursor: str | None = None) -> AsyncIterator[Page]:
        await self._travel("pages", cursor or "")
        async for page in super().pages(since, cursor=cursor):
            self.paged.append(len(page.predictions))
            yield page
            await self._travel("pages", page.cursor or "")

    async def recent(self, since: datetime, *, limit: int = RECENT_AT_MOST) -> tuple[Prediction, ...]:
        await self._travel("recent")
        found = await super().recent(since, limit=limit)
        self.since.append(since)
        self.listed.append(len(found))
        return found

    async def cancel(self, prediction_id: str) -> None:
        await self._travel("cancel")
        self.cancelled.append(prediction_id)
        await super().cancel(prediction_id)

    async def instances(self, target: Target) -> Instances:
        await self._travel("instances", target.slug)
        return await super().instances(target)

    async def set_minimum(self, target: Target, instances: int) -> Instances:
        await self._travel("set_minimum", target.slug)
        changed = await super().set_minimum(target, instances)
        self.changes.append((self.true.now(), instances))
        await asyncio.sleep(self.latency_s)
        if self.losing_changes:
            self.losing_changes -= 1
            raise Doubtful("the reply was lost")
        return changed

    async def verify(self) -> str:
        await self._travel("verify")
        return await super().verify()

    async def close(self) -> None:
        self.closed = True


def accounts_of(spec: Spec, account: Account) -> Accounts:
    """All of `spec` by the one account."""
    return Accounts(spec=spec, each=dict.fromkeys(spec.hosts, account), budgets=account.heartbeat.budgets)


class Stage:
    """Everything there is in one process, put together by hand. Make it inside the virtual loop."""

    def __init__(
        self, path: Path, *models: ModelSpec, world: World | None = None, start: datetime = START, **fleet: Any
    ) -> None:
        self.true, self.clock = VirtualClock(start), VirtualClock(start)
        self.world = world or World(begin=start, seed=1)
        self.path = path
        self.spec = file_of(*models)
        self.host = Host(self.world, self.true, self.clock)
        self.ledger: SqlLedger = ledger_at(path)
        self.desk = Desk(self.ledger)
        self.account = self.account_over(self.host)
        self.ticks: list[tuple[datetime, Tick]] = []
        self.fleet = Fleet(self.spec, accounts_of(self.spec, self.account), self.clock, on_tick=self._note, **fleet)
        self.timers = VirtualSchedule(self.fleet.due)
        self.recovery = Recovery(self.desk, self.clock, lambda: self.account.outgoing.out, self.fleet.poke)
        self.sweeping: asyncio.Future[None] | None = None

    def account_over(self, provider: Provider) -> Account:
        return Account.over(
            provider,
            self.desk,
            self.clock,
            lambda: self.fleet.spec.models,
            called=lambda name: self.fleet.called(name),
        )

    @property
    def accounts(self) -> Accounts:
        return accounts_of(self.fleet.spec, self.account)

    def _note(self, tick: Tick) -> None:
        self.ticks.append((self.true.now(), tick))

    def another_process(self) -> Stage:
        """Another process on the same ledger and the same world."""
        other = Stage(self.path, *self.spec.models, world=self.world, start=self.true.now())
        other.true, other.host.true = self.true, self.true
        return other

    def start(self) -> None:
        self.fleet.start(self.timers)

    def take_over(self) -> None:
        """Start, and follow what a process before has left open, as the daemon does."""
        self.sweeping = asyncio.ensure_future(self.recovery.keep_on(lambda: self.accounts, at_start=True))
        self.start()

    async def until(self, seconds: float) -> None:
        """Let the world's time go on to so many seconds after the beginning."""
        await asyncio.sleep(max(0.0, seconds - self.true.monotonic()))

    async def play(self, seconds: float) -> None:
        """Run the fleet for so long, and let what is out come in."""
        self.start()
        await asyncio.sleep(seconds)
        await self.leave()

    async def leave(self) -> None:
        if self.sweeping is not None:
            self.sweeping.cancel()
        await self.recovery.settled()
        self.fleet.stop()
        self.timers.stop()
        await self.fleet.drained(timedelta(hours=1))

    async def die(self) -> None:
        """As kill -9 would: nothing more is done, not even the recording."""
        if self.sweeping is not None:
            self.sweeping.cancel()
        self.fleet.stop()
        self.timers.stop()
        await self.fleet.abandon()
        await self.recovery.abandon()

    def call(self, slug: str, **more: Any) -> None:
        """A customer calls now."""
        example = dict(self.world.model(slug).default_example or INPUT)
        self.world.create(self.true.now(), slug, example | more, caller="customer")

    async def customers(self, slug: str, at: Iterable[float], **more: Any) -> None:
        """A customer calls at each of these seconds after the beginning."""
        for moment in at:
            await self.until(moment)
            self.call(slug, **more)

    def created(self, slug: str | None = None, caller: str = "warmer") -> list[Call]:
        """The world's own record: what did reach it."""
        self.world.advance(self.true.now())
        return self.world.journal.calls(caller=caller, target=slug)

    def seconds(self, slug: str | None = None) -> list[float]:
        """When beats were created, in seconds after the beginning."""
        begin = self.true.now() - timedelta(seconds=self.true.monotonic())
        return [round((call.created_at - begin).total_seconds(), 1) for call in self.created(slug)]

    def beats(self, slug: str | None = None) -> list[Observation]:
        return list(self.ledger.beats(model=slug))

    def counted(self) -> dict[Reason, int]:
        """Ticks of all models in the ledger, by reason."""
        found: dict[Reason, int] = {}
        for (_, reason), count in self.ledger.ticks(START - timedelta(days=1000)).items():
            found[reason] = found.get(reason, 0) + count
        return found


async def when(happened: Callable[[], object], *, within_s: float = 0.02) -> None:
    """Return within that much virtual time after it happened."""
    for _ in range(100_000):
        if happened():
            return
        await asyncio.sleep(within_s)
    raise AssertionError("it never happened")


INPUT = {"image": "data:image/png;base64,AA=="}


def gaps(moments: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


class Loader:
    """What the daemon reads: the spec that stands there now, or the error that reading it gives."""

    def __init__(self, spec: Spec) -> None:
        self.now: Spec | Exception = spec

    def __call__(self) -> Spec:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


class Play:
    """A whole daemon in virtual time."""

    def __init__(
        self,
        path: Path,
        spec: Spec,
        *,
        world: World | None = None,
        start: datetime = START,
        latency_s: float = 0.05,
        watch: bool = True,
        load: Loader | None = None,
        **daemon: Any,
    ) -> None:
        self.latency_s, self._watch = latency_s, watch
        self.true, self.clock = VirtualClock(start), VirtualClock(start)
        self.world = world or World(begin=start, seed=1)
        self.load = load or Loader(spec)
        self.hosts: list[Host] = []
        self.path = path
        self.daemon = Daemon(
            spec,
            load=self.load,
            connect=self._connect,
            ledger=ledger_at(path),
            clock=self.clock,
            schedule=VirtualSchedule,
            **daemon,
        )

    def _connect(self, _: SpecHost) -> Provider:
        self.hosts.append(Host(self.world, self.true, self.clock))
        self.hosts[-1].latency_s = self.latency_s
        return self.hosts[-1]

    async def __aenter__(self) -> Play:
        self.running = asyncio.ensure_future(self.daemon.run(signals=False, watch=self._watch))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.daemon.stop()
        await self.running

    def edit(self, spec: Spec) -> None:
        """Put another file there and ask for it to be read."""
        self.load.now = replace(spec, digest=f"{spec.digest}+")
        self.daemon.reload()

    def beats(self) -> list[Observation]:
        ledger = ledger_at(self.path)
        try:
            return list(ledger.beats())
        finally:
            ledger.close()

    def seconds(self, slug: str) -> list[float]:
        self.world.advance(self.true.now())
        calls = self.world.journal.calls(caller="warmer", target=slug)
        return [round((call.created_at - START).total_seconds(), 3) for call in calls]

"""A daemon with some days behind it, answering over HTTP: the days in virtual time, what follows at some speed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from structlog.testing import capture_logs

from warmer import config
from warmer.clock import FastClock
from warmer.core.beat import Request, Status, Verdict
from warmer.core.budget import Cap, Period
from warmer.core.hours import ActiveHours
from warmer.core.spec import Listen, PolicyName, Spec
from warmer.engine.daemon import Daemon
from warmer.engine.schedule_local import LocalSchedule
from warmer.ledger import SqlLedger, open_ledger
from warmer.log import Event
from warmer.sandbox.customers import DEMO, arrivals
from warmer.sandbox.world import World
from warmer.testing import VirtualClock, VirtualSchedule, WorldProvider, run
from warmer.web.metrics import Metrics
from warmer.web.serve import HttpListener

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 14, 3, tzinfo=BERLIN).astimezone(UTC)  # a Tuesday
TOKEN = "lab-token"
SPEED = 20.0
_SAMPLE = Path(__file__).parents[2] / "config" / "warmer.yaml"
_BUSY = {0: 1.0, 4: 1.0, 1: 1.0, 2: 1.0, 3: 1.0, 5: 0.12, 6: 0.08}  # weekdays, of the visits there could be


def file_at(ledger: Path) -> Spec:
    """The sample file, with budgets, and one policy of each kind that may be shown."""
    spec = config.load(_SAMPLE)
    daily = Cap(model=None, period=Period.DAILY, usd=Decimal(2))
    monthly = Cap(model=None, period=Period.MONTHLY, usd=Decimal(40))
    llama, sdxl, whisper, blip = spec.models
    late = ActiveHours(lines=("Mo-Fr 07:00-22:00",), zone=BERLIN)
    models = (
        llama,
        replace(sdxl, policy=PolicyName.ADAPTIVE),
        replace(whisper, hours=late, caps=(Cap(model=whisper.name, period=Period.DAILY, usd=Decimal("0.5")),)),
        replace(blip, policy=PolicyName.ADAPTIVE),
    )
    models = tuple(replace(one, caps=(*one.caps, daily, monthly)) for one in models)
    return replace(spec, models=models, ledger=f"sqlite:///{ledger}", listen=Listen(port=0))


def visits(begin: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """When customers come, and of which group: mostly in working hours."""
    chance, found = Random(4), []
    for number, group in enumerate(DEMO):
        for at in arrivals(replace(group, per_hour=group.per_hour / 2), begin, end, seed=3):
            local = at.astimezone(BERLIN)
            likely = _BUSY[local.weekday()] * (0.9 if 8 <= local.hour < 19 else 0.04)
            if chance.random() < likely:
                found.append((at, number))
    return sorted(found)


def call(world: World, number: int, now: datetime) -> None:
    """One visit."""
    world.create(now, DEMO[number].target, DEMO[number].input, caller="customer")


def past(spec: Spec, days: float) -> World:
    """The world after so many days until NOW, which are on record then."""
    begin = NOW - timedelta(days=days)
    world = World(begin=begin, seed=1)

    async def scene() -> None:
        clock = VirtualClock(begin)
        daemon = Daemon(
            spec,
            load=lambda: spec,
            connect=lambda new: WorldProvider(world, clock.now, clock=clock),
            ledger=_hasty(spec),
            clock=clock,
            schedule=VirtualSchedule,
        )
        serving = asyncio.ensure_future(daemon.run(watch=False, signals=False))
        for at, number in visits(begin, NOW):
            await clock.sleep((at - clock.now()).total_seconds())
            call(world, number, clock.now())
        await clock.sleep((NOW - clock.now()).total_seconds())
        daemon.stop()
        await serving

    with capture_logs():
        run(scene())
    return world


def recorded(spec: Spec, days: int, until: datetime) -> None:
    """Calls of weeks before `until`, as if they had been imported: what advice and comparisons go by."""
    chosen = {group.target: group for group in DEMO}
    ledger = _hasty(spec)
    for model in spec.models:
        begin, found = until - timedelta(days=days), list[Request]()
        last: datetime | None = None
        for number, at in enumerate(arrivals(chosen[model.name], begin, until, seed=7) if model.name in chosen else ()):
            local = at.astimezone(BERLIN)
            if not (local.weekday() < 5 and 8 <= local.hour < 19):
                continue
            gap_s = None if last is None else max(0.0, (at - last).total_seconds())
            is_cold = gap_s is not None and gap_s > 60.0
            started = at + timedelta(seconds=12.0 if is_cold else 0.1)
            last = started + timedelta(seconds=1.5)
            found.append(
                Request(
                    model=model.name,
                    prediction_id=f"past{number}{model.name.replace('/', '')}"[:40],
                    created_at=at,
                    started_at=started,
                    completed_at=last,
                    gap_s=gap_s,
                    wait_s=12.0 if is_cold else 0.1,
                    run_s=1.5,
                    verdict=Verdict.COLD if is_cold else Verdict.WARM,
                    status=Status.SUCCEEDED,
                )
            )
        ledger.add_requests(found)
    ledger.close()


def _hasty(spec: Spec) -> SqlLedger:
    """The ledger, which need not outlive a power cut."""
    ledger = open_ledger(spec.ledger or "")
    connection = ledger._engine.raw_connection()
    connection.cursor().execute("PRAGMA synchronous = OFF")
    connection.close()
    return ledger


@asynccontextmanager
async def served(spec: Spec, world: World) -> AsyncIterator[str]:
    """The daemon goes on from there; gives its address."""
    clock = FastClock(NOW + timedelta(seconds=5), SPEED)
    daemon = Daemon(
        spec,
        load=lambda: spec,
        connect=lambda new: WorldProvider(world, clock.now, clock=clock),
        ledger=open_ledger(spec.ledger or ""),
        clock=clock,
        schedule=lambda on_due: LocalSchedule(on_due, speed=SPEED),
        listener=HttpListener(Metrics()),
        admin_token=lambda new: TOKEN,
    )

    async def visit() -> None:
        for at, number in visits(NOW, NOW + timedelta(hours=5)):
            await clock.sleep((at - clock.now()).total_seconds())
            call(world, number, clock.now())

    serving = asyncio.create_task(daemon.run(watch=False, signals=False))
    coming = asyncio.create_task(visit())
    try:
        yield await _address()
    finally:
        coming.cancel()
        daemon.stop()
        await serving


async def _address() -> str:
    from warmer.log import followed

    found = asyncio.get_running_loop().create_future()

    def said(line: object) -> None:
        if isinstance(line, dict) and line.get("event") == Event.WEB_OPENED and not found.done():
            found.set_result(line["url"])

    with followed(said):
        async with asyncio.timeout(60):
            return str(await found)

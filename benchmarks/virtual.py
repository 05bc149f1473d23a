"""The same load in virtual time: a whole daemon on the sandbox's world, without sockets, as fast as this machine can.

Time here passes for waiting alone, so that what is counted is the engine's own doing: the number of beats, and when.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from lab import Goal

from warmer import log
from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec, PolicyName, Spec, Target, TargetKind
from warmer.engine.daemon import Daemon
from warmer.ledger import open_ledger
from warmer.sandbox.catalogue import schema
from warmer.sandbox.traits import Kind, Traits, Version, version_id
from warmer.sandbox.world import World
from warmer.testing import VirtualClock, VirtualSchedule, WorldProvider, run

BEGIN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
DRIFT_S = 0.1
"""Of the last beat from the place that the first one and the interval give it."""


def virtual(models: int, every_s: int, minutes: float, folder: Path) -> Iterator[Goal]:
    """What came of that many models over that many minutes."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        log.configure(stream=nowhere)
        times = run(_scene(models, every_s, minutes, folder))
    expected = sum(1 + int((minutes * 60 - one[0]) / every_s) for one in times)
    sent = sum(map(len, times))
    drifts = [one[-1] - one[0] - (len(one) - 1) * every_s for one in times]
    drift = max(map(abs, drifts))
    yield Goal(name=f"beats, of {expected} expected", bound="all", measured=f"{sent}", holds=sent == expected)
    yield Goal(name="models with a beat", bound=f"{models}", measured=f"{len(times)}", holds=len(times) == models)
    yield Goal(name="drift of the last beat, s", bound=f"<= {DRIFT_S}", measured=f"{drift:.3f}", holds=drift <= DRIFT_S)


async def _scene(models: int, every_s: int, minutes: float, folder: Path) -> list[list[float]]:
    clock = VirtualClock(BEGIN)
    slugs = [f"soak/model-{number:05}" for number in range(models)]
    world = World(begin=BEGIN, models=map(_traits, slugs), deployments=())
    spec = Spec(zone=ZoneInfo("UTC"), models=tuple(_entry(slug, every_s) for slug in slugs))
    daemon = Daemon(
        spec,
        load=lambda: spec,
        connect=lambda _: WorldProvider(world, clock.now, clock=clock),
        ledger=open_ledger(f"sqlite:///{folder}/virtual.db"),
        clock=clock,
        schedule=VirtualSchedule,
    )
    running = asyncio.ensure_future(daemon.run(watch=False, signals=False))
    await clock.sleep(minutes * 60)
    calls = world.journal.calls(caller="warmer")
    daemon.stop()
    await running
    times: dict[str, list[float]] = {}
    for call in calls:
        times.setdefault(call.model, []).append((call.created_at - BEGIN).total_seconds())
    return list(times.values())


def _traits(slug: str) -> Traits:
    owner, name = slug.split("/")
    only = Version(id=version_id(slug, 1), created_at=BEGIN, openapi_schema=_SCHEMA)
    return Traits(
        owner=owner,
        name=name,
        kind=Kind.GREETING,
        hardware="gpu-t4",
        versions=(only,),
        boot_s=2.0,
        run_s=0.05,
        idle_timeout_s=3600,
    )


_SCHEMA = schema("hello-world")


def _entry(slug: str, every_s: int) -> ModelSpec:
    owner, name = slug.split("/")
    return ModelSpec(
        name=slug,
        target=Target(kind=TargetKind.MODEL, owner=owner, name=name),
        hours=ActiveHours.always_open(),
        policy=PolicyName.FIXED,
        every=timedelta(seconds=every_s),
        input={"text": "hi"},
        traffic=False,  # the world's list is read whole each time, which takes longer than all the rest
    )

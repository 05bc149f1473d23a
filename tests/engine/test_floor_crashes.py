"""500 crash points in a floor's life, each followed by a start at any time; replies get lost and requests are late."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from engine.stage import START, Host, accounts_of, file_of, ledger_at, model

from warmer.core.budget import Cap, Period
from warmer.core.floor import Instances
from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec, PolicyName, Spec, Target, TargetKind, ZoneInfo
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.engine.floors import Floors
from warmer.errors import Doubtful, Unavailable
from warmer.ledger import SqlLedger
from warmer.ports import Ledger
from warmer.sandbox.world import World
from warmer.testing import VirtualClock, run

UPSCALER = "acme/upscaler"
POINTS = 500
T = TypeVar("T")
pytestmark = pytest.mark.usefixtures("seldom_looks")


class DeadError(Exception):
    """Nothing of this process goes on."""


@dataclass
class Fate:
    """Counts what a process does to the world and the ledger, and kills it before or after one of these."""

    dies_at: int
    begun: int = 0

    def step(self) -> None:
        self.begun += 1
        if self.begun >= self.dies_at:
            raise DeadError


class MortalDesk(Desk):
    def __init__(self, ledger: Ledger, fate: Fate) -> None:
        super().__init__(ledger)
        self._fate = fate

    async def do(self, work: Callable[[Ledger], T]) -> T:
        self._fate.step()
        done = await super().do(work)
        self._fate.step()
        return done


class MortalHost(Host):
    """Every request may be the last that a process does: sent or not, answered or not, and one of them late."""

    def __init__(self, world: World, clock: VirtualClock, fate: Fate, chance: Random) -> None:
        super().__init__(world, clock, clock)
        self.fate, self.chance = fate, chance
        self.has_failed = False

    async def instances(self, target: Target) -> Instances:
        self.fate.step()
        found = await super().instances(target)
        self.fate.step()
        return found

    async def set_minimum(self, target: Target, instances: int) -> Instances:
        self.fate.step()
        luck = 1.0 if self.has_failed else self.chance.random()
        self.has_failed |= luck < 0.4
        if luck < 0.2:
            raise Unavailable("503")
        if luck < 0.4:  # it is under way, and arrives when nobody waits for it any more
            asyncio.get_running_loop().call_later(self.chance.uniform(0, 30), self._arrive, target, instances)
            await asyncio.sleep(1)
            self.fate.step()
            raise Doubtful("the reply was lost")
        changed = await super().set_minimum(target, instances)
        self.fate.step()
        return changed

    def _arrive(self, target: Target, instances: int) -> None:
        self.world.release(self._now(), target.slug, min_instances=instances)


class Life:
    """One process that looks after floors, from its start to its death."""

    def __init__(self, ledger: SqlLedger, world: World, clock: VirtualClock, spec: Spec, chance: Random, dies_at: int):
        desk = MortalDesk(ledger, Fate(dies_at))
        host = MortalHost(world, clock, desk._fate, chance)
        account = Account.over(host, desk, clock, lambda: spec.models)
        self.floors = Floors(desk, clock, lambda: spec.models)
        self._living = asyncio.ensure_future(self.floors.keep_on(lambda: accounts_of(spec, account)))
        self._fate = desk._fate

    async def until(self, moment: float) -> bool:
        """Live on to then at the most. False where it died before."""
        loop = asyncio.get_running_loop()
        for _ in range(math.ceil(moment - loop.time())):
            if self._fate.begun >= self._fate.dies_at:
                return False
            await asyncio.sleep(min(1.0, max(0.0, moment - loop.time())))
        return True

    async def end(self) -> None:
        self._living.cancel()
        await asyncio.gather(self._living, return_exceptions=True)
        await self.floors.abandon()


def entry(line: str, instances: int, lead_s: int, *caps: Cap) -> ModelSpec:
    return model(
        UPSCALER,
        name="up",
        kind=TargetKind.DEPLOYMENT,
        policy=PolicyName.FLOOR,
        hours=ActiveHours(lines=(line,), zone=ZoneInfo("UTC")),
        instances=instances,
        lead=timedelta(seconds=lead_s),
        caps=caps,
    )


def played(path: Path, seed: int) -> str:
    """One life that dies at a point of its own, and those after it. Returns what is wrong with that, if anything."""
    chance = Random(seed)
    found, instances, lead_s = chance.randrange(3), chance.randrange(1, 4), chance.choice([0, 60])
    # A third have a cap: enough for both windows, for one of them, or for none.
    usd = chance.choice(["10", "0.1", "0.05"]) if seed % 3 == 0 else None
    caps = () if usd is None else (Cap(model=None, period=Period.DAILY, usd=Decimal(usd)),)
    spec = file_of(entry("09:02-09:06,09:20-09:24", instances, lead_s, *caps))
    hours, least = spec.models[0].hours, max(found, instances)
    ledger = ledger_at(path)
    told: list[str] = []

    async def scene() -> None:
        clock = VirtualClock(START)
        world = World(begin=START, seed=1)
        world.release(START, UPSCALER, min_instances=found, max_instances=5)
        loop = asyncio.get_running_loop()
        begin, alive_since, above_since = loop.time(), None, None
        lives = 0

        async def watch() -> None:
            nonlocal above_since
            while True:
                now, stands = clock.now(), world.deployment(UPSCALER).min_instances
                wanted = hours.contains(now) or hours.contains(now + timedelta(seconds=lead_s))
                if stands > (least if wanted else found):
                    above_since = above_since if above_since is not None else loop.time()
                    since = max(above_since, alive_since if alive_since is not None else loop.time())
                    if loop.time() - since > 120:
                        told.append(f"{clock.now():%H:%M:%S}: {stands} for over 2 minutes after the start")
                        return
                else:
                    above_since = None
                if stands < found:
                    told.append(f"{clock.now():%H:%M:%S}: {stands}, below what was found")
                await asyncio.sleep(5)

        watching = asyncio.ensure_future(watch())
        survived = False
        while not survived:
            lives += 1
            # The first life may die at any of its steps, a second at one of its first: the others live on.
            dies_at = chance.randrange(1, 60) if lives == 1 else chance.randrange(1, 15) if lives == 2 else 10**9
            alive_since = loop.time()
            life = Life(ledger, world, clock, spec, chance, dies_at)
            # However late the last one starts, it has a few minutes.
            survived = await life.until(max(begin + 45 * 60, loop.time() + 200))
            await life.end()
            if not survived:
                alive_since = None
                await asyncio.sleep(chance.choice([0.0, 1.0, 20.0, 130.0, 600.0, 1500.0]))
        watching.cancel()
        if (left := world.deployment(UPSCALER).min_instances) != found:
            told.append(f"{left} in the end, and {found} was found")
        if open_floors := ledger.open_floors():
            told.append(f"still open: {open_floors}")

    run(scene())
    ledger.close()
    return f"seed {seed}: {told}" if told else ""


@pytest.mark.parametrize(
    "tenth", [0, 5, *(pytest.param(n, marks=pytest.mark.thorough) for n in (1, 2, 3, 4, 6, 7, 8, 9))]
)
def test_no_crash_leaves_a_floor_above_the_plan_for_two_minutes_or_what_was_found_unrestored(
    db: Path, tenth: int, tmp_path: Path, lines: list[Any]
) -> None:
    wrong = []
    for seed in range(tenth * POINTS // 10, (tenth + 1) * POINTS // 10):
        path = tmp_path / f"{seed}.db"
        path.write_bytes(db.read_bytes())
        if found := played(path, seed):
            wrong.append(found)
    assert wrong == []
    assert {line["event"] for line in lines} >= {"floor.raised", "floor.lowered"}

"""Daemons under faults, each a process before a sandbox of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from harness.faults import OF_ACCOUNT, OF_MODELS, RUNS_ON, Outage
from harness.hatchery import Hatchery
from harness.promises import CAP_USD, DEADLINE_S, EVERY_S, Broken, Outcome, Phase, Subject, news
from harness.wire import Asked, Break, Wire
from warmer.core.beat import Reason
from warmer.ledger import open_ledger
from warmer.log import Event
from warmer.sandbox.predictions import Prediction
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.world import Moment
from warmer.sandbox.world_file import world_of

OF_ALL = ((Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED), (Event.TRAFFIC_FAILED, Event.TRAFFIC_RESUMED))
BEGIN = datetime(2026, 11, 24, 9, tzinfo=UTC)
HEALTHY = ("healthy-1", "healthy-2")
OTHERS = "(models without a fault)"
PRICE = Decimal("0.0001")
"""Of a second."""
RUN_UNDER_A_CAP_S = 20.0
STALLED_S, TAKES = 0.7, 3
"""Real seconds without a turn of ours that break off exchanges: what is found then is looked at anew, so many times."""
PATIENCE_S = 1800.0
"""Virtual seconds until a model that does not come back is given up: a disabled one comes after 15 minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Some faults for some virtual seconds."""

    phase: Phase
    names: tuple[str, ...]
    lasts_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One daemon through some acts. The faults are of models, or one of the account."""

    acts: tuple[Act, ...]
    speed: float
    seed: int = 0
    to_the_end: bool = True
    """Until each model is well again by itself; else its holds are lifted by an edit of the file."""

    @property
    def is_of_account(self) -> bool:
        return any(name in OF_ACCOUNT for act in self.acts for name in act.names)

    @property
    def name(self) -> str:
        return ", ".join(f"{act.phase} {act.names[0] if len(act.names) == 1 else len(act.names)}" for act in self.acts)


def slug_of(name: str) -> str:
    return "faults/" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class Scene:
    """A play, on its stage."""

    def __init__(self, play: Play, folder: Path, hatchery: Hatchery) -> None:
        self.play, self.folder, self.hatchery = play, folder, hatchery
        self.chance = Random(f"{play.seed} {play.name}")
        self.file = folder / "warmer.yaml"
        self.phase_of = {name: act.phase for act in play.acts for name in act.names}
        self.of_account = next((OF_ACCOUNT[name] for name in self.phase_of if name in OF_ACCOUNT), None)
        self.account_fault = next((name for name in self.phase_of if name in OF_ACCOUNT), None)
        names = HEALTHY if self.of_account else (*HEALTHY, *self.phase_of)
        self.subjects = {
            slug_of(name): Subject(
                name=self.account_fault or (OTHERS if name in HEALTHY else name),
                fault=self.of_account or OF_MODELS.get(name),
                phase=self.phase_of.get(self.account_fault or name, play.acts[0].phase),
            )
            for name in names
        }
        self.capped = play.acts[0].phase is Phase.CAP
        self.in_force = set[str]()
        self.pid = 0
        self.versions: dict[str, str] = {}
        self.every_s, self.reads, self.policy = EVERY_S, 900_000, "aware"
        self.kills = 0
        self.stalled_s = 0.0

    async def run(self) -> list[Broken]:
        """Play it, and look at what is left."""
        world = world_of(self._world(), begin=BEGIN)
        self.versions = {model.latest.id: model.slug for model in world.models}
        world.subscribe(self._seen)
        async with SandboxServer(world, speed=self.play.speed) as self.server, Wire(self._port()) as self.wire:
            self.wire.broken = self._break
            watching = asyncio.create_task(self._watch_the_machine())
            try:
                status = await self._play()
            finally:
                watching.cancel()
                if self.pid:
                    self._signal(signal.SIGKILL)
            return list(self._check(status))

    # -- the story ---------------------------------------------------------------------------------------------------

    async def _play(self) -> int:
        shutil.copy(self.hatchery.blank, self.folder / "ledger.db")
        self._write()
        for number, act in enumerate(self.play.acts):
            at_start = act.phase is Phase.START
            if not number and not at_start:
                await self._begin()
                await self._all_well()
            await self._strike(act)
            if at_start:
                await self._begin()
                await self._until(lambda: Event.DAEMON_STARTED in self._said())
            await self._suffer(act)
            await self._mend(act)
        if self.capped:
            await self._sleep(2 * EVERY_S)
        else:
            if not self.play.to_the_end:
                self._renew()
            await self._all_well()
        self.policy = "observe"
        self._write()
        await self._nothing_open()
        self._signal(signal.SIGTERM)
        status = await self.hatchery.over(self.pid)
        self.pid = 0
        return status

    async def _suffer(self, act: Act) -> None:
        match act.phase:
            case Phase.START | Phase.MIDDLE:
                await self._sleep(act.lasts_s)
            case Phase.RELOAD:
                await self._sleep(act.lasts_s / 3)
                self.every_s += 1
                self._edit()
                await self._sleep(act.lasts_s / 3)
                self._renew()
                await self._sleep(act.lasts_s / 3)
            case Phase.KILL | Phase.CAP:
                for _ in range(2):
                    await self._sleep(act.lasts_s * self.chance.uniform(0.1, 0.4))
                    await self._kill()
                    await self._begin()
                await self._sleep(act.lasts_s / 3)

    async def _begin(self) -> None:
        self.pid = await self.hatchery.begin(self.file, self.server.url, self.play.speed)

    async def _kill(self) -> None:
        if self.pid:
            self._signal(signal.SIGKILL)
            await self.hatchery.over(self.pid)
            self.kills += 1
            self._blow()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # its exit status tells
            os.kill(self.pid, number)

    def _renew(self) -> None:
        """Every entry is another, and so is the account."""
        self.every_s += 1
        self.reads += 1
        self._edit()

    def _edit(self) -> None:
        self._write()
        self._blow()

    def _blow(self) -> None:
        for subject in self.subjects.values():
            subject.blows += 1

    async def _strike(self, act: Act) -> None:
        now = self.server.now()
        for subject in self.subjects.values():
            if subject.name in act.names:
                subject.since = now
        self.in_force = set(act.names)
        match self.of_account.outage if self.of_account else None:
            case Outage.REFUSED:
                await self.wire.cut()
            case Outage.SWALLOWED:
                await self.wire.swallow()
            case Outage() as outage:
                (self.folder / outage).touch()

    async def _mend(self, act: Act) -> None:
        self.in_force = set()
        for outage in Outage:
            (self.folder / outage).unlink(missing_ok=True)
        await self.wire.mend()
        now = self.server.now()
        for subject in self.subjects.values():
            if subject.name in act.names:
                subject.until = now

    async def _all_well(self) -> None:
        """Return once each model had a beat that began now or later and ended well, or none came for long.

        And once what was said of the account is said to be over: its list is left alone for longer than a model.
        """
        now = self.server.now()
        await self._until(lambda: all(any(at >= now for at in one.good) for one in self.subjects.values()))
        await self._until(lambda: not self._is_in_trouble())

    def _is_in_trouble(self) -> bool:
        _, _, life = self._said().rpartition(Event.DAEMON_STARTED)
        return any(life.rfind(begin) > life.rfind(end) for begin, end in OF_ALL)

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    async def _nothing_open(self) -> None:
        ledger = open_ledger(self._address)
        try:
            await self._until(lambda: not ledger.open_beats())
        finally:
            ledger.close()

    async def _watch_the_machine(self) -> None:
        """How long it has nothing for us, at the worst."""
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.1)
            self.stalled_s = max(self.stalled_s, time.monotonic() - begun - 0.1)

    async def _until(self, happened: Callable[[], bool]) -> None:
        end = self.server.now() + timedelta(seconds=PATIENCE_S)
        while not happened() and self.server.now() < end:
            await self._sleep(5.0)

    async def _sleep(self, seconds: float) -> None:
        await self.server.sleep(timedelta(seconds=seconds))

    # -- the stage ---------------------------------------------------------------------------------------------------

    def _world(self) -> dict[str, Any]:
        run_s = RUN_UNDER_A_CAP_S if self.capped else 1.0
        return {
            "catalogue": False,
            "seed": self.play.seed,
            "account": {"creates_per_minute": 100_000, "reads_per_minute": 1_000_000},
            "models": {
                slug: {
                    "kind": "greeting",
                    "hardware": "cpu",
                    "boot_s": 2.0,
                    "run_s": run_s,
                    "run_spread": 0.0,
                    "growth": [{"keys": [RUNS_ON], "seconds": 1.0}],
                    "idle_timeout_s": 3600.0,
                }
                for slug in self.subjects
            },
        }

    def _write(self) -> None:
        traffic = bool(self.of_account and self.of_account.traffic)
        caps = f"budget: {{daily: {CAP_USD}}}, " if self.capped else ""
        host = "localhost" if self.of_account and self.of_account.outage is Outage.NO_NAMES else "127.0.0.1"
        url = self.wire.url.replace("127.0.0.1", host)
        lines = [
            f"ledger: {self._address}",
            "listen: off",
            *([f"budget: {{daily: {self._whole_cap}}}"] if self.capped else []),
            f"replicate: {{token: env:WARMER_TEST_TOKEN, base_url: '{url}/v1', creates_per_minute: 100000, "
            f"reads_per_minute: {self.reads}}}",
            f"defaults: {{policy: {self.policy}, every: {self.every_s:g}s, deadline: {DEADLINE_S:g}s, {caps}"
            f"price: {{per_second: {PRICE}}}, traffic: {'auto' if traffic else 'off'}, input: {{text: hi}}}}",
            "models:",
            *(f"  - model: {slug}" for slug in self.subjects),
        ]
        new = self.file.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        new.replace(self.file)

    @property
    def _whole_cap(self) -> Decimal:
        """Of all models together: a little less than theirs are."""
        return CAP_USD * len(self.subjects) * Decimal("0.9")

    @property
    def _address(self) -> str:
        return f"sqlite:///{self.folder}/ledger.db"

    @property
    def _log(self) -> Path:
        return self.file.with_suffix(".jsonl")

    def _port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    def _seen(self, prediction: Prediction, moment: Moment) -> None:
        if moment is Moment.OVER and prediction.status == "succeeded":
            self.subjects[prediction.model].good.append(prediction.created_at)

    def _break(self, asked: Asked) -> Break | None:
        if not self.in_force:
            return None
        slug = self._model_of(asked)
        subject = self.subjects.get(slug or "")
        if subject is None or subject.fault is None or subject.name not in self.in_force:
            return self.of_account.breaks(asked.operation) if self.of_account else None
        if asked.operation == "create":
            subject.tried += 1
        broken = subject.fault.breaks(asked.operation)
        subject.was_met |= broken is not None
        return broken

    def _model_of(self, asked: Asked) -> str | None:
        if found := re.search(rb"/predictions/([^/ ?]+)", asked.line):
            made = self.wire.made.get(found[1].decode())
            return None if made is None else self._model_of(made)
        if found := re.search(rb"/models/([^/ ]+/[^/ ]+)", asked.line):
            return found[1].decode()
        found = re.search(rb'"version": ?"([0-9a-f]{64})"', asked.body)
        return self.versions.get(found[1].decode()) if found else None

    # -- what is left ------------------------------------------------------------------------------------------------

    def _check(self, status: int) -> Iterator[Broken]:
        text = self._said()
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        odd = [line for line in text.splitlines() if not line.startswith("{")]
        calls = self.server.world.journal.calls()
        ledger = open_ledger(self._address)
        try:
            beats, left = list(ledger.beats()), {beat.key.model for beat in ledger.open_beats()}
            ticks = ledger.ticks(BEGIN - timedelta(days=1))
        finally:
            ledger.close()
        for slug, subject in self.subjects.items():
            outcome = Outcome(
                subject=subject,
                calls=[call for call in calls if call.model == slug],
                beats=[beat for beat in beats if beat.model == slug],
                left_open=slug in left,
                ticks=sum(count for (model, reason), count in ticks.items() if model == slug and reason.sends),
                lines=[line for line in lines if line.get("model", slug) == slug],
                kills=self.kills,
                ended_at=self.server.now(),
                slack_s=self.play.speed * max(1.0, 4 * self.stalled_s),
            )
            for what in outcome.broken(capped=self.capped):
                yield Broken(fault=subject.name, phase=subject.phase, what=f"{slug.removeprefix('faults/')}: {what}")
        first, some = next(iter(self.phase_of)), next(iter(self.subjects.values()))
        of_all = [f"it said {line[:200]}" for line in odd[:3]] + ([f"it ended with {status}"] if status else [])
        if self.capped and not any(one.fault and one.fault.bill_may_pass for one in self.subjects.values()):
            bill = sum((call.billed_usd or Decimal(0) for call in calls), Decimal(0))
            of_all += [f"a bill of {bill} $ under a cap of {self._whole_cap} $"] if bill > self._whole_cap else []
        elif not self.capped and self.of_account and self.of_account.holds is not Reason.BACKING_OFF:
            of_all += news(self.of_account, [line for line in lines if "model" not in line], some)
        yield from (Broken(fault=first, phase=self.phase_of[first], what=what) for what in of_all)


async def perform(
    plays: Sequence[Play], folder: Path, *, at_once: int = 10, told: Callable[[int], None] = lambda takes: None
) -> list[Broken]:
    """Some plays side by side; those with many models at once two at a time. `told` of each that is over: its takes.

    What broke while the machine stood still tells nothing, since real time goes by all the same: it is played again.
    """
    many, few = asyncio.Semaphore(2), asyncio.Semaphore(at_once)
    async with Hatchery(folder) as hatchery:

        async def one(number: int, play: Play) -> list[Broken]:
            async with few if play.is_of_account else many:
                for again in range(TAKES):
                    stage = folder / f"{number}-{again}"
                    stage.mkdir()
                    scene = Scene(play, stage, hatchery)
                    found = await scene.run()
                    if not found or scene.stalled_s < STALLED_S:
                        break
            told(again + 1)
            return found

        found = await asyncio.gather(*(one(number, play) for number, play in enumerate(plays)))
    return [broken for some in found for broken in some]

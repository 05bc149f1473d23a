"""What is counted is what is on record, and each thing once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from engine.stage import INPUT, LLAMA, SDXL, START, Play, file_of, fixed, ledger_at, model, when

from warmer.core.beat import Observation, Request
from warmer.core.price import Cost
from warmer.core.spec import Spec, TargetKind
from warmer.errors import Doubtful
from warmer.sandbox.world import World
from warmer.testing import run


class Tape:
    """A meter that keeps what it hears."""

    def __init__(self) -> None:
        self.beats: list[Observation] = []
        self.costs: dict[str, Decimal | None] = {}
        self.ended: list[Request] = []
        self.late_s: list[float] = []

    def beat(self, seen: Observation) -> None:
        self.beats.append(seen)
        if seen.prediction_id:
            self.costs[seen.prediction_id] = seen.cost_usd

    def settled(self, model: str, costs: Mapping[str, Cost]) -> None:
        self.costs |= {prediction_id: cost.usd for prediction_id, cost in costs.items()}

    def calls(self, ended: Iterable[Request]) -> None:
        self.ended += ended

    def tick(self, late_s: float) -> None:
        self.late_s.append(late_s)


async def life(db: Path, spec: Spec, world: World, tape: Tape, start: datetime) -> None:
    """A quarter of an hour of a daemon, with a customer every seven seconds or so."""
    async with Play(db, spec, world=world, start=start, meter=tape) as play:
        while play.true.monotonic() < 900:
            await asyncio.sleep(7)
            example = dict(world.model(SDXL).default_example or INPUT)
            world.create(play.true.now(), SDXL, example, caller="customer")


def test_beats_and_calls_are_counted_once_in_whichever_life_they_end(db: Path) -> None:
    async def scene() -> None:
        world, tape = World(begin=START, seed=3), Tape()
        spec = file_of(fixed(LLAMA, 40), model(SDXL))
        for minutes in (0, 16):
            await life(db, spec, world, tape, START + timedelta(minutes=minutes))
        ledger = ledger_at(db)
        beats, calls = list(ledger.beats()), list(ledger.requests())
        ledger.close()
        assert Counter(seen.prediction_id for seen in tape.beats) == Counter(seen.prediction_id for seen in beats)
        ended = Counter(call.prediction_id for call in calls if not call.status.is_open)
        assert len(ended) > 50
        assert Counter(call.prediction_id for call in tape.ended) == ended
        verdicts = Counter(call.verdict for call in calls if not call.status.is_open)
        assert Counter(call.verdict for call in tape.ended) == verdicts
        assert tape.late_s
        assert all(0 <= late_s < 0.1 for late_s in tape.late_s)

    run(scene())


def test_costs_that_are_settled_later_come_to_what_the_ledger_has(db: Path) -> None:
    async def scene() -> None:
        tape = Tape()
        entry = fixed("acme/upscaler", 90, kind=TargetKind.DEPLOYMENT)
        async with Play(db, file_of(entry), meter=tape):
            await asyncio.sleep(3600)
        ledger = ledger_at(db)
        told = {seen.prediction_id: seen.cost_usd for seen in ledger.beats() if seen.prediction_id}
        ledger.close()
        assert len(told) > 20
        assert tape.costs == told
        first = {seen.prediction_id: seen.cost_usd for seen in tape.beats if seen.prediction_id}
        assert first != told  # some were corrected

    run(scene())


def test_a_beat_that_never_reached_the_provider_is_counted_too(db: Path) -> None:
    async def scene() -> None:
        tape = Tape()
        async with Play(db, file_of(fixed(LLAMA, 600)), meter=tape) as play:
            play.hosts[0].refusing["create"] = Doubtful("the reply was lost")
            await when(lambda: tape.beats)
        assert [(seen.prediction_id, seen.status) for seen in tape.beats] == [(None, "unknown")]

    run(scene())

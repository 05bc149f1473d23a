from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from engine.stage import START, Stage, gaps, model, traits

from warmer.sandbox.world import World
from warmer.testing import run

HOURS = 24
EVERY_S = 1800
KEPT_S = 4 * 3600  # far longer than `every`, so that once it is trusted `every` is all that counts
LEARNING = 10  # more beats a model, until it is
pytestmark = pytest.mark.usefixtures("seldom_looks")


def expected_beats(arrivals: list[float], until: float) -> int:
    """How many beats fill the pauses between arrivals, by the rule alone: one at each whole interval of a pause."""
    count, last = 0, None
    for moment in (*arrivals, until):
        if last is None:
            count += 1  # nothing is known at the start
            last = 0.0
        count += int((moment - last) // EVERY_S)
        last = moment
    return count


def test_twelve_models_over_a_day_send_what_the_arrivals_leave_to_send(db: Path) -> None:
    slugs = [f"acme/model-{number}" for number in range(12)]
    chance = Random(7)
    end = HOURS * 3600.0
    arrivals: dict[str, list[float]] = {}
    for number, slug in enumerate(slugs):
        moment, arrivals[slug] = 60.0, []
        mean = [2, 6, 20, 200][number % 4] * 3600
        while (moment := moment + chance.expovariate(1 / mean)) < end:
            arrivals[slug].append(moment)

    async def scene() -> None:
        models = [traits(slug, idle_timeout_s=KEPT_S) for slug in slugs]
        world = World(begin=START, seed=1, models=models, deployments=())
        stage = Stage(db, *(model(slug, every=EVERY_S) for slug in slugs), world=world)
        calling = [asyncio.ensure_future(stage.customers(slug, moments)) for slug, moments in arrivals.items()]
        sizes: list[int] = []

        async def measure() -> None:
            while True:
                await asyncio.sleep(HOURS / 8 * 3600)
                sizes.append(size(stage))

        measuring = asyncio.ensure_future(measure())
        await stage.play(end)
        measuring.cancel()
        await asyncio.gather(*calling)

        sent = len(stage.beats())
        wanted = sum(expected_beats(moments, end) for moments in arrivals.values())
        # A beat's own boot and run push the next a little: over a day one beat in a hundred or so.
        assert -0.02 * wanted <= sent - wanted <= 0.02 * wanted + LEARNING * len(slugs)
        assert sent == len(stage.created())
        for slug, moments in arrivals.items():
            busy = sorted([*stage.seconds(slug), *moments])
            assert max(gaps(busy), default=0) < EVERY_S + 60
        assert max(sizes[2:]) <= max(sizes[:2]) + 5  # nothing grows with time
        assert size(stage) <= 6 * len(slugs)

    run(scene())


def size(stage: Stage) -> int:
    """Everything that the engine keeps in memory, in entries."""
    keepers = (
        stage.fleet,
        stage.account.heartbeat,
        stage.account.outgoing,
        stage.account.standing,
        stage.account.traffic,
        stage.account.heartbeat._contracts,
        stage.recovery,
        stage.timers,
    )
    return sum(
        len(value)
        for keeper in keepers
        for value in vars(keeper).values()
        if isinstance(value, dict | set | list | tuple)
    )

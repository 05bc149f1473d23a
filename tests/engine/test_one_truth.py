"""The daemon in virtual time and a backtest send the same heartbeats for the same reasons, one by one.

Both are given the same traffic and a host that is exact: its time-out and its boots do not spread, the network takes no
time. What a backtest leaves out is kept out: calls queue at a real instance, so runs are a millisecond, and the daemon
shares readings of the list that are up to two seconds old, so no call comes within so long after one of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import numpy as np
import pytest
from engine.stage import INPUT, START, Play, file_of, model, traits
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from warmer.core.backtest import world as backtest
from warmer.core.backtest.learning import Learning
from warmer.core.backtest.simulate import simulate
from warmer.core.backtest.trace import DAY, HOUR, SECOND, Arrivals, microseconds
from warmer.core.beat import Reason
from warmer.core.price import USUAL_RUN_S, Billing, beat_price, price_of
from warmer.core.prospect import MONDAY
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.worth import Goal, Price, Purse
from warmer.sandbox.world import World
from warmer.testing import run

SLUG = "acme/caption"
BOOT_S = 12.0
MINUTE_S = 61.7371  # a gap of exactly the time-out is warm in a backtest and cold in the sandbox: no gap is
FIVE_MINUTES_S = 301.7371
BRIEF_S = 0.001
NEAR_S = 0.005
"""Two clocks of microseconds, and a run where one call waited for another."""
READINGS_S, SHARED_S = 10.0, 2.1
"""How often the daemon reads the list where it waits for calls, and how long such a reading is shared."""
APART_S = BOOT_S + 2
WORTH = 80.0
BEAT_USD = beat_price(price_of("gpu-t4"), USUAL_RUN_S, Billing.PUBLIC, kept_s=50.0)
Beats = list[tuple[float, Reason]]


class Exact(Play):
    """A daemon that does not watch its file: looking five times a second takes longer than all the rest."""

    async def __aenter__(self) -> Exact:
        self.running = asyncio.ensure_future(self.daemon.run(watch=False, signals=False))
        return self


def lived(
    db: Path, entry: ModelSpec, calls: Sequence[float], until_s: float, *, timeout_s: float, run_s: float
) -> Beats:
    """What the daemon sends."""
    exact = {"boot_spread": 0.0, "run_spread": 0.0, "overhead_s": 0.0, "overhead_spread": 0.0, "max_instances": 1}
    host = traits(SLUG, idle_timeout_s=timeout_s, boot_s=BOOT_S, run_s=run_s, **exact)

    async def scene() -> Beats:
        world = World(begin=START, seed=1, models=[host], deployments=[])
        play = Exact(db, file_of(entry), world=world, latency_s=0.0)

        async def call(coming: Sequence[float]) -> None:
            for at in coming:
                await asyncio.sleep(max(0.0, at - play.true.monotonic()))
                world.create(play.true.now(), SLUG, INPUT, caller="customer")

        at_once = sum(at == 0 for at in calls)
        await call(calls[:at_once])
        async with play:
            calling = asyncio.ensure_future(call(calls[at_once:]))
            await asyncio.sleep(until_s)
            await calling
        return [((beat.created_at - START).total_seconds(), beat.reason) for beat in play.beats()]

    return run(scene())


class Noting(Learning):
    """Keeps what was sent, and why."""

    def __init__(self, entry: ModelSpec, *, purse: Purse | None) -> None:
        super().__init__(entry, purse=purse)
        self.beats: Beats = []

    def sent(self, now_s: float) -> None:
        super().sent(now_s)
        assert self.reason is not None
        self.beats.append((now_s, self.reason))


def replayed(entry: ModelSpec, calls: Sequence[float], until_s: float, *, timeout_s: float, run_s: float) -> Beats:
    """What a backtest sends."""
    # `fixed` begins with the trace, the others with the first call; the forecast goes by weekdays.
    begin = 0 if entry.policy is PolicyName.FIXED else (START - MONDAY) % timedelta(days=7) // timedelta(microseconds=1)
    arrivals = Arrivals(model=SLUG, at=np.array([begin + microseconds(at) for at in calls], dtype=np.int64))
    world = backtest.World(
        idle_timeout=microseconds(timeout_s),
        boot_median=microseconds(BOOT_S),
        boot_sigma=0.0,
        run=microseconds(run_s),
        beat=microseconds(run_s),
        late_mean=0,
    )
    purse = Price(WORTH) if entry.cold_start_price is not None else Goal(entry.cold_share_target)
    decider = Noting(entry, purse=purse)
    simulate(arrivals, begin + microseconds(until_s), decider, world, interval=50 * SECOND)
    return [(at - begin / SECOND, reason) for at, reason in decider.beats]


def agree(
    db: Path, entry: ModelSpec, calls: Sequence[float], until_s: float, *, timeout_s: float, run_s: float = BRIEF_S
) -> int:
    """How many heartbeats both send."""
    there = {"timeout_s": timeout_s, "run_s": run_s}
    live, past = lived(db, entry, calls, until_s, **there), replayed(entry, calls, until_s, **there)
    last = until_s - APART_S  # of those later the daemon may not see the end
    live, past = [[beat for beat in beats if beat[0] < last] for beats in (live, past)]
    for number, (one, other) in enumerate(zip(live, past, strict=False)):
        assert one[0] == pytest.approx(other[0], abs=NEAR_S), number
        assert one[1] is other[1], (number, one)
    assert len(live) == len(past)
    return len(live)


def apart(gaps: Sequence[float], first_s: float = 0.0) -> list[float]:
    """Calls with at least these gaps between them, none where the daemon may share an older reading."""
    calls = [first_s]
    for gap in gaps:
        at = round(calls[-1] + max(gap, APART_S), 3)
        calls.append(round(at + SHARED_S, 3) if at % READINGS_S < SHARED_S else at)
    return calls


def office(seed: int, days: float) -> list[float]:
    """From 08:00 to 18:00, every four minutes or so."""
    chance, at = Random(seed), 0.0
    gaps, last = [], 0.0
    while (at := at + chance.expovariate(1 / 240)) < days * DAY / SECOND:
        if 8 <= (START.hour + at * SECOND / HOUR) % 24 < 18:
            gaps.append(at - last)
            last = at
    return apart(gaps)


def bursts(seed: int, days: float) -> list[float]:
    """Now and then a handful."""
    chance = Random(seed)
    gaps: list[float] = []
    while sum(gaps) < days * DAY / SECOND:
        gaps += [chance.expovariate(1 / 9000), *(chance.expovariate(1 / 90) for _ in range(chance.randrange(12)))]
    return apart(gaps)


def timer(seed: int, days: float) -> list[float]:
    """Every quarter of an hour, some seconds late."""
    chance = Random(seed)
    return apart([900 + chance.uniform(-9, 9) for _ in range(int(days * 96))])


PATTERNS = {"office": office, "bursts": bursts, "timer": timer}
AWARE, FIXED = model(SLUG), model(SLUG, policy=PolicyName.FIXED)
HOLDING = model(SLUG, policy=PolicyName.ADAPTIVE)
PRICED = replace(HOLDING, cold_start_price=BEAT_USD * Decimal(WORTH) if BEAT_USD else None)


def every(entry: ModelSpec, seconds: float) -> ModelSpec:
    return replace(entry, every=timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("entry", "pattern", "days", "timeout_s", "least"),
    [
        pytest.param(every(AWARE, 50), "office", 0.2, MINUTE_S, 150, id="aware-by-the-file"),
        pytest.param(
            every(AWARE, 200),
            "bursts",
            0.5,
            FIVE_MINUTES_S,
            120,
            id="aware-by-the-file-over-hours",
            marks=pytest.mark.thorough,
        ),
        pytest.param(AWARE, "office", 0.2, MINUTE_S, 150, id="aware-learned"),
        pytest.param(
            AWARE, "bursts", 0.8, FIVE_MINUTES_S, 150, id="aware-learned-over-a-day", marks=pytest.mark.thorough
        ),
        pytest.param(AWARE, "timer", 0.4, FIVE_MINUTES_S, 80, id="aware-learned-beside-a-timer"),
        pytest.param(
            every(FIXED, 80), "office", 0.2, MINUTE_S, 150, id="fixed-by-the-file", marks=pytest.mark.thorough
        ),
        pytest.param(FIXED, "bursts", 0.4, FIVE_MINUTES_S, 100, id="fixed-learned"),
        pytest.param(
            every(HOLDING, 50), "office", 0.15, MINUTE_S, 20, id="a-target-by-the-file", marks=pytest.mark.thorough
        ),
        pytest.param(HOLDING, "office", 0.3, FIVE_MINUTES_S, 8, id="a-target-learned"),
        pytest.param(
            replace(HOLDING, cold_target=0.2),
            "timer",
            0.2,
            FIVE_MINUTES_S,
            4,
            id="a-lax-target-learned",
            marks=pytest.mark.thorough,
        ),
        pytest.param(every(PRICED, 200), "timer", 0.2, FIVE_MINUTES_S, 8, id="a-price-by-the-file"),
        pytest.param(PRICED, "office", 0.25, FIVE_MINUTES_S, 8, id="a-price-learned", marks=pytest.mark.thorough),
    ],
)
def test_the_daemon_and_a_backtest_decide_alike(
    db: Path, entry: ModelSpec, pattern: str, days: float, timeout_s: float, least: int
) -> None:
    until_s = days * DAY / SECOND
    calls = [at for at in PATTERNS[pattern](7, days) if at < until_s]
    if entry.policy is PolicyName.FIXED:  # its first heartbeat would queue with that call
        del calls[0]
    # By a price the run of a heartbeat counts, which is a usual one until the first was sent.
    run_s = USUAL_RUN_S if entry.cold_start_price is not None else BRIEF_S
    assert agree(db, entry, calls, until_s, timeout_s=timeout_s, run_s=run_s) >= least


GAPS_S = st.one_of(st.sampled_from([14.0, 47.0, 60.0, 62.0, 76.0, 300.0, 320.0]), st.integers(14, 2000).map(float))


@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    entry=st.sampled_from([AWARE, every(AWARE, 50), every(AWARE, 100), FIXED, every(FIXED, 70), HOLDING]),
    gaps=st.lists(GAPS_S, min_size=1, max_size=8),
    timeout_s=st.sampled_from([MINUTE_S, FIVE_MINUTES_S]),
)
def test_they_do_on_any_short_traffic(entry: ModelSpec, gaps: list[float], timeout_s: float) -> None:
    calls = apart(gaps, first_s=5.0 if entry.policy is PolicyName.FIXED else 0.0)
    with tempfile.TemporaryDirectory() as folder:
        agree(Path(folder) / "ledger.db", entry, calls, calls[-1] + 700, timeout_s=timeout_s)

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from warmer.core.beat import BeatRequest
from warmer.core.price import Billing
from warmer.core.spec import Target, TargetKind
from warmer.errors import Throttled
from warmer.providers.rate import Limit, RateBudget
from warmer.providers.replicate import Replicate

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class Throttle:
    """An account that may create so many a minute, and says only in the body when the next one is allowed."""

    def __init__(
        self, clock: Any, per_minute: float, burst: int = 1, *, punishes: bool = False, body: Callable[[int], Any]
    ) -> None:
        self._clock, self._every, self._burst = clock, 60 / per_minute, burst
        self._punishes, self._body = punishes, body
        self._left, self._at = float(burst), clock.monotonic()
        self.taken: list[float] = []
        self.refused: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        now = self._clock.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) / self._every)
        self._at = now
        if self._left < 1 - 1e-9:
            if self._punishes:
                self._left = 0.0
            self.refused.append(now)
            return httpx.Response(429, json=self._body(math.ceil((1 - self._left) * self._every)))
        self._left -= 1
        self.taken.append(now)
        return httpx.Response(201, json={"id": f"p{len(self.taken)}", "status": "starting"})


async def _beats(client: Replicate, request: BeatRequest, clock: Any, first: float, every: float) -> None:
    await clock.sleep(first)
    while True:
        await client.admit()
        try:
            await client.create(request)
        except Throttled:
            continue
        await clock.sleep(every)


@pytest.mark.parametrize("punishes", [False, True])
@pytest.mark.parametrize("staggered", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        lambda s: {"retry_after": s, "status": 429},
        lambda s: {
            "retry_after": s,
            "detail": "Your rate limit is reduced to 6 requests per minute with a burst of 1 requests.",
        },
    ],
    ids=["hint in the body only", "limit stated"],
)
def test_no_second_refusal_in_a_window_of_an_account_with_six_a_minute(
    virtual: Any, client: Any, request_for: Any, body: Any, staggered: bool, punishes: bool
) -> None:
    throttle = Throttle(virtual, 6, punishes=punishes, body=body)
    replicate = client(throttle, clock=virtual)
    models = [
        _beats(replicate, request_for(f"acme/m{n}:v"), virtual, n * 0.4 * staggered, every)
        for n, every in enumerate((10, 20, 35, 50))
    ]
    asyncio.run(virtual.run(*models, until=3600))
    assert throttle.refused, "the limit was never met: the test shows nothing"
    gaps = [b - a for a, b in pairwise(throttle.refused)]
    assert all(gap > 60 for gap in gaps)
    assert len([moment for moment in throttle.refused if moment < 600]) == 1
    assert len(throttle.refused) <= 3  # the first, and what probing costs
    assert len(throttle.taken) > 0.75 * 360  # and the limit is used, not shunned


def test_an_account_with_a_burst_of_its_own_is_learned_too(virtual: Any, client: Any, request_for: Any) -> None:
    throttle = Throttle(virtual, 6, burst=5, body=lambda s: {"retry_after": s})
    replicate = client(throttle, clock=virtual)
    models = [_beats(replicate, request_for(f"acme/m{n}:v"), virtual, n, 10) for n in range(4)]
    asyncio.run(virtual.run(*models, until=1800))
    assert len(throttle.refused) <= 4
    assert len(throttle.taken) > 0.7 * 180


def test_with_nothing_said_at_all_the_next_create_waits(virtual: Any, client: Any, request_for: Any) -> None:
    throttle = Throttle(virtual, 6, body=lambda s: None)
    replicate = client(throttle, clock=virtual)
    models = [_beats(replicate, request_for(f"acme/m{n}:v"), virtual, 0, 10) for n in range(4)]
    asyncio.run(virtual.run(*models, until=590))
    assert len(throttle.refused) == 1


def test_a_generous_account_is_soon_used_up_to_its_headroom_and_no_further(
    virtual: Any, client: Any, request_for: Any
) -> None:
    throttle = Throttle(virtual, 600, burst=10, body=lambda s: {"retry_after": s})
    replicate = client(throttle, clock=virtual)
    models = [_beats(replicate, request_for(f"acme/m{n}:v"), virtual, 0, 1) for n in range(100)]
    asyncio.run(virtual.run(*models, until=70))
    assert not throttle.refused
    last_minute = [moment for moment in throttle.taken if moment > 10]
    assert 500 < len(last_minute) <= 0.9 * 600 + 9


def test_what_a_pause_has_held_up_goes_out_evenly(virtual: Any, client: Any, request_for: Any) -> None:
    throttle = Throttle(virtual, 1500, burst=25, body=lambda s: None)
    replicate = client(throttle, clock=virtual)
    models = [
        _beats(replicate, request_for(f"acme/m{n}:v"), virtual, due, 60) for due in (0, 60, 120) for n in range(60)
    ]
    asyncio.run(virtual.run(*models, until=125))
    gaps = [second - first for first, second in zip(throttle.taken, throttle.taken[2:], strict=False) if second > 60]
    assert len(gaps) > 100
    assert min(gaps) > 0.99 * 60 / (0.9 * 1500)


def test_what_a_busy_machine_has_held_up_since_it_was_admitted_goes_out_evenly_and_soon(
    virtual: Any, client: Any, request_for: Any
) -> None:
    throttle = Throttle(virtual, 60_000, burst=1000, body=lambda s: None)
    replicate = client(throttle, clock=virtual, creates_per_minute=3000)

    async def admitted_and_held_up(number: int) -> None:
        await replicate.admit()
        await virtual.sleep(20 - virtual.monotonic() if number >= 10 else 0)  # by the first ones the pace has grown
        await replicate.create(request_for(f"acme/m{number}:v"))

    asyncio.run(virtual.run(*(admitted_and_held_up(number) for number in range(90)), until=60))
    taken = [moment for moment in throttle.taken if moment >= 20]
    assert len(taken) == 80
    assert sum(moment < 20.5 for moment in taken) <= 0.5 * 0.9 * 3000 / 60 + 1
    assert max(taken) < 21.01  # held back no longer than that


def test_admission_is_first_come_first_served(virtual: Any) -> None:
    budget, order = RateBudget(virtual, 60), list[int]()

    async def one(number: int) -> None:
        await virtual.sleep(number / 1000)
        await budget.admit()
        order.append(number)

    asyncio.run(virtual.run(*(one(n) for n in range(20)), until=60))
    assert order == list(range(20))


def test_a_waiter_that_gives_up_takes_nothing(virtual: Any) -> None:
    budget = RateBudget(virtual, 60 / 0.9)
    admitted = list[float]()

    async def scene() -> None:
        await budget.admit()
        hopeless = asyncio.create_task(budget.admit())
        await asyncio.sleep(0)
        hopeless.cancel()
        await asyncio.gather(hopeless, return_exceptions=True)
        await budget.admit()
        admitted.append(virtual.monotonic())

    asyncio.run(virtual.run(scene(), until=60))
    assert admitted == [pytest.approx(1.0)]


def test_nothing_is_admitted_while_the_provider_asks_to_wait(virtual: Any) -> None:
    budget, admitted = RateBudget(virtual, 600), list[float]()

    async def scene() -> None:
        await budget.admit()
        await budget.refused(budget.sent(), timedelta(seconds=30))
        assert budget.held >= timedelta(seconds=30)
        await budget.admit()
        admitted.append(virtual.monotonic())

    asyncio.run(virtual.run(scene(), until=120))
    assert admitted[0] >= 30
    assert budget.held == timedelta(0)


def test_a_learned_pace_is_raised_step_by_step_up_to_the_configured_one(virtual: Any) -> None:
    budget, admitted = RateBudget(virtual, 600, careful=True), list[float]()

    async def scene() -> None:
        await budget.admit()
        await budget.refused(budget.sent(), timedelta(seconds=9), Limit(per_minute=6, burst=1))
        while virtual.monotonic() < 7200:
            await budget.admit()
            budget.sent()
            await budget.accepted()
            admitted.append(virtual.monotonic())
            await virtual.sleep(1)

    asyncio.run(virtual.run(scene(), until=7200))
    paces = [b - a for a, b in pairwise(admitted)]
    assert paces[0] == pytest.approx(60 / 5.4)
    assert paces[-1] == pytest.approx(1)
    halved = sum(later < 0.6 * earlier for earlier, later in pairwise(paces))
    assert 3 <= halved <= 5


@pytest.mark.parametrize(
    ("changed", "goes_on"),
    [
        ({}, True),
        ({"reads_per_minute": 2000}, True),
        ({"creates_per_minute": 300}, False),
        ({"token": "r8_another"}, False),
        ({"base_url": "https://other.example.test/v1"}, False),
    ],
)
def test_the_same_account_goes_on_at_its_pace(client: Any, jump: Any, changed: dict[str, Any], goes_on: bool) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": "30"}, json={"detail": "throttled"})

    async def scene() -> None:
        first = client(answer)
        await first.admit()
        with pytest.raises(Throttled):
            await first.create(
                BeatRequest(
                    target=Target(kind=TargetKind.MODEL, owner="a", name="b"),
                    version="v",
                    billing=Billing.PUBLIC,
                    input={},
                    deadline=timedelta(minutes=1),
                )
            )
        assert (client(answer, before=first, **changed).held > timedelta(seconds=29)) is goes_on

    asyncio.run(scene())


def test_a_crowd_that_is_resolved_and_followed_holds_up_no_other_read(virtual: Any, client: Any) -> None:
    asked = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        facts = {"results": [], "latest_version": {"id": "v"}}
        return httpx.Response(200, json=facts | {"id": request.url.path[-3:], "status": "processing"})

    replicate = client(answer, clock=virtual, reads_per_minute=60)
    resolving = [
        replicate.describe(Target(kind=TargetKind.MODEL, owner="acme", name=f"m{number}")) for number in range(50)
    ]

    async def look() -> None:
        await virtual.sleep(5)
        before = len(asked)
        await replicate.recent(START)
        assert len(asked) - before <= 4
        assert {path.split("/")[2] for path in asked[:before]} == {"models", "predictions"}

    following = [replicate.read(f"p{number}") for number in range(10, 60)]
    asyncio.run(virtual.run(*resolving, *following, look(), until=150))
    assert len(asked) == 101

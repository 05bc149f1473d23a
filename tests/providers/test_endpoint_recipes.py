"""Each recipe of config/examples against a double of its host: cold, warm, cold again, and with a wrong key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from harness.doubles import KEY, Baseten, Double, Function, HuggingFace, Knative, Modal, RunPod, header, method
from providers.conftest import JumpClock

from warmer import config
from warmer.core.beat import BeatRequest, Prediction, Status, Use, Verdict
from warmer.core.cost import cost_of
from warmer.core.endpoint import Endpoint
from warmer.core.price import Known
from warmer.core.spec import ModelSpec
from warmer.core.verdict import DEFAULT_WARM_WAIT_S, judge
from warmer.errors import AccountRefused
from warmer.providers.endpoint import HttpEndpoint

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"


@dataclass(frozen=True)
class Recipe:
    """A recipe, its host, and what is seen of a boot there."""

    name: str
    double: type[Double]
    boot_s: float
    late_s: float  # how much later than it is up it may be seen to be

    def __str__(self) -> str:
        return self.name


# A held request tells the boot to the moment; who is asked again and again is asked up to 5 s late, or a second.
RECIPES = [
    Recipe("huggingface", HuggingFace, boot_s=200.0, late_s=5.0),
    Recipe("runpod", RunPod, boot_s=9.0, late_s=0.1),
    Recipe("modal", Modal, boot_s=170.0, late_s=0.5),
    Recipe("baseten", Baseten, boot_s=95.0, late_s=1.0),
    Recipe("knative", Knative, boot_s=2.0, late_s=0.1),
    Recipe("function", Function, boot_s=1.2, late_s=0.1),
]
EACH = pytest.mark.parametrize("recipe", RECIPES, ids=str)


def read(name: str) -> tuple[ModelSpec, Endpoint]:
    (model,) = config.load(EXAMPLES / f"{name}.yaml").models
    assert isinstance(model.host, Endpoint)
    return model, model.host


def request_of(model: ModelSpec) -> BeatRequest:
    return BeatRequest(
        target=model.target, version=None, billing=model.billing_or(None), input={}, deadline=model.deadline
    )


Beat = Callable[[], Awaitable[Prediction]]


@asynccontextmanager
async def beating(recipe: Recipe, double: Double, key: str = KEY) -> AsyncIterator[Beat]:
    """What sends a beat of the recipe to its double, and sees it to its end."""
    model, endpoint = read(recipe.name)
    async with double.serving() as url:
        parts = urlsplit(endpoint.url)
        here = replace(endpoint, url=f"{url}{parts.path}")
        host = HttpEndpoint(here, dict.fromkeys(here.secrets, key), double.clock)

        async def beat() -> Prediction:
            prediction = await host.create(request_of(model))
            while prediction.status.is_open:
                await asyncio.sleep(0)
                prediction = await host.read(prediction.id)
            return prediction

        try:
            yield beat
        finally:
            await host.close()


def verdict_of(prediction: Prediction) -> Verdict:
    return judge(Use.of(prediction), [], DEFAULT_WARM_WAIT_S)


@EACH
def test_a_recipe_tells_cold_from_warm_and_how_long_each_took(recipe: Recipe, jump: JumpClock) -> None:
    double = recipe.double(jump, boot_s=recipe.boot_s)

    async def go() -> list[Prediction]:
        async with beating(recipe, double) as beat:
            found = [await beat(), await beat()]
            await jump.sleep(3600)
            return [*found, await beat()]

    first, warm, again = asyncio.run(go())
    assert [one.status for one in (first, warm, again)] == [Status.SUCCEEDED] * 3
    assert [verdict_of(one) for one in (first, warm, again)] == [Verdict.COLD, Verdict.WARM, Verdict.COLD]
    for one in (first, again):
        assert recipe.boot_s <= one.wait_s <= recipe.boot_s + recipe.late_s + double.run_s
    # What a warm call runs for is known by now, so that the boot can be told from the run.
    assert recipe.boot_s <= again.wait_s <= recipe.boot_s + recipe.late_s
    assert warm.wait_s < 0.5
    for one in (warm, again):
        assert one.run_s == pytest.approx(double.run_s, abs=1.0 if recipe.name == "baseten" else 0.001)
    assert warm.completed_at - warm.started_at == timedelta(seconds=warm.run_s)


@EACH
def test_a_key_that_is_no_good_is_told_as_such_and_nothing_starts(recipe: Recipe, jump: JumpClock) -> None:
    double = recipe.double(jump, boot_s=recipe.boot_s)

    async def go() -> None:
        async with beating(recipe, double, key="wr0ng-key-of-nobody") as beat:
            with pytest.raises(AccountRefused, match="`headers`") as caught:
                await beat()
        assert "wr0ng" not in str(caught.value)
        assert len(double.asked) == 1
        assert double._up_at is None

    asyncio.run(go())


@EACH
def test_a_recipe_says_what_a_beat_costs(recipe: Recipe, jump: JumpClock) -> None:
    model, _ = read(recipe.name)
    double = recipe.double(jump, boot_s=recipe.boot_s)

    async def go() -> Prediction:
        async with beating(recipe, double) as beat:
            return await beat()

    cold = asyncio.run(go())
    cost = cost_of(cold, Verdict.COLD, price=model.price, billing=model.billing_or(None), kept_s=60.0)
    each, by_call = model.price.per_second, model.price.per_output
    if by_call is not None:
        assert (cost.usd, cost.known) == (by_call, Known.EXACT)
    elif each:
        whole = each * Decimal(str(cold.wait_s + cold.run_s + 60.0))
        assert (cost.usd, cost.known) == (pytest.approx(whole, abs=Decimal("0.000001")), Known.ESTIMATED)
    else:
        assert cost.usd == 0


def test_a_redirect_to_the_result_is_asked_for_and_the_call_not_made_twice(jump: JumpClock) -> None:
    recipe = next(one for one in RECIPES if one.name == "modal")
    double = Modal(jump, boot_s=400.0)

    async def go() -> Prediction:
        async with beating(recipe, double) as beat:
            return await beat()

    assert asyncio.run(go()).status is Status.SUCCEEDED
    assert [method(asked) for asked in double.asked] == ["POST", "GET", "GET"]
    assert [header(asked, "content-type") for asked in double.asked] == ["application/json", None, None]


@pytest.mark.parametrize("name", ["runpod", "baseten"])
def test_a_job_that_is_given_up_is_cancelled_at_its_host(name: str, jump: JumpClock) -> None:
    recipe = next(one for one in RECIPES if one.name == name)
    double = recipe.double(jump, boot_s=1e9)

    async def go() -> Prediction:
        model, endpoint = read(name)
        async with double.serving() as url:
            here = replace(endpoint, url=f"{url}{urlsplit(endpoint.url).path}")
            host = HttpEndpoint(here, dict.fromkeys(here.secrets, KEY), jump)
            sent = await host.create(request_of(model))
            assert sent.status is Status.STARTING
            await host.cancel(sent.id)
            ended = await host.read(sent.id)
            await host.close()
            return ended

    ended = asyncio.run(go())
    assert (ended.status, ended.error, ended.is_free) == (Status.CANCELED, None, True)
    assert len(double.cancelled) == 1

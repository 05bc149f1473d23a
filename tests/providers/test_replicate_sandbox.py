from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warmer import errors
from warmer.clock import FastClock
from warmer.core.beat import BeatRequest, Prediction, Status
from warmer.core.lost import find_lost
from warmer.core.price import Billing
from warmer.core.smallest import smallest_input
from warmer.core.spec import AccountSpec, Target, TargetKind
from warmer.providers.replicate import Replicate
from warmer.sandbox.faults import Fault
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.world import World

BEGIN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SPEED = 100.0
Story = Callable[[SandboxServer, Replicate, FastClock], Awaitable[None]]


def target(what: str, *, deployment: bool = False) -> Target:
    owner, name = what.split("/")
    return Target(kind=TargetKind.DEPLOYMENT if deployment else TargetKind.MODEL, owner=owner, name=name)


@pytest.fixture
def play(canary: str) -> Callable[..., None]:
    def run(story: Story, speed: float = SPEED) -> None:
        async def scene() -> None:
            async with SandboxServer(World(begin=BEGIN), speed=speed) as sandbox:
                clock = FastClock(sandbox.now(), speed)
                replicate = Replicate(AccountSpec(base_url=f"{sandbox.url}/v1"), canary, clock, jitter=lambda: 0.5)
                try:
                    await story(sandbox, replicate, clock)
                finally:
                    await replicate.close()

        asyncio.run(scene())

    return run


async def request_of(replicate: Replicate, what: Target) -> BeatRequest:
    contract = await replicate.describe(what)
    return BeatRequest(
        target=what,
        version=contract.version,
        billing=contract.billing,
        input=smallest_input(contract.input_schema, contract.example_input),
        deadline=timedelta(minutes=10),
    )


async def over(replicate: Replicate, clock: FastClock, prediction: Prediction) -> Prediction:
    for _ in range(500):
        if not prediction.status.is_open:
            return prediction
        await clock.sleep(1)
        prediction = await replicate.read(prediction.id)
    raise AssertionError("it did not end")


@pytest.mark.parametrize(
    ("what", "deployment", "billing"),
    [
        ("meta/meta-llama-3-8b-instruct", False, Billing.PUBLIC),
        ("stability-ai/sdxl", False, Billing.PUBLIC),
        ("openai/whisper", False, Billing.PUBLIC),
        ("salesforce/blip", False, Billing.PUBLIC),
        ("acme/private-llm", False, Billing.PRIVATE),
        ("black-forest-labs/flux-schnell", False, Billing.OFFICIAL),
        ("acme/upscaler", True, Billing.DEPLOYMENT),
    ],
)
def test_the_smallest_input_warms_each_kind_of_target(play: Any, what: str, deployment: bool, billing: Billing) -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate, clock: FastClock) -> None:
        request = await request_of(replicate, target(what, deployment=deployment))
        assert request.billing is billing
        await replicate.admit()
        created = await replicate.create(request)
        ended = await over(replicate, clock, created)
        assert ended.status is Status.SUCCEEDED, ended.error
        assert ended.wait_s is not None
        assert ended.run_s is not None
        assert ended.deadline == ended.created_at + timedelta(minutes=10)
        assert ended.deployment == (what if deployment else None)
        listed = await replicate.recent(created.created_at)
        assert [p.id for p in listed] == [created.id]
        await replicate.cancel(created.id)

    play(story)


def test_an_official_model_is_run_without_its_version_and_a_private_one_of_others_is_not_there(play: Any) -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate, clock: FastClock) -> None:
        flux = target("black-forest-labs/flux-schnell")
        pinned = replace(flux, version=sandbox.world.model(flux.slug).latest.id)
        for what in (flux, pinned, pinned):
            request = await request_of(replicate, what)
            await replicate.admit()
            assert (await replicate.create(request)).version is None
        # One that may not be seen is not there.
        sandbox.world.permit("acme/private-llm", permitted=False)
        with pytest.raises(errors.ModelRefused, match="404"):
            await replicate.describe(target("acme/private-llm"))

    play(story)


def test_a_deadline_and_a_cancel_end_a_prediction_at_the_host(play: Any) -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate, clock: FastClock) -> None:
        request = await request_of(replicate, target("stability-ai/sdxl"))
        created = await replicate.create(request)
        await replicate.cancel(created.id)
        assert (await over(replicate, clock, created)).status in (Status.CANCELED, Status.ABORTED)

    play(story)


def test_a_cut_reply_is_found_in_the_list_and_nothing_is_sent_twice(play: Any) -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate, clock: FastClock) -> None:
        request = await request_of(replicate, target("meta/meta-llama-3-8b-instruct"))
        sandbox.faults.add(Fault(kind="cut", on="create"))
        known: set[str] = set()
        for _ in range(10):
            claimed_at = clock.now()
            with pytest.raises(errors.Doubtful):
                await replicate.create(request)
            listed = await replicate.recent(claimed_at - timedelta(seconds=2))
            found = find_lost(request, claimed_at, listed, frozenset(known), {replicate.skew})
            assert found is not None
            known.add(found.id)
            await clock.sleep(5)
        assert len(await replicate.recent(BEGIN)) == 10

    play(story)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="status", on="create", status=402), errors.CreditExhausted),
        (Fault(kind="status", on="create", status=401), errors.AccountRefused),
        (Fault(kind="status", on="create", status=422), errors.ModelRefused),
        (Fault(kind="status", on="create", status=404), errors.ModelRefused),
        (Fault(kind="status", on="create", status=429), errors.Throttled),
        (Fault(kind="status", on="create", status=503), errors.Doubtful),
        (Fault(kind="redirect", on="create", to="http://127.0.0.1:9"), errors.Doubtful),
        (Fault(kind="garbage", on="create", how="truncated"), errors.Doubtful),
        (Fault(kind="garbage", on="create", how="html"), errors.Doubtful),
        (Fault(kind="garbage", on="create", how="array"), errors.Doubtful),
        (Fault(kind="huge", on="create"), errors.Doubtful),
        (Fault(kind="rewrite", on="create", drop=("id",)), errors.Doubtful),
    ],
    ids=lambda value: f"{value.kind} {value.how} {value.status}" if isinstance(value, Fault) else None,
)
def test_a_fault_at_the_create_is_named_for_what_it_is(play: Any, fault: Fault, error: type[Exception]) -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate, clock: FastClock) -> None:
        request = await request_of(replicate, target("replicate/hello-world"))
        sandbox.faults.add(fault)
        with pytest.raises(errors.ProviderError) as caught:
            await replicate.create(request)
        assert type(caught.value) is error

    play(story)


def test_foreign_addresses_and_odd_statuses_in_replies_change_nothing(play: Any) -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate, clock: FastClock) -> None:
        request = await request_of(replicate, target("replicate/hello-world"))
        sandbox.faults.add(Fault(kind="foreign_urls", to="http://127.0.0.1:9"))
        created = await replicate.create(request)
        assert (await over(replicate, clock, created)).status is Status.SUCCEEDED
        await replicate.cancel(created.id)
        assert [p.id for p in await replicate.recent(BEGIN)] == [created.id]
        sandbox.faults.clear()
        sandbox.faults.add(Fault(kind="rewrite", on="get", set={"status": "hibernating", "metrics": None}))
        assert (await replicate.read(created.id)).status is Status.UNKNOWN

    play(story)


def test_an_account_short_of_credit_refuses_once(play: Any) -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate, clock: FastClock) -> None:
        sandbox.faults.add(Fault(kind="low_credit"))
        request = await request_of(replicate, target("replicate/hello-world"))
        refusals = 0
        for _ in range(4):
            await replicate.admit()
            try:
                await replicate.create(request)
            except errors.Throttled:
                refusals += 1
                assert replicate.held > timedelta(0)
        assert refusals == 1

    play(story, speed=20.0)


def test_the_sandbox_and_its_clock_agree(play: Any) -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate, clock: FastClock) -> None:
        assert await replicate.verify() == "acme"
        assert replicate.skew == timedelta(0)

    play(story)

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from providers.conftest import CANARY, JumpClock

from warmer import errors
from warmer.clock import FastClock
from warmer.core.floor import Instances
from warmer.core.spec import AccountSpec, Target, TargetKind
from warmer.providers.replicate import Replicate
from warmer.sandbox.faults import Fault
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.world import World

BEGIN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SPEED = 100.0
UPSCALER = Target(kind=TargetKind.DEPLOYMENT, owner="acme", name="upscaler")
Story = Callable[[SandboxServer, Replicate], Awaitable[None]]


def play(story: Story) -> None:
    async def scene() -> None:
        async with SandboxServer(World(begin=BEGIN), speed=SPEED) as sandbox:
            clock = FastClock(sandbox.now(), SPEED)
            replicate = Replicate(AccountSpec(base_url=f"{sandbox.url}/v1"), CANARY, clock, jitter=lambda: 0.5)
            try:
                await story(sandbox, replicate)
            finally:
                await replicate.close()

    asyncio.run(scene())


def patched(sandbox: SandboxServer) -> int:
    return sandbox.world.deployment("acme/upscaler").number - 1


def test_a_floor_is_read_raised_and_lowered() -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate) -> None:
        scaler = replicate.scaler
        before = await scaler.instances(UPSCALER)
        assert before == Instances(least=0, most=2, release=1, hardware="gpu-t4")
        assert await scaler.set_minimum(UPSCALER, 2) == Instances(least=2, most=2, release=2, hardware="gpu-t4")
        assert (await scaler.instances(UPSCALER)).least == 2
        assert (await scaler.set_minimum(UPSCALER, 0)).release == 3

    play(story)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.AccountRefused),
        (402, errors.CreditExhausted),
        (403, errors.ModelRefused),
        (404, errors.ModelRefused),
        (409, errors.Unavailable),
        (422, errors.ModelRefused),
        (429, errors.Throttled),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
    ],
)
def test_every_refusal_of_a_change_is_told_and_nothing_is_repeated(
    status: int, kind: type[errors.ProviderError]
) -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate) -> None:
        sandbox.faults.add(Fault(kind="status", on="deployment", match="min_instances", status=status))
        with pytest.raises(errors.ProviderError) as caught:
            await replicate.scaler.set_minimum(UPSCALER, 1)
        assert type(caught.value) is kind
        assert sandbox.replies["deployment", str(status)] == 1
        assert patched(sandbox) == 0
        if isinstance(caught.value, errors.ModelRefused):
            assert "max_instances" in caught.value.hint

    play(story)


def test_more_than_the_deployment_may_have_is_refused_with_what_to_do() -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate) -> None:
        with pytest.raises(errors.ModelRefused, match="min_instances 4 is above max_instances 2") as caught:
            await replicate.scaler.set_minimum(UPSCALER, 4)
        assert "`instances`" in caught.value.hint

    play(story)


def test_a_change_whose_reply_is_lost_is_in_doubt_and_was_sent_once() -> None:
    async def story(sandbox: SandboxServer, replicate: Replicate) -> None:
        sandbox.faults.add(Fault(kind="cut", on="deployment", match="min_instances"))
        with pytest.raises(errors.Doubtful):
            await replicate.scaler.set_minimum(UPSCALER, 1)
        assert patched(sandbox) == 1
        assert (await replicate.scaler.instances(UPSCALER)).least == 1  # whoever looks knows

    play(story)


@pytest.mark.parametrize(
    "configuration", [None, {}, {"min_instances": None}, {"min_instances": "1"}, {"min_instances": True}]
)
def test_a_reply_that_tells_no_floor_is_no_floor_of_none(configuration: Any) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"current_release": {"number": 3, "configuration": configuration}})

    async def scene() -> None:
        account = AccountSpec(base_url="https://api.example.com/v1")
        replicate = Replicate(account, CANARY, JumpClock(), transport=httpx.MockTransport(answer))
        with pytest.raises(errors.Unavailable, match="could not be read"):
            await replicate.scaler.instances(UPSCALER)
        with pytest.raises(errors.Unavailable, match="could not be read"):
            await replicate.scaler.set_minimum(UPSCALER, 1)
        await replicate.close()

    asyncio.run(scene())
    get, patch = sent
    assert (get.method, patch.method) == ("GET", "PATCH")
    assert str(patch.url) == "https://api.example.com/v1/deployments/acme/upscaler"
    assert json.loads(patch.content) == {"min_instances": 1}
    assert patch.headers["authorization"] == f"Bearer {CANARY}"

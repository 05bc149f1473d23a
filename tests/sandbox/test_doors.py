"""The sandbox as an endpoint of each model, and as a Cog server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx

from warmer.sandbox.doors import SETUP
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.world import World

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
BLIP = "salesforce/blip"


def serve(story: Callable[[SandboxServer, httpx.AsyncClient], Awaitable[None]]) -> None:
    async def main() -> None:
        async with (
            SandboxServer(World(begin=BEGIN, seed=1), speed=100) as server,
            httpx.AsyncClient(base_url=server.url, headers={"User-Agent": "warmer/1"}, timeout=30) as client,
        ):
            await story(server, client)

    asyncio.run(main())


def test_an_endpoint_answers_once_an_instance_is_up_and_tells_how_long_that_took() -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        first, second = [(await client.get(f"/call/{BLIP}")).json() for _ in range(2)]
        assert first["wait_s"] > 5 > second["wait_s"]
        assert first["output"] and second["run_s"] > 0
        assert [call.found.value for call in server.world.journal.calls(caller="warmer", target=BLIP)] == [
            "cold",
            "warm",
        ]

    serve(story)


def test_a_run_that_fails_is_a_500_and_a_model_that_is_not_there_a_404() -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        server.world.fail_next(BLIP, "out of memory")
        reply = await client.post(f"/call/{BLIP}", json={})
        assert (reply.status_code, reply.json()["error"]) == (500, "out of memory")
        assert (await client.get("/call/acme/nobody")).status_code == 404

    serve(story)


def test_the_cog_server_is_up_once_its_setup_is_over() -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        assert (await client.get("/cog/health-check")).json()["status"] == "STARTING"
        early = await client.put("/cog/predictions/a", json={"input": {"text": "hi"}})
        assert early.status_code == 503
        await server.sleep(SETUP)
        health = (await client.get("/cog/health-check")).json()
        began, ended = (datetime.fromisoformat(health["setup"][key]) for key in ("started_at", "completed_at"))
        assert (health["status"], ended - began) == ("READY", SETUP)
        done = (await client.put("/cog/predictions/b", json={"input": {"text": "hi"}})).json()
        assert (done["id"], done["status"], done["output"]) == ("b", "succeeded", "hi")
        wrong = await client.put("/cog/predictions/c", json={"input": {}})
        assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["body", "input", "text"])
        assert (await client.post("/cog/predictions/b/cancel")).status_code == 200

    serve(story)

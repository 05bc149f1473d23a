from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from warmer.sandbox.faults import Fault
from warmer.sandbox.server import SandboxServer

HELLO = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
BODY = {"version": HELLO, "input": {"text": "Alice"}}
Serve = Callable[..., None]


async def switch(client: httpx.AsyncClient, **fault: Any) -> None:
    assert (await client.post("/sandbox/faults", json=fault)).status_code == 200


@pytest.mark.parametrize("status", [401, 402, 404, 422, 429, 500, 503])
def test_a_status_is_answered_as_often_as_asked_and_nothing_is_carried_out(serve: Serve, status: int) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="status", status=status, on="create", times=2)
        seen = [(await client.post("/v1/predictions", json=BODY)).status_code for _ in range(3)]
        assert seen == [status, status, 201]
        assert server.world.journal.creates() == 1

    serve(story)


def test_a_status_leaves_other_operations_alone(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="status", status=500, on="get")
        body = (await client.post("/v1/predictions", json=BODY)).json()
        assert (await client.get(body["urls"]["get"])).status_code == 500
        assert (await client.get("/v1/predictions")).status_code == 200
        await client.delete("/sandbox/faults")
        assert (await client.get(body["urls"]["get"])).status_code == 200

    serve(story)


def test_a_status_can_have_a_body_headers_and_a_type_of_its_own(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        server.faults.add(
            Fault(kind="status", status=429, body="slow down", headers={"Retry-After": "7"}, content_type="text/plain")
        )
        reply = await client.get("/v1/account")
        assert (reply.text, reply.headers["retry-after"]) == ("slow down", "7")
        assert reply.headers["content-type"].startswith("text/plain")

    serve(story)


def test_a_fault_can_be_kept_to_one_model(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="status", status=404, match="stability-ai/sdxl")
        assert (await client.get("/v1/models/stability-ai/sdxl")).status_code == 404
        assert (await client.get("/v1/models/openai/whisper")).status_code == 200

    serve(story)


def test_a_cut_closes_the_connection_after_the_create_was_carried_out(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="cut", on="create", times=1)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await client.post("/v1/predictions", json=BODY)
        assert server.world.journal.creates() == 1
        listed = (await client.get("/v1/predictions")).json()["results"]
        assert [one["input"] for one in listed] == [{"text": "Alice"}]
        assert (await client.get("/sandbox/totals")).json()["replies"]["create"] == {"cut": 1}

    serve(story)


def test_a_cut_sends_not_one_byte(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        server.faults.add(Fault(kind="cut"))
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps(BODY).encode()
        writer.write(
            b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer r8_x_y\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert await reader.read() == b""
        assert server.world.journal.creates(caller="x") == 1
        writer.close()

    serve(story)


def test_a_redirect_points_where_it_is_told(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="redirect", to="http://127.0.0.1:9", on="create")
        reply = await client.post("/v1/predictions", json=BODY)
        assert (reply.status_code, reply.headers["location"]) == (307, "http://127.0.0.1:9/v1/predictions")
        assert server.world.journal.creates() == 0

    serve(story)


def test_foreign_urls_point_elsewhere(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="foreign_urls", to="http://127.0.0.1:9")
        urls = (await client.post("/v1/predictions", json=BODY)).json()["urls"]
        assert urls["get"].startswith("http://127.0.0.1:9/v1/predictions/")
        assert urls["cancel"].startswith("http://127.0.0.1:9/v1/predictions/")

    serve(story)


@pytest.mark.parametrize("how", ["truncated", "html"])
def test_garbage_is_no_json(serve: Serve, how: str) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="garbage", how=how)
        reply = await client.post("/v1/predictions", json=BODY)
        assert reply.status_code == 201
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            reply.json()
        assert server.world.journal.creates() == 1

    serve(story)


def test_garbage_can_be_json_of_the_wrong_shape(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="garbage", how="array")
        assert (await client.get("/v1/account")).json() == [1, 2, 3]

    serve(story)


def test_huge_sends_fifty_megabytes(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="huge")
        received = 0
        async with client.stream("GET", "/v1/account") as reply:
            async for chunk in reply.aiter_bytes():
                received += len(chunk)
        assert received > 50_000_000

    serve(story)


def test_a_delay_holds_the_reply_to_what_was_carried_out(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="delay", seconds=20, on="create")
        await client.post("/v1/predictions", json=BODY)
        (call,) = server.world.journal.calls()
        assert server.now() - call.created_at >= timedelta(seconds=20)

    serve(story)


def test_a_rewrite_sets_and_drops_keys(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="rewrite", on="get", set={"status": "hibernating"}, drop=["metrics", "urls"])
        body = (await client.post("/v1/predictions", json=BODY)).json()
        seen = (await client.get(body["urls"]["get"])).json()
        assert seen["status"] == "hibernating"
        assert "urls" not in seen

    serve(story)


def test_low_credit_comes_and_goes(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        await switch(client, kind="low_credit")
        seen = [(await client.post("/v1/predictions", json=BODY)).status_code for _ in range(2)]
        await client.delete("/sandbox/faults")
        seen.append((await client.post("/v1/predictions", json=BODY)).status_code)
        assert seen == [201, 429, 201]

    serve(story, speed=1.0)


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        ({"kind": "gremlin"}, "use one of status"),
        ({"kind": "status", "on": "delete"}, "use one of create"),
        ({"kind": "redirect"}, "needs an address"),
        ({"kind": "status", "status": 200}, "use 400 to 599"),
        ({"kind": "cut", "often": 2}, "often"),
        ({}, "kind"),
    ],
)
def test_an_unknown_fault_is_refused_with_what_there_is(serve: Serve, fault: dict[str, Any], hint: str) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        reply = await client.post("/sandbox/faults", json=fault)
        assert reply.status_code == 400
        assert hint in reply.json()["detail"]

    serve(story)

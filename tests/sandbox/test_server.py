from __future__ import annotations

import asyncio
import http.server
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from warmer.sandbox.catalogue import MODELS
from warmer.sandbox.faults import Fault
from warmer.sandbox.pace import Pace
from warmer.sandbox.predictions import Status
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.webhooks import allowed
from warmer.sandbox.world import World

HELLO = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
Serve = Callable[..., None]


# Time


def test_a_prediction_ends_in_virtual_time_though_nobody_polls(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        prediction = server.call("replicate/hello-world", {"text": "x"})
        await server.sleep(timedelta(seconds=30))
        assert prediction.status is Status.SUCCEEDED

    serve(story)


def test_a_floor_raised_in_the_process_boots_though_nobody_asks(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        server.world.release(server.now(), "acme/upscaler", min_instances=1)
        await server.sleep(timedelta(seconds=60))
        (stay,) = server.world.journal.instances(server.world.now)
        assert stay.ready_at is not None

    serve(story)


def test_the_clock_begins_at_the_origin_and_runs_at_its_speed() -> None:
    async def main() -> None:
        origin = BEGIN + timedelta(days=3)
        async with SandboxServer(World(begin=BEGIN), speed=50, origin=origin) as server:
            async with httpx.AsyncClient(base_url=server.url) as client:
                clock = (await client.get("/sandbox/clock")).json()
            assert clock["speed"] == 50
            assert origin <= datetime.fromisoformat(clock["now"]) <= server.now() < origin + timedelta(hours=1)

    asyncio.run(main())


def test_a_speed_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="use a number above 0"):
        Pace(World(begin=BEGIN), speed=0, origin=BEGIN)


def test_the_server_leaves_signal_handlers_alone_and_frees_its_port() -> None:
    async def main() -> None:
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        async with SandboxServer(World(begin=BEGIN)) as server:
            assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
            port = int(server.url.rpartition(":")[2])
        async with SandboxServer(World(begin=BEGIN), port=port) as again:
            assert again.url.endswith(f":{port}")

    asyncio.run(main())


def test_stopping_does_not_wait_for_held_requests() -> None:
    async def main() -> None:
        world, created = World(begin=BEGIN), asyncio.Event()
        world.subscribe(lambda *_: created.set())
        server = SandboxServer(world)
        await server.start()
        async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": "Bearer r8_x_y"}) as client:
            body = {"version": HELLO, "input": {"text": "x"}}
            held = asyncio.create_task(client.post("/v1/predictions", json=body, headers={"Prefer": "wait"}))
            await created.wait()
            async with asyncio.timeout(10):
                await server.stop()
            await asyncio.gather(held, return_exceptions=True)

    asyncio.run(main())


# Control


def test_totals_and_journal_agree_and_are_told_by_caller(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        for caller in ("warmer", "customer"):
            headers = {"Authorization": f"Bearer r8_{caller}_secret", "Prefer": "wait"}
            await client.post("/v1/predictions", json={"version": HELLO, "input": {"text": "x"}}, headers=headers)
        whole = (await client.get("/sandbox/totals")).json()
        ours = (await client.get("/sandbox/journal?caller=warmer")).json()["predictions"]
        assert (whole["creates"], whole["running_now"], whole["cold_share"]) == (2, 0, 0.5)
        assert [(one["caller"], one["found"], one["status"]) for one in ours] == [("warmer", "cold", "succeeded")]
        assert sum(Decimal(one["billed_usd"]) for one in whole["totals"]) == Decimal(whole["billed_usd"])
        assert Decimal(ours[0]["billed_usd"]) == Decimal(str(ours[0]["run_s"])) * Decimal("0.0001")
        assert "secret" not in (await client.get("/sandbox/journal")).text

    serve(story)


@pytest.mark.parametrize(("token", "label"), [("r8_customer_abc", "customer"), ("r8_abcdef", "account")])
def test_a_caller_is_labelled_without_its_token(serve: Serve, token: str, label: str) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        body = {"version": HELLO, "input": {"text": "x"}}
        await client.post("/v1/predictions", json=body, headers={"Authorization": f"Bearer {token}"})
        assert [one.caller for one in server.world.journal.calls()] == [label]

    serve(story)


def test_customers_call_without_a_token(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        call: dict[str, Any] = {"model": "replicate/hello-world", "input": {"text": "x"}, "caller": "shop"}
        assert (await client.post("/sandbox/customer", json=call)).status_code == 201
        assert (await client.post("/sandbox/customer", json={**call, "stranger": True})).status_code == 201
        assert (await client.post("/sandbox/customer", json={**call, "input": {}})).status_code == 422
        assert (await client.post("/sandbox/customer", json={**call, "model": "a/b"})).status_code == 404
        assert (await client.post("/sandbox/customer", json={})).status_code == 400
        assert len((await client.get("/v1/predictions")).json()["results"]) == 1
        assert server.world.journal.creates(caller="shop") == 2

    serve(story)


def test_versions_and_failures_can_be_ordered(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        new = (await client.post("/sandbox/versions", json={"model": "replicate/hello-world"})).json()["id"]
        model = (await client.get("/v1/models/replicate/hello-world")).json()
        assert model["latest_version"]["id"] == new != HELLO
        await client.post("/sandbox/failures", json={"model": "replicate/hello-world", "error": "no (code: E1000)"})
        body = {"version": new, "input": {"text": "x"}}
        reply = await client.post("/v1/predictions", json=body, headers={"Prefer": "wait"})
        assert (reply.json()["status"], reply.json()["error"]) == ("failed", "no (code: E1000)")

    serve(story)


def test_versions_and_models_can_be_deleted_and_kept_from_the_account(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        sdxl, hello = "stability-ai/sdxl", "replicate/hello-world"
        new, old = (version.id for version in server.world.model(sdxl).versions)
        gone = await client.delete("/sandbox/versions", params={"model": sdxl, "version": old})
        assert gone.status_code == 204
        assert (await client.get(f"/v1/models/{sdxl}/versions/{old}")).status_code == 404
        body = {"version": old, "input": {"prompt": "x"}}
        assert (await client.post("/v1/predictions", json=body)).json()["title"] == "Invalid version or not permitted"
        assert (await client.post("/sandbox/versions", json={"model": sdxl})).json()["id"] not in (old, new)
        again = await client.delete("/sandbox/versions", params={"model": sdxl, "version": old})
        assert again.status_code == 404

        wish = {"model": hello, "permitted": False}
        body = {"version": HELLO, "input": {"text": "x"}}
        for permitted, read, created in ((False, 404, 422), (True, 200, 201)):
            assert (await client.post("/sandbox/models", json=wish | {"permitted": permitted})).status_code == 204
            assert (await client.get(f"/v1/models/{hello}")).status_code == read
            assert (await client.post("/v1/predictions", json=body)).status_code == created
        assert (await client.delete("/sandbox/models", params={"model": hello})).status_code == 204
        assert (await client.get(f"/v1/models/{hello}")).status_code == 404
        assert (await client.post("/v1/predictions", json=body)).status_code == 422
        # What runs, goes on; what is deployed, stays.
        assert len((await client.get("/v1/predictions")).json()["results"]) == 1
        deployed = await client.delete("/sandbox/models", params={"model": "nightmareai/real-esrgan"})
        assert deployed.status_code == 400
        assert (await client.post("/sandbox/models", json={})).status_code == 400

    serve(story)


# Webhooks


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent, and answers with the statuses it was given, the last one for ever."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        receiver: Any = self.server
        receiver.got.put(({name.lower(): value for name, value in self.headers.items()}, body))
        statuses = receiver.statuses
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.send_header("location", "http://127.0.0.1:9/")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def receiver(*statuses: int) -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.statuses = queue.Queue(), list(statuses)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def arrived(server: Any, count: int) -> list[tuple[dict[str, str], bytes]]:
    return [await asyncio.to_thread(server.got.get, timeout=10) for _ in range(count)]


def test_webhooks_are_signed_and_carry_the_prediction(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        with receiver(200) as target:
            url = f"http://127.0.0.1:{target.server_port}/hook"
            wish = {"webhook": url, "webhook_events_filter": ["start", "completed"]}
            body = {"version": HELLO, "input": {"text": "x"}, **wish}
            created = (await client.post("/v1/predictions", json=body)).json()
            assert (created["webhook"], created["webhook_events_filter"]) == (url, ["start", "completed"])
            got = await arrived(target, 2)
            key = (await client.get("/v1/webhooks/default/secret")).json()["key"]
            told = []
            for headers, data in got:
                stamp = int(headers["webhook-timestamp"])
                assert headers["webhook-signature"] == Webhook(key).sign(
                    headers["webhook-id"], datetime.fromtimestamp(stamp, UTC), data.decode()
                )
                told.append(httpx.Response(200, content=data).json())
            assert {one["id"] for one in told} == {created["id"]}
            assert "succeeded" in [one["status"] for one in told]

    serve(story)


@pytest.mark.parametrize("refusal", [500, 404, 302])
def test_the_terminal_webhook_is_repeated_under_one_id_and_redirects_are_not_followed(
    serve: Serve, refusal: int
) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        with receiver(refusal, refusal, 200) as target:
            body = {"version": HELLO, "input": {"text": "x"}, "webhook": f"http://127.0.0.1:{target.server_port}/"}
            await client.post("/v1/predictions", json=body)
            assert len({headers["webhook-id"] for headers, _ in await arrived(target, 3)}) == 1

    serve(story)


def test_a_streaming_model_tells_its_output_on_the_way(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        with receiver(200) as target:
            version = server.world.model("acme/private-llm").latest.id
            hook = {"webhook": f"http://127.0.0.1:{target.server_port}/", "webhook_events_filter": ["output"]}
            given = {"prompt": "x", "max_tokens": 512}
            await client.post("/v1/predictions", json={"version": version, "input": given, **hook})
            bodies = [httpx.Response(200, content=data).json() for _, data in await arrived(target, 2)]
            assert all(one["status"] == "processing" for one in bodies)

    talkative = replace(next(one for one in MODELS if one.slug == "acme/private-llm"), boot_s=1.0)
    serve(story, speed=10.0, models=(talkative,), deployments=())


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://example.com/hook", True),
        ("http://127.0.0.1:1234/", True),
        ("http://localhost/", True),
        ("http://[::1]:80/", True),
        ("http://example.com/", False),
        ("http://10.0.0.1/", False),
        ("ftp://localhost/", False),
        ("https://", False),
    ],
)
def test_webhooks_go_over_tls_or_to_loopback(url: str, fine: bool) -> None:
    assert allowed(url) is fine


def test_a_webhook_in_the_clear_is_refused(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        body = {"version": HELLO, "input": {"text": "x"}, "webhook": "http://example.com/"}
        reply = await client.post("/v1/predictions", json=body)
        assert (reply.status_code, reply.json()["invalid_fields"][0]["field"]) == (422, "webhook")

    serve(story)


@pytest.mark.parametrize("looks", [False, True])
def test_a_client_that_dies_amid_its_request_is_no_fault_of_the_server(
    caplog: pytest.LogCaptureFixture, looks: bool
) -> None:
    async def scene() -> None:
        async with SandboxServer(World(begin=BEGIN)) as server:
            if looks:  # into the body, before anybody else does
                server.faults.add(Fault(kind="status", match="nothing of the kind"))
            host, port = server.url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer r8_warmer_x\r\n"
                b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
            )
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.transport.abort()
            await asyncio.sleep(0.1)
            assert server.world.journal.calls() == []

    asyncio.run(scene())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []

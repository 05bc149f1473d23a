from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from warmer.sandbox.server import SandboxServer
from warmer.sandbox.traits import Account

HELLO = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
Serve = Callable[..., None]


def hello(**changes: Any) -> dict[str, Any]:
    return {"version": HELLO, "input": {"text": "Alice"}, **changes}


async def finished(client: httpx.AsyncClient, prediction: dict[str, Any]) -> dict[str, Any]:
    for _ in range(1000):
        reply = (await client.get(prediction["urls"]["get"])).json()
        if reply["status"] not in ("starting", "processing"):
            return dict(reply)
    raise AssertionError("it did not finish")


# Shapes


def test_a_new_prediction_lacks_what_it_has_not_got_yet(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/predictions", json=hello())
        body = reply.json()
        assert reply.status_code == 201
        assert reply.headers["content-type"] == "application/json; charset=utf-8"
        assert reply.headers["location"] == body["urls"]["get"]
        assert (reply.headers["ratelimit-remaining"], reply.headers["ratelimit-reset"]) == ("599", "1")
        early = "id model version input logs error status created_at urls data_removed source"
        assert set(body) == set(early.split())
        assert re.fullmatch(r"[0-9a-z]{26}", body["id"])
        assert (body["status"], body["model"], body["version"]) == ("starting", "replicate/hello-world", HELLO)
        assert body["urls"]["cancel"] == f"{server.url}/v1/predictions/{body['id']}/cancel"

    serve(story)


def test_a_finished_prediction_has_its_times_and_metrics(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        body = await finished(client, (await client.post("/v1/predictions", json=hello())).json())
        created, started, completed = (
            datetime.fromisoformat(body[key]) for key in ("created_at", "started_at", "completed_at")
        )
        assert (body["status"], body["output"], body["error"]) == ("succeeded", "hello Alice", None)
        assert abs(body["metrics"]["predict_time"] - (completed - started).total_seconds()) < 0.002
        assert abs(body["metrics"]["total_time"] - (completed - created).total_seconds()) < 0.002

    serve(story)


def test_fractions_of_seconds_have_different_lengths(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        stamps = [(await client.post("/v1/predictions", json=hello())).json()["created_at"] for _ in range(40)]
        assert {len(stamp.partition(".")[2]) - 1 for stamp in stamps} == {3, 6, 8, 9}
        assert all(stamp.endswith("Z") for stamp in stamps)

    serve(story)


def test_a_held_create_answers_processing_with_the_output_and_no_times(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/predictions", json=hello(), headers={"Prefer": "wait=60"})
        body = reply.json()
        assert (reply.status_code, reply.headers["preference-applied"]) == (201, "wait=60")
        assert (body["status"], body["output"]) == ("processing", "hello Alice")
        assert not {"started_at", "completed_at", "metrics"} & set(body)

    serve(story)


def test_a_hold_that_runs_out_answers_what_there_is(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        version = server.world.model("acme/private-llm").latest.id
        before = server.now()
        reply = await client.post(
            "/v1/predictions", json={"version": version, "input": {"prompt": "x"}}, headers={"Prefer": "wait=5"}
        )
        assert reply.json()["status"] == "starting"
        assert server.now() - before >= timedelta(seconds=5)

    serve(story, speed=20.0)


@pytest.mark.parametrize("prefer", ["wait=0", "wait=100", "respond-async", "wait=x"])
def test_a_preference_that_is_none_is_not_applied(serve: Serve, prefer: str) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/predictions", json=hello(), headers={"Prefer": prefer})
        assert "preference-applied" not in reply.headers
        assert reply.json()["status"] == "starting"

    serve(story, speed=1.0)


@pytest.mark.parametrize(
    ("duration", "seconds"), [("5", 5), ("90s", 90), ("10m", 600), ("1h30m45s", 5445), ("1h", 3600), ("1m5", 65)]
)
def test_cancel_after_sets_a_deadline_from_creation(serve: Serve, duration: str, seconds: int) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        body = (await client.post("/v1/predictions", json=hello(), headers={"Cancel-After": duration})).json()
        created, deadline = (datetime.fromisoformat(body[key]) for key in ("created_at", "deadline"))
        assert deadline - created == timedelta(seconds=seconds)

    serve(story)


@pytest.mark.parametrize("duration", ["4", "4s", "0", "-5", "soon", "", "5d", "1.5h"])
def test_cancel_after_below_five_seconds_or_unreadable_creates_nothing(serve: Serve, duration: str) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/predictions", json=hello(), headers={"Cancel-After": duration})
        assert (reply.status_code, reply.json()["title"]) == (422, "Invalid Cancel-After")
        assert server.world.journal.creates() == 0

    serve(story)


def test_a_deadline_during_the_boot_aborts(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        version = server.world.model("acme/private-llm").latest.id
        created = await client.post(
            "/v1/predictions", json={"version": version, "input": {"prompt": "x"}}, headers={"Cancel-After": "5s"}
        )
        body = await finished(client, created.json())
        assert body["status"] == "aborted"
        assert "started_at" not in body
        assert body["metrics"] == {"total_time": 5.0}

    serve(story)


# Ways to create


@pytest.mark.parametrize("version", [HELLO, f"replicate/hello-world:{HELLO}", "black-forest-labs/flux-schnell"])
def test_a_version_has_three_spellings(serve: Serve, version: str) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        given = {"text": "x", "prompt": "x"}
        reply = await client.post("/v1/predictions", json={"version": version, "input": given})
        assert reply.status_code == 201

    serve(story)


@pytest.mark.parametrize(
    "version", ["f" * 64, "replicate/hello-world", "replicate/hello-world:latest", f"acme/other:{HELLO}", "x"]
)
def test_any_other_version_is_refused(serve: Serve, version: str) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/predictions", json=hello(version=version))
        assert reply.status_code == 422
        assert reply.json() == {
            "title": "Invalid version or not permitted",
            "detail": "The specified version does not exist (or perhaps you don't have permission to use it?)",
            "status": 422,
        }

    serve(story)


def test_the_path_of_a_model_is_for_official_ones(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        body = {"input": {"prompt": "x", "text": "x"}}
        official = await client.post("/v1/models/black-forest-labs/flux-schnell/predictions", json=body)
        community = await client.post("/v1/models/replicate/hello-world/predictions", json=body)
        assert (official.status_code, official.json()["version"]) == (201, "hidden")
        assert (community.status_code, community.json()["status"]) == (404, 404)
        flux = server.world.model("black-forest-labs/flux-schnell").latest.id
        assert (await client.post("/v1/predictions", json={"version": flux, **body})).status_code == 422

    serve(story)


def test_a_prediction_through_a_deployment_says_so(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        given = {"input": {"image": "https://example.com/a.png"}}
        body = (await client.post("/v1/deployments/acme/upscaler/predictions", json=given)).json()
        assert (body["deployment"], body["model"]) == ("acme/upscaler", "nightmareai/real-esrgan")
        assert (await client.post("/v1/deployments/acme/nope/predictions", json=given)).status_code == 404

    serve(story)


# Refusals


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer sk-1", "Basic r8_x"])
def test_a_request_without_a_valid_token_is_told_so(serve: Serve, token: str) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        reply = await client.get("/v1/account", headers={"Authorization": token})
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json() == {
            "title": "Unauthenticated",
            "detail": "You did not pass a valid authentication token",
            "status": 401,
        }

    serve(story)


def test_only_the_listed_tokens_are_valid_where_there_is_a_list(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        assert (await client.get("/v1/account")).status_code == 401
        good = await client.get("/v1/account", headers={"Authorization": "Token r8_good"})
        assert good.json()["username"] == "acme"
        assert "r8_good" not in repr(server.world.account)

    serve(story, account=Account(tokens=("r8_good",)))


def test_every_fault_of_a_body_is_listed(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/predictions", json={"input": {}, "model": "a/b"})
        assert reply.status_code == 422
        assert reply.json() == {
            "detail": "- version is required\n- Additional property model is not allowed\n",
            "status": 422,
            "title": "Input validation failed",
            "invalid_fields": [
                {"type": "required", "field": "", "description": "version is required"},
                {
                    "type": "additional_property_not_allowed",
                    "field": "",
                    "description": "Additional property model is not allowed",
                },
            ],
        }

    serve(story)


@pytest.mark.parametrize(
    ("slug", "given", "expected"),
    [
        ("openai/whisper", {}, ("required", "input", "audio is required")),
        ("openai/whisper", {"audio": "not an address"}, ("format", "input.audio", "Does not match format 'uri'")),
        (
            "openai/whisper",
            {"audio": "data:,x", "transcription": "pdf"},
            (
                "enum",
                "input.transcription",
                'transcription must be one of the following: "plain text", "srt", "vtt"',
            ),
        ),
        (
            "stability-ai/sdxl",
            {"width": "wide"},
            ("invalid_type", "input.width", "Invalid type. Expected: integer, given: string"),
        ),
        ("stability-ai/sdxl", {"width": 1}, ("number_gte", "input.width", "Must be greater than or equal to 128")),
        ("stability-ai/sdxl", {"width": 9999}, ("number_lte", "input.width", "Must be less than or equal to 2048")),
    ],
)
def test_an_input_is_checked_against_the_schema(
    serve: Serve, slug: str, given: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        version = server.world.model(slug).latest.id
        reply = await client.post("/v1/predictions", json={"version": version, "input": given})
        (field,) = reply.json()["invalid_fields"]
        assert reply.status_code == 422
        assert (field["type"], field["field"], field["description"]) == expected
        assert reply.json()["detail"] == f"- {expected[1]}: {expected[2]}\n"

    serve(story)


def test_a_body_that_is_no_json_is_a_bad_request(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        assert (await client.post("/v1/predictions", content=b'{"version":')).status_code == 400

    serve(story)


def test_what_is_not_there_is_not_found(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        for path in ("/v1/predictions/x", "/v1/models/a/b", "/v1/models/a/b/versions", "/v1/deployments/a/b", "/v1/x"):
            reply = await client.get(path)
            assert (reply.status_code, reply.json()["status"]) == (404, 404)

    serve(story)


# Limits


def test_creates_beyond_the_limit_are_throttled(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        statuses = [(await client.post("/v1/predictions", json=hello())).status_code for _ in range(3)]
        reply = await client.post("/v1/predictions", json=hello())
        assert statuses == [201, 201, 201]
        assert reply.status_code == 429
        assert re.fullmatch(r"Request was throttled\. Your rate limit resets in ~\d+s\.", reply.json()["detail"])
        assert reply.headers["ratelimit-remaining"] == "0"
        assert (await client.get("/v1/account")).headers["ratelimit-remaining"] == "2999"

    serve(story, speed=1.0, account=Account(creates_per_minute=3))


def test_an_account_short_of_credit_gets_its_hint_in_the_body_only(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        first = await client.post("/v1/predictions", json=hello())
        reply = await client.post("/v1/predictions", json=hello())
        assert (first.status_code, reply.status_code) == (201, 429)
        assert reply.json() == {
            "detail": "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per "
            "minute with a burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in "
            "~10s.",
            "status": 429,
            "retry_after": 10,
        }
        assert not {"retry-after", "ratelimit-remaining", "ratelimit-reset"} & set(reply.headers)

    serve(story, speed=1.0, account=Account(low_credit=True))


# Lists


def test_the_list_is_newest_first_a_hundred_a_page_and_walks_both_ways(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        made = [server.call("replicate/hello-world", {"text": str(number)}).id for number in range(250)]
        pages = [(await client.get("/v1/predictions")).json()]
        while pages[-1]["next"]:
            assert pages[-1]["next"].startswith(f"{server.url}/v1/predictions?cursor=")
            pages.append((await client.get(pages[-1]["next"])).json())
        listed = [one["id"] for page in pages for one in page["results"]]
        assert listed == made[::-1]
        assert [len(page["results"]) for page in pages] == [100, 100, 50]
        assert pages[0]["previous"] is None
        back = (await client.get(pages[2]["previous"])).json()
        assert back["results"][0]["id"] == pages[1]["results"][0]["id"]
        assert (await client.get("/v1/predictions?cursor=junk")).status_code == 400

    serve(story)


def test_the_list_can_be_cut_by_time_of_creation(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        stamps = []
        for number in range(3):
            body = (await client.post("/v1/predictions", json=hello(input={"text": str(number)}))).json()
            stamps.append(server.world.prediction(body["id"]).created_at.isoformat())
        after = await client.get("/v1/predictions", params={"created_after": stamps[1]})
        before = await client.get("/v1/predictions", params={"created_before": stamps[1]})
        assert [one["input"]["text"] for one in after.json()["results"]] == ["2", "1"]
        assert [one["input"]["text"] for one in before.json()["results"]] == ["0"]
        assert (await client.get("/v1/predictions", params={"created_after": "noon"})).status_code == 400

    serve(story)


def test_a_page_keeps_the_filter_of_its_list(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        server.call("replicate/hello-world", {"text": "too old"})
        start = server.now().isoformat()
        for number in range(150):
            server.call("replicate/hello-world", {"text": str(number)})
        first = (await client.get("/v1/predictions", params={"created_after": start})).json()
        second = (await client.get(first["next"])).json()
        assert (len(first["results"]), len(second["results"]), second["next"]) == (100, 50, None)

    serve(story)


# The other nouns


def test_a_model_has_its_latest_version_and_an_example(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        body = (await client.get("/v1/models/stability-ai/sdxl")).json()
        schemas = body["latest_version"]["openapi_schema"]["components"]["schemas"]
        assert (body["visibility"], body["is_official"]) == ("public", False)
        assert schemas["Input"]["properties"]["scheduler"]["allOf"] == [{"$ref": "#/components/schemas/scheduler"}]
        assert body["default_example"]["input"]["prompt"]
        versions = (await client.get("/v1/models/stability-ai/sdxl/versions")).json()["results"]
        assert versions[0]["id"] == body["latest_version"]["id"]
        one = await client.get(f"/v1/models/stability-ai/sdxl/versions/{versions[1]['id']}")
        assert one.json() == versions[1]

    serve(story)


def test_private_models_are_not_listed_but_can_be_read(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        listed = {one["name"] for one in (await client.get("/v1/models")).json()["results"]}
        assert "sdxl" in listed
        assert "private-llm" not in listed
        assert (await client.get("/v1/models/acme/private-llm")).json()["visibility"] == "private"
        found = (await client.request("QUERY", "/v1/models", content="speech audio")).json()["results"]
        assert [one["name"] for one in found] == ["whisper"]

    serve(story)


def test_a_deployment_is_made_changed_and_removed(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        wish = {"name": "mine", "model": "replicate/hello-world", "version": HELLO, "hardware": "cpu"}
        made = await client.post("/v1/deployments", json={**wish, "min_instances": 0, "max_instances": 1})
        assert made.json()["current_release"]["number"] == 1
        changed = await client.patch("/v1/deployments/acme/mine", json={"min_instances": 1})
        release = changed.json()["current_release"]
        assert (release["number"], release["configuration"]["min_instances"]) == (2, 1)
        assert [one["name"] for one in (await client.get("/v1/deployments")).json()["results"]] == ["upscaler", "mine"]
        for wrong in ({"min_instances": 9}, {"idle_timeout": 60}, {"hardware": "abacus"}, {"version": "x"}, {}):
            assert (await client.patch("/v1/deployments/acme/mine", json=wrong)).status_code == 422
        assert (await client.delete("/v1/deployments/acme/mine")).status_code == 204
        assert (await client.get("/v1/deployments/acme/mine")).status_code == 404

    serve(story)


def test_hardware_is_a_plain_array_and_the_account_has_no_balance(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        assert {"name": "CPU", "sku": "cpu"} in (await client.get("/v1/hardware")).json()
        account = (await client.get("/v1/account")).json()
        assert set(account) == {"type", "username", "name", "avatar_url", "github_url"}
        secret = (await client.get("/v1/webhooks/default/secret")).json()["key"]
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]+=*", secret)

    serve(story)


def test_cancel_answers_with_the_prediction_and_is_harmless_twice(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        body = (await client.post("/v1/predictions", json=hello())).json()
        for _ in range(2):
            reply = await client.post(body["urls"]["cancel"])
            assert (reply.status_code, reply.json()["status"]) == (200, "canceled")

    serve(story)


def test_output_files_are_within_a_held_answer_and_can_be_fetched_from_any_other(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        body = {"input": {"prompt": "x"}}
        reply = await client.post(
            "/v1/models/black-forest-labs/flux-schnell/predictions", json=body, headers={"Prefer": "wait"}
        )
        (within,) = reply.json()["output"]
        assert within.startswith("data:image/png;base64,")
        (address,) = (await client.get(reply.json()["urls"]["get"])).json()["output"]
        assert (await client.get(address)).content.startswith(b"\x89PNG")

    serve(story)


def test_a_stream_sends_each_token_and_then_done(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        version = server.world.model("meta/meta-llama-3-8b-instruct").latest.id
        given = {"prompt": "x", "max_tokens": 5}
        body = (await client.post("/v1/predictions", json={"version": version, "input": given})).json()
        reply = await httpx.AsyncClient(timeout=20).get(body["urls"]["stream"])
        frames = [dict(line.split(": ", 1) for line in part.split("\n")) for part in reply.text.strip().split("\n\n")]
        assert reply.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert [frame["event"] for frame in frames] == ["output"] * 5 + ["done"]
        assert all(re.fullmatch(r"\d+:\d+", frame["id"]) for frame in frames)
        done = await finished(client, body)
        assert "".join(frame["data"] for frame in frames[:-1]) == "".join(done["output"])

    serve(story)


def test_a_canceled_stream_says_why_it_is_done(serve: Serve) -> None:
    async def story(server: SandboxServer, client: httpx.AsyncClient) -> None:
        version = server.world.model("acme/private-llm").latest.id
        body = (await client.post("/v1/predictions", json={"version": version, "input": {"prompt": "x"}})).json()
        await client.post(body["urls"]["cancel"])
        assert '{"reason": "canceled"}' in (await client.get(body["urls"]["stream"])).text

    serve(story)

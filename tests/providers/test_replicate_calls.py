from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from warmer import errors
from warmer.core.beat import Status
from warmer.core.listing import Page
from warmer.core.price import Billing
from warmer.core.spec import Target, TargetKind
from warmer.providers.wire import NoReply

SCHEMA = {
    "components": {
        "schemas": {
            "Input": {
                "type": "object",
                "required": ["prompt"],
                "properties": {
                    "prompt": {"type": "string"},
                    "size": {"allOf": [{"$ref": "#/components/schemas/size"}]},
                },
            },
            "size": {"enum": ["1:1", "2:1"], "type": "string"},
            "Output": {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"},
        }
    }
}
MODEL = {
    "visibility": "public",
    "is_official": False,
    "latest_version": {"id": "new", "openapi_schema": SCHEMA},
    "default_example": {"input": {"prompt": "a poem"}},
}


def model(version: str | None = None) -> Target:
    return Target(kind=TargetKind.MODEL, owner="meta", name="llama", version=version)


class Site:
    """Answers by path, and keeps what was asked."""

    def __init__(self, **replies: Any) -> None:
        self._replies = {path.replace("__", "/"): reply for path, reply in replies.items()}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        reply = self._replies.get(request.url.path.removeprefix("/v1/"))
        if reply is None:
            return httpx.Response(404, json={"detail": "Not found.", "status": 404})
        if callable(reply):
            return reply(request)
        return reply if isinstance(reply, httpx.Response) else httpx.Response(200, json=reply)

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.asked]


def test_a_model_resolves_to_its_latest_version(client: Any) -> None:
    contract = asyncio.run(client(Site(models__meta__llama=MODEL)).describe(model()))
    assert (contract.version, contract.billing, contract.kind) == ("new", Billing.PUBLIC, "text")
    assert contract.example_input == {"prompt": "a poem"}
    assert contract.input_schema["properties"]["size"]["allOf"] == [{"enum": ["1:1", "2:1"], "type": "string"}]


def test_a_pinned_version_stays_pinned(client: Any) -> None:
    site = Site(models__meta__llama=MODEL, models__meta__llama__versions__old={"id": "old", "openapi_schema": SCHEMA})
    contract = asyncio.run(client(site).describe(model("old")))
    assert contract.version == "old"
    assert contract.input_schema is not None


def test_a_pinned_version_that_is_the_latest_costs_one_request(client: Any) -> None:
    site = Site(models__meta__llama=MODEL)
    assert asyncio.run(client(site).describe(model("new"))).version == "new"
    assert len(site.asked) == 1


def test_a_vanished_version_is_refused_with_a_hint(client: Any) -> None:
    with pytest.raises(errors.ModelRefused) as caught:
        asyncio.run(client(Site(models__meta__llama=MODEL)).describe(model("gone")))
    assert "meta/llama:gone" in caught.value.hint
    assert "meta/llama:new" in caught.value.hint
    assert caught.value.key == "target"


WRONG_VERSION = httpx.Response(422, json={"title": "Invalid version or not permitted", "detail": "no", "status": 422})


def test_an_official_model_that_refuses_its_version_is_run_without_one_from_then_on(
    client: Any, request_for: Any
) -> None:
    official = MODEL | {"is_official": True}
    made = httpx.Response(201, json={"id": "a1", "status": "starting"})
    site = Site(models__meta__llama=official, predictions=WRONG_VERSION, models__meta__llama__predictions=made)
    replicate = client(site)
    pinned = replace(request_for(), target=model("new"), version="new", billing=Billing.OFFICIAL)

    async def story() -> None:
        assert (await replicate.describe(pinned.target)).version == "new"
        assert (await replicate.create(pinned)).id == "a1"
        assert site.paths[1:] == ["POST /v1/predictions", "POST /v1/models/meta/llama/predictions"]
        await replicate.create(pinned)
        assert site.paths[3:] == ["POST /v1/models/meta/llama/predictions"]
        assert (await replicate.describe(pinned.target)).version is None

    asyncio.run(story())


def test_an_official_model_that_hides_the_version_that_is_pinned_is_run_without_one(client: Any) -> None:
    official = MODEL | {"is_official": True}
    contract = asyncio.run(client(Site(models__meta__llama=official)).describe(model("hidden")))
    assert (contract.version, contract.billing) == (None, Billing.OFFICIAL)
    assert contract.input_schema is not None  # of the latest one


def test_a_community_model_that_refuses_its_version_is_not_tried_again(client: Any, request_for: Any) -> None:
    site = Site(predictions=WRONG_VERSION)
    with pytest.raises(errors.ModelRefused, match="Invalid version"):
        asyncio.run(client(site).create(request_for()))
    assert site.paths == ["POST /v1/predictions"]


def test_an_official_model_has_a_path_of_its_own_and_no_version(client: Any) -> None:
    contract = asyncio.run(client(Site(models__meta__llama=MODEL | {"is_official": True})).describe(model()))
    assert (contract.version, contract.billing) == (None, Billing.OFFICIAL)


def test_a_private_model_bills_as_one(client: Any) -> None:
    contract = asyncio.run(client(Site(models__meta__llama=MODEL | {"visibility": "private"})).describe(model()))
    assert contract.billing is Billing.PRIVATE


def test_a_model_without_any_version_is_refused(client: Any) -> None:
    with pytest.raises(errors.ModelRefused, match="no version"):
        asyncio.run(client(Site(models__meta__llama=MODEL | {"latest_version": None})).describe(model()))


def test_an_unknown_model_is_refused_and_says_what_to_check(client: Any) -> None:
    with pytest.raises(errors.ModelRefused) as caught:
        asyncio.run(client(Site()).describe(model()))
    assert "spelling of meta/llama" in caught.value.hint


@pytest.mark.parametrize("readable", [True, False])
def test_a_deployment_tells_its_hardware_and_where_readable_its_schema(client: Any, readable: bool) -> None:
    release = {"model": "meta/llama", "version": "new", "configuration": {"hardware": "gpu-t4"}}
    site = Site(
        deployments__acme__up={"current_release": release}, **({"models__meta__llama": MODEL} if readable else {})
    )
    target = Target(kind=TargetKind.DEPLOYMENT, owner="acme", name="up")
    contract = asyncio.run(client(site).describe(target))
    assert (contract.billing, contract.hardware, contract.version) == (Billing.DEPLOYMENT, "gpu-t4", "new")
    assert (contract.input_schema is not None) is readable


def test_versions_are_listed_newest_first(client: Any) -> None:
    site = Site(models__meta__llama__versions={"results": [{"id": "b"}, {}, {"id": "a"}], "next": None})
    assert asyncio.run(client(site).versions(model())) == ("b", "a")
    assert asyncio.run(client(Site()).versions(model())) == ()


@pytest.mark.parametrize(
    ("what", "deployment", "path", "body"),
    [
        ("meta/llama:v1", False, "/v1/predictions", {"version": "v1", "input": {"prompt": "hi"}}),
        ("meta/llama", False, "/v1/models/meta/llama/predictions", {"input": {"prompt": "hi"}}),
        ("acme/up:v1", True, "/v1/deployments/acme/up/predictions", {"input": {"prompt": "hi"}}),
    ],
)
def test_a_create_takes_the_path_of_its_target(
    client: Any, request_for: Any, canary: str, what: str, deployment: bool, path: str, body: Any
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(201, json={"id": "a1", "status": "processing", "output": ["x"]})

    found = asyncio.run(client(answer).create(request_for(what, deployment=deployment)))
    assert (found.id, found.status) == ("a1", Status.PROCESSING)
    (sent,) = asked
    assert (sent.url.path, json.loads(sent.content)) == (path, body)
    assert sent.headers["cancel-after"] == "600s"
    assert sent.headers["prefer"] == "wait=2"
    assert sent.headers["authorization"] == f"Bearer {canary}"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.Response(401, json={"detail": "no"}), errors.AccountRefused),
        (httpx.Response(402, json={"detail": "no"}), errors.CreditExhausted),
        (httpx.Response(404, json={"detail": "no"}), errors.ModelRefused),
        (httpx.Response(422, json={"detail": "no"}), errors.ModelRefused),
        (httpx.Response(429, json={"retry_after": 3}), errors.Throttled),
        (httpx.Response(409, json={"detail": "no"}), errors.Unavailable),
        (httpx.Response(500, text="<html>"), errors.Doubtful),
        (httpx.Response(403, text="<html>Attention"), errors.Doubtful),
        (httpx.Response(302, headers={"location": "https://elsewhere.test/"}), errors.Doubtful),
        (httpx.Response(201, text='{"id": "a'), errors.Doubtful),
        (httpx.Response(201, json=["a1"]), errors.Doubtful),
        (httpx.Response(201, json={"status": "starting"}), errors.Doubtful),
        (httpx.Response(201, text="[" * 100_000), errors.Doubtful),
        (httpx.Response(201, content=b"\xff\xfe\x00"), errors.Doubtful),
    ],
)
def test_a_create_is_sent_once_whatever_is_answered(client: Any, request_for: Any, reply: Any, error: Any) -> None:
    site = Site(predictions=reply)
    with pytest.raises(errors.ProviderError) as caught:
        asyncio.run(client(site).create(request_for()))
    assert type(caught.value) is error
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ConnectError, errors.Unreachable),
        (httpx.ConnectTimeout, errors.Unreachable),
        (httpx.PoolTimeout, errors.Unreachable),
        (httpx.ProxyError, errors.Unreachable),
        (httpx.ReadError, NoReply),
        (httpx.ReadTimeout, NoReply),
        (httpx.WriteError, NoReply),
        (httpx.WriteTimeout, NoReply),
        (httpx.RemoteProtocolError, NoReply),
        (OSError, NoReply),
        (RuntimeError, NoReply),
    ],
)
def test_only_a_connection_never_made_is_certain(client: Any, request_for: Any, failure: Any, error: Any) -> None:
    tries = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        raise failure("gone")

    with pytest.raises(errors.ProviderError) as caught:
        asyncio.run(client(answer).create(request_for()))
    assert type(caught.value) is error
    assert len(tries) == 1


def test_a_silence_that_began_while_nobody_was_there_is_not_laid_at_the_models_door(client: Any) -> None:
    is_there = False

    def answer(request: httpx.Request) -> httpx.Response:
        if is_there and request.url.path.endswith("/account"):
            return httpx.Response(200, json={"username": "me"})
        raise httpx.ReadTimeout("nothing came")

    async def scene() -> None:
        nonlocal is_there
        replicate = client(answer)
        with pytest.raises(errors.Unreachable):
            await replicate.read("a1")
        is_there = True  # when the next one has been sent already, for all that is known
        with pytest.raises(errors.Unreachable):
            await replicate.read("a1")
        with pytest.raises(errors.Unavailable):
            await replicate.read("a1")

    asyncio.run(scene())


def test_an_input_that_is_no_json_is_refused_before_it_is_sent(client: Any, request_for: Any) -> None:
    site = Site()
    for given in ({"day": datetime.now(UTC)}, {"n": float("nan")}):
        with pytest.raises(errors.ModelRefused):
            asyncio.run(client(site).create(request_for(input=given)))
    assert not site.asked


def failing(
    times: int, reply: Callable[[], httpx.Response]
) -> tuple[Callable[[httpx.Request], httpx.Response], list[int]]:
    """A site that fails so often, then answers."""
    asked: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(1)
        return reply() if len(asked) <= times else httpx.Response(200, json={"id": "a1", "status": "succeeded"})

    return answer, asked


def _unconnected() -> httpx.Response:
    raise httpx.ConnectError("no")


@pytest.mark.parametrize(
    "reply",
    [
        lambda: httpx.Response(500),
        lambda: httpx.Response(429, json={"retry_after": 4}),
        _unconnected,
    ],
)
def test_reading_is_tried_three_times_with_pauses(client: Any, jump: Any, reply: Any) -> None:
    answer, asked = failing(2, reply)
    assert asyncio.run(client(answer).read("a1")).status is Status.SUCCEEDED
    assert len(asked) == 3
    assert jump.monotonic() > 0
    answer, asked = failing(3, reply)
    with pytest.raises(errors.ProviderError):
        asyncio.run(client(answer).read("a1"))
    assert len(asked) == 3


def test_a_long_wait_is_not_waited_out_by_a_read(client: Any, jump: Any) -> None:
    answer, asked = failing(1, lambda: httpx.Response(429, headers={"Retry-After": "60"}))
    with pytest.raises(errors.Throttled) as caught:
        asyncio.run(client(answer).read("a1"))
    assert caught.value.retry_after == timedelta(seconds=60)
    assert len(asked) == 1


def test_an_unknown_prediction_is_no_fault_of_the_model(client: Any) -> None:
    with pytest.raises(errors.Unavailable):
        asyncio.run(client(Site()).read("a1"))


def test_a_reply_about_another_prediction_is_not_taken(client: Any) -> None:
    with pytest.raises(errors.Unavailable):
        asyncio.run(client(Site(predictions__a1={"id": "b2", "status": "succeeded"})).read("a1"))


@pytest.mark.parametrize("id_", ["", "../account", "a/b", "a?b", "a" * 65, "é"])
def test_an_odd_id_is_never_put_into_a_path(client: Any, id_: str) -> None:
    site = Site()
    for call in (client(site).read, client(site).cancel):
        with pytest.raises(errors.Unavailable):
            asyncio.run(call(id_))
    assert not site.asked


@pytest.mark.parametrize("status", [200, 404, 422])
def test_cancelling_a_finished_prediction_is_harmless(client: Any, status: int) -> None:
    site = Site(predictions__a1__cancel=httpx.Response(status, json={"detail": "over"}))
    asyncio.run(client(site).cancel("a1"))
    assert site.paths == ["POST /v1/predictions/a1/cancel"]


def _listed(n: int) -> dict[str, Any]:
    return {"id": f"p{n}", "status": "succeeded", "created_at": f"2026-11-21T08:{59 - n:02d}:00.000Z"}


def _pages(size: int, total: int, next_: str) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        first = int(request.url.params.get("cursor", "0"))
        rows = [_listed(n) for n in range(first, min(first + size, total))]
        following = next_.format(first + size) if first + size < total else None
        return httpx.Response(200, json={"results": rows, "next": following, "previous": None})

    return answer


SINCE = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "next_",
    [
        "https://api.example.test/v1/predictions?cursor={}",
        "http://api.example.test/v1/predictions?cursor={}",
        "https://elsewhere.test/v1/predictions?cursor={}",
        "/v1/predictions?cursor={}",
    ],
)
def test_the_list_is_read_page_by_page_from_our_origin_only(client: Any, next_: str) -> None:
    site = Site(predictions=_pages(10, 25, next_))
    found = asyncio.run(client(site).recent(SINCE))
    assert [p.id for p in found] == [f"p{n}" for n in range(25)]
    assert {(r.url.scheme, r.url.host, r.url.path) for r in site.asked} == {
        ("https", "api.example.test", "/v1/predictions")
    }
    assert all(r.url.params["created_after"] == "2026-11-21T08:00:00.000Z" for r in site.asked)


def test_the_list_ends_at_the_limit_or_the_instant_asked_for(client: Any) -> None:
    next_ = "https://api.example.test/v1/predictions?cursor={}"
    site = Site(predictions=_pages(10, 50, next_))
    assert len(asyncio.run(client(site).recent(SINCE, limit=15))) == 15
    assert len(site.asked) == 2
    site = Site(predictions=_pages(10, 50, next_))
    found = asyncio.run(client(site).recent(datetime(2026, 11, 21, 8, 45, tzinfo=UTC)))
    assert [p.id for p in found] == [f"p{n}" for n in range(15)]
    assert len(site.asked) == 2


def test_a_list_that_goes_in_circles_comes_to_an_end(client: Any) -> None:
    page = {"results": [_listed(1)], "next": "https://api.example.test/v1/predictions?cursor=same"}
    site = Site(predictions=page)
    assert [p.id for p in asyncio.run(client(site).recent(SINCE))] == ["p1"]
    assert len(site.asked) == 2


async def _walk(replicate: Any, *args: Any, **more: Any) -> list[Page]:
    return [page async for page in replicate.pages(*args, **more)]


def test_a_walk_goes_on_from_the_cursor_it_was_left_at(client: Any) -> None:
    site = Site(predictions=_pages(10, 25, "https://elsewhere.test/v1/predictions?cursor={}&x=1"))
    first, second, third = asyncio.run(_walk(client(site)))
    assert [len(page.predictions) for page in (first, second, third)] == [10, 10, 5]
    assert (first.cursor, third.cursor) == ("cursor=10&x=1", None)
    assert asyncio.run(_walk(client(site), cursor=first.cursor)) == [second, third]
    assert all("created_after" not in request.url.params for request in site.asked)
    assert {request.url.host for request in site.asked} == {"api.example.test"}


def test_a_walk_of_an_empty_account_is_one_empty_page(client: Any) -> None:
    site = Site(predictions=_pages(10, 0, "{}"))
    assert asyncio.run(_walk(client(site))) == [Page(predictions=(), cursor=None)]


@pytest.mark.parametrize("status", [400, 404])
def test_a_cursor_that_is_not_taken_any_more_is_refused_and_not_asked_for_again(client: Any, status: int) -> None:
    site = Site(predictions=httpx.Response(status, json={"detail": "Invalid cursor", "status": status}))
    with pytest.raises(errors.ModelRefused):
        asyncio.run(_walk(client(site), cursor="cursor=old"))
    assert len(site.asked) == 1


def test_a_page_that_is_refused_for_the_pace_is_waited_for_and_none_is_lost(client: Any, jump: Any) -> None:
    pages, refused = _pages(10, 25, "https://api.example.test/v1/predictions?cursor={}"), iter([False, True, False])

    def answer(request: httpx.Request) -> httpx.Response:
        if next(refused, False):
            return httpx.Response(429, json={"detail": "Request was throttled.", "retry_after": 7})
        return pages(request)

    found = asyncio.run(_walk(client(Site(predictions=answer))))
    assert [p.id for page in found for p in page.predictions] == [f"p{n}" for n in range(25)]
    assert jump.monotonic() >= 7


def test_a_walk_keeps_to_the_reads_that_the_account_may_make(client: Any, jump: Any) -> None:
    site = Site(predictions=_pages(1, 40, "https://api.example.test/v1/predictions?cursor={}"))
    asyncio.run(_walk(client(site, reads_per_minute=60)))
    assert jump.monotonic() >= 39


@pytest.mark.parametrize("body", [[], {"results": None}, "x", None])
def test_a_list_that_cannot_be_read_is_no_empty_list(client: Any, body: Any) -> None:
    with pytest.raises(errors.Unavailable):
        asyncio.run(client(Site(predictions=httpx.Response(200, json=body))).recent(SINCE))


def test_the_account_is_named(client: Any) -> None:
    assert asyncio.run(client(Site(account={"type": "user", "username": "acme"})).verify()) == "acme"
    with pytest.raises(errors.AccountRefused, match="Put a valid one"):
        asyncio.run(client(Site(account=httpx.Response(401, json={"detail": "no"}))).verify())
    with pytest.raises(errors.Unavailable, match="base_url"):
        asyncio.run(client(Site(account=httpx.Response(404, text="<html>"))).verify())


@pytest.mark.parametrize(
    ("ahead_s", "noted_s"), [(0, 0), (1.4, 0), (-1.4, 0), (30, 30), (-3600, -3600), (None, 0), ("garbage", 0)]
)
def test_a_skewed_clock_is_noticed(client: Any, jump: Any, ahead_s: Any, noted_s: float) -> None:
    if isinstance(ahead_s, int | float):
        date: Any = format_datetime(jump.now() + timedelta(seconds=ahead_s), usegmt=True)
    else:
        date = ahead_s
    replicate = client(
        Site(account=httpx.Response(200, json={"username": "a"}, headers={"date": date} if date else {}))
    )
    asyncio.run(replicate.verify())
    assert replicate.skew.total_seconds() == pytest.approx(noted_s, abs=1)


def test_a_stamp_from_a_long_journey_tells_no_skew(client: Any, jump: Any) -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        date = format_datetime(jump.now(), usegmt=True)
        await jump.sleep(30)
        return httpx.Response(200, json={"username": "a"}, headers={"date": date})

    replicate = client(slow)
    asyncio.run(replicate.verify())
    assert replicate.skew == timedelta(0)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.replicate.com/v1",
        "http://10.0.0.1/v1",
        "http://127.0.0.1.evil.test/v1",
        "https://user:pw@api.replicate.com/v1",
        "https://api.replicate.com/v1?x=1",
        "ftp://127.0.0.1/",
        "//api.replicate.com",
        "https://",
        "https://[::1/v1",
        "",
    ],
)
def test_the_token_goes_over_tls_or_loopback_only(client: Any, base_url: str) -> None:
    with pytest.raises(errors.UsageError, match="base_url"):
        client(base_url=base_url)


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:1/v1/", "http://localhost:1", "http://[::1]:1", "https://x.test/v1"]
)
def test_loopback_and_tls_are_fine(client: Any, base_url: str) -> None:
    assert repr(client(base_url=base_url)) == f"Replicate(Wire({base_url.rstrip('/')!r}))"

"""The API over a real socket: what is told, who may change something, and that /openapi.json says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from jsonschema import Draft202012Validator
from web.vitals import CHAT, CODE, NOON, beat
from web.vitals import Told as ToldVitals

from warmer.core.beat import Reason, Verdict
from warmer.core.idle_timeout import IdleTimeout
from warmer.core.now import ModelDetail, ModelNow
from warmer.core.override import Overrides, binding
from warmer.core.policy import Action, Rest, Warm
from warmer.core.spec import Listen, PolicyName
from warmer.core.told import Told
from warmer.core.trial import Change, ChangeKind, Edit, Expected, Trial
from warmer.core.warmth import Warmth, best_first
from warmer.errors import Fault, LedgerError
from warmer.log import Event
from warmer.web.asking import BODY_BYTES, FILE_BYTES
from warmer.web.metrics import Metrics
from warmer.web.openapi import describe
from warmer.web.serve import HttpListener, Limits

TOKEN = "geheim-42"
TRY = "/api/v1/config/try"
ODD = "a b/ü/pause?#%"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


class Desk:
    """Implements the `Console` port."""

    def __init__(self, token: str | None = TOKEN) -> None:
        self.admin_token = token
        self.models: Sequence[str] = [CHAT, CODE, ODD]
        self.overrides, self.told = Overrides(), list[Told]()
        self.asked: list[str] = []
        self.tried: list[bytes] = []
        self.action: Action = Warm(reason=Reason.ORDERED)
        self.broken = False

    def stamp(self) -> datetime:
        return NOON

    async def overview(self) -> tuple[ModelNow, ...]:
        if self.broken:
            raise LedgerError("the disk is full. Free some space on its disk")
        return tuple(self._now(name) for name in self.models)

    async def model(self, name: str) -> ModelDetail:
        known = name == CHAT
        return ModelDetail(
            now=self._now(name),
            last_beat=beat(CHAT) if known else None,
            last_use=NOON if known else None,
            idle_timeout=IdleTimeout.unknown() if known else None,
        )

    async def warmth(self, names: Sequence[str]) -> tuple[Warmth, ...]:
        return best_first(self._warmth(name) for name in names)

    async def override(self, change: Callable[[Overrides, datetime], Overrides]) -> Overrides:
        self.overrides = change(self.overrides, NOON)
        return self.overrides

    async def beat(self, name: str) -> Action:
        self.asked.append(name)
        return self.action

    async def tell(self, call: Told) -> bool:
        self.told.append(call)
        return True

    async def try_file(self, text: bytes) -> Trial:
        self.tried.append(text)
        if text == b"slow":
            raise TimeoutError
        if text == b"wrong":
            fault = Fault(file="tried", line=1, column=2, problem="there is no key `modles`", hint="write `models`")
            return Trial(ok=False, faults=(fault,))
        day = Expected(beats_per_day=12.5, cost_usd_per_day=Decimal("0.02"))
        edit = Edit(key="policy", was="aware", becomes="adaptive")
        changes = (
            Change(model=CHAT, change=ChangeKind.CHANGED, edits=(edit,), now=day, then=day),
            Change(model=CODE, change=ChangeKind.REMOVED, now=day),
        )
        return Trial(ok=True, digest="abc", models=2, changes=changes, now=day, then=day)

    def _now(self, name: str) -> ModelNow:
        return ModelNow(
            model=name,
            policy=PolicyName.AWARE,
            next_at=NOON,
            reason=Reason.IDLE if name == CHAT else None,
            override=binding(self.overrides.of(name), NOON),
            warmth=self._warmth(name) if name == CHAT else None,
        )

    def _warmth(self, name: str) -> Warmth:
        wait_s = {CHAT: 0.2, CODE: 9.0}.get(name, 4.0)
        return Warmth(model=name, probability=0.9, expected_wait_s=wait_s, verdict=Verdict.WARM)


Scene = Callable[[httpx.AsyncClient], Awaitable[None]]


@pytest.fixture
def play(lines: list[Any]) -> Callable[..., None]:
    def run(desk: Desk, scene: Scene, limits: Limits | None = None) -> None:
        async def serve() -> None:
            listener = HttpListener(Metrics(), limits)
            await listener.open(Listen(port=0), ToldVitals(), desk)
            url = [line for line in lines if line["event"] == Event.WEB_OPENED][-1]["url"]
            try:
                async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                    await scene(client)
            finally:
                await listener.close()

        asyncio.run(serve())

    return run


def at(name: str, act: str = "") -> str:
    return f"/api/v1/models/{quote(name, safe='')}{act}"


# -- what is told ----------------------------------------------------------------------------------------------------


def test_the_best_model_comes_first_with_the_very_keys(play: Callable[..., None]) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        reply = await client.get("/api/v1/warmth", params=[("model", CODE), ("model", CHAT)])
        assert reply.status_code == 200
        told = reply.json()["models"]
        assert [one["model"] for one in told] == [CHAT, CODE]
        assert list(told[0]) == ["model", "probability", "expected_wait_s", "verdict"]
        assert [one["model"] for one in (await client.get("/api/v1/warmth")).json()["models"]] == [CHAT, ODD, CODE]

    play(Desk(), scene)


def test_a_model_is_told_by_its_name_however_odd(play: Callable[..., None]) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        for name in (CHAT, CODE, ODD):
            assert (await client.get(at(name))).json()["model"] == name
        assert (await client.get(f"/api/v1/models/{CHAT}")).json()["model"] == CHAT
        assert (await client.post(at(ODD, "/beat"), headers=ADMIN)).json()["model"] == ODD

    play(Desk(), scene)


@pytest.mark.parametrize(
    "path",
    [
        at("a/x"),
        at("../../etc/passwd"),
        at(CHAT, "/dance"),
        at(CHAT, "%00"),
        at("x" * 9000),
        "/api/v1/models/%2e%2e/models",
        "/api/v1/models/",
        "/api/v1/models/%ff%fe",
        "/api/v1/warmth?model=a/x",
        "/api/v2/models",
        "/api",
    ],
    ids=lambda path: path[:40],
)
def test_what_is_not_there_is_a_404_with_what_is(play: Callable[..., None], path: str) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        reply = await client.get(path)
        assert reply.status_code == 404
        assert reply.json()["hint"]
        assert len(reply.content) < 1000

    play(Desk(), scene)


def test_too_many_models_are_refused(play: Callable[..., None]) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/v1/warmth", params=[("model", CHAT)] * 101)).status_code == 400
        assert (await client.get("/api/v1/warmth", params=[("model", CHAT)] * 100)).status_code == 200

    play(Desk(), scene)


def test_a_ledger_that_cannot_be_used_is_a_503(play: Callable[..., None]) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        reply = await client.get("/api/v1/models")
        assert reply.status_code == 503
        assert "Free some space" in reply.json()["error"]

    desk = Desk()
    desk.broken = True
    play(desk, scene)


# -- what is asked for -----------------------------------------------------------------------------------------------


def test_overrides_are_put_in_force_and_told(play: Callable[..., None]) -> None:
    desk = Desk()

    async def scene(client: httpx.AsyncClient) -> None:
        paused = await client.post(at(CHAT, "/pause"), headers=ADMIN)
        assert paused.json()["override"] == {"kind": "pause", "since": "2026-11-24T12:00:00.000Z", "until": None}
        warm = await client.post(at(CHAT, "/warm"), json={"for": "2h"}, headers=ADMIN)
        assert warm.json()["override"]["until"] == "2026-11-24T14:00:00.000Z"
        assert (await client.get(at(CHAT))).json()["override"]["kind"] == "warm"
        short = await client.post(at(CODE, "/pause"), json={"for": "30s"}, headers=ADMIN)
        assert short.json()["override"]["until"] == "2026-11-24T12:00:30.000Z"
        assert (await client.post(at(CHAT, "/resume"), headers=ADMIN)).json()["override"] is None

    play(desk, scene)
    assert set(desk.overrides.models) == {CODE}


def test_a_beat_is_begun_or_it_is_said_why_not(play: Callable[..., None]) -> None:
    desk = Desk()

    async def scene(client: httpx.AsyncClient) -> None:
        begun = await client.post(at(CHAT, "/beat"), headers=ADMIN)
        assert (begun.status_code, begun.json()) == (202, {"model": CHAT, "reason": "ordered"})
        desk.action = Rest(reason=Reason.OVER_BUDGET, until=NOON)
        held = await client.post(at(CHAT, "/beat"), headers=ADMIN)
        assert held.status_code == 409
        assert (held.json()["reason"], held.json()["until"]) == ("over_budget", "2026-11-24T12:00:00.000Z")

    play(desk, scene)


def test_an_application_tells_its_calls(play: Callable[..., None]) -> None:
    desk = Desk()

    async def scene(client: httpx.AsyncClient) -> None:
        for body in (
            {"model": CHAT},
            {"model": CHAT, "prediction_id": "abc1", "created_at": "2026-11-24T11:59:00Z"},
            {"model": CHAT, "created_at": "2026-11-24T12:59:00+01:00", "completed_at": "2026-11-24T11:59:30Z"},
            {"model": CHAT, "completed_at": "2026-11-24T11:59:30Z"},
        ):
            reply = await client.post("/api/v1/requests", json=body, headers=ADMIN)
            assert (reply.status_code, reply.json()["counted"]) == (200, True)

    play(desk, scene)
    minute, half = NOON - timedelta(seconds=60), NOON - timedelta(seconds=30)
    assert [(call.prediction_id, call.created_at, call.completed_at) for call in desk.told] == [
        (None, NOON, None),
        ("abc1", minute, None),
        (None, minute, half),
        (None, half, half),
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/requests", {}),
        ("/api/v1/requests", {"model": 3}),
        ("/api/v1/requests", {"model": CHAT, "more": 1}),
        ("/api/v1/requests", {"model": CHAT, "prediction_id": "told-1"}),
        ("/api/v1/requests", {"model": CHAT, "prediction_id": "x" * 65}),
        ("/api/v1/requests", {"model": CHAT, "created_at": "soon"}),
        ("/api/v1/requests", {"model": CHAT, "created_at": 1790000000}),
        ("/api/v1/requests", {"model": CHAT, "created_at": "2026-11-24T11:59:00"}),
        ("/api/v1/requests", {"model": CHAT, "created_at": "2026-11-23T11:59:00Z"}),
        ("/api/v1/requests", {"model": CHAT, "created_at": "2026-11-24T12:30:00Z"}),
        (
            "/api/v1/requests",
            {"model": CHAT, "created_at": "2026-11-24T12:00:00Z", "completed_at": "2026-11-24T11:59:59Z"},
        ),
        ("/api/v1/requests", [{"model": CHAT}]),
        (at(CHAT, "/warm"), {}),
        (at(CHAT, "/warm"), {"for": "2"}),
        (at(CHAT, "/warm"), {"for": 7200}),
        (at(CHAT, "/warm"), {"for": "400d"}),
        (at(CHAT, "/pause"), {"for": "0s"}),
        (at(CHAT, "/pause"), {"until": "tomorrow"}),
        (at(CHAT, "/resume"), {"for": "2h"}),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_what_to_send(play: Callable[..., None], path: str, body: Any) -> None:
    desk = Desk()

    async def scene(client: httpx.AsyncClient) -> None:
        reply = await client.post(path, json=body, headers=ADMIN)
        assert reply.status_code == 400
        assert reply.json()["hint"]

    play(desk, scene)
    assert (desk.overrides, desk.told) == (Overrides(), [])


# -- who may -----------------------------------------------------------------------------------------------------------

CHANGES = ["/api/v1/requests", TRY, *(at(CHAT, f"/{act}") for act in ("pause", "resume", "warm", "beat"))]
EACH_CHANGE = pytest.mark.parametrize("path", CHANGES)


@EACH_CHANGE
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {}),
        (401, {"Authorization": TOKEN}),
        (401, {"Authorization": f"Bearer {TOKEN}x"}),
        (401, {"Authorization": f"Bearer {TOKEN[:-1]}"}),
        (401, {"Authorization": "Bearer"}),
        (401, {"Authorization": "Bearer gehe\u00efm"}),
        (401, {"Authorization": f"Basic {TOKEN}"}),
        (403, ADMIN | {"Origin": "https://evil.test"}),
        (403, ADMIN | {"Origin": "null"}),
        (403, ADMIN | {"Sec-Fetch-Site": "cross-site"}),
        (421, ADMIN | {"Host": "evil.test"}),
    ],
    ids=str,
)
def test_nobody_else_changes_anything(
    play: Callable[..., None], path: str, status: int, headers: dict[str, str]
) -> None:
    desk = Desk()

    async def scene(client: httpx.AsyncClient) -> None:
        coded = {name: value.encode() for name, value in headers.items()}
        reply = await client.post(path, json={"model": CHAT, "for": "1h"}, headers=coded)
        assert reply.status_code == status
        assert TOKEN not in reply.text
        if status == 401:
            assert reply.headers["WWW-Authenticate"] == "Bearer"

    play(desk, scene)
    assert (desk.overrides, desk.told, desk.asked) == (Overrides(), [], [])


@EACH_CHANGE
def test_without_a_token_in_the_file_there_is_no_such_thing(play: Callable[..., None], path: str) -> None:
    desk = Desk(token=None)

    async def scene(client: httpx.AsyncClient) -> None:
        reply = await client.post(path, json={}, headers={"Authorization": "Bearer None"})
        assert reply.status_code == 403
        assert "admin_token: env:WARMER_ADMIN_TOKEN" in reply.json()["hint"]

    play(desk, scene)


def test_this_server_s_own_page_may(play: Callable[..., None]) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        own = ADMIN | {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        assert (await client.post(at(CHAT, "/pause"), headers=own)).status_code == 200

    play(Desk(), scene)


@EACH_CHANGE
def test_a_read_changes_nothing(play: Callable[..., None], path: str) -> None:
    desk = Desk()

    async def scene(client: httpx.AsyncClient) -> None:
        for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
            reply = await client.request(method, path, headers=ADMIN)
            assert reply.status_code in (404, 405)

    play(desk, scene)
    assert (desk.overrides, desk.told, desk.asked) == (Overrides(), [], [])


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (413, b"{" + b" " * BODY_BYTES, "application/json"),
        (415, b'{"model": "acme/chat"}', "text/plain"),
        (415, b"model=acme/chat", "application/x-www-form-urlencoded"),
        (400, b"{", "application/json"),
        (400, b"[" * 9000, "application/json"),
        (400, b"\xff\xfe", "application/json"),
        (400, b"3", "application/json; charset=utf-8"),
    ],
    ids=lambda one: str(one)[:20],
)
def test_a_body_that_is_none_is_refused(play: Callable[..., None], status: int, content: bytes, kind: str) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        reply = await client.post("/api/v1/requests", content=content, headers=ADMIN | {"Content-Type": kind})
        assert reply.status_code == status
        assert (await client.get("/healthz")).status_code == 200

    play(Desk(), scene)


def test_a_body_that_never_comes_is_not_waited_for(play: Callable[..., None]) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = f"POST /api/v1/requests HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n".encode())
        async with asyncio.timeout(30):
            assert b" 200 " not in await reader.read()
        writer.close()
        assert (await client.get("/healthz")).status_code == 200

    play(Desk(), scene, Limits(exchange_s=0.3))


def test_a_file_is_tried_as_it_is_and_what_would_change_is_told(play: Callable[..., None]) -> None:
    desk = Desk()
    yaml = ADMIN | {"Content-Type": "application/yaml"}

    async def scene(client: httpx.AsyncClient) -> None:
        for content, ok in ((b"models: []", True), (b"wrong", False)):
            reply = await client.post(TRY, content=content, headers=yaml)
            assert (reply.status_code, reply.json()["ok"]) == (200, ok)
            Draft202012Validator(schema_of(TRY, "post", 200)).validate(reply.json())
        assert reply.json()["faults"][0]["column"] == 2
        assert (await client.post(TRY, content=b"slow", headers=yaml)).status_code == 503
        assert (await client.post(TRY, content=b"{}", headers=ADMIN)).status_code == 415
        assert (await client.post(TRY, content=b" " * (FILE_BYTES + 1), headers=yaml)).status_code == 413

    play(desk, scene)
    assert desk.tried == [b"models: []", b"wrong", b"slow"]


# -- /openapi.json -----------------------------------------------------------------------------------------------------


def schema_of(path: str, method: str, status: int) -> dict[str, Any]:
    document = describe()
    content = document["paths"][path][method]["responses"][str(status)]["content"]
    found: dict[str, Any] = content["application/json"]["schema"]
    return found | {"components": document["components"]}


def test_every_reply_is_as_described(play: Callable[..., None]) -> None:
    desk = Desk()

    async def scene(client: httpx.AsyncClient) -> None:
        async def check(path: str, method: str, url: str, status: int, **more: Any) -> None:
            reply = await client.request(method, url, **more)
            assert reply.status_code == status, (url, reply.text)
            Draft202012Validator(schema_of(path, method.lower(), status)).validate(reply.json())

        named = "/api/v1/models/{name}"
        await check("/api/v1/models", "GET", "/api/v1/models", 200)
        await check("/api/v1/warmth", "GET", f"/api/v1/warmth?model={CHAT}", 200)
        await check("/api/v1/warmth", "GET", "/api/v1/warmth?model=no", 404)
        for name in desk.models:
            await check(named, "GET", at(name), 200)
        await check(named, "GET", at("no"), 404)
        await check(f"{named}/pause", "POST", at(CHAT, "/pause"), 200, headers=ADMIN)
        await check(f"{named}/warm", "POST", at(CHAT, "/warm"), 200, headers=ADMIN, json={"for": "1h"})
        await check(named, "GET", at(CHAT), 200)
        await check(f"{named}/resume", "POST", at(CHAT, "/resume"), 200, headers=ADMIN)
        await check(f"{named}/beat", "POST", at(CHAT, "/beat"), 202, headers=ADMIN)
        await check(f"{named}/beat", "POST", at(CHAT, "/beat"), 401)
        desk.action = Rest(reason=Reason.PAUSED, until=None)
        await check(f"{named}/beat", "POST", at(CHAT, "/beat"), 409, headers=ADMIN)
        told = "/api/v1/requests"
        await check(told, "POST", told, 200, headers=ADMIN, json={"model": CHAT})
        await check(told, "POST", told, 400, headers=ADMIN, json={})
        desk.admin_token = None
        await check(told, "POST", told, 403)
        desk.broken = True
        await check("/api/v1/models", "GET", "/api/v1/models", 503)
        assert (await client.get("/openapi.json")).json() == json.loads(json.dumps(describe()))

    play(desk, scene)


def test_every_schema_is_one() -> None:
    document = describe()
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path, methods in document["paths"].items():
        assert path.startswith("/")
        assert {"get", "post"} & methods.keys()

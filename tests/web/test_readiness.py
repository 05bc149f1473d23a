"""/healthz and /readyz, over real sockets."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from web.vitals import NOON, Told

from warmer.core.beat import Reason
from warmer.core.budget import Cap, Limit, Period
from warmer.core.health import Check
from warmer.core.state import Hold


def test_a_living_process_says_ok(serving: Any) -> None:
    async def scene() -> None:
        async with serving(Told.but(ledger=Check(ok=False, detail="gone"))) as site:
            reply = await site.get("/healthz")
            assert (reply.status_code, reply.text) == (200, "ok\n")

    asyncio.run(scene())


def test_a_daemon_that_can_do_its_work_is_ready(serving: Any) -> None:
    async def scene() -> None:
        async with serving() as site:
            reply = await site.get("/readyz")
            assert reply.status_code == 200
            assert reply.json() == {
                "ready": True,
                "checks": {
                    "config": {"ok": True, "detail": None},
                    "ledger": {"ok": True, "detail": None},
                    "schedule": {"ok": True, "detail": None},
                },
                "budget": [],
                "account": None,
                "models": 2,
                "members": [],
            }

    asyncio.run(scene())


@pytest.mark.parametrize("part", ["config", "ledger", "schedule"])
def test_one_that_cannot_says_what_is_wrong(serving: Any, part: str) -> None:
    async def scene() -> None:
        async with serving(Told.but(**{part: Check(ok=False, detail="disk full: free some space")})) as site:
            reply = await site.get("/readyz")
            assert reply.status_code == 503
            assert reply.json()["ready"] is False
            assert reply.json()["checks"][part] == {"ok": False, "detail": "disk full: free some space"}

    asyncio.run(scene())


def test_a_budget_that_is_reached_and_an_account_that_is_paused_are_told_and_no_faults(serving: Any) -> None:
    async def scene() -> None:
        cap = Cap(model=None, period=Period.DAILY, usd=Decimal("2.5"))
        limit = Limit(cap=cap, start=NOON - timedelta(hours=12), end=NOON + timedelta(hours=12))
        account = Hold(reason=Reason.CREDIT_EXHAUSTED, until=NOON)
        async with serving(Told.but(reached=(limit,), account=account)) as site:
            reply = await site.get("/readyz")
            assert reply.status_code == 200
            assert reply.json()["budget"] == [
                {"scope": "all models", "period": "daily", "cap_usd": "2.5", "until": "2026-11-25T00:00:00.000Z"}
            ]
            assert reply.json()["account"] == {"reason": "credit_exhausted", "until": "2026-11-24T12:00:00.000Z"}

    asyncio.run(scene())


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_only_get_and_head_are_answered(serving: Any, path: str) -> None:
    async def scene() -> None:
        async with serving() as site:
            whole, head = await site.get(path), await site.client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers.get("content-length") == whole.headers.get("content-length")  # none of what is long
            for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
                reply = await site.client.request(method, path, content=b"x")
                assert reply.status_code == 405
                assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD"}
                assert reply.json() == {"error": f"{method} is not answered here", "hint": "use GET"}

    asyncio.run(scene())


@pytest.mark.parametrize("path", ["/", "/readyz/", "//readyz", "/api/v1/models", "/%2e%2e/etc/passwd"])
def test_an_unknown_path_is_told_which_there_are(serving: Any, path: str) -> None:
    async def scene() -> None:
        async with serving() as site:
            reply = await site.get(site.url + path)
            assert reply.status_code == 404
            assert reply.json().keys() == {"error", "hint"}
            assert "/readyz" in reply.json()["hint"]

    asyncio.run(scene())


def test_no_reply_is_kept_or_guessed_at(serving: Any) -> None:
    async def scene() -> None:
        async with serving() as site:
            replies = [await site.get(path) for path in ("/healthz", "/readyz", "/metrics", "/nothing")]
            replies += [await site.client.post("/readyz"), await site.get("/readyz", headers={"Host": "evil.example"})]
            for reply in replies:
                assert reply.headers["x-content-type-options"] == "nosniff"
                assert reply.headers["cache-control"] == "no-store"
                assert "server" not in reply.headers

    asyncio.run(scene())


def test_a_bug_is_told_as_one_and_leaves_the_server_up(serving: Any) -> None:
    class Broken(Told):
        async def health(self) -> Any:
            raise ZeroDivisionError("secret")

    async def scene() -> None:
        async with serving(Broken()) as site:
            reply = await site.get("/readyz")
            assert reply.status_code == 500
            assert reply.json().keys() == {"error", "hint"}
            assert "secret" not in reply.text
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert (await site.get("/healthz")).status_code == 200

    asyncio.run(scene())

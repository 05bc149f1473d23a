"""What is public of the daemon is the webhooks' path, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import pytest
from structlog.testing import capture_logs
from web.vitals import Told

from warmer.core.spec import WEBHOOKS, Listen
from warmer.log import Event
from warmer.web.border import MISDIRECTED
from warmer.web.metrics import Metrics
from warmer.web.serve import HttpListener

PUBLIC = "warmer.example.com"


class Heard:
    """An inbox that takes whatever comes."""

    def __init__(self, host: str | None) -> None:
        self.host, self.bodies = host, list[bytes]()

    async def take(self, headers: Mapping[str, str], body: bytes) -> bool:
        self.bodies.append(body)
        return True


def answers(inbox: Heard, *asked: tuple[str, str, str]) -> list[int]:
    """The status of each question: its method, path and Host."""

    async def ask() -> list[int]:
        listener = HttpListener(Metrics())
        with capture_logs() as lines:
            await listener.open(Listen(port=0), Told(), inbox=inbox)
        (url,) = [line["url"] for line in lines if line["event"] == Event.WEB_OPENED]
        try:
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                return [
                    (await client.request(method, path, headers={"Host": host}, content=b"{}")).status_code
                    for method, path, host in asked
                ]
        finally:
            await listener.close()

    return asyncio.run(ask())


def test_the_public_name_is_answered_at_that_path_alone() -> None:
    inbox = Heard(PUBLIC)
    found = answers(
        inbox,
        ("POST", WEBHOOKS, PUBLIC),
        ("POST", WEBHOOKS, f"{PUBLIC}:443"),
        ("POST", WEBHOOKS, "elsewhere.example.com"),
        *(("GET", path, PUBLIC) for path in ("/", "/healthz", "/metrics", f"{WEBHOOKS}/../metrics", "//metrics")),
    )
    assert found == [204, 204] + [MISDIRECTED] * 6
    assert inbox.bodies == [b"{}", b"{}"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_it_is_posted_to(method: str) -> None:
    assert answers(Heard(PUBLIC), (method, WEBHOOKS, PUBLIC)) == [405]


def test_where_no_webhooks_are_asked_for_there_is_none() -> None:
    inbox = Heard(None)
    assert answers(inbox, ("POST", WEBHOOKS, "127.0.0.1"), ("POST", WEBHOOKS, PUBLIC)) == [404, MISDIRECTED]
    assert inbox.bodies == []

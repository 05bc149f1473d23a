from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from web.vitals import Told

from warmer.core.spec import Listen
from warmer.log import Event
from warmer.web.metrics import Metrics
from warmer.web.serve import HttpListener, Limits

Serving = Callable[..., AbstractAsyncContextManager["Site"]]


class Site:
    """A listener on a free port, and a client of it."""

    def __init__(self, listener: HttpListener, vitals: Told, metrics: Metrics, url: str) -> None:
        self.listener, self.vitals, self.metrics, self.url = listener, vitals, metrics, url
        self.client = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(path, **more)


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """What was logged, as values."""
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def serving(lines: list[Any]) -> Serving:
    @asynccontextmanager
    async def serve(vitals: Told | None = None, limits: Limits | None = None, **listen: Any) -> AsyncIterator[Site]:
        told, metrics = vitals or Told(), Metrics()
        listener = HttpListener(metrics, limits)
        await listener.open(Listen(**{"port": 0} | listen), told)
        opened = [line for line in lines if line["event"] == Event.WEB_OPENED][-1]
        site = Site(listener, told, metrics, opened["url"])
        try:
            yield site
        finally:
            await site.client.aclose()
            await listener.close()

    return serve

"""The page over a real socket: what stands on it, that nothing on it is a stranger's, and how it is kept fresh."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from functools import cache
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest
from structlog.testing import capture_logs
from web.boards import EVIL, Shown
from web.test_api import Desk
from web.vitals import CHAT, Told

from warmer.core.spec import Listen
from warmer.log import Event
from warmer.web.metrics import Metrics
from warmer.web.page import EVENTS, STREAMS
from warmer.web.serve import HttpListener, Limits

ODD = f"acme/{EVIL}"
VIEWS = ("/", f"/models/{CHAT}", f"/models/{quote(ODD)}", "/money", "/events", "/try")
SEEK = f"/?find={quote(EVIL)}"
Scene = Callable[[httpx.AsyncClient, Shown], Awaitable[None]]


class Read(HTMLParser):
    """A page, as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        within = self.tags[-1] if self.tags else ("", {})
        if within[0] == "script":
            if data.strip():
                self.data.append(data)
        else:
            self.text += data


def play(scene: Scene, limits: Limits | None = None) -> None:
    async def serve() -> None:
        desk, board = Desk(), Shown(CHAT, ODD)
        desk.models = [CHAT, ODD]
        listener = HttpListener(Metrics(), limits)
        with capture_logs() as lines:
            await listener.open(Listen(port=0), Told(), desk, board)
        url = next(line for line in lines if line["event"] == Event.WEB_OPENED)["url"]
        try:
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                await scene(client, board)
        finally:
            for queue in board.followers:
                queue.put_nowait(None)
            await listener.close()

    asyncio.run(serve())


@cache
def all_shown() -> dict[str, httpx.Response]:
    found: dict[str, httpx.Response] = {}

    async def scene(client: httpx.AsyncClient, board: Shown) -> None:
        for path in (*VIEWS, SEEK, "/?page=99999999999999999999"):
            found[path] = await client.get(path)

    play(scene)
    return found


def shown(path: str) -> tuple[httpx.Response, Read]:
    reply = all_shown()[path]
    assert reply.status_code == 200, reply.text
    return reply, Read(reply.text)


@pytest.mark.parametrize("path", VIEWS)
def test_every_view_asks_nobody_else_and_runs_nothing_but_our_own_files(path: str) -> None:
    reply, page = shown(path)
    policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["cache-control"] == "no-store"
    for tag, attrs in page.tags:
        assert not any(name.startswith("on") or name == "style" for name in attrs), (tag, attrs)
        for name in ("src", "href", "action"):
            address = attrs.get(name)
            assert address is None or re.match(r"/(?!/)|#|data:,$", address), (tag, attrs)
        if tag == "script" and "src" not in attrs:
            assert attrs == {"type": "application/json"}


@pytest.mark.parametrize("path", VIEWS)
def test_what_draws_charts_is_fetched_where_there_are_charts(path: str) -> None:
    _, page = shown(path)
    has_charts = any(attrs.get("class") == "chart" for _, attrs in page.tags)
    fetched = {(attrs.get("src") or "").rpartition("/")[2] for tag, attrs in page.tags if tag == "script"}
    assert "board.js" in fetched
    assert ({"echarts.min.js", "board-charts.js", "stage.js"} <= fetched) is has_charts
    assert has_charts is (path == "/money" or path.startswith("/models/"))


@pytest.mark.parametrize("path", VIEWS)
def test_a_name_is_text_wherever_it_stands(path: str) -> None:
    _, page = shown(path)
    assert not any(tag == "img" for tag, _ in page.tags)
    for data in page.data:
        json.loads(data)
    assert "alert(1)" in page.text or "alert(1)" in "".join(page.data) or path in (f"/models/{CHAT}", "/try")


def test_each_figure_has_its_comparison_and_each_model_its_reason() -> None:
    _, page = shown("/")
    for said in (
        "1 of 2 warm",
        "0.8 % cold",
        "of 4,812 calls in 7 days; 10.0 % in the week before",
        "$0.41 today",
        "of $2.00 that may be spent",
        "next in 18 s",
        "it was used a moment ago, and is warm by that",
        "paused until it is resumed",
        "280 – 310 s",
        "41 gaps seen",
        "p95 0.90 s",
    ):
        assert said in page.text
    strips = [attrs["aria-label"] for tag, attrs in page.tags if tag == "svg" and attrs.get("class") == "strip"]
    assert strips[0] == "today: 7 beats, 3 calls, 1 time found cold; active 08:00 to 20:00"


def test_one_model_says_what_it_does_and_why() -> None:
    _, page = shown(f"/models/{CHAT}")
    for said in (
        "unwarmed it would be 31.0 %",
        "No beat goes out: it was used a moment ago, and is warm by that.",
        "found cold by a customer after 5 min 12 s idle: cold, waited 14.2 s",
        "after 1 min 1 s idle: nobody had used it for the interval",
        "70 – 400 s after 1 gap",
        "480 calls of 21 days replayed",
        "sends 90 heartbeats a day in the place of 900",
        "adaptive 2%",
    ):
        assert said in " ".join(page.text.split())
    acts = [attrs["data-act"] for tag, attrs in page.tags if tag == "button" and "data-act" in attrs]
    assert acts == ["pause", "resume", "warm", "beat"]
    names = {attrs["data-chart"] for tag, attrs in page.tags if "data-chart" in attrs}
    assert names == {"waits", "traffic", "week", "timeout", "cost", "compared"}


def test_money_says_where_it_leads() -> None:
    _, page = shown("/money")
    for said in (
        "$1.59 left; at $0.40 a day it lasts until",
        "reached; nothing more is sent until",
        "most of it",
        "leave cold: not worth warming",
        "As it is: about $11.40 a month with 0.4 % of calls cold.",
        "waste: nobody has called it for 15 days. Write: take its entry out",
    ):
        assert said in page.text


def test_what_somebody_seeks_stays_in_its_field() -> None:
    _, page = shown(SEEK)
    (value,) = [attrs["value"] for tag, attrs in page.tags if tag == "input" and attrs.get("name") == "find"]
    assert value == EVIL
    assert shown("/?page=99999999999999999999")[0].status_code == 200


def test_a_model_that_is_none_is_a_404_with_what_to_do() -> None:
    async def scene(client: httpx.AsyncClient, board: Shown) -> None:
        for path in ("/models/acme/none", "/models/", "/assets/0/echarts.min.js", "/assets/x/..%2F..%2Fpage.py"):
            reply = await client.get(path)
            assert reply.status_code == 404
            assert reply.json().keys() == {"error", "hint"}

    play(scene)


def test_its_parts_are_kept_by_their_address() -> None:
    async def scene(client: httpx.AsyncClient, board: Shown) -> None:
        page = Read((await client.get("/money")).text)
        parts = [attrs.get("src") or attrs.get("href") for tag, attrs in page.tags if tag in ("script", "link")]
        parts = [part for part in parts if part and part.startswith("/assets/")]
        assert len(parts) == 6
        for part in parts:
            reply = await client.get(part)
            assert reply.status_code == 200
            assert "immutable" in reply.headers["cache-control"]
            assert reply.headers["x-content-type-options"] == "nosniff"

    play(scene)


# -- the stream ------------------------------------------------------------------------------------------------------


def test_what_is_said_comes_as_an_event_and_its_end_ends_the_stream() -> None:
    async def scene(client: httpx.AsyncClient, board: Shown) -> None:
        async with client.stream("GET", EVENTS) as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            lines = reply.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            board.followers[0].put_nowait({"event": "beat.done", "model": ODD})
            board.followers[0].put_nowait(None)
            data = [line async for line in lines if line.startswith("data: ")]
        assert [json.loads(line[6:]) for line in data] == [{"event": "beat.done", "model": ODD}]

    play(scene)


def test_streams_are_so_many_at_most_and_no_place_is_lost() -> None:
    async def scene(client: httpx.AsyncClient, board: Shown) -> None:
        tellers = [await open_stream(client) for _ in range(STREAMS)]
        refused = await client.get(EVENTS)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert (await client.get("/healthz")).status_code == 200  # streams take nobody's place
        for _, writer in tellers:
            writer.close()
        for _ in range(500):  # whoever is gone is noticed
            if not board.followers:
                break
            await asyncio.sleep(0.01)
        _, writer = await open_stream(client)
        writer.close()

    play(scene)


async def open_stream(client: httpx.AsyncClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = client.base_url.host, client.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {EVENTS} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    head = await reader.readuntil(b"retry")
    assert head.startswith(b"HTTP/1.1 200"), head
    return reader, writer


def test_a_stream_outlasts_what_an_exchange_may_take() -> None:
    async def scene(client: httpx.AsyncClient, board: Shown) -> None:
        reader, writer = await open_stream(client)
        idle, other = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        assert await idle.read() == b""  # who says nothing is hung up on: so much time has passed
        other.close()
        board.followers[0].put_nowait({"event": "beat.done"})
        await reader.readuntil(b"beat.done")
        writer.close()

    play(scene, Limits(exchange_s=0.2))


@pytest.mark.parametrize("path", ["/", EVENTS])
def test_a_page_of_another_host_is_not_answered(path: str) -> None:
    async def scene(client: httpx.AsyncClient, board: Shown) -> None:
        assert (await client.get(path, headers={"Host": "evil.example"})).status_code == 421

    play(scene)

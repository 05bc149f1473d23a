"""Whom a request may think it is talking to: a name that is not ours may have been made to point here."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from harness.fuzz import budget
from hypothesis import example, given
from hypothesis import strategies as st

from warmer.web.border import Hosts

LOCAL = Hosts("127.0.0.1", "127.0.0.1")
OPEN = Hosts("0.0.0.0", "0.0.0.0")
NAMED = Hosts("Warmer.Internal", "10.0.0.7")
MACHINE = socket.gethostname()


@pytest.mark.parametrize(
    ("host", "local", "open_", "named"),
    [
        ("127.0.0.1:9177", True, True, True),
        ("127.0.0.1", True, True, True),
        ("127.1.2.3:80", True, True, True),
        ("[::1]:9177", True, True, True),
        ("localhost:9177", True, True, True),
        ("LOCALHOST", True, True, True),
        ("localhost.", True, True, True),
        ("10.0.0.7:9177", False, True, True),
        ("[fe80::1]", False, True, True),
        ("0.0.0.0:9177", False, True, True),
        ("warmer.internal:9177", False, False, True),
        (MACHINE, MACHINE == "localhost", True, True),
        ("evil.example", False, False, False),
        ("localhost.evil.example", False, False, False),
        ("127.0.0.1.evil.example:9177", False, False, False),
        ("evil.example:127.0.0.1", False, False, False),
        ("127.0.0.1@evil.example", False, False, False),
        ("[::1", False, False, False),
        ("127.0.0.1:9177:9177", False, False, False),
        ("2130706433", False, False, False),
        ("", False, False, False),
    ],
)
def test_an_address_of_ours_or_a_name_of_ours(host: str, local: bool, open_: bool, named: bool) -> None:
    assert (LOCAL.allow(host), OPEN.allow(host), NAMED.allow(host)) == (local, open_, named)


@budget(500)
@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(
            ["127.0.0.1", "localhost", "[::1]", "evil.example", ":", "@", ".", "%00", "[", "]", "9177", "\t", " "]
        ),
        max_size=6,
    ).map("".join)
)
@example("[" + ":" * 10_000 + "]")
@example("1" * 100_000)
@example("localhost:" + "9" * 100_000)
@example("127.0.0.1\r\nHost: evil.example")
def test_any_host_is_ours_or_not_and_no_other_name_ever_is(host: str) -> None:
    assert all(one.allow(host) in (True, False) for one in (LOCAL, OPEN, NAMED))
    assert not ("evil" in host and LOCAL.allow(host))


def test_a_request_for_another_host_is_turned_away_with_a_hint(serving: Any) -> None:
    async def scene() -> None:
        async with serving() as site:
            for path in ("/healthz", "/readyz", "/metrics", "/nothing"):
                reply = await site.get(path, headers={"Host": "evil.example"})
                assert reply.status_code == 421
                assert "`listen`" in reply.json()["hint"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    "head",
    [
        b"GET /readyz HTTP/1.0\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_a_request_that_names_no_host_or_two_is_not_answered(serving: Any, head: bytes) -> None:
    async def scene() -> None:
        async with serving() as site:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(head)
            status = await reader.readline()
            assert status.split()[1] in (b"400", b"421")
            writer.close()

    asyncio.run(scene())

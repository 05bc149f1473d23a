"""An endpoint over real sockets: what each reply leads to, what goes out, and what is left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from harness.ports import refusing_port
from harness.wire import Asked, answer
from providers.conftest import JumpClock

from warmer.core.beat import BeatRequest, Prediction, Status
from warmer.core.endpoint import Endpoint, Header, Poll, Warm
from warmer.core.price import Billing
from warmer.core.secret import SecretRef
from warmer.core.spec import Target, TargetKind
from warmer.errors import (
    AccountRefused,
    CreditExhausted,
    Doubtful,
    ModelRefused,
    ProviderError,
    Throttled,
    Unavailable,
    Unreachable,
)
from warmer.providers.endpoint import MAX_REPLY_BYTES, HttpEndpoint

REF = SecretRef(scheme="env", name="KEY")
SECRET = "C4nary-C4nary-C4nary"
Reply = Callable[[Asked], Awaitable[bytes]]


def request(deadline: timedelta = timedelta(minutes=10)) -> BeatRequest:
    target = Target(kind=TargetKind.URL, owner="", name="http://127.0.0.1/")
    return BeatRequest(target=target, version=None, billing=Billing.PUBLIC, input={}, deadline=deadline)


def saying(*replies: bytes) -> Reply:
    """These one after another, the last one again and again."""
    left = list(replies)

    async def reply(asked: Asked) -> bytes:
        return left.pop(0) if len(left) > 1 else left[0]

    return reply


@asynccontextmanager
async def answering(reply: Reply) -> AsyncIterator[tuple[str, list[Asked]]]:
    asked = list[Asked]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            asked.append(Asked(head, await reader.readexactly(int(length or 0))))
            writer.write(await reply(asked[-1]))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()


def seen(
    reply: Reply, clock: JumpClock, *, deadline: timedelta = timedelta(minutes=10), **more: Any
) -> tuple[Prediction, list[Asked]]:
    """The end of one beat, and all that was asked for it."""

    async def go() -> tuple[Prediction, list[Asked]]:
        async with answering(reply) as (url, asked):
            host = HttpEndpoint(Endpoint(name="e", url=f"{url}/warm", **more), {REF: SECRET}, clock)
            try:
                prediction = await host.create(request(deadline))
                while prediction.status.is_open:
                    await asyncio.sleep(0)
                    prediction = await host.read(prediction.id)
            finally:
                await host.close()
            return prediction, asked

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("reply", "kind", "hint", "key"),
    [
        (answer("401 Unauthorized", {"error": "no"}), AccountRefused, "", ""),
        (answer("402 Payment Required", {"error": "no"}), CreditExhausted, "", ""),
        (answer("403 Forbidden", {"error": "no"}), ModelRefused, "key", "target"),
        (answer("404 Not Found"), ModelRefused, "`url`", "target"),
        (answer("405 Method Not Allowed"), ModelRefused, "`method`, such as POST", "target"),
        (answer("422 Unprocessable Entity", {"detail": "no field"}), ModelRefused, "`body`", "input"),
        (answer("302 Found", "", "Location: https://elsewhere.test/"), ModelRefused, "final address", "target"),
        (answer("303 See Other", "", "Location: https://elsewhere.test/"), ModelRefused, "final address", "target"),
        (answer("429 Too Many Requests", "", "Retry-After: 42"), Throttled, "", ""),
    ],
    ids=lambda value: value.split(b"\r\n")[0][9:].decode() if isinstance(value, bytes) else "",
)
def test_a_refusal_says_whom_it_concerns_and_what_to_change(
    reply: bytes, kind: type[ProviderError], hint: str, key: str, jump: JumpClock
) -> None:
    with pytest.raises(kind) as caught:
        seen(saying(reply), jump)
    assert hint in getattr(caught.value, "hint", "")
    assert getattr(caught.value, "key", "") == key
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after == timedelta(seconds=42)


def test_a_failure_of_what_was_taken_is_how_the_beat_ends(jump: JumpClock) -> None:
    prediction, asked = seen(saying(answer("500 Internal Server Error", {"error": {"message": "out of memory"}})), jump)
    assert (prediction.status, prediction.error, len(asked)) == (Status.FAILED, "500: out of memory", 1)


def test_nobody_there_is_told_from_a_reply_that_was_lost(jump: JumpClock) -> None:
    async def go(url: str) -> None:
        host = HttpEndpoint(Endpoint(name="e", url=url), {}, jump)
        try:
            await host.create(request())
        finally:
            await host.close()

    with refusing_port() as port, pytest.raises(Unreachable, match="Check the network and `url`"):
        asyncio.run(go(f"http://127.0.0.1:{port}/"))
    with pytest.raises(Doubtful, match="may have been carried out"):
        seen(saying(b""), jump)


def test_a_waking_host_is_asked_again_when_it_says_and_the_wait_is_until_it_serves(jump: JumpClock) -> None:
    loading = answer("503 Service Unavailable", {"error": "loading", "estimated_time": 20.0})
    prediction, asked = seen(saying(loading, answer("503 x", "", "Retry-After: 7"), answer("200 OK", {})), jump)
    assert prediction.status is Status.SUCCEEDED
    assert (prediction.wait_s, prediction.woke, len(asked)) == (27.0, True, 3)


@pytest.mark.parametrize(
    "warm",
    [Warm(json={"state.0": "ready"}), Warm(header={"X-State": "ready"}), Warm(status=(201,)), Warm(waking=(409,))],
    ids=["json", "header", "status", "waking"],
)
def test_what_counts_as_warm_is_waited_for(warm: Warm, jump: JumpClock) -> None:
    good = answer("201 Created", {"state": ["ready"]}, "X-State: ready")
    not_yet = answer("409 Conflict") if 409 in warm.waking else answer("200 OK", {"state": ["loading"]})
    prediction, asked = seen(saying(not_yet, good), jump, warm=warm)
    assert (prediction.status, prediction.woke, len(asked)) == (Status.SUCCEEDED, True, 2)


def test_it_is_given_up_at_its_deadline_with_what_was_said_last() -> None:
    class Endless(JumpClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.Event().wait()

    waking = answer("503 Service Unavailable", {"error": "no capacity"})
    prediction, _ = seen(saying(waking), Endless(), deadline=timedelta(seconds=2))
    assert prediction.status is Status.ABORTED
    assert prediction.error is not None
    assert "within its deadline" in prediction.error and "`deadline`; the last it said was 503: no" in prediction.error
    assert prediction.started_at is None


def test_the_secret_goes_out_and_comes_back_in_no_error(jump: JumpClock) -> None:
    async def echo(asked: Asked) -> bytes:
        assert f"Authorization: Bearer {SECRET}\r\n".encode() in asked.head
        return answer("422 Unprocessable Entity", {"error": f"who is {SECRET}?"})

    headers = (Header(name="Authorization", text="Bearer ", secret=REF),)
    with pytest.raises(ModelRefused) as caught:
        seen(echo, jump, headers=headers)
    assert "who is ***?" in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_body_is_sent_as_json_or_as_it_is_and_a_header_of_the_file_goes_before(jump: JumpClock) -> None:
    _, (asked,) = seen(saying(answer("200 OK")), jump, method="POST", body={"n": [1, None, 0.5]})
    assert json.loads(asked.body) == {"n": [1, None, 0.5]}
    assert b"Content-Type: application/json\r\n" in asked.head
    own = (Header(name="content-type", text="text/csv"), Header(name="Host", text="hello.example"))
    _, (asked,) = seen(saying(answer("200 OK")), jump, method="PUT", body="a,b", headers=own)
    assert (asked.line.split()[0], asked.body) == (b"PUT", b"a,b")
    assert asked.head.lower().count(b"content-type: text/csv\r\n") == asked.head.lower().count(b"content-type:") == 1
    assert b"Host: hello.example\r\n" in asked.head


def test_a_long_reply_is_left_where_it_is_and_is_good_all_the_same(jump: JumpClock) -> None:
    prediction, _ = seen(saying(answer("200 OK", b"x" * (3 * MAX_REPLY_BYTES))), jump)
    assert prediction.status is Status.SUCCEEDED


def test_a_cookie_of_one_reply_is_no_part_of_the_next_request(jump: JumpClock) -> None:
    waking = answer("503 Service Unavailable", "", "Set-Cookie: pod=1")
    _, asked = seen(saying(waking, answer("200 OK")), jump)
    assert not any(b"cookie" in one.head.lower() for one in asked)


@pytest.mark.parametrize(
    ("body", "why"),
    [({"status": "IN_QUEUE"}, "no id at `job.id`"), ({"job": {"id": ""}}, "no id"), ({"job": {"id": True}}, "no id")],
)
def test_an_answer_without_the_id_says_which_key_to_correct(body: Any, why: str, jump: JumpClock) -> None:
    poll = Poll(path="/status/{id}", id="job.id")
    prediction, asked = seen(saying(answer("200 OK", body)), jump, poll=poll)
    assert (prediction.status, len(asked)) == (Status.FAILED, 1)
    assert why in prediction.error
    assert "poll" in prediction.error


def test_an_id_stays_one_part_of_the_path_and_a_look_that_fails_is_looked_again(jump: JumpClock) -> None:
    poll = Poll(path="/status/{id}", state="state", done=("done",), failed=("lost",))
    replies = [answer("201 Created", {"id": "../x?y"}), b"", answer("500 x"), answer("429 x", "", "Retry-After: 3")]
    done = answer("200 OK", {"state": "done"})
    prediction, asked = seen(saying(*replies, done), jump, poll=poll, method="POST")
    assert prediction.status is Status.SUCCEEDED
    assert {one.line for one in asked[1:]} == {b"GET /status/..%2Fx%3Fy HTTP/1.1"}
    assert [one.line[:4] for one in asked].count(b"POST") == 1
    failed, _ = seen(saying(replies[0], answer("200 OK", {"state": "lost", "error": "evicted"})), jump, poll=poll)
    assert (failed.status, failed.error) == (Status.FAILED, "lost: 200: evicted")


def test_a_held_request_is_out_until_it_is_cancelled_and_nothing_is_left(jump: JumpClock) -> None:
    gone = asyncio.Event()

    async def hold(asked: Asked) -> bytes:
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()
        return b""

    async def go() -> None:
        async with answering(hold) as (url, _):
            host = HttpEndpoint(Endpoint(name="e", url=url), {}, jump, hold_s=0.05)
            first, second = await host.create(request()), await host.create(request())
            assert (first.status, (await host.read(first.id)).status) == (Status.STARTING, Status.STARTING)
            await host.cancel(first.id)
            assert (await host.read(first.id)).status is Status.CANCELED
            await host.cancel(first.id)  # harmless
            before = asyncio.all_tasks()
            await host.close()
            assert (await host.read(second.id)).status is Status.CANCELED
            left = [task for task in before if "HttpEndpoint" in repr(task) and not task.done()]
            assert left == []
            with pytest.raises(Unavailable, match="another process"):
                await host.read("http-0")

    asyncio.run(go())

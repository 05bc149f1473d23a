"""The port over real Cog servers, and over what a real one cannot be brought to say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness.cogs import CogProcess
from harness.ports import free_port
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer import errors
from warmer.clock import SystemClock
from warmer.core.beat import BeatRequest, Prediction, Status, Use, Verdict
from warmer.core.price import PAID_ANYWAY, Billing
from warmer.core.smallest import fitting_input
from warmer.core.spec import CogServer, Target, TargetKind
from warmer.core.verdict import judge
from warmer.providers.cog import Cog
from warmer.providers.cog_server import CogWire, Stage

READY = {"status": "READY", "setup": {"status": "succeeded"}}


TARGET = Target(kind=TargetKind.COG, owner="", name="http://cog.test")


def beat(deadline_s: float = 60, **given: Any) -> BeatRequest:
    return BeatRequest(
        target=TARGET,
        version=None,
        billing=Billing.OWN,
        input=given,
        deadline=timedelta(seconds=deadline_s),
        price=PAID_ANYWAY,
    )


@asynccontextmanager
async def cog_at(url: str) -> Any:
    host = Cog(CogServer(url=url), SystemClock())
    try:
        yield host
    finally:
        await host.close()
        assert not [task for task in asyncio.all_tasks() if "coro=<Cog." in repr(task)]


async def ended(host: Cog, prediction: Prediction, within_s: float = 30) -> Prediction:
    async with asyncio.timeout(within_s):
        while prediction.status.is_open:
            await asyncio.sleep(0.02)
            prediction = await host.read(prediction.id)
    return prediction


def found(prediction: Prediction) -> Verdict:
    return judge(Use.of(prediction), (), 0.2)


def on(url: str, scene: Callable[[Cog], Awaitable[Any]]) -> Any:
    """What comes of a scene with a host at `url`."""

    async def play() -> Any:
        async with asyncio.timeout(60), cog_at(url) as host:
            return await scene(host)

    return asyncio.run(play())


@pytest.fixture(scope="module")
def met_in_setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CogProcess, Prediction]]:
    """A server, and the beat that met it in the middle of its setup of two seconds."""
    with CogProcess(tmp_path_factory.mktemp("cog"), setup_s=2) as server:
        time.sleep(0.5)
        prediction = on(server.url, lambda host: _one(host, text="hi"))
        yield server, prediction


async def _one(host: Cog, **given: Any) -> Prediction:
    return await ended(host, await host.create(beat(**given)))


@pytest.fixture
def cog(met_in_setup: tuple[CogProcess, Prediction]) -> CogProcess:
    return met_in_setup[0]


def test_a_beat_in_the_middle_of_a_setup_tells_the_whole_boot(met_in_setup: tuple[CogProcess, Prediction]) -> None:
    cog, seen = met_in_setup
    assert seen.status is Status.SUCCEEDED
    assert seen.boot_s == pytest.approx(cog.setup_s, abs=0.3)
    assert seen.wait_s is not None and seen.wait_s < seen.boot_s
    assert found(seen) is Verdict.COLD


def test_a_beat_that_finds_it_up_is_warm_and_measured_by_its_run(cog: CogProcess) -> None:
    async def scene(host: Cog) -> tuple[Prediction, Prediction]:
        return await _one(host, text="hi", sleep=0.3), await _one(host, text="hi")

    slow, quick = on(cog.url, scene)
    assert 0.3 <= slow.predict_s <= (slow.completed_at - slow.created_at).total_seconds()
    assert slow.boot_s is None and quick.boot_s is None
    assert found(quick) is Verdict.WARM
    assert slow.completed_at <= quick.created_at <= quick.started_at <= quick.completed_at


def test_it_says_what_it_takes_and_what_it_is(cog: CogProcess) -> None:
    async def scene(host: Cog) -> Any:
        return await host.describe(TARGET), await host.verify(), await host.recent(SystemClock().now())

    contract, name, listed = on(cog.url, scene)
    assert (contract.billing, contract.version, contract.schema_to_come) == (Billing.OWN, None, False)
    assert set(fitting_input(contract)) == {"text"}
    assert name.startswith("Cog 0.")
    assert listed == ()


def test_a_run_that_fails_has_failed_in_its_own_words(cog: CogProcess) -> None:
    seen = on(cog.url, lambda host: _one(host, text="wrong"))
    assert seen.status is Status.FAILED
    assert "of that text nothing can be made" in seen.error


def test_wrong_input_is_refused_with_the_name_of_the_field(cog: CogProcess) -> None:
    with pytest.raises(errors.ModelRefused, match="sleep") as refused:
        on(cog.url, lambda host: _one(host, text="hi", sleep="long"))
    assert refused.value.key == "input"
    assert "sleep" in refused.value.hint


def test_a_server_that_somebody_uses_is_left_alone_and_warm(cog: CogProcess) -> None:
    async def scene(host: Cog) -> tuple[Prediction, Prediction]:
        async with cog_at(cog.url) as customer:
            call = await customer.create(beat(text="long", sleep=3))
            seen = await _one(host, text="hi")
            call = await ended(customer, call)
        return seen, call

    seen, call = on(cog.url, scene)
    assert (seen.status, seen.run_s, found(seen)) == (Status.SUCCEEDED, 0.0, Verdict.WARM)
    assert call.status is Status.SUCCEEDED
    assert seen.id not in cog.log


def test_what_is_cancelled_ends_so_and_leaves_the_server_free(cog: CogProcess) -> None:
    async def scene(host: Cog) -> tuple[Prediction, Prediction]:
        out = await host.create(beat(text="long", sleep=30))
        assert out.status is Status.PROCESSING
        await host.cancel(out.id)
        await host.cancel("warmer-1-00000000")  # of nobody: harmless
        return await ended(host, out, 10), await _one(host, text="hi")

    canceled, after = on(cog.url, scene)
    assert (canceled.status, canceled.error) == (Status.CANCELED, None)
    assert after.status is Status.SUCCEEDED


def test_a_run_past_its_deadline_is_stopped_and_told_what_to_write(cog: CogProcess) -> None:
    seen = on(cog.url, lambda host: _ended_of(host, beat(deadline_s=2, text="long", sleep=30)))
    assert seen.status is Status.CANCELED
    assert "deadline" in seen.error


async def _ended_of(host: Cog, request: BeatRequest) -> Prediction:
    return await ended(host, await host.create(request), 20)


def test_who_leaves_leaves_nothing_running(cog: CogProcess) -> None:
    out = on(cog.url, lambda host: host.create(beat(text="long", sleep=30)))

    async def next_life(host: Cog) -> Prediction:
        return await ended(host, await host.read(out.id), 20)

    seen = on(cog.url, next_life)
    assert (seen.status, seen.created_at) == (Status.UNKNOWN, pytest.approx(out.created_at, abs=timedelta(seconds=1)))
    assert cog.health()["status"] == "READY"


def test_without_a_schema_an_input_of_the_file_runs(tmp_path: Path) -> None:
    with CogProcess(tmp_path / "bare", has_schema=False) as bare:

        def rest() -> None:
            while bare.health()["status"] != "READY":
                time.sleep(0.02)

        async def scene(host: Cog) -> Any:
            told, one = await host.describe(TARGET), await _one(host, text="hi")
            await asyncio.to_thread(rest)  # at something yet, the next would only find it warm
            return told, one, await _one(host, word="hi")

        contract, good, bad = on(bare.url, scene)
    assert (contract.input_schema, contract.schema_to_come) == (None, False)
    assert good.status is Status.SUCCEEDED
    assert bad.status is Status.FAILED and bad.error


def test_a_server_that_dies_in_a_run_and_comes_back_is_a_boot(tmp_path: Path) -> None:
    with CogProcess(tmp_path / "mortal", setup_s=0.3) as mortal:

        async def scene(host: Cog) -> tuple[Prediction, Prediction, Prediction, float]:
            out = await host.create(beat(text="long", sleep=30))
            assert out.status is Status.PROCESSING
            mortal.kill()
            lost = await ended(host, out)
            with pytest.raises(errors.Unreachable, match=mortal.url):
                await host.create(beat(text="hi"))
            await asyncio.to_thread(mortal.start, is_up=True)
            return lost, await _one(host, text="hi"), await _one(host, text="hi"), mortal.setup_s

        lost, back, again, setup_s = on(mortal.url, scene)
    assert (lost.status, lost.completed_at) == (Status.UNKNOWN, None)
    assert mortal.url in lost.error
    assert back.boot_s == pytest.approx(setup_s, abs=0.3)
    assert (found(back), found(again), again.boot_s) == (Verdict.COLD, Verdict.WARM, None)


def test_a_setup_that_fails_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with CogProcess(tmp_path / "broken", setup_s=0) as broken:
        with pytest.raises(errors.ModelFailed, match="SETUP_FAILED") as failed:
            on(broken.url, lambda host: host.describe(TARGET))
        assert "no weights here" in str(failed.value)

        async def at_once(host: Cog) -> None:
            await host.create(beat(text="hi"))

        with pytest.raises(errors.ModelFailed, match="SETUP_FAILED"):
            on(broken.url, at_once)


# -- what a real one cannot be brought to say --------------------------------------------------------------------------


class Said:
    """A server that says of each path what it was told to, the last of it again and again."""

    def __init__(self, **paths: list[tuple[int, Any]]) -> None:
        self.paths, self.asked = paths, list[str]()

    async def answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        path = head.split(b"\r\n", 1)[0].decode().split(" ")[1]
        name = {"/health-check": "health", "/openapi.json": "schema"}.get(path, "cancel" if "cancel" in path else "run")
        self.asked.append(name)
        answers = self.paths.get(name, [(200, {})])
        status, said = answers.pop(0) if len(answers) > 1 else answers[0]
        if status == 0:
            return False
        if callable(said):
            said = said(body)
        text = json.dumps(said).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(text)) + text)
        return True


def done(body: bytes) -> dict[str, Any]:
    return {"id": json.loads(body)["id"], "status": "succeeded", "metrics": {"predict_time": 0.01}}


def told(raw: Any, said: Said, scene: Callable[[Cog], Awaitable[Any]]) -> Any:
    async def play() -> Any:
        async with asyncio.timeout(30), raw(said.answer) as site, cog_at(site.url) as host:
            return await scene(host)

    return asyncio.run(play())


def hi(host: Cog) -> Awaitable[Prediction]:
    return _one(host, text="hi")


def test_a_boot_is_waited_for_behind_a_proxy_that_says_nobody_is_there_yet(server: Any) -> None:
    setup = {"started_at": "2026-11-22T09:58:26.975801439+00:00"}
    up = {"status": "READY", "setup": setup | {"completed_at": "2026-11-22T09:58:31.027073149+00:00"}}
    booting = (200, {"status": "STARTING", "setup": setup})
    said = Said(
        health=[(502, "bad gateway"), booting, (200, up)],
        run=[(503, {"error": "Setup has not finished yet."}), (200, done)],
    )
    seen = told(server, said, hi)
    assert (seen.status, seen.boot_s, found(seen)) == (Status.SUCCEEDED, pytest.approx(4.051, abs=0.001), Verdict.COLD)
    assert said.asked == ["health", "health", "health", "run", "health", "run"]


def test_a_look_that_was_held_until_the_server_was_up_met_its_boot(server: Any) -> None:
    up = {"status": "READY", "setup": {"started_at": "2026-11-22T09:00:00Z", "completed_at": "2026-11-22T09:00:30Z"}}

    async def met(date: str) -> Prediction:
        async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
            text = json.dumps(up if b"health" in head else done(body)).encode()
            lines = (b"HTTP/1.1 200 OK", b"Date: " + date.encode(), b"Content-Length: %d" % len(text), b"", text)
            writer.write(b"\r\n".join(lines))
            return True

        async with server(answer) as site, cog_at(site.url) as host:
            return await hi(host)

    async def play() -> tuple[Prediction, Prediction]:
        return await met("Sun, 22 Nov 2026 09:00:29 GMT"), await met("Sun, 22 Nov 2026 09:01:00 GMT")

    held, long_up = asyncio.run(play())
    assert (held.boot_s, found(held)) == (30.0, Verdict.COLD)
    assert (long_up.boot_s, found(long_up)) == (None, Verdict.WARM)


def test_a_setup_that_outlasts_the_deadline_ends_the_beat(server: Any) -> None:
    said = Said(health=[(200, {"status": "STARTING", "setup": {}})])
    seen = told(server, said, lambda host: _ended_of(host, beat(deadline_s=1.1, text="hi")))
    assert (seen.status, seen.started_at, found(seen)) == (Status.ABORTED, None, Verdict.UNSURE)
    assert "deadline" in seen.error
    assert "run" not in said.asked


def test_what_is_told_to_stop_before_it_was_sent_is_not_sent(server: Any) -> None:
    async def scene(host: Cog) -> Prediction:
        out = await host.create(beat(text="hi"))
        await host.cancel(out.id)
        return await ended(host, out)

    said = Said(health=[(200, {"status": "STARTING"})])
    seen = told(server, said, scene)
    assert (seen.status, seen.started_at) == (Status.CANCELED, None)
    assert "run" not in said.asked and "cancel" not in said.asked


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((409, {"error": "At capacity"}), Status.SUCCEEDED),
        ((500, {"error": "x"}), Status.FAILED),
        ((503, "a proxy's"), Status.FAILED),
    ],
)
def test_busy_is_warm_and_broken_has_failed(server: Any, answer: Any, status: Status) -> None:
    seen = told(server, Said(health=[(200, READY)], run=[answer]), hi)
    assert (seen.status, found(seen)) == (status, Verdict.WARM)


@pytest.mark.parametrize("answer", [(0, None), (200, "nothing"), (202, {"id": "p1", "status": "processing"})])
def test_an_end_that_nobody_told_is_unknown(server: Any, answer: Any) -> None:
    said = Said(health=[(200, READY)], run=[answer])
    seen = told(server, said, hi)
    assert (seen.status, found(seen)) == (Status.UNKNOWN, Verdict.UNSURE)
    assert said.asked.count("run") == 1


@pytest.mark.parametrize("stage", ["DEFUNCT", "UNHEALTHY"])
def test_a_server_that_is_not_well_is_not_sent_anything(server: Any, stage: str) -> None:
    said = Said(health=[(200, {"status": stage})])
    with pytest.raises(errors.ModelFailed, match=f"{stage}.*log"):
        told(server, said, hi)
    assert "run" not in said.asked


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (200, {"status": "fine"}, errors.ModelRefused),
        (200, "<html>", errors.ModelRefused),
        (404, {}, errors.ModelRefused),
        (401, {}, errors.ModelRefused),
        (302, {}, errors.ModelRefused),
        (500, {}, errors.Unavailable),
        (0, None, errors.Unavailable),
    ],
)
def test_what_is_no_cog_server_is_told_from_one_that_fails(server: Any, status: int, said: Any, kind: Any) -> None:
    async def scene(host: Cog) -> None:
        await host.verify()

    with pytest.raises(kind) as refused:
        told(server, Said(health=[(status, said)]), scene)
    assert getattr(refused.value, "key", "") in ("target", "")


def test_what_it_takes_is_waited_for_and_asked_again_later(server: Any) -> None:
    class Hurried(SystemClock):
        async def sleep(self, seconds: float) -> None:
            self.ahead_s = getattr(self, "ahead_s", 0.0) + 5
            await asyncio.sleep(0)

        def monotonic(self) -> float:
            return super().monotonic() + getattr(self, "ahead_s", 0.0)

    async def play() -> Any:
        said = Said(health=[(200, {"status": "STARTING"})], schema=[(503, {"error": "not available"})])
        async with server(said.answer) as site:
            host = Cog(CogServer(url=site.url), Hurried())
            try:
                return await host.describe(TARGET)
            finally:
                await host.close()

    contract = asyncio.run(play())
    assert contract.schema_to_come
    with pytest.raises(errors.Unavailable, match="input"):
        fitting_input(contract)


def test_a_beat_of_another_process_is_out_while_the_server_is_at_something(server: Any) -> None:
    said = Said(health=[(200, {"status": "STARTING"}), (200, {"status": "BUSY"}), (200, READY)])

    async def scene(host: Cog) -> list[Prediction]:
        return [await host.read("warmer-19a9d4b2c00-0123abcd") for _ in range(3)]

    seen = told(server, said, scene)
    assert [one.status for one in seen] == [Status.STARTING, Status.PROCESSING, Status.UNKNOWN]
    assert len({one.created_at for one in seen}) == 1


def test_a_beat_of_another_process_is_over_where_nobody_is_there() -> None:
    seen = on(f"http://127.0.0.1:{free_port()}", lambda host: host.read("warmer-19a9d4b2c00-0123abcd"))
    assert seen.status is Status.UNKNOWN


def test_an_id_that_is_not_ours_is_not_guessed_at() -> None:
    with pytest.raises(errors.Unavailable):
        on(f"http://127.0.0.1:{free_port()}", lambda host: host.read("p1"))


def test_an_endless_reply_is_not_taken_in(server: Any) -> None:
    async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(200):
            writer.write(b" " * 65_536)
            await writer.drain()
        return False

    async def play() -> None:
        async with server(answer) as site, cog_at(site.url) as host:
            await host.verify()

    with pytest.raises(errors.Unavailable, match="MiB"):
        asyncio.run(play())


def test_a_reply_that_trickles_is_given_up(server: Any) -> None:
    async def answer(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(200):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)
        return False

    async def play() -> None:
        async with server(answer) as site:
            wire = CogWire(site.url, SystemClock())
            try:
                await wire.look(0.1)
            finally:
                await wire.close()

    with pytest.raises(errors.Unavailable, match="did not answer"):
        asyncio.run(play())


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers()
keys = ["status", "setup", "started_at", "completed_at", "logs", "id", "metrics", "predict_time", "error", "detail"]
keys += ["loc", "msg", "components", "schemas", "Input", "cog_version"]
junk = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20) | st.sampled_from(list(Stage)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([200, 202, 302, 409, 413, 422, 500, 503]), junk)
def test_whatever_a_server_says_is_a_value_or_an_error(status: int, said: Any) -> None:
    async def streamed() -> AsyncIterator[bytes]:
        yield json.dumps(said).encode()

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=streamed())

    async def play() -> None:
        wire = CogWire("http://cog.test", SystemClock(), transport=httpx.MockTransport(answer))
        for ask in (wire.look(), wire.takes(), wire.version()):
            with contextlib.suppress(errors.ProviderError):
                await ask
        reply, _ = await wire.predict("p1", {}, 1.0)
        assert str(wire.problem_of(reply))
        await wire.close()

    asyncio.run(play())

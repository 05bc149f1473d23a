"""What an application imports, over real HTTP, in its own event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from engine.stage import traits
from harness.processes import environment

import warmer
from warmer import Warmer, backtest, load_config
from warmer.errors import ConfigError, LedgerError, UsageError
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.traits import Account as Plan
from warmer.sandbox.world import World

TOKEN = "r8_warmer_CanaryThatMustNotSing"
CHAT, CODE = "acme/chat", "acme/code"


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMER_TEST_TOKEN", TOKEN)


def world() -> World:
    hosted = [traits(slug, boot_s=0.2, run_s=0.05) for slug in (CHAT, CODE)]
    plan = Plan(creates_per_minute=60_000, reads_per_minute=60_000)
    return World(begin=datetime.now(UTC), models=hosted, deployments=(), account=plan)


def file_at(folder: Path, url: str, every: str = "1s", *slugs: str) -> Path:
    file = folder / "warmer.yaml"
    entries = "".join(f"  - {{model: {slug}, every: {every}, policy: aware}}\n" for slug in slugs or (CHAT,))
    text = (
        f"ledger: sqlite:///{folder}/ledger.db\nlisten: 127.0.0.1:1\npublic_url: https://nobody.example\n"
        f"replicate: {{token: env:WARMER_TEST_TOKEN, base_url: '{url}/v1'}}\nmodels:\n{entries}"
    )
    file.with_suffix(".new").write_text(text)
    return file.with_suffix(".new").rename(file)


def beats(server: SandboxServer) -> list[Any]:
    return list(server.world.journal.calls(caller="warmer"))


async def until(happened: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


def test_it_warms_in_the_application_s_loop_and_leaves_nothing_running(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "warmer")

    async def scene() -> None:
        async with SandboxServer(world()) as server:
            async with Warmer(load_config(file_at(tmp_path, server.url))) as warm:
                assert warm.models == [CHAT]
                await until(lambda: len(beats(server)) >= 2)
                (told,) = await warm.warmth()
                assert (told.model, told.probability > 0.5) == (CHAT, True)
                file_at(tmp_path, server.url, "1s", CHAT, CODE)
                await until(lambda: {call.model for call in beats(server)} == {CHAT, CODE})
                assert [one.model for one in await warm.warmth(CODE)] == [CODE]
                with pytest.raises(UsageError, match=r"no model 'acme/other': it has acme/chat, acme/code"):
                    await warm.called("acme/other")
            assert all(call.completed_at is not None for call in beats(server))

    asyncio.run(scene())
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name.startswith("warmer")]
    events = [line["event"] for line in lines]
    assert {"daemon.started", "beat.done", "config.reloaded", "daemon.stopped"} <= set(events)
    assert not {"web.failed", "webhooks.failed", "webhooks.opened"} & set(events)
    assert TOKEN not in caplog.text


def test_a_call_that_is_told_takes_a_beat_s_place(tmp_path: Path) -> None:
    async def scene() -> None:
        async with SandboxServer(world()) as server, Warmer(load_config(file_at(tmp_path, server.url, "3s"))) as warm:
            await until(lambda: any(call.completed_at for call in beats(server)))
            for number in range(30):  # for longer than two intervals
                assert await warm.called(CHAT, prediction_id=f"ours{number}")
                await asyncio.sleep(0.25)
            assert not await warm.called(CHAT, prediction_id="ours3")
            assert len(beats(server)) == 1
            with pytest.raises(ValueError, match="within the last hour"):
                await warm.called(CHAT, created_at=datetime(2020, 1, 1, tzinfo=UTC))
            with pytest.raises(ValueError, match="zone"):
                await warm.called(CHAT, created_at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused

    asyncio.run(scene())


def test_what_keeps_it_from_working_is_raised_as_it_is_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def entered() -> None:
        async with Warmer(load_config(file_at(tmp_path, "http://127.0.0.1:1"))):
            raise AssertionError

    (tmp_path / "ledger.db").write_text("no ledger")
    with pytest.raises(LedgerError):
        asyncio.run(entered())
    (tmp_path / "ledger.db").unlink()
    monkeypatch.delenv("WARMER_TEST_TOKEN")
    with pytest.raises(UsageError, match="WARMER_TEST_TOKEN"):
        asyncio.run(entered())
    (tmp_path / "wrong.yaml").write_text("models: [{model: a/b, polcy: aware}]")
    with pytest.raises(ConfigError, match=r"wrong\.yaml:1:\d+"):
        load_config(tmp_path / "wrong.yaml")


def test_an_application_s_own_structlog_stays_as_it_is(tmp_path: Path) -> None:
    seen = list[str]()

    def keep(_: Any, __: str, event: Any) -> Any:
        seen.append(event["event"])
        raise structlog.DropEvent

    structlog.configure(processors=[keep])

    async def scene() -> None:
        async with SandboxServer(world()) as server, Warmer(load_config(file_at(tmp_path, server.url)), follow=False):
            await until(lambda: "beat.done" in seen)

    asyncio.run(scene())
    assert "daemon.stopped" in seen


def test_a_backtest_is_what_the_command_makes_of_the_same_calls(tmp_path: Path) -> None:
    calls = {CHAT: [0.0, 61.5, 200.0, 3000.0, 3100.0], CODE: [5.0, 5.5, 4000.0]}
    rows = sorted((at, model) for model, times in calls.items() for at in times)
    trace = tmp_path / "calls.csv"
    trace.write_text("t,model\n" + "".join(f"{at},{model}\n" for at, model in rows))
    found = backtest(calls, ["aware", "adaptive"], idle_timeout=timedelta(minutes=2), seed=3)
    given = ["--policy", "aware,adaptive", "--idle-timeout", "2m", "--seed", "3", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "warmer", "backtest", str(trace), *given],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    document = json.loads(done.stdout)
    both = [*found.rows, *found.yardsticks], [*document["rows"], *document["yardsticks"]]
    for row, told in zip(*both, strict=True):
        assert (row.policy, row.requests, row.cold_requests, row.heartbeats) == (
            told["policy"],
            told["requests"],
            told["cold_requests"],
            told["heartbeats"],
        )
    with pytest.raises(ValueError, match="nonsense"):
        backtest(calls, ["nonsense"])


def test_to_import_it_is_quick_and_everything_it_offers_is_documented() -> None:
    heavy = "import sys, warmer; print([one for one in ('sqlalchemy', 'httpx', 'numpy', 'yaml') if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
    text = (Path(__file__).parents[1] / "docs" / "library.md").read_text()
    for name in warmer.__all__:
        if name != "__version__":
            assert f"`{name}" in text
            assert getattr(warmer, name).__doc__
    with pytest.raises(AttributeError, match="nothing"):
        _ = warmer.nothing


def test_the_examples_of_the_documentation_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[1] / "docs" / "library.md").read_text()
    first, told, replay = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    async def scene() -> None:
        async with SandboxServer(world()) as server:
            file_at(tmp_path, server.url)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                first,
                cwd=tmp_path,
                env=environment(tmp_path, WARMER_TEST_TOKEN=TOKEN),
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await process.communicate()
            assert process.returncode == 0
            assert out.decode().startswith(f"{CHAT} ")
            assert beats(server)

    asyncio.run(scene())
    compile(told, "library.md", "exec")
    with warnings.catch_warnings():
        exec(replay, {})
    assert "aware 4" in capsys.readouterr().out

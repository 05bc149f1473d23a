"""Pods of a CronJob that meet; `benchmarks/pods.py` has many more of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from harness.pods import Pods, fast_world
from harness.postgres import Server
from harness.processes import Sandbox, environment

SLUGS = {name: [f"{name}/{model}" for model in ("hat", "mug")] for name in ("file", "server", "own")}
EVERY_S = 2.0


@pytest.fixture
def world(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Sandbox:
    return start_sandbox("--world", str(fast_world(tmp_path, (slug for some in SLUGS.values() for slug in some))))


def test_two_in_the_same_second_send_one_beat_a_model_also_after_an_outage(
    world: Sandbox, tmp_path: Path, postgres: Server
) -> None:
    with (
        closing(Pods(tmp_path / "file", world, SLUGS["file"])) as one,
        closing(Pods(tmp_path / "server", world, SLUGS["server"], postgres=postgres)) as other,
    ):
        both = (one, other)
        for beats, past in enumerate((timedelta(minutes=1), timedelta(minutes=1), timedelta(hours=3)), 1):
            for pods in both:
                pods.later(past)
                if past > timedelta(hours=1):
                    pods.cut_off()
            running = [(pods, pods.begin()) for _ in range(2) for pods in both]
            for pods, pod in running:
                pods.ended([pod])
            for pods in both:
                assert pods.creates() == Counter(dict.fromkeys(pods.models, beats))


def test_those_that_live_longer_than_the_time_to_the_next_double_no_beat(
    world: Sandbox, tmp_path: Path, postgres: Server
) -> None:
    with (
        closing(Pods(tmp_path / "file", world, SLUGS["file"], every_s=EVERY_S)) as one,
        closing(Pods(tmp_path / "server", world, SLUGS["server"], every_s=EVERY_S, postgres=postgres)) as other,
    ):
        begun = []
        for _ in range(3):
            begun += [(pods, pods.begin("--for", "4s")) for pods in (one, other)]
            time.sleep(1.5)
        for pods, pod in begun:
            pods.ended([pod])
        for pods in (one, other):
            assert set(pods.creates()) == set(pods.models)
            assert pods.doubled() == 0


def test_one_with_an_empty_ledger_finds_the_beats_of_those_before_in_the_account_s_list(
    world: Sandbox, tmp_path: Path
) -> None:
    with closing(Pods(tmp_path / "own", world, SLUGS["own"], policy="aware")) as pods:
        for _ in range(2):
            pods.forget()
            pods.together(1)
        assert pods.creates() == Counter(dict.fromkeys(pods.models, 1))


def test_a_pass_imports_nothing_heavy_that_it_does_not_use(world: Sandbox, tmp_path: Path) -> None:
    with closing(Pods(tmp_path / "own", world, SLUGS["own"])) as pods:
        pods.together(1)
        command = [sys.executable, "-X", "importtime", "-m", "warmer", "once", "-c", pods.file]
        ran = subprocess.run(
            command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
        imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
        assert "sqlalchemy" in imported
        assert not imported & {"alembic", "apscheduler", "jsonschema", "psycopg", "uvicorn", "starlette", "jinja2"}

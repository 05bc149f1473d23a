"""kill -9 at any instant, again and again: no finished beat is lost, and none is sent twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from harness.lives import Death, Lives
from harness.processes import PATIENCE_S, Desk, Sandbox, environment

from warmer.core.beat import Observation, Status
from warmer.ledger import open_ledger

KILLS = 40
SPEED = 10.0
EVERY_S = {
    "replicate/hello-world": 6.0,
    "salesforce/blip": 9.0,
    "openai/whisper": 12.0,
    "stability-ai/sdxl": 20.0,
    "meta/meta-llama-3-8b-instruct": 7.0,
}
BOOTS_S = dict(zip(EVERY_S, (0.5, 3, 5, 8, 1), strict=True))


@pytest.fixture
def fast(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Sandbox:
    world = tmp_path / "world.toml"
    world.write_text(
        "".join(f'[models."{slug}"]\nboot_s = {boot_s}\nrun_s = 1.5\n' for slug, boot_s in BOOTS_S.items())
    )
    return start_sandbox("--world", str(world), "--speed", str(SPEED))


@pytest.fixture
def lives(fast: Sandbox, tmp_path: Path) -> Iterator[Lives]:
    desk = Desk(tmp_path, fast.url)
    file = desk.write(
        "\n".join(
            f"{{model: {slug}, policy: fixed, every: {every_s:g}s, hardware: gpu-t4}}"
            for slug, every_s in EVERY_S.items()
        )
    )
    made = Lives(file, fast.url, SPEED, environment(tmp_path))
    yield made
    made.close()


def recorded(path: Path) -> tuple[list[Observation], int]:
    """The finished beats, and how many are open."""
    ledger = open_ledger(f"sqlite:///{path}")
    try:
        return list(ledger.beats()), len(ledger.open_beats())
    finally:
        ledger.close()


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


def wait_until(happened: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_kill_9_at_random_instants_loses_no_beat_and_sends_none_twice(
    fast: Sandbox, lives: Lives, tmp_path: Path
) -> None:
    chance = Random(9)
    path = tmp_path / "ledger.db"
    finished: dict[str, Observation] = {}
    left_open = 0
    for number in range(KILLS):
        # In the midst of the first beats, which are dense there: claims, creates, readings and ends; some later.
        delay_s = chance.uniform(0, 0.03) if chance.random() < 0.8 else chance.uniform(0, 1.0)
        lives.begin(Death(transactions=chance.randrange(1, 60), delay_s=delay_s))
        assert lives.over() == -9
        left_open += bool(open_since(path))
        if number % 5 == 0:
            assert integrity(path) == "ok"
            now = {beat.prediction_id: beat for beat in recorded(path)[0] if beat.prediction_id}
            assert {name: now.get(name) for name in finished} == finished  # as it was
            finished = now

    assert left_open > KILLS / 5  # or else they were killed where it is easy

    pid = lives.begin()
    killed_at = datetime.fromisoformat(fast.get("/sandbox/totals")["now"])
    time.sleep(30 / SPEED)
    wait_until(lambda: not [beat for beat in open_since(path) if beat < killed_at])
    os.kill(pid, signal.SIGTERM)
    assert lives.over() == 0

    beats, left = recorded(path)
    calls = fast.creates()
    assert left == 0
    assert fast.running() == 0
    assert integrity(path) == "ok"
    ids = Counter(beat.prediction_id for beat in beats if beat.prediction_id)
    assert set(ids.values()) == {1}
    assert ids.keys() == {call["id"] for call in calls}
    truth = {call["id"]: call for call in calls}
    for beat in beats:
        if beat.prediction_id is None:  # killed between the claim and the create
            assert beat.status is Status.UNKNOWN
        elif beat.status is not Status.UNKNOWN:
            assert beat.status == truth[beat.prediction_id]["status"]
    by_model = defaultdict(list)
    for call in calls:
        by_model[call["model"]].append(datetime.fromisoformat(call["created_at"]))
    for slug, every_s in EVERY_S.items():
        pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(sorted(by_model[slug]))]
        assert min(pauses) > every_s - 1.0


def open_since(path: Path) -> list[datetime]:
    ledger = open_ledger(f"sqlite:///{path}")
    try:
        return [beat.claimed_at for beat in ledger.open_beats()]
    finally:
        ledger.close()

"""kill -9 at any instant, again and again: no finished beat is lost, none is sent twice, and no model is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from harness.kills import Tally, crew, crew_models, lone, lone_models, world
from harness.postgres import Server
from harness.processes import Sandbox

LONE, SIDE_BY_SIDE, SPEED = 8, 3, 10.0
SHARED, COUNT, EVERY_S = 5, 12, 4.0


def test_daemons_killed_at_random_instants_lose_no_beat_and_send_none_twice(
    start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    file = tmp_path / "world.toml"
    file.write_text(world([model for number in range(SIDE_BY_SIDE) for model in lone_models(number)]))
    sandbox = start_sandbox("--world", str(file), "--speed", str(SPEED))

    def torment(number: int) -> Tally:
        (folder := tmp_path / str(number)).mkdir()
        return lone(number, folder, sandbox, kills=LONE, speed=SPEED, chance=Random(9 + number))

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        tally = sum(pool.map(torment, range(SIDE_BY_SIDE)), Tally())
    assert (tally.broken, tally.told) == ({}, [])
    assert tally.kills == LONE * SIDE_BY_SIDE
    assert tally.hits > tally.kills / 5  # or else they were killed where it is easy


def test_workers_killed_at_random_instants_double_no_beat_and_forget_no_model(
    start_sandbox: Callable[..., Sandbox], tmp_path: Path, postgres: Server
) -> None:
    file = tmp_path / "world.toml"
    file.write_text(world(crew_models(0, COUNT, EVERY_S)))
    sandbox = start_sandbox("--world", str(file))
    address = postgres.database()
    with crew(0, tmp_path, sandbox, address, count=COUNT, every_s=EVERY_S) as workers:
        workers.torment(SHARED, Random(5))
        tally = workers.finish()
    postgres.drop(address)
    assert (tally.broken, tally.told) == ({}, [])
    assert tally.kills == SHARED
    assert tally.hits > 0

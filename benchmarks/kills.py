"""kill -9 at random instants: `python benchmarks/kills.py [--shared 200] [--lone 500] [--every 15] [--seed 1]`.

Three workers with `engine: shared` on a PostgreSQL, of which one after the other is killed and comes back; then lone
daemons with a ledger each, side by side, on a clock ten times as fast. `warmer sandbox` has the record that counts.

Exits with 1 where a goal is missed. All that it started ends with it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from random import Random

from lab import Goal, show
from soak import running

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from harness.kills import Tally, crew, crew_models, lone, lone_models, world
from harness.postgres import server
from harness.processes import Sandbox

WITHIN = 2.0
"""Intervals, from a kill to the next beat of what the killed one had in hand; from the last of several kills."""
SPEED = 10.0
SIDE_BY_SIDE = 5
COUNT = 20
FROZEN_S = 14.0


def shared(kills: int, every_s: float, chance: Random, folder: Path) -> Tally:
    """One of three workers at a time. Two of them are frozen in between, for longer than they are waited for."""
    file = folder / "world.toml"
    file.write_text(world(crew_models(0, COUNT, every_s)))
    with (
        server() as postgres,
        running(folder, "sandbox", "--world", str(file)) as process,
        crew(
            0, folder, Sandbox(process.wait_for(r"listening (\S+)")), postgres.database(), count=COUNT, every_s=every_s
        ) as workers,
    ):
        workers.wait_for_all()
        for part in range(3):
            workers.torment(kills * (part + 1) // 3, chance)
            if part < 2:
                workers.freeze(chance.randrange(3), FROZEN_S)
        return workers.finish()


def alone(kills: int, chance: Random, folder: Path) -> Tally:
    """Daemons side by side."""
    file = folder / "world.toml"
    file.write_text(world([model for number in range(SIDE_BY_SIDE) for model in lone_models(number)]))
    with (
        running(folder, "sandbox", "--world", str(file), "--speed", str(SPEED)) as process,
        ThreadPoolExecutor(SIDE_BY_SIDE) as pool,
    ):
        sandbox = Sandbox(process.wait_for(r"listening (\S+)"))
        tallies = []
        for number in range(SIDE_BY_SIDE):
            own = folder / str(number)
            own.mkdir()
            share = kills // SIDE_BY_SIDE + (number < kills % SIDE_BY_SIDE)
            seed = Random(chance.random())
            tallies.append(pool.submit(lone, number, own, sandbox, kills=share, speed=SPEED, chance=seed))
        return sum((one.result() for one in tallies), Tally())


def goals(kind: str, wanted: int, tally: Tally) -> Iterator[Goal]:
    yield Goal(name=f"{kind}: kills", bound=f"{wanted}", measured=f"{tally.kills}", holds=tally.kills >= wanted)
    yield Goal(name="  in the middle of a beat", bound="-", measured=f"{tally.hits}", holds=True)
    yield Goal(name="  beats", bound="-", measured=f"{tally.beats}", holds=True)
    for name, count in (
        ("beats doubled", tally.doubled),
        ("predictions or beats that only one side knows", tally.astray),
        ("models forgotten", tally.forgotten),
        ("rows torn, by `warmer ledger check`", tally.torn),
        ("finished beats changed", tally.changed),
        ("beats open in the end", tally.open),
        ("predictions past their deadline", tally.overdue),
        ("budgets passed", tally.passed),
    ):
        yield Goal(name=f"  {name}", bound="0", measured=f"{count}", holds=not count)
    for line in tally.told:
        print(line)
    if tally.waits:
        p99, worst = last_two(tally.waits)
        yield Goal(
            name="  from a kill to the next beat of what was in hand, in intervals: p99, longest",
            bound=f"<= {WITHIN:g}",
            measured=f"{p99:.2f}, {worst:.2f}",
            holds=worst <= WITHIN,
        )
        p99, worst = last_two(tally.pauses)
        yield Goal(
            name="  between two beats of a model, in intervals: p99, longest",
            bound="-",
            measured=f"{p99:.2f}, {worst:.2f}",
            holds=True,
        )


def last_two(values: Sequence[float]) -> tuple[float, float]:
    """The 99th percentile, and the most."""
    in_order = sorted(values)
    return in_order[int(0.99 * (len(in_order) - 1))], in_order[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="kill -9 at random instants, with figures.")
    parser.add_argument("--shared", type=int, default=200, help="kills of one of three workers")
    parser.add_argument("--lone", type=int, default=500, help="kills of lone daemons")
    parser.add_argument("--every", type=float, default=15.0, help="seconds between two beats of a shared model")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    begun, started = datetime.now().astimezone(), time.monotonic()
    found = list[Goal]()
    chance = Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="warmer-kills-") as name:
        for kind in ("shared", "lone"):
            (folder := Path(name) / kind).mkdir()
            if kind == "shared" and options.shared:
                found += goals("one of three", options.shared, shared(options.shared, options.every, chance, folder))
            if kind == "lone" and options.lone:
                found += goals("a lone one", options.lone, alone(options.lone, chance, folder))
    print(
        f"\nseed {options.seed}, every {options.every:g} s, {(time.monotonic() - started) / 60:.0f} min from "
        f"{begun:%H:%M}; {os.cpu_count()} cores, load {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n"
    )
    show(("what", "goal", "measured", "holds"), [(one.name, one.bound, one.measured, one.verdict) for one in found])
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

"""A file that is swapped under a running daemon: `python benchmarks/reloads.py [--swaps 1000]`.

`warmer run` before `warmer sandbox`, as processes; the file is swapped by renaming over it, by links as a ConfigMap is,
by writing in place with a truncated moment, by deletion and return, by a folder in its place; good ones, bad ones and
halves. Four models stand in every good file, others come, go and change. Beside it runs a daemon that is left alone.
Some 15 minutes for a thousand. Exits with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from lab import Goal, show
from soak import running

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from harness.pods import fast_world
from harness.processes import Sandbox
from harness.reloads import MODELS, Tally, torment


def goals(tally: Tally) -> Iterator[Goal]:
    swaps = tally.swaps
    yield Goal(
        name="swaps: good, bad, gone",
        bound="each 5 %",
        measured=f"{swaps['good']}, {swaps['bad']}, {swaps['gone']}",
        holds=min(swaps[what] for what in ("good", "bad", "gone")) >= swaps.total() * 0.05,
    )
    yield Goal(name="files taken, refused", bound="", measured=f"{tally.reloaded}, {tally.rejected}", holds=True)
    yield _none("swaps after which it did not do what the file says", tally.astray, swaps.total())
    yield _none("beats of unchanged models lost", tally.lost, tally.beats)
    yield _none("beats of unchanged models doubled", tally.doubled, tally.beats)
    yield Goal(
        name="creates without a row, rows without a create",
        bound="0",
        measured=f"{tally.unrecorded}",
        holds=not tally.unrecorded,
    )
    most = max(map(abs, tally.moved), default=0.0)
    yield Goal(
        name="next beats of unchanged models moved, and by how much",
        bound="0",
        measured=f"{len(tally.moved)} of {tally.phases}, {most * 1000:.3f} ms",
        holds=not tally.moved and tally.phases > 0,
    )
    yield Goal(
        name="a beat later than its interval, median; where nobody swaps",
        bound="",
        measured=f"{tally.late_ms:.1f} ms; {tally.alone_ms:.1f} ms",
        holds=True,
    )


def _none(name: str, found: list[str], among: int) -> Goal:
    for line in found[:20]:
        print(f"{name}: {line}")
    return Goal(name=name, bound="0", measured=f"{len(found)} of {among}", holds=not found and among > 0)


def main() -> int:
    parser = argparse.ArgumentParser(description="A file that is swapped under a running daemon, with figures.")
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    with tempfile.TemporaryDirectory(prefix="warmer-reloads-") as name:
        folder = Path(name)
        with running(folder, "sandbox", "--world", str(fast_world(folder, MODELS))) as process:
            sandbox = Sandbox(process.wait_for(r"listening (http://127\.0\.0\.1:\d+)"))
            found = list(goals(torment(folder, sandbox, options.swaps, Random(options.seed))))
    print(f"\n{options.swaps} swaps; load average {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n")
    show(("what", "goal", "measured", "holds"), [(one.name, one.bound, one.measured, one.verdict) for one in found])
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

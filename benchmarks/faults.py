"""Every fault in every phase: `python benchmarks/faults.py [--only "cut amid the reply's head"] [--phase start]`.

Each daemon is a process of its own, on a clock that runs faster, before a sandbox behind a wire that breaks as told:
one daemon a phase with a model for each fault, and one for each fault of the whole account and phase. What is looked
at afterwards, and by what record, is in tests/harness/promises.py; the faults are in tests/harness/faults.py.

Exits with 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab import show

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from harness.faults import FAULTS, OF_ACCOUNT, OF_MODELS
from harness.matrix import OTHERS, Act, Play, perform
from harness.promises import Broken, Phase

LASTS_S = 300.0
"""Virtual seconds of a fault: a stuck prediction is past its deadline, and a pause has doubled five times."""


def plays_of(names: Sequence[str], phases: Sequence[Phase], speed: float, seed: int) -> Iterator[Play]:
    """The longest first."""
    for phase in phases:
        if of_models := tuple(name for name in names if name in OF_MODELS):
            yield Play(acts=(Act(phase=phase, names=of_models, lasts_s=LASTS_S),), speed=speed, seed=seed)
    for name in names:
        if name in OF_ACCOUNT:
            for phase in phases:
                yield Play(acts=(Act(phase=phase, names=(name,), lasts_s=LASTS_S),), speed=speed, seed=seed)


def table(names: Sequence[str], phases: Sequence[Phase], found: Sequence[Broken]) -> None:
    broken = {(one.fault, one.phase) for one in found}
    others = [OTHERS] if any(name in OF_MODELS for name in names) else []
    rows = [[name, *("BROKEN" if (name, phase) in broken else "ok" for phase in phases)] for name in (*names, *others)]
    show(("fault", *phases), rows)
    for one in found:
        print(f"{one.fault}, {one.phase}: {one.what}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Every fault in every phase, on real processes and sockets.")
    parser.add_argument("--only", action="append", choices=tuple(FAULTS), metavar="FAULT", help="this one; repeatable")
    parser.add_argument("--phase", action="append", choices=tuple(Phase), help="in this one; repeatable")
    parser.add_argument("--speed", type=float, default=20.0, help="virtual seconds in a real one; a busy machine: less")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of kills")
    options = parser.parse_args()
    names, phases = options.only or list(FAULTS), [Phase(one) for one in options.phase or Phase]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    plays = list(plays_of(names, phases, options.speed, options.seed))
    begun, takes = time.monotonic(), list[int]()

    def told(of_one: int) -> None:
        takes.append(of_one)
        print(f"\r{len(takes)} of {len(plays)} daemons", end="", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="warmer-faults-") as folder:
        found = asyncio.run(perform(plays, Path(folder), told=told))
    print(file=sys.stderr)
    table(names, phases, found)
    held = len(names) * len(phases) - len({(one.fault, one.phase) for one in found})
    print(
        f"{len(names)} faults x {len(phases)} phases: {held} held, {len(names) * len(phases) - held} broken; "
        f"{time.monotonic() - begun:.0f} s at speed {options.speed:g}, load average {os.getloadavg()[0]:.1f}; "
        f"{sum(takes)} daemons for {len(plays)}, as some were played again where the machine stood still"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

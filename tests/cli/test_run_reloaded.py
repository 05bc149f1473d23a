"""A file that is swapped under a daemon, as a process: `make bench-reloads` does it a thousand times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from harness.pods import fast_world
from harness.processes import Sandbox
from harness.reloads import MODELS, torment

SWAPS = 20


def test_swaps_lose_no_beat_double_none_and_move_none_of_unchanged_models(
    start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    sandbox = start_sandbox("--world", str(fast_world(tmp_path, MODELS)))
    tally = torment(tmp_path, sandbox, SWAPS, Random(4))
    assert (tally.astray, tally.doubled, tally.moved, tally.unrecorded) == ([], [], [], 0)
    assert tally.reloaded
    assert tally.rejected
    assert tally.phases > SWAPS
    assert tally.beats

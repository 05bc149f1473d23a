"""How long properties are tried: the same few hundred examples in each run of the tests, and more of others by hand."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("WARMER_FUZZ_TIMES", "1"))
"""`make fuzz` sets it: so many times more examples, drawn anew in each run."""


def budget(examples: int) -> settings:
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )

"""How many drawn cases a test goes through."""

from __future__ import annotations

import os

THOROUGH = "WARMER_THOROUGH"
"""The variable of the environment that `make thorough` sets."""


def cases(of_all: int) -> int:
    """An eighth of them as a rule, and all by `make thorough`: the documentation's figures are of all."""
    return of_all if os.environ.get(THOROUGH) else of_all // 8

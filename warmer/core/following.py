"""When to look at a beat that is out."""

from __future__ import annotations

from datetime import timedelta

_UNTOLD_S = (0.0, 0.4, 0.8, 1.6, 3.0, 5.0)
"""Pauses before each look; the last one repeats. A warm beat ends within the first two."""
_TOLD_S = (30.0, 60.0, 120.0, 240.0)
"""Pauses where the provider tells the end by itself: looks are for what it told in vain. A warm beat and most boots
were told by the first, a boot of minutes by the second or third."""
_LEAST_S = 1.0


def pause_s(looks: int, *, told: bool, every: timedelta, left_s: float) -> float:
    """Seconds until the next look, after so many of them.

    `told`: the provider is to tell the end by itself. Then a look is for the case that it does not: late enough not to
    be needed as a rule, and the first no later than `every`, so that the next beat hardly waits for it. What is still
    out then is booting.
    `left_s`: until it is to be cancelled; what is overdue is looked at as if nobody told.
    """
    if not told or left_s <= 0:
        return _UNTOLD_S[min(looks, len(_UNTOLD_S) - 1)]
    usual = _TOLD_S[min(looks, len(_TOLD_S) - 1)]
    return min(usual if looks else min(usual, max(every.total_seconds(), _LEAST_S)), left_s)

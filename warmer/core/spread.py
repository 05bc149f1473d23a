"""How evenly the beats of a large fleet go out."""

from __future__ import annotations

from collections.abc import Iterable

from warmer.core.spec import ModelSpec

_FASTER = 1.1
"""Than beats would come that are spread evenly: what was held up comes back to its time."""
_DENSE_S = 0.1
"""Beats that come further apart are no matter to a machine, even a few at once."""


def apart_s(models: Iterable[ModelSpec]) -> float:
    """How far apart beats of `models` are to go out, in seconds; 0 where they are too few to be spread.

    Each keeps the moment of its interval that it once came in, so that those which were held up together come together
    ever after, as close as they are let go. A thousand at the limit of the account would keep the processors busy for
    some seconds of an interval, one after another late, and idle for the rest of it.
    """
    a_second = _FASTER * sum(1 / model.interval.total_seconds() for model in models)
    return 1 / a_second if a_second * _DENSE_S > 1 else 0.0

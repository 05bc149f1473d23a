"""Many waits in little room: how many there were of which length, to three digits. Sums of sums lose nothing more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import ceil

import numpy as np

ERROR = 0.005
"""A length read out of it is off by this part of itself at most: 1.004 s counts as 1.00 s. Below 0.1 ms it is 0 s."""
_SHORTEST = -4  # the power of ten
_STEPS = 900  # of three digits, 1.00 to 9.99
_MOST = 0xFFFF  # that one entry counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """A histogram in decimal steps. The longest is exact."""

    packed: bytes = b""
    """Pairs of 16 bits, little end first: a step, and how many there were of it. A step may come more than once."""
    longest_s: float | None = None

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Waits:
        """Of so many waits."""
        values = list(seconds)
        if not values:
            return NO_WAITS
        counts = Counter(map(_step, values))
        pairs = [pair for step in sorted(counts) for pair in _pairs(step, counts[step])]
        return cls(packed=np.array(pairs, "<u2").tobytes(), longest_s=max(values))

    @classmethod
    def sum(cls, parts: Iterable[Waits]) -> Waits:
        """All of them together."""
        some = [part for part in parts if part.packed]
        longest = [part.longest_s for part in some if part.longest_s is not None]
        return cls(packed=b"".join(part.packed for part in some), longest_s=max(longest, default=None))

    def compact(self) -> Waits:
        """The same in the least room."""
        steps, counts = self._counts()
        pairs = [pair for step, count in zip(steps, counts, strict=True) for pair in _pairs(step, count)]
        return Waits(packed=np.array(pairs, "<u2").tobytes(), longest_s=self.longest_s)

    def ranks(self, *percents: int) -> tuple[int, tuple[float | None, ...]]:
        """How many waits there are, and the given percentiles by nearest rank, to ERROR; None where there are none."""
        steps, counts = self._counts()
        upto = list(accumulate(counts))
        total = upto[-1] if upto else 0
        if not total:
            return 0, (None,) * len(percents)
        places = np.searchsorted(upto, [ceil(total * percent / 100) for percent in percents])
        longest = self.longest_s if self.longest_s is not None else float("inf")
        return total, tuple(min(_seconds(steps[place]), longest) for place in places)

    def _counts(self) -> tuple[list[int], list[int]]:
        if not self.packed:
            return [], []
        pairs = np.frombuffer(self.packed, "<u2").reshape(-1, 2)
        counts = np.bincount(pairs[:, 0], weights=pairs[:, 1])
        (steps,) = np.nonzero(counts)
        return steps.tolist(), [int(count) for count in counts[steps]]


NO_WAITS = Waits()


def _pairs(step: int, count: int) -> Iterator[tuple[int, int]]:
    while count > 0:
        yield step, min(count, _MOST)
        count -= _MOST


def _step(seconds: float) -> int:
    # By way of the text: powers of ten are exact there.
    digits, _, power = f"{max(seconds, 0.0):.2e}".partition("e")
    exponent = int(power)
    if exponent < _SHORTEST or seconds <= 0:
        return 0
    return (exponent - _SHORTEST) * _STEPS + round(float(digits) * 100) - 100 + 1


@cache
def _seconds(step: int) -> float:
    if step == 0:
        return 0.0
    exponent, digits = divmod(step - 1, _STEPS)
    return float(f"{digits + 100}e{exponent + _SHORTEST - 2}")

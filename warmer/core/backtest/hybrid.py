"""The hybrid histogram policy: let go after a request, be warm again when the next is likely, let go when it is not.

Source: Shahrad et al., "Serverless in the Wild", USENIX ATC 2020: idle times in bins of a minute up to four hours;
pre-warmed at their 5th percentile and kept to the 99th, each with a margin of 10 %. Here the first minute is left out,
because an instance outlives it unasked, and where the histogram says nothing (few idle times, or half of them past its
end) the model is kept warm for as long as it reaches.
"""

from __future__ import annotations

from math import inf

_BIN_S = 60.0
_BINS = 240
_FEW = 10
"""Idle times below which nothing is concluded."""
_MARGIN = 0.1


class Hybrid:
    """One model under the hybrid histogram policy. Begins with the model's first request."""

    def __init__(self, *, interval_s: float) -> None:
        self._interval_s = interval_s
        self._last: float | None = None
        self._outside = 0  # idle times longer than the histogram
        self._head, self._tail = _Quantile(0.05), _Quantile(0.99)
        self._from_s, self._to_s = inf, -inf

    def seen(self, at_s: float) -> None:
        """Count the idle time that is over, and plan the one that begins."""
        if self._last is not None:
            minute = int((at_s - self._last) / _BIN_S)
            if minute >= _BINS:
                self._outside += 1
            elif minute > 0:
                self._head.add(minute)
                self._tail.add(minute)
        self._last = at_s
        inside = self._head.total
        head, tail = 0.0, float(_BINS)
        if inside + self._outside >= _FEW and inside >= self._outside:
            if self._head.at > 1:
                head = self._head.at * (1 - _MARGIN)
            tail = min(tail, (self._tail.at + 1) * (1 + _MARGIN))
        self._from_s, self._to_s = at_s + head * _BIN_S, at_s + tail * _BIN_S

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        """From the head on, whenever the interval has passed, up to the tail."""
        if last_activity_s is None:
            return inf
        # Before the head it is let go, so that the first heartbeat comes at the head and not an interval later.
        due = self._from_s if now_s < self._from_s else last_activity_s + self._interval_s
        look = max(now_s, due)
        return look if look <= self._to_s else inf

    def send(self, now_s: float, *, warm: bool) -> bool:
        """Each look is for a heartbeat."""
        return True

    def sent(self, now_s: float) -> None:
        """Heartbeats change no plan."""


class _Quantile:
    """The least minute to which a share of all counted ones reach; kept while they are counted, one step at a time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._counts = [0] * _BINS
        self._up_to = 0  # counted in minutes up to `at`
        self.total = 0
        self.at = 0

    def add(self, minute: int) -> None:
        """Count one more."""
        self._counts[minute] += 1
        self.total += 1
        if minute <= self.at:
            self._up_to += 1
        needed = self._share * self.total
        while self._up_to < needed:
            self.at += 1
            self._up_to += self._counts[self.at]
        while self._up_to - self._counts[self.at] >= needed:
            self._up_to -= self._counts[self.at]
            self.at -= 1

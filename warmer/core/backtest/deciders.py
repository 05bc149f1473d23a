"""The simple policies step by step, as the event loop asks them. Their closed forms are in `stops` and `grid`."""

from __future__ import annotations

from math import inf


class Stop:
    """A heartbeat whenever the interval has passed since the last activity, up to `most` of them in one gap.

    0 sends none; inf is `aware`; as many as a cold start is worth is `ski`. Begins with the model's first request.
    """

    def __init__(self, *, interval_s: float, most: float) -> None:
        self.interval_s, self.most = interval_s, most
        self._beats = 0

    def seen(self, at_s: float) -> None:
        """A new gap begins."""
        self._beats = 0

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        """When the interval will have passed; never once the gap has had its heartbeats."""
        if last_activity_s is None or self._beats >= self.most:
            return inf
        return max(now_s, last_activity_s + self.interval_s)

    def send(self, now_s: float, *, warm: bool) -> bool:
        """Each look is for a heartbeat."""
        return True

    def sent(self, now_s: float) -> None:
        """One more in this gap."""
        self._beats += 1


class Fixed:
    """A heartbeat every interval from the trace's beginning, whoever else calls; late where the last is still out."""

    def __init__(self, *, interval_s: float) -> None:
        self.interval_s = interval_s
        self._due = 0.0

    def seen(self, at_s: float) -> None:
        """Requests change nothing."""

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        """When the interval since the last heartbeat will have passed."""
        return max(now_s, self._due)

    def send(self, now_s: float, *, warm: bool) -> bool:
        """Each look is for a heartbeat."""
        return True

    def sent(self, now_s: float) -> None:
        """The interval begins anew."""
        self._due = now_s + self.interval_s

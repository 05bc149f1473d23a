"""What the simulator asks of a policy. Whoever can answer it can be replayed; the live policies answer it too."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Decider(Protocol):
    """One model's policy, in seconds of a trace. It sees only the past.

    Everything comes in the order of time. While a heartbeat is out nothing is asked. After each request, each
    heartbeat that is back and each look that sent nothing, `next_look` is asked anew and its last answer is forgotten.
    """

    def seen(self, at_s: float) -> None:
        """A request arrived at `at_s`."""

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        """When to decide next: `now_s` or later; inf: not before the next request.

        `last_activity_s` is the end of the last activity of any kind, later than now while that still runs; None while
        there was none. After a look that sent nothing the answer must be later than now.
        """

    def send(self, now_s: float, *, warm: bool) -> bool:
        """Whether to send a heartbeat at this look.

        `warm`: whether the instance is still up as far as is known: the interval since the last activity is not over.
        """

    def sent(self, now_s: float) -> None:
        """A heartbeat went out."""


@runtime_checkable
class Learner(Decider, Protocol):
    """A decider from whom the idle time-out is hidden: it is told what each request and each heartbeat met."""

    def found(self, ended_s: float, gap_s: float | None, *, cold: bool, wait_s: float) -> None:
        """One that ended at `ended_s`, now or before. Told before the next question, in the order of their ends.

        `gap_s`: the idle time that it came after, 0 where the model was in use; None where it was the first of all.
        `cold`: whether it waited for any part of a boot, and `wait_s` for how long.
        """

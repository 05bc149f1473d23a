"""The live policies in virtual time: `decide` itself, as the daemon calls it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

from warmer.core.backtest.trace import SECOND, microseconds
from warmer.core.beat import Reason
from warmer.core.policy import Action, Rest, Warm, decide
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.state import ModelState

MIDNIGHT = datetime(2024, 1, 1, tzinfo=UTC)
"""What second 0 of a trace is to `decide`: the midnight before a Monday."""


class Live:
    """One model's entry in the file, asked at every look.

    All but `fixed` begin with the model's first request: a trace does not say since when the file has had the model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.reason: Reason | None = None
        """Of the latest decision."""
        self._spec = spec
        self._last_beat: datetime | None = None
        self._idle: datetime | None = None  # end of the last activity, which may still run
        self._rest: Rest | None = None  # what the last look led to, where it sent nothing

    def seen(self, at_s: float) -> None:
        """What a request does to the instance comes with the next question."""

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        """Now where a heartbeat is due, else when the rest is over."""
        if last_activity_s is None and self._spec.policy is not PolicyName.FIXED:
            return inf
        self._idle = None if last_activity_s is None else moment(last_activity_s)
        action, self._rest = self._rest or self._decide(moment(now_s)), None
        match action:
            case Warm():
                return now_s
            case Rest(until=until):
                return inf if until is None else seconds(until)

    def send(self, now_s: float, *, warm: bool) -> bool:
        """Whether `decide` says so."""
        action = self._decide(moment(now_s))
        self._rest = action if isinstance(action, Rest) else None
        return self._rest is None

    def sent(self, now_s: float) -> None:
        """The heartbeat was created now, and is not out any more when the next question comes."""
        self._last_beat = moment(now_s)

    def _decide(self, now: datetime) -> Action:
        action = decide(now, self._state(now), self._spec)
        self.reason = action.reason
        return action

    def _state(self, now: datetime) -> ModelState:
        running = self._idle is not None and self._idle > now
        return ModelState(last_beat_at=self._last_beat, last_activity=now if running else self._idle, in_use=running)


def moment(at_s: float) -> datetime:
    """A time of the trace as `decide` has it."""
    return MIDNIGHT + timedelta(microseconds=microseconds(at_s))


def seconds(of: datetime) -> float:
    """An instant of `decide` as a time of the trace."""
    return (of - MIDNIGHT) / timedelta(microseconds=1) / SECOND

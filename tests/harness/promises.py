"""What must hold of a daemon whatever went wrong, looked at afterwards: the sandbox's own record is the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any

from harness.faults import Fault
from warmer.core.beat import Observation, Reason
from warmer.core.standing import rule_for
from warmer.errors import AccountRefused, CreditExhausted, ModelFailed, ModelRefused, Throttled, Unreachable
from warmer.log import Event
from warmer.sandbox.journal import Call

EVERY_S = 120.0
DEADLINE_S = 60.0
CAP_USD = Decimal("0.015")
"""Of a model: some four beats of 20 s at 0.0001 $/s, of which the next may cost 0.006 $."""
_KINDS = (
    AccountRefused(""),
    CreditExhausted(""),
    Throttled("", timedelta(0)),
    Unreachable(""),
    ModelRefused("", ""),
    ModelFailed(""),
)
_HOLDS = {rule_for(error).reason: rule_for(error) for error in _KINDS}
_EPISODES = (
    (Event.MODEL_FAILED, Event.MODEL_RECOVERED),
    (Event.MODEL_DISABLED, Event.MODEL_ENABLED),
    (Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED),
    (Event.TRAFFIC_FAILED, Event.TRAFFIC_RESUMED),
)


_TOLD = ("event", "error", "hint", "problem", "library", "message")
"""What a line says in words."""


class Phase(StrEnum):
    """When a fault is there."""

    START = "start"  # from the daemon's start on
    MIDDLE = "middle"  # it comes and goes
    RELOAD = "reload"  # the file changes meanwhile
    KILL = "kill -9"  # the daemon is killed meanwhile, and begun anew
    CAP = "capped"  # the same under caps that bind


_CUT_SHORT = (Phase.KILL, Phase.RELOAD)
"""None lives to say it, or what failed went out before the account was changed, and tells nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A promise that was not kept under a fault."""

    fault: str
    phase: Phase
    what: str


@dataclass(slots=True)
class Subject:
    """A model, and what was done to it."""

    name: str
    fault: Fault | None
    phase: Phase
    since: datetime | None = None  # the fault was in force
    until: datetime | None = None
    tried: int = 0  # creates meanwhile
    was_met: bool = False  # by any request
    blows: int = 0  # kills, and edits of its entry
    good: list[datetime] = field(default_factory=list)  # creations of what succeeded


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is left of a daemon that was stopped, for the subject of one model."""

    subject: Subject
    calls: Sequence[Call]  # the truth
    beats: Sequence[Observation]  # the ledger
    left_open: bool
    ticks: int  # that sent
    lines: Sequence[Mapping[str, Any]]  # of the log
    kills: int
    ended_at: datetime
    slack_s: float  # virtual seconds by which a busy machine may be late

    def broken(self, *, capped: bool) -> Iterator[str]:
        """What did not hold."""
        yield from self._doubled()
        yield from self._lost()
        yield from self._overtime()
        yield from self._tries()
        yield from (f"said {line['event']}" for line in self.lines if line["event"] == Event.TICK_CRASHED)
        if capped:
            yield from self._money()
        else:
            yield from self._well()
            yield from self._said()

    def _doubled(self) -> Iterator[str]:
        for one, other in pairwise(call.created_at for call in self.calls):
            if (apart := (other - one).total_seconds()) < EVERY_S * 0.75:
                yield f"two creates {apart:.1f} s apart"

    def _lost(self) -> Iterator[str]:
        made = Counter(call.id for call in self.calls)
        known = Counter(beat.prediction_id for beat in self.beats if beat.prediction_id)
        if made != known:
            yield f"{(made - known).total()} creates without a row, {(known - made).total()} rows without a create"
        if self.left_open:
            yield "a row was left open"
        if not 0 <= len(self.beats) - self.ticks <= self.kills:  # a claim, and then its tick: two transactions
            yield f"{len(self.beats)} rows of {self.ticks} ticks"

    def _overtime(self) -> Iterator[str]:
        subject = self.subject
        for call in self.calls:
            due = call.created_at + timedelta(seconds=DEADLINE_S)
            if subject.fault and subject.fault.also and subject.until:
                due = max(due, subject.until)  # no cancel was taken before
            over_s = ((call.completed_at or self.ended_at) - due).total_seconds()
            # 10 s are left to the host; then come the next look, three tries, and what a stalled read takes.
            if over_s > 30 + self.slack_s:
                yield f"ran {over_s:.0f} s past its deadline"

    def _money(self) -> Iterator[str]:
        bill = sum((call.billed_usd or Decimal(0) for call in self.calls), Decimal(0))
        fault = self.subject.fault
        if bill > CAP_USD and not (fault and fault.bill_may_pass):
            yield f"a bill of {bill} $ under a cap of {CAP_USD} $"

    def _tries(self) -> Iterator[str]:
        subject = self.subject
        fault, since, until = subject.fault, subject.since, subject.until
        if fault is None or since is None or until is None:
            return
        lasted_s = (until - since).total_seconds()
        most = most_tries(fault.holds, lasted_s) * (1 + subject.blows)
        if subject.tried > most:
            yield f"{subject.tried} creates within {lasted_s:.0f} s of it, {most} at the most"

    def _well(self) -> Iterator[str]:
        until, good = self.subject.until, self.subject.good
        if not any(until is None or at >= until for at in good):
            yield "never well again"
        if self.subject.fault is None:
            slowest_s = max(((b - a).total_seconds() for a, b in pairwise(good)), default=0.0)
            if slowest_s > 2 * EVERY_S + self.slack_s:
                yield f"no beat for {slowest_s:.0f} s, for the others' faults"

    def _said(self) -> Iterator[str]:
        fault = self.subject.fault
        held = {Reason(line["reason"]) for line in self.lines if line["event"] == Event.BEAT_SKIPPED} & _HOLDS.keys()
        if others := held - {fault and fault.holds}:
            yield f"held by {', '.join(sorted(others))}"
        warned = [line for line in self.lines if line["level"] != "info"]
        told = [" ".join(str(line[key]) for key in _TOLD if line.get(key)) for line in warned]
        if fault is None and told:
            yield f"blamed: {told[0]}"
        if fault is None or fault.of_account or not self.subject.was_met:
            return
        if fault.says and not any(fault.says in one for one in told) and not self.kills:
            yield f"did not say {fault.says!r}, but {told[:1]}"
        yield from news(fault, self.lines, self.subject)


def news(fault: Fault, lines: Sequence[Mapping[str, Any]], subject: Subject) -> Iterator[str]:
    """Each trouble is said once, and once that it is over."""
    for begin, end in _EPISODES:
        told = [line["event"] for line in lines if line["event"] in (begin, end, Event.DAEMON_STARTED)]
        lives = " ".join(told).split(Event.DAEMON_STARTED)
        said = Counter(told)
        if (begin, end) != fault.episode:
            if said[begin] or said[end]:
                yield f"said {begin} {said[begin]} x, {end} {said[end]} x"
        elif not (subject.phase not in _CUT_SHORT) <= said[begin] <= 1 + subject.blows:
            yield f"said {begin} {said[begin]} x"
        elif (begin in lives[-1]) != (end in lives[-1]) or said[end] > 1 or lives[-1].rstrip().endswith(begin):
            yield f"said {begin} {said[begin]} x, {end} {said[end]} x"


def most_tries(holds: Reason | None, lasted_s: float) -> int:
    """How many creates of one model that long may see: the rhythm's, or one after each pause, and one to begin."""
    if holds is None:
        return 2 + int(lasted_s / EVERY_S)
    tries, at_s = 1, 0.0
    while at_s < lasted_s:
        at_s += _HOLDS[holds].backoff.pause(tries, jitter=1.0).total_seconds()
        tries += 1
    return tries

"""The live policies where nobody tells them how long an idle instance stays: learned from what was met, as live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from warmer.core.adaptive import Adaptive
from warmer.core.backtest.live import MIDNIGHT, Live, moment, seconds
from warmer.core.backtest.replay import Replay
from warmer.core.backtest.simulate import side_by_side, walk
from warmer.core.backtest.trace import Trace
from warmer.core.backtest.world import World
from warmer.core.history import Evidence
from warmer.core.hours import ActiveHours
from warmer.core.idle_timeout import TELLS_FROM_S
from warmer.core.learned import Learned
from warmer.core.policy.gap import least_gap
from warmer.core.prospect import MONDAY, USUAL_BOOT_S, Prospect, has_moved
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.state import ModelState
from warmer.core.traffic import RECENT, calls_per_s
from warmer.core.worth import Goal, Price, Purse, Silent

LEARNERS = (PolicyName.FIXED, PolicyName.AWARE, PolicyName.ADAPTIVE)
"""The policies that learn the idle time-out."""
_MANY = 1000
"""Old calls are let go of in so great a number at once: one by one would move all the others each time."""
_UNKNOWN = 0
"""The interval, as the simulator is told it: a learner goes by its own."""


class Learning(Live):
    """One model's entry, its `every` an upper bound. `purse`, for `adaptive`: what a cold start is worth."""

    def __init__(self, spec: ModelSpec, *, purse: Purse | None = None) -> None:
        super().__init__(spec)
        self.learned = Learned()
        """What is believed of the host."""
        self._purse = purse or Price(0.0)
        self._recent: list[datetime] = []  # calls of the last day, and some before
        self._calls_s: list[float] = []  # all of them, where there is a forecast
        self._decider = self._forecast(self._purse) if spec.policy is PolicyName.ADAPTIVE else None
        self._look_s: float | None = None  # of `fixed`, until it is over
        self._asked_s = 0.0  # when it was found

    def seen(self, at_s: float) -> None:
        """A call makes the next ones likelier."""
        now = moment(at_s)
        self._recent.append(now)
        if len(self._recent) > _MANY and self._recent[-_MANY] < now - RECENT:
            del self._recent[:-_MANY]
        if self._decider is not None:
            self._calls_s.append(at_s)
            self._decider.seen(at_s)

    def found(self, ended_s: float, gap_s: float | None, *, cold: bool, wait_s: float) -> None:
        """What tells nothing of an idle time-out is no evidence to the daemon either."""
        if not cold if gap_s is None else gap_s < TELLS_FROM_S:
            return
        seen = Evidence(at=moment(ended_s), gap_s=gap_s, cold=cold, wait_s=wait_s)
        self.learned = self.learned.after(seen)
        if self._decider is not None and has_moved(self._interval_s, self._decider):
            self._decider = self._forecast(Silent(self._purse))
            for at_s in self._calls_s:
                self._decider.seen(at_s)
            self._decider.purse = self._purse

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        """No sooner than any gap is over: most requests come before that, and then nothing needs to be weighed."""
        if self._spec.policy is PolicyName.FIXED:  # calls move nothing that is planned
            if self._look_s is None or now_s <= self._asked_s:
                self._asked_s, self._look_s = now_s, super().next_look(now_s, last_activity_s)
            return max(now_s, self._look_s)
        if last_activity_s is not None:
            self._idle = moment(last_activity_s)
            if last_activity_s > now_s:
                return last_activity_s  # what it met is known then
            if self._soonest > moment(now_s):
                self._rest = None
                return seconds(self._soonest)
        return super().next_look(now_s, last_activity_s)

    def send(self, now_s: float, *, warm: bool) -> bool:
        """Whether `decide` says so, knowing all that was met by now."""
        self._look_s = None
        if self._spec.policy is not PolicyName.FIXED and moment(now_s) < self._soonest:
            return False
        return super().send(now_s, warm=warm)

    @property
    def _soonest(self) -> datetime:
        """When the last activity will be as long ago as it has to be before any heartbeat."""
        return (self._idle or MIDNIGHT) + least_gap(self.learned, self._spec)

    @property
    def _interval_s(self) -> float:
        return self.learned.interval_s(self._spec.every)

    def _forecast(self, purse: Purse) -> Adaptive:
        return Adaptive(interval_s=self._interval_s, boot_s=self._boot_s, purse=purse)

    @property
    def _boot_s(self) -> float:
        return self.learned.boot_s or USUAL_BOOT_S

    def _state(self, now: datetime) -> ModelState:
        state = replace(super()._state(now), learned=self.learned, calls_per_s=calls_per_s(self._recent, now))
        if self._decider is None:
            return state
        self._decider.boot_s = self._boot_s
        return replace(state, prospect=Prospect(decider=self._decider, offset=MONDAY - MIDNIGHT))


def replays(
    policy: PolicyName, trace: Trace, world: World, *, worth: float, cold_target: float | None
) -> Iterator[Replay]:
    """One of LEARNERS on each model of `trace`. A cold target is one for all of them together, moment by moment.

    `worth`: how many heartbeats one cold start is worth, where there is no target.
    """
    purse: Purse = Price(worth) if cold_target is None else Goal(cold_target)
    entry = ModelSpec(
        name="any",
        target=Target(kind=TargetKind.MODEL, owner="any", name="any"),
        hours=ActiveHours.always_open(),
        policy=policy,
        cold_start_price=Decimal(1) if cold_target is None else None,  # that there is one: `worth` says how much
    )
    walks = (
        walk(arrivals, trace.end, Learning(entry, purse=purse), world, interval=_UNKNOWN) for arrivals in trace.models
    )
    if cold_target is not None:
        yield from side_by_side(walks)
    else:
        yield from (side_by_side([one])[0] for one in walks)

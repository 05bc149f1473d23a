"""Keeps every model's rhythm: one timer a model, one tick at a time, re-armed by each decision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf

from warmer.core.beat import Reason
from warmer.core.changes import Changes
from warmer.core.health import Member
from warmer.core.spec import ModelSpec, PolicyName, Spec
from warmer.engine.account import Account
from warmer.engine.accounts import Accounts
from warmer.engine.heartbeat import Tick
from warmer.engine.hosttime import STEP_S, ahead_s
from warmer.errors import LedgerError
from warmer.log import Event, get
from warmer.ports import UNMETERED, Clock, Meter, Schedule

DRAIN = timedelta(seconds=2.5)
"""How long beats that are out may take to end by themselves once a stop was asked for: a warm one does."""
_LONGEST_NAP = timedelta(seconds=60)
"""A timer is never armed for longer: a changed wall clock or a suspended machine is noticed within this time."""
_STAGGER = timedelta(seconds=0.25)
"""Between the first ticks of two models, so that a start is no burst."""
_TOGETHER = timedelta(seconds=1)
_FOR_ALL = (Reason.CLOSED, Reason.OVER_BUDGET)
"""Rests that end for many models at once: the hours open, another day of a cap begins."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER_LEDGER_TROUBLE = timedelta(seconds=10)
_AFTER_BUG = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Appointment:
    """When a model is to be ticked, by both clocks. It has come when either says so.

    The wall clock may be set, forward or back, and the other one stands still while the machine sleeps. A tick that
    comes early by it does no harm: it decides anew.
    """

    wall: datetime
    monotonic: float

    def left(self, clock: Clock) -> timedelta:
        """Time until then, not above 0 once it has come."""
        return min(self.wall - clock.now(), timedelta(seconds=self.monotonic - clock.monotonic()))


class Fleet:
    """The models of one file, ticking."""

    def __init__(
        self,
        spec: Spec,
        accounts: Accounts,
        clock: Clock,
        *,
        on_tick: Callable[[Tick], None] | None = None,
        meter: Meter = UNMETERED,
    ) -> None:
        self.spec, self.accounts = spec, accounts
        self._clock, self._on_tick, self._meter = clock, on_tick, meter
        self._wanted: dict[str, _Appointment] = {}
        self._running: dict[str, asyncio.Task[Tick]] = {}
        self._again: set[str] = set()
        self._awaited: dict[datetime, dict[str, int]] = {}  # moments, and in which turn who waits for one
        self._reasons: dict[str, Reason] = {}
        self._stopping = False
        self._schedule: Schedule | None = None

    def start(self, schedule: Schedule) -> None:
        """Arm every model, spread over a while."""
        self._schedule = schedule
        now, count = self._clock.now(), len(self.spec.models)
        for index, model in enumerate(self.spec.models):
            self._arm(model.name, now + _turn(index, count, model.interval, now))

    def due(self, name: str, late_s: float | None = None, left: bool = False) -> asyncio.Task[Tick] | None:
        """The schedule calls: tick `name`, unless its time has not come or its last tick is still going on.

        Returns the tick that is under way then. What many processes arm comes due by a clock of their own, which says
        how late it is too. `left`: a process that is gone was in the middle of its tick.
        """
        wanted = self._wanted.get(name)
        model = self.spec.model(name)
        if self._stopping or wanted is None or model is None:
            return None
        if name in self._running:
            self._again.add(name)  # however many come late, one tick follows
        elif not self._is_shared and wanted.left(self._clock) > timedelta(0):
            self._nap(name, wanted)
        else:
            self._meter.tick(max(0.0, self._clock.monotonic() - wanted.monotonic if late_s is None else late_s))
            self._begin(model, left=left)
        return self._running.get(name)

    def ask(self, name: str) -> bool:
        """Begin a tick of `name` that sends one beat, if nothing binds it. False where one is under way."""
        model = self.spec.model(name)
        if self._stopping or model is None or name in self._running:
            return False
        self._begin(model, asked=True)
        return True

    def reason(self, name: str) -> Reason | None:
        """What the last tick of `name` in this process came to; None before the first."""
        return self._reasons.get(name)

    def poke(self, name: str) -> None:
        """Decide anew for `name` at once: something outside has changed."""
        if self.spec.model(name) is not None:
            self._arm(name, self._clock.now())

    def poke_many(self, names: Collection[str] | None) -> None:
        """The same for several, one after another; None: for all."""
        self._spread({one.name for one in self.spec.models if names is None or one.name in names})

    def called(self, name: str) -> None:
        """Customers have called `name`: where that moves what comes next, decide anew."""
        model = self.spec.model(name)
        if model is not None and model.policy is PolicyName.ADAPTIVE:
            self.poke(name)

    def apply(self, spec: Spec, accounts: Accounts) -> Changes:
        """Follow a new file. Models whose entry is unchanged keep their rhythm; beats that are out go on."""
        changes = Changes.between(self.spec, spec)
        held = [model.name for model in spec.models if self._is_freed(model, accounts.of(model))]
        self.spec, self.accounts = spec, accounts
        for name in changes.removed:
            for account in accounts:
                account.standing.forget(name)
            self._wanted.pop(name, None)
            self._reasons.pop(name, None)
            if self._schedule is not None:
                self._schedule.disarm(name)
        for name in changes.changed:
            for account in accounts:
                account.standing.renew(name)
        self._spread({*changes.added, *changes.changed, *held})
        return changes

    @property
    def ticking(self) -> frozenset[str]:
        """Models with a tick under way."""
        return frozenset(self._running)

    def next_at(self, name: str) -> datetime | None:
        """When `name` is to be decided next."""
        wanted = self._wanted.get(name)
        return wanted.wall if wanted is not None else None

    @property
    def members(self) -> tuple[Member, ...] | None:
        """The processes that divide the beats; None where this one has them all."""
        return tuple(self._schedule.members) if self._schedule is not None and self._schedule.is_shared else None

    def overdue(self) -> timedelta | None:
        """For how long the tick that is due the longest has been so; None where there is nobody to call for ticks.

        By the clock that is never set: one that was put forward makes nothing late. Where many processes divide the
        ticks, for how long this one has given no sign of life among them.
        """
        if self._schedule is None or self._stopping:
            return None
        if (members := self.members) is not None:
            own = [timedelta(seconds=member.silent_s) for member in members if member.is_self]
            return own[0] if own else None
        now = self._clock.monotonic()
        due = [wanted.monotonic for name, wanted in self._wanted.items() if name not in self._running]
        return timedelta(seconds=max(0.0, now - min(due, default=now)))

    def stop(self) -> None:
        """No new ticks."""
        self._stopping = True

    async def drained(self, within: timedelta) -> bool:
        """Whether every tick under way has ended `within` that time."""
        if self._running:
            await asyncio.wait(self.tasks, timeout=within.total_seconds())
        return not self._running

    @property
    def tasks(self) -> frozenset[asyncio.Task[Tick]]:
        """The ticks under way."""
        return frozenset(self._running.values())

    async def abandon(self) -> None:
        """Leave every tick under way where it is. Its beat stays open in the ledger, for a later life to finish."""
        self.stop()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, model: ModelSpec, *, left: bool = False, asked: bool = False) -> None:
        tick = self.accounts.of(model).heartbeat.tick(model, left=left, asked=asked)
        task = self._running[model.name] = asyncio.get_running_loop().create_task(tick, name=f"tick {model.name}")
        ahead = ahead_s(self._clock)
        task.add_done_callback(lambda done: self._ended(model, done, ahead))

    def _ended(self, model: ModelSpec, task: asyncio.Task[Tick], ahead: float) -> None:
        """`ahead`: of the wall clock before the other one, when the tick began."""
        name = model.name
        del self._running[name]
        again = name in self._again
        self._again.discard(name)
        if task.cancelled():
            return
        now = self._clock.now()
        error = task.exception()
        if error is not None:
            next_at: datetime | None = now + self._trouble(name, error)
        else:
            tick = task.result()
            next_at = tick.next_at
            self._reasons[name] = tick.reason
            if tick.reason in _FOR_ALL and next_at is not None:
                next_at = self._in_turn(model, next_at)
            if self._on_tick is not None:
                self._on_tick(tick)
        current = self.spec.model(name)
        if current is None:
            return
        # Where the clock was set meanwhile, `next_at` may be a time of the one before, years from here.
        if again or current != model or abs(ahead_s(self._clock) - ahead) > STEP_S:
            next_at = now
        if next_at is not None:
            self._arm(name, self._after_hold(current, next_at))

    def _after_hold(self, model: ModelSpec, at: datetime) -> datetime:
        """`at`, or somewhat later where the account's hold ends then: every model waits for that."""
        hold = self.accounts.of(model).standing.account_hold
        if hold is None or hold.until is None or abs(at - hold.until) > _TOGETHER:
            return at
        names = [one.name for one in self.spec.entries_of(self.spec.host_of(model).label)]
        return at + _turn(names.index(model.name), len(names), model.interval, at)

    def _is_freed(self, model: ModelSpec, account: Account) -> bool:
        """Whether it only waited for an account to be well again in whose place there is another one, `account`."""
        was = self.spec.model(model.name)
        before = self.accounts.of(was) if was is not None else account
        return before is not account and before.standing.hold(model) is not None

    def _in_turn(self, model: ModelSpec, at: datetime) -> datetime:
        """`at`, or somewhat later where other models wait for that very moment."""
        if at not in self._awaited:
            now = self._clock.now()
            self._awaited = {moment: names for moment, names in self._awaited.items() if moment > now} | {at: {}}
        names = self._awaited[at]
        turn = names.setdefault(model.name, len(names))
        return at + turn * _STAGGER % min(model.interval, _LONGEST_NAP)

    def _trouble(self, name: str, error: BaseException) -> timedelta:
        """Say what stopped a tick, and how long to wait before the next: it must not silence the model for good."""
        if isinstance(error, LedgerError):
            return _AFTER_LEDGER_TROUBLE  # said by the desk
        get().error(Event.TICK_CRASHED, model=name, exc_info=error)
        return _AFTER_BUG

    def _spread(self, names: Set[str]) -> None:
        """Decide anew for these soon, one after another, in the order in which they would have come."""
        now, count = self._clock.now(), len(names)
        models = [model for model in self.spec.models if model.name in names]
        models.sort(key=lambda model: self._wanted[model.name].monotonic if model.name in self._wanted else inf)
        for index, model in enumerate(models):
            self._arm(model.name, now + _crowd(count, model.interval) * (index / count))

    def _arm(self, name: str, at: datetime) -> None:
        left_s = (at - self._clock.now()).total_seconds()
        wanted = self._wanted[name] = _Appointment(wall=at, monotonic=self._clock.monotonic() + left_s)
        self._nap(name, wanted)

    def _nap(self, name: str, wanted: _Appointment) -> None:
        if self._schedule is not None and not self._stopping:
            left = wanted.left(self._clock)
            self._schedule.arm(name, (left if self._is_shared else min(left, _LONGEST_NAP)).total_seconds())

    @property
    def _is_shared(self) -> bool:
        return self._schedule is not None and self._schedule.is_shared


def _crowd(count: int, interval: timedelta) -> timedelta:
    """The time over which so many models are spread, that what begins together is no burst."""
    return min(_STAGGER * count, interval)


def _turn(index: int, count: int, interval: timedelta, now: datetime) -> timedelta:
    """How long the one at `index` of `count` models waits.

    Where they fill the interval, each has its time by the clock: it comes in the phase that its beats had before a
    restart, so that it meets no other there.
    """
    crowd = _crowd(count, interval)
    wait = crowd * (index / count)
    return wait if crowd < interval else (wait - (now - _EPOCH)) % interval

"""The coming beats and what they cost: `decide`, walked through days that have not been yet."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import heapify, heappop, heapreplace
from statistics import median

from warmer.core.afford import NO_FLOOR_PRICE, NO_PRICE, afford, afford_floor
from warmer.core.beat import Observation, Reason, Request
from warmer.core.budget import Limit, Spending, limits, limits_until
from warmer.core.floor import wish_of
from warmer.core.override import Override, binding, windows
from warmer.core.policy import Rest, decide, lead_of
from warmer.core.price import FREE, Cost, Known
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.stake import NEVER, Stake, counted, stake_of
from warmer.core.state import Hold, ModelState

WEEK = timedelta(days=7)
"""Customers are expected to call as they did in the week before: no shorter span has every day of it."""
DEFAULT_TAKES = timedelta(seconds=0.5)
"""From creation to end of a warm beat, until a model's own are known."""
_STEP = timedelta(milliseconds=1)
_LOOKS = timedelta(minutes=1)
"""Between two at a floor that is not raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known of a model that its plan goes by."""

    state: ModelState
    takes: timedelta = DEFAULT_TAKES  # a beat, from creation to end
    cost_usd: Decimal | None = None  # of one beat; None: unknown
    reserve_usd: Decimal | None = None  # the most that one may cost, which its caps go by; None: unknown
    is_raised: bool = False  # whether its floor is, at the start
    calls: tuple[tuple[datetime, timedelta], ...] = ()  # of the week before the start: when, and how long each took

    @classmethod
    def of(
        cls,
        state: ModelState,
        beats: Sequence[Observation],
        calls: Sequence[Request],
        *,
        reserve_usd: Decimal | None = None,
    ) -> Outlook:
        """From recent facts: the beats to come take and cost what those that succeeded did."""
        done = [beat for beat in beats if beat.status.is_good]
        spans = [
            (beat.completed_at - beat.created_at).total_seconds() for beat in done if beat.completed_at is not None
        ]
        costs = [beat.cost_usd for beat in done if beat.cost_usd is not None]
        known = len(costs) == len(done) and bool(costs)
        return cls(
            state=state,
            takes=timedelta(seconds=median(spans)) if spans else DEFAULT_TAKES,
            cost_usd=sum(costs, Decimal(0)) / len(costs) if known else None,
            reserve_usd=reserve_usd,
            calls=tuple(
                (call.created_at, (call.completed_at or call.created_at) - call.created_at)
                for call in sorted(calls, key=lambda call: call.created_at)
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """One model's share."""

    model: str
    beats: int
    cost_usd: Decimal | None  # None: unknown
    cost_known: Known  # what is to come is estimated at best
    windows: tuple[tuple[datetime, datetime], ...]  # the active hours, UTC; as overrides have them
    note: str | None = None  # why no beat is to come
    stopped_from: datetime | None = None  # when a cap first leaves too little for the next beat
    stopped_by: str | None = None  # that cap, in words
    stops: int = 0  # how many days, or months, end so
    override: Override | None = None  # that is in force at the start


def plan_model(spec: ModelSpec, outlook: Outlook, start: datetime, end: datetime) -> ModelPlan:
    """The beats of `spec` from `start` and before `end`, if customers call as in the week before."""
    return plan_models([(spec, outlook)], start, end)[0]


def plan_models(
    entries: Sequence[tuple[ModelSpec, Outlook]], start: datetime, end: datetime, spent: Iterable[Spending] = ()
) -> list[ModelPlan]:
    """The same of the models of one file, which share the caps over all. `spent` counts against them at `start`."""
    purse = _Purse(spent)
    walks = [
        _FloorWalk(spec, outlook, _raises(spec, outlook, start, end))
        if spec.policy is PolicyName.FLOOR
        else _Walk(spec, outlook, _beats(spec, outlook, start, end))
        for spec, outlook in entries
    ]
    coming = [(at, number) for number, walk in enumerate(walks) if (at := walk.step(None)) is not None]
    heapify(coming)
    while coming:
        at, number = coming[0]
        following = walks[number].pay(at, purse)
        if following is None:
            heappop(coming)
        else:
            heapreplace(coming, (following, number))
    return [walk.result(start, end) for walk in walks]


class _Purse:
    """What counts against the caps as the plan goes on: what the ledger says, and what it plans itself."""

    def __init__(self, spent: Iterable[Spending]) -> None:
        # What is out now will have ended by then, for about what any beat costs.
        self._spent = {one.limit.cap: replace(one, reserved_usd=Decimal(0), floors_usd=Decimal(0)) for one in spent}
        self._held = list[Stake]()

    def hold(self, spec: ModelSpec, outlook: Outlook, at: datetime) -> Hold | None:
        """As the ledger is asked before a beat is sent. One that may go is paid at once."""
        spendings = [self._of(limit, at) for limit in limits(spec.caps, at, spec.hours.zone)]
        hold = afford(spendings, outlook.reserve_usd, at, spec.interval)
        cost_usd = outlook.reserve_usd if outlook.cost_usd is None else outlook.cost_usd
        if hold is None and cost_usd is not None:
            for limit in (one.limit for one in spendings):
                known = self._spent_of(limit)
                self._spent[limit.cap] = replace(known, settled_usd=known.settled_usd + cost_usd)
        return hold

    def hold_floor(self, spec: ModelSpec, whole: Stake, at: datetime) -> Hold | None:
        """As the ledger is asked before a floor is raised at `at`, for all of `whole`. What may be held is kept for."""
        until = None if whole.ends == NEVER else whole.ends
        spendings = [self._of(limit, at) for limit in limits_until(spec.caps, at, until, spec.hours.zone)]
        hold = afford_floor(spendings, whole, at, _LOOKS)
        if hold is None:
            self._held.append(replace(whole, begins=at))
        return hold

    def _of(self, limit: Limit, at: datetime) -> Spending:
        return self._spent_of(limit) + counted(self._held, limit, at)

    def _spent_of(self, limit: Limit) -> Spending:
        known = self._spent.get(limit.cap)
        if known is None or known.limit != limit:
            return Spending(limit=limit, settled_usd=Decimal(0), reserved_usd=Decimal(0))
        return known


@dataclass(slots=True)
class _Walk:
    """One model's way through the days, beat by beat."""

    spec: ModelSpec
    outlook: Outlook
    beats: Generator[datetime, Hold | None]
    sent: int = 0
    holds: list[tuple[datetime, Hold]] = field(default_factory=list)

    def step(self, hold: Hold | None) -> datetime | None:
        """When the next beat is due, once it is said what holds the last; None: never."""
        try:
            return self.beats.send(hold)
        except StopIteration:
            return None

    def pay(self, at: datetime, purse: _Purse) -> datetime | None:
        """Send the beat that is due, or hold it; when the next is due."""
        hold = purse.hold(self.spec, self.outlook, at)
        if hold is None:
            self.sent += 1
        else:
            self.holds.append((at, hold))
        return self.step(hold)

    def result(self, start: datetime, end: datetime) -> ModelPlan:
        """What it came to."""
        each = Cost(usd=self.outlook.cost_usd, is_estimated=True)
        cost = FREE if not self.sent else each if each.usd is None else replace(each, usd=each.usd * self.sent)
        has_no_price = any(hold.reason is Reason.PRICE_UNKNOWN for _, hold in self.holds)
        stops = [] if has_no_price else self.holds
        return ModelPlan(
            model=self.spec.name,
            beats=self.sent,
            cost_usd=cost.usd,
            cost_known=cost.known,
            windows=windows(self.spec, self.outlook.state.overrides, start, end),
            override=binding(self.outlook.state.overrides, start),
            note=NO_PRICE if has_no_price else None,
            stopped_from=stops[0][0] if stops else None,
            stopped_by=str(stops[0][1].cap) if stops else None,
            stops=len(stops),
        )


@dataclass(slots=True)
class _FloorWalk:
    """The same of a floor: what it costs is every second of each instance that it holds, idle or not."""

    spec: ModelSpec
    outlook: Outlook
    raises: Generator[tuple[datetime, tuple[Stake, timedelta]], Hold | None]
    due: tuple[Stake, timedelta] | None = None  # all of its next hold, and how much of that is in these days
    held: timedelta = timedelta(0)
    holds: list[tuple[datetime, Hold]] = field(default_factory=list)

    def step(self, hold: Hold | None) -> datetime | None:
        """When it is to be raised next, once it is said what holds it; None: never."""
        try:
            at, self.due = self.raises.send(hold)
        except StopIteration:
            return None
        return at

    def pay(self, at: datetime, purse: _Purse) -> datetime | None:
        """Raise it, or not; when it is to be raised next."""
        if self.due is None:
            return None
        whole, lasts = self.due
        hold = purse.hold_floor(self.spec, whole, at)
        if hold is None:
            self.held += lasts
        else:
            self.holds.append((at, hold))
        return self.step(hold)

    def result(self, start: datetime, end: datetime) -> ModelPlan:
        """What it came to."""
        each = None if self.spec.price is None else self.spec.price.per_second
        usd = None if each is None else each * self.spec.instances * Decimal(str(self.held.total_seconds()))
        cost = Cost(usd=usd, is_estimated=True)
        has_no_price = any(hold.reason is Reason.PRICE_UNKNOWN for _, hold in self.holds)
        stops = [] if has_no_price else self.holds
        held = f"a floor holds {self.spec.instances} of its instances instead of beats: every second of each is billed"
        return ModelPlan(
            model=self.spec.name,
            beats=0,
            cost_usd=cost.usd,
            cost_known=cost.known,
            windows=windows(self.spec, self.outlook.state.overrides, start, end),
            override=binding(self.outlook.state.overrides, start),
            note=NO_FLOOR_PRICE if has_no_price else held,
            stopped_from=stops[0][0] if stops else None,
            stopped_by=str(stops[0][1].cap) if stops else None,
            stops=len(stops),
        )


def _raises(
    spec: ModelSpec, outlook: Outlook, start: datetime, end: datetime
) -> Generator[tuple[datetime, tuple[Stake, timedelta]], Hold | None]:
    """When a floor is to be raised, to what, and for how long of that. Each is answered by what holds it, or None."""
    lead, state, reached = lead_of(outlook.state, spec), outlook.state, start
    for opens, closes in windows(spec, state.overrides, start, end + lead):
        at, ends = max(opens - lead, reached), min(closes, end)
        while at < ends and (wish := wish_of(at, spec, state)).instances:
            since = at if wish.since is None or (outlook.is_raised and at == start) else wish.since
            hold = yield at, (stake_of(spec, spec.price, since, wish.until), ends - at)
            if hold is None:
                break
            at = ends if hold.until is None else max(hold.until, at + _STEP)
        reached = max(ends, reached)


def _beats(spec: ModelSpec, outlook: Outlook, start: datetime, end: datetime) -> Generator[datetime, Hold | None]:
    """When beats are due. Each is answered by what holds it, or None where it is sent."""
    spec, state = _settled(spec, replace(outlook.state, in_flight_since=None, hold=None))
    now, prospect = start, state.prospect
    calls = _coming(outlook.calls, start) if spec.traffic else iter(())
    call, busy_until = next(calls, None), state.last_activity
    while now < end:
        while call is not None and call[0] <= now:
            busy_until = max(busy_until or call[1], call[1])
            if prospect is not None:
                prospect.decider.seen(prospect.seconds(call[0]))
            call = next(calls, None)
        if busy_until is not None:  # a call that still runs is activity at this very moment
            state = replace(state, last_activity=min(busy_until, now))
        action = decide(now, state, spec)
        if isinstance(action, Rest):
            if action.until is None:
                return
            now = max(action.until, now + _STEP)
            continue
        hold = yield now
        if hold is not None:
            if hold.until is None:
                return
            now = max(hold.until, now + _STEP)
            continue
        state = replace(state, slots=state.slots + 1, last_beat_at=now)
        now += outlook.takes
        busy_until = max(busy_until or now, now)


def _settled(spec: ModelSpec, state: ModelState) -> tuple[ModelSpec, ModelState]:
    """As if nothing more were learned of the host: probes are few, and what they will find nobody knows."""
    every, learned = spec.interval, state.learned
    if learned is not None and learned.idle_timeout.is_known and not (spec.policy is PolicyName.FIXED and spec.every):
        every = timedelta(seconds=learned.interval_s(spec.every))
    prospect = None if state.prospect is None else state.prospect.copy()
    return replace(spec, every=every, lead=lead_of(state, spec)), replace(state, learned=None, prospect=prospect)


def _coming(calls: Sequence[tuple[datetime, timedelta]], start: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The calls of the week before `start`, again and again, each with its end."""
    week = 1
    while calls:
        for at, took in calls:
            if at + WEEK * week >= start:
                yield at + WEEK * week, at + WEEK * week + took
        week += 1

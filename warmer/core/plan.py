"""The coming beats and what they cost: `decide`, walked through days that have not been yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

from warmer.core.beat import Observation, Request, Status
from warmer.core.policy import Rest, decide, lead_of
from warmer.core.price import FREE, Cost, Known
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.state import ModelState

WEEK = timedelta(days=7)
"""Customers are expected to call as they did in the week before: no shorter span has every day of it."""
DEFAULT_TAKES = timedelta(seconds=0.5)
"""From creation to end of a warm beat, until a model's own are known."""
_STEP = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known of a model that its plan goes by."""

    state: ModelState
    takes: timedelta = DEFAULT_TAKES  # a beat, from creation to end
    cost_usd: Decimal | None = None  # of one beat; None: unknown
    calls: tuple[tuple[datetime, timedelta], ...] = ()  # of the week before the start: when, and how long each took

    @classmethod
    def of(cls, state: ModelState, beats: Sequence[Observation], calls: Sequence[Request]) -> Outlook:
        """From recent facts: the beats to come take and cost what those that succeeded did."""
        done = [beat for beat in beats if beat.status is Status.SUCCEEDED]
        spans = [
            (beat.completed_at - beat.created_at).total_seconds() for beat in done if beat.completed_at is not None
        ]
        costs = [beat.cost_usd for beat in done if beat.cost_usd is not None]
        known = len(costs) == len(done) and bool(costs)
        return cls(
            state=state,
            takes=timedelta(seconds=median(spans)) if spans else DEFAULT_TAKES,
            cost_usd=sum(costs, Decimal(0)) / len(costs) if known else None,
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
    windows: tuple[tuple[datetime, datetime], ...]  # the active hours, UTC
    note: str | None = None  # why no beat is to come


def plan_model(spec: ModelSpec, outlook: Outlook, start: datetime, end: datetime) -> ModelPlan:
    """The beats of `spec` from `start` and before `end`, if customers call as in the week before."""
    if spec.policy is PolicyName.FLOOR:
        return _held(spec, lead_of(outlook.state, spec), start, end)
    beats = sum(1 for _ in _beats(spec, outlook, start, end))
    each = Cost(usd=outlook.cost_usd, is_estimated=True)
    cost = FREE if not beats else each if each.usd is None else replace(each, usd=each.usd * beats)
    return ModelPlan(
        model=spec.name,
        beats=beats,
        cost_usd=cost.usd,
        cost_known=cost.known,
        windows=spec.hours.windows(start, end),
    )


def _held(spec: ModelSpec, lead: timedelta, start: datetime, end: datetime) -> ModelPlan:
    """What a floor costs from `start` to `end`: every second of each instance that it holds, idle or not."""
    held, reached = timedelta(0), start
    for opens, closes in spec.hours.windows(start, end + lead):
        begins, ends = max(opens - lead, reached), min(closes, end)
        held += max(ends - begins, timedelta(0))
        reached = max(ends, reached)
    each = None if spec.price is None else spec.price.per_second
    usd = None if each is None else each * spec.instances * Decimal(str(held.total_seconds()))
    cost = Cost(usd=usd, is_estimated=True)
    return ModelPlan(
        model=spec.name,
        beats=0,
        cost_usd=cost.usd,
        cost_known=cost.known,
        windows=spec.hours.windows(start, end),
        note=f"a floor holds {spec.instances} of its instances instead of beats: every second of each is billed",
    )


def _beats(spec: ModelSpec, outlook: Outlook, start: datetime, end: datetime) -> Iterator[datetime]:
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
        yield now
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

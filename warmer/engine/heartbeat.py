"""The use case: one tick of one model, from decision to recorded observation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from warmer.core.afford import reserve_of
from warmer.core.beat import (
    BeatKey,
    BeatRequest,
    Claim,
    Observation,
    OpenBeat,
    Prediction,
    Reason,
    Status,
)
from warmer.core.lost import find_lost
from warmer.core.observe import observe, unsent
from warmer.core.official import is_left_alone
from warmer.core.policy import Action, Rest, Warm, decide
from warmer.core.price import Cost
from warmer.core.spec import ModelSpec
from warmer.core.state import ModelState, fold
from warmer.core.verdict import JUST_ENDED, WARM_AT_MOST_S
from warmer.engine.budgets import Budgets
from warmer.engine.contracts import GOOD_FOR, Contracts
from warmer.engine.desk import Desk
from warmer.engine.hosttime import HostTime
from warmer.engine.idling import believed, kept_s, settle_last
from warmer.engine.learning import Learning
from warmer.engine.standing import Standing
from warmer.engine.traffic import Traffic
from warmer.errors import Doubtful, ModelFailed, ModelRefused, ProviderError, Unavailable, Unreachable
from warmer.log import Event, get
from warmer.ports import UNMETERED, Clock, Ledger, Meter, Provider

_POLLS_S = (0.0, 0.4, 0.8, 1.6, 3.0, 5.0)
"""Pauses before each look at a running prediction; the last one repeats. A warm beat ends within the first two."""
_HURRIED_S = 0.2
"""The pause once a beat was told to end: whoever waits for it is about to leave."""
_OVERTIME = timedelta(seconds=10)
"""How long past its deadline a prediction is left to the host before we cancel it ourselves."""
ORPHANED_AFTER = timedelta(seconds=30)
"""A create is answered or given up well within this; a claim that is older and has no prediction was abandoned."""
_BY_CALLS = (Reason.RECENT_ACTIVITY, Reason.NOT_DUE)
"""Rests that hang on customers' calls, be it only for how long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """How one tick ended. `observation` where a beat was sent and seen to its end."""

    reason: Reason
    next_at: datetime | None
    observation: Observation | None = None
    error: ProviderError | None = None


@dataclass(slots=True)
class _Out:
    """A beat that this process follows."""

    since: float  # monotonic
    prediction_id: str | None = None
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


class Heartbeat:
    """Ticks models. One instance serves every model of an account."""

    def __init__(
        self,
        provider: Provider,
        desk: Desk,
        clock: Clock,
        *,
        standing: Standing,
        traffic: Traffic,
        contracts: Contracts,
        learning: Learning,
        budgets: Budgets,
        meter: Meter = UNMETERED,
    ) -> None:
        self._provider, self._desk, self._clock = provider, desk, clock
        self._standing, self._traffic, self._contracts = standing, traffic, contracts
        self._learning, self.budgets, self._meter = learning, budgets, meter
        self._host_time = HostTime(provider, clock)
        self._out: dict[BeatKey, _Out] = {}

    @property
    def out(self) -> frozenset[BeatKey]:
        """The beats that this process has out."""
        return frozenset(self._out)

    async def tick(self, spec: ModelSpec) -> Tick:
        """Decide once, and act. Never raises a ProviderError: what the provider says becomes standing."""
        state, action = await self._decide(spec)
        request: BeatRequest | None = None
        error: ProviderError | None = None
        if action.reason in _BY_CALLS and spec.traffic:
            # A call may have ended since it was seen, or have come: the rest would be too long.
            try:
                await self._traffic.refresh()
            except ProviderError as exc:
                error = exc
                self._failed(spec, exc)
            state, action = await self._decide(spec)
        if isinstance(action, Warm):
            try:
                request = await self._prepare(spec)
            except ProviderError as exc:
                error = exc
                self._failed(spec, exc)
            # Preparing took time, and showed who has called since.
            state, action = await self._decide(spec, request)
        if isinstance(action, Warm) and request is not None and is_left_alone(spec, request.billing):
            action = Rest(reason=Reason.ALWAYS_ON, until=self._clock.now() + GOOD_FOR)
        if isinstance(action, Warm) and request is not None:
            # At once, before anything is waited for: models that were held together come due together.
            self._standing.begin_trial()
            return await self._beat(spec, request, action.reason, state)
        if isinstance(action, Warm):  # the failure to prepare left no hold: come back later all the same
            action = Rest(reason=Reason.BACKING_OFF, until=self._clock.now() + spec.interval)
        await self._skipped(spec, action)
        return Tick(reason=action.reason, next_at=action.until, error=error)

    async def next_at(self, spec: ModelSpec) -> datetime | None:
        """When `spec` is to be ticked next, as things stand: now, where a beat is due."""
        _, action = await self._decide(spec)
        return action.until if isinstance(action, Rest) else self._clock.now()

    async def resume(self, beat: OpenBeat, spec: ModelSpec | None) -> bool:
        """See a beat of an earlier life to its end. False where it is too young to be called abandoned."""
        if beat.key in self._out:
            return False
        age = abs(self._clock.now() - beat.claimed_at)
        if beat.prediction_id is None and age < ORPHANED_AFTER:
            return False
        self._out[beat.key] = _Out(since=self._clock.monotonic(), prediction_id=beat.prediction_id)
        try:
            if beat.prediction_id is None:
                prediction = await self._find(beat)
                if prediction is None:
                    await self._lost(beat, "never answered, and not in the account's list")
                else:
                    await self._sent(beat, prediction)
                    await self._follow(beat, prediction, spec)
                return True
            try:
                prediction = await self._provider.read(beat.prediction_id)
            except Unavailable as exc:
                if age < beat.request.deadline + _OVERTIME:
                    raise
                # It is over, and nobody will tell us how: a model must not wait for that for ever.
                created_at = beat.claimed_at + self._provider.skew
                error = f"its end was never seen: {exc}"
                prediction = Prediction(
                    id=beat.prediction_id, status=Status.UNKNOWN, created_at=created_at, error=error
                )
                await self._record(beat, prediction, spec)
            else:
                await self._follow(beat, prediction, spec)
        finally:
            self._out.pop(beat.key, None)
        return True

    async def cancel_out(self, *, but: frozenset[str] | set[str] = frozenset()) -> set[str]:
        """Ask the provider to stop what this process has out, save those in `but`. Returns what was asked for."""

        async def cancel(prediction_id: str, out: _Out) -> None:
            try:
                await self._provider.cancel(prediction_id)
            except ProviderError as exc:
                get().warning(Event.BEAT_FAILED, prediction_id=prediction_id, error=f"not cancelled: {exc}")
            out.hurry.set()

        asked = {
            out.prediction_id: out for out in self._out.values() if out.prediction_id and out.prediction_id not in but
        }
        await asyncio.gather(*(cancel(name, out) for name, out in asked.items()))
        return set(asked)

    # -- one tick ----------------------------------------------------------------------------------------------------

    async def _decide(self, spec: ModelSpec, request: BeatRequest | None = None) -> tuple[ModelState, Action]:
        """What is to be done, and by which state. Money is asked for where nothing else speaks against a beat."""
        state = await self._state(spec)
        action = decide(self._clock.now(), state, spec)
        if spec.caps and action.reason is Reason.FLOOR_HELD:
            state = replace(state, budget=await self.budgets.floor_hold(spec, state))
            return state, decide(self._clock.now(), state, spec)
        if not spec.caps or isinstance(action, Rest):
            return state, action
        request = request or self._contracts.known_request(spec)
        if request is None or is_left_alone(spec, request.billing):
            return state, action  # what a beat may cost is not known yet, or is no matter
        hold = await self.budgets.hold(spec, reserve_of(request, state.learned))
        # Asking took time, in which another model may have gone on trial.
        state = replace(state, budget=hold, hold=self._standing.hold(spec))
        return state, decide(self._clock.now(), state, spec)

    async def _state(self, spec: ModelSpec) -> ModelState:
        history = await self._desk.do(lambda ledger: ledger.history(spec.name))
        stamps = [history.last_activity, history.last_beat_at, history.running_since]
        newest = max((stamp for stamp in stamps if stamp is not None), default=None)
        if newest is not None:
            try:
                await self._host_time.make_sure(newest)
            except ProviderError as exc:
                self._failed(spec, exc)
        now, skew = self._clock.now(), self._provider.skew
        knowledge = await self._desk.do(lambda ledger: self._learning.knowledge(ledger, spec, now + skew))
        return fold(history, now=now, skew=skew, hold=self._standing.hold(spec), knowledge=knowledge)

    async def _prepare(self, spec: ModelSpec) -> BeatRequest:
        """All that must be known before a beat is sent: its request, who has called, and that the rate allows it."""
        request = await self._contracts.request(spec)
        if is_left_alone(spec, request.billing):  # nothing is sent after all: no reason to wait
            return request
        if spec.traffic:
            await self._traffic.refresh()
        await self._provider.admit()
        return request

    async def _beat(self, spec: ModelSpec, request: BeatRequest, reason: Reason, state: ModelState) -> Tick:
        """Claim the beat that was decided on, and send it. Its slot is that of the very state that decided.

        Another process that has claimed since is thereby found out; counting anew here would pass it by.
        """
        key = BeatKey(model=spec.name, slot=state.slots + 1)
        reserve_usd = reserve_of(request, state.learned)
        claim = Claim(
            key=key,
            at=self._clock.now(),
            policy=spec.policy.value,
            reason=reason,
            request=request,
            reserve_usd=reserve_usd,
            limits=self.budgets.limits(spec),
        )
        answer = await self._desk.do(lambda ledger: ledger.claim(claim))
        if not answer:
            rest = Rest(reason=Reason.CLAIMED_ELSEWHERE, until=self._clock.now() + spec.interval)
            if answer.stopped_by is not None and reserve_usd is not None:
                hold = self.budgets.stopped(spec, answer.stopped_by, reserve_usd)
                rest = Rest(reason=hold.reason, until=hold.until, cap=hold.cap)
            await self._skipped(spec, rest)
            return Tick(reason=rest.reason, next_at=rest.until)
        beat = OpenBeat(
            key=key, claimed_at=claim.at, policy=claim.policy, reason=reason, request=request, prediction_id=None
        )
        self._out[key] = _Out(since=self._clock.monotonic())
        observation: Observation | None = None
        error: ProviderError | None = None
        try:
            await self._desk.do(lambda ledger: ledger.count_tick(spec.name, reason, claim.at))
            observation = await self._send(beat, spec)
        except ProviderError as exc:
            error = exc
        finally:
            self._out.pop(key, None)
        return Tick(reason=reason, next_at=await self.next_at(spec), observation=observation, error=error)

    async def _send(self, beat: OpenBeat, spec: ModelSpec) -> Observation:
        """Create, and follow to the end. A ProviderError is raised once it has been recorded."""
        try:
            prediction = await self._provider.create(beat.request)
            await self._sent(beat, prediction)
        except Doubtful as exc:
            prediction = await self._look_for(beat, spec, exc)
        except ProviderError as exc:
            self._failed(spec, exc)
            # What the provider refused, and what never reached it, cost nothing for certain.
            await self._close(beat, unsent(beat, str(exc), certain=True))
            raise
        self._standing.accepted(spec)
        get().info(
            Event.BEAT_SENT,
            model=spec.name,
            prediction_id=prediction.id,
            reason=beat.reason,
            policy=beat.policy,
            version=beat.request.version,
        )
        return await self._follow(beat, prediction, spec)

    async def _look_for(self, beat: OpenBeat, spec: ModelSpec, doubt: Doubtful) -> Prediction:
        """The prediction whose reply was lost. It may be running: it is looked for, and never sent again.

        Raises `doubt` where there is none. Where nobody can tell now, raises why: the beat then stays open, and the
        next sweep looks again.
        """
        try:
            found = await self._find(beat)
        except ProviderError as exc:
            self._failed(spec, exc)
            raise
        if found is not None:
            await self._sent(beat, found)
            return found
        self._failed(spec, doubt)
        await self._lost(beat, str(doubt))
        raise doubt

    async def _find(self, beat: OpenBeat) -> Prediction | None:
        """The account's prediction that must be `beat`, whose reply was lost."""
        since = beat.claimed_at + self._provider.skew - timedelta(seconds=5)
        listed = await self._provider.recent(since)
        known = await self._desk.do(lambda ledger: ledger.known_beats(p.id for p in listed))
        return find_lost(beat.request, beat.claimed_at, listed, known, self._provider.skew)

    async def _sent(self, beat: OpenBeat, prediction: Prediction) -> None:
        """Write down which prediction the beat is. Raises Doubtful where that is another beat's already."""
        out = self._out[beat.key]
        out.prediction_id = prediction.id
        if not await self._desk.do(lambda ledger: ledger.sent(beat.key, prediction)):
            out.prediction_id = None
            raise Doubtful(f"the provider answered with the prediction of another beat, {prediction.id}")

    async def _follow(self, beat: OpenBeat, prediction: Prediction, spec: ModelSpec | None) -> Observation:
        """Look until the prediction has ended, at its deadline at the latest, and record how.

        Where the provider cannot be reached at its deadline, as soon as it can: what cuts us off is no fault of the
        model's, and the host keeps the deadline without us.
        """
        out = self._out[beat.key]
        begun = self._clock.monotonic()
        patience = (beat.request.deadline + _OVERTIME).total_seconds()
        looks = 0
        trouble = ""
        while True:
            await self._pause(_POLLS_S[min(looks, len(_POLLS_S) - 1)], out.hurry)
            looks += 1
            try:
                prediction = await self._provider.read(prediction.id)
            except ProviderError as exc:
                trouble = str(exc)
            if not prediction.status.is_open:
                break
            if self._clock.monotonic() - begun > patience:
                prediction = await self._give_up(prediction, trouble, spec)
                if not prediction.status.is_open:
                    break
        return await self._record(beat, prediction, spec)

    async def _pause(self, seconds: float, hurry: asyncio.Event) -> None:
        """Let time pass, less of it once there is a hurry."""
        if hurry.is_set() or seconds <= 0:
            await self._clock.sleep(min(seconds, _HURRIED_S))
            return
        nap, call = asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(hurry.wait())
        try:
            await asyncio.wait({nap, call}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()
            call.cancel()

    async def _give_up(self, prediction: Prediction, trouble: str, spec: ModelSpec | None) -> Prediction:
        """The prediction as it ended, or as it was where nobody can be asked now."""
        try:
            await self._provider.cancel(prediction.id)
            prediction = await self._provider.read(prediction.id)
        except Unreachable as exc:
            if spec is not None:
                self._failed(spec, exc)
            return prediction
        except ProviderError as exc:
            trouble = str(exc)
        if not prediction.status.is_open:
            return prediction
        error = f"still {prediction.status} past its deadline; cancelled. {trouble}".strip()
        return replace(prediction, status=Status.UNKNOWN, error=error)

    # -- what is kept and said ---------------------------------------------------------------------------------------

    async def _record(self, beat: OpenBeat, prediction: Prediction, spec: ModelSpec | None) -> Observation:
        if spec is not None and spec.traffic and (prediction.wait_s or 0) > WARM_AT_MOST_S:
            # A boot, or a queue: see who else was there, with a reading that began after the beat.
            try:
                await self._traffic.refresh(self._clock.monotonic() - self._out[beat.key].since)
            except ProviderError as exc:
                self._failed(spec, exc)

        def record(ledger: Ledger) -> tuple[Observation, Mapping[str, Cost], bool]:
            model, created = beat.key.model, prediction.created_at
            host = believed(self._learning, ledger, spec, self._clock.now() + self._provider.skew)
            observation = observe(
                beat,
                prediction,
                others=ledger.uses(model, created - JUST_ENDED, created),
                last_activity=ledger.last_activity_before(model, created),
                warm_waits=ledger.history(model).warm_waits,
                kept_s=kept_s(beat.request, host),
            )
            settled = settle_last(ledger, model, beat.request, created, host)
            return observation, settled, ledger.finish(beat.key, observation, settled)

        observation, settled, is_news = await self._desk.do(record)
        if spec is not None and observation.status is Status.SUCCEEDED:
            self._standing.succeeded(spec)
        elif spec is not None:
            self._failed(spec, ModelFailed(observation.error or f"the prediction ended {observation.status}"))
        if is_news:
            self._meter.settled(observation.model, settled)
            self._say(observation)
        return observation

    async def _lost(self, beat: OpenBeat, error: str) -> None:
        # It may have reached the provider, about when it was claimed; the next one keeps its distance from that.
        seen = replace(unsent(beat, error, certain=False), created_at=beat.claimed_at + self._provider.skew)
        await self._close(beat, seen)

    async def _close(self, beat: OpenBeat, observation: Observation) -> None:
        if await self._desk.do(lambda ledger: ledger.finish(beat.key, observation)):
            self._say(observation)

    async def _skipped(self, spec: ModelSpec, rest: Rest) -> None:
        at = self._clock.now()
        await self._desk.do(lambda ledger: ledger.count_tick(spec.name, rest.reason, at))
        cap = None if rest.cap is None else str(rest.cap)
        get().info(Event.BEAT_SKIPPED, model=spec.name, reason=rest.reason, until=rest.until, cap=cap)

    def _failed(self, spec: ModelSpec, error: ProviderError) -> None:
        if isinstance(error, ModelRefused):
            self._contracts.forget(spec.target)
        self._standing.failed(spec, error)

    def _say(self, seen: Observation) -> None:
        self._meter.beat(seen)
        facts = {
            "model": seen.model,
            "prediction_id": seen.prediction_id,
            "reason": seen.reason,
            "verdict": seen.verdict,
            "status": seen.status,
            "gap_s": seen.gap_s,
            "wait_s": seen.wait_s,
            "run_s": seen.run_s,
            "cost_usd": seen.cost_usd,
            "cost_known": seen.cost.known,
            "price": seen.price or "unknown",
        }
        if seen.status is Status.SUCCEEDED:
            get().info(Event.BEAT_DONE, **facts)
        else:
            get().warning(Event.BEAT_FAILED, error=seen.error, **facts)

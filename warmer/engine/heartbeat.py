"""The use case: one tick of one model, from decision to recorded observation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from warmer.core.afford import reserve_of
from warmer.core.beat import BeatKey, BeatRequest, Claim, Observation, OpenBeat, Reason
from warmer.core.history import Glance, History
from warmer.core.official import is_left_alone
from warmer.core.override import Overrides, heeded
from warmer.core.policy import Action, Rest, Warm, decide
from warmer.core.spec import ModelSpec
from warmer.core.standing import rule_for
from warmer.core.state import Knowledge, ModelState, fold
from warmer.engine.budgets import Budgets
from warmer.engine.contracts import GOOD_FOR, Contracts
from warmer.engine.cuts import Cuts
from warmer.engine.desk import Desk
from warmer.engine.hosttime import STEP_S, HostTime
from warmer.engine.inputs import Inputs
from warmer.engine.learning import Learning
from warmer.engine.outgoing import Outgoing
from warmer.engine.overriding import Overriding
from warmer.engine.sights import Sights
from warmer.engine.spread import Spread
from warmer.engine.standing import Standing
from warmer.engine.traffic import Traffic
from warmer.errors import ProviderError
from warmer.log import Event, get
from warmer.ports import Clock, Ledger, Provider

_TOO_LONG_S = 1.0
"""What was decided by is read again when a beat took longer to prepare. Nobody claims it twice anyway."""
_BY_CALLS = (Reason.RECENT_ACTIVITY, Reason.NOT_DUE)
"""Rests that hang on customers' calls, be it only for how long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """How one tick ended. `observation` where a beat was sent and seen to its end."""

    reason: Reason
    next_at: datetime | None
    observation: Observation | None = None
    error: ProviderError | None = None


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
        inputs: Inputs,
        budgets: Budgets,
        sights: Sights,
        outgoing: Outgoing,
        models: Callable[[], Sequence[ModelSpec]],
    ) -> None:
        """`models`: those in force that are warmed through `provider`."""
        self._provider, self._desk, self._clock = provider, desk, clock
        self._standing, self._traffic, self._contracts = standing, traffic, contracts
        self._learning, self.budgets, self._outgoing = learning, budgets, outgoing
        self._host_time = HostTime(provider, clock)
        self._overriding, self._sights, self._inputs = Overriding(), sights, inputs
        self._cuts, self._spread = Cuts(desk), Spread(models)

    async def tick(self, spec: ModelSpec, *, left: bool = False, asked: bool = False) -> Tick:
        """Decide once, and act. Never raises a ProviderError: what the provider says becomes standing.

        `left`: a process that is gone was in the middle of it. A beat that it had out is seen to its end first.
        `asked`: somebody wants one beat now, whatever the hours and the policy say.
        """
        began, read_at, skew = self._clock.monotonic(), self._traffic.read_at, self._provider.skew
        state, action = await self._decide(spec, asked=asked)
        request: BeatRequest | None = None
        error: ProviderError | None = None
        if left and state.in_flight_since is not None:
            try:
                await self._outgoing.take_over(spec)
            except ProviderError as exc:  # left to the next sweep
                error = exc
                await self._outgoing.failed(spec, exc)
            state, action = await self._decide(spec)
        if action.reason in _BY_CALLS and spec.traffic:
            # A call may have ended since it was seen, or have come: the rest would be too long.
            try:
                await self._traffic.refresh()
            except ProviderError as exc:
                error = exc
                await self._outgoing.failed(spec, exc)
            state, action = await self._decide(spec)
        if isinstance(action, Warm):
            try:
                request = await self._prepare(spec)
            except ProviderError as exc:
                error = exc
                await self._outgoing.failed(spec, exc)
            is_other_time = abs(self._provider.skew - skew).total_seconds() > STEP_S
            is_long = self._clock.monotonic() - began > _TOO_LONG_S
            if spec.caps or self._traffic.read_at != read_at or is_other_time or is_long:
                # Preparing took time, or showed who has called since, or what the time is.
                state, action = await self._decide(spec, request, asked=asked)
            else:
                state = replace(state, hold=self._standing.hold(spec))
                action = decide(self._clock.now(), state, spec)
        if isinstance(action, Warm) and request is not None and is_left_alone(spec, request.billing):
            action = Rest(reason=Reason.ALWAYS_ON, until=self._clock.now() + GOOD_FOR)
        if isinstance(action, Warm) and request is not None:
            # At once, before anything is waited for: models that were held together come due together.
            hold = await self._standing.set_out()
            if hold is not None:
                action = Rest(reason=hold.reason, until=hold.until)
        if isinstance(action, Warm) and request is not None:
            return await self._beat(spec, request, action.reason, state)
        if isinstance(action, Warm):  # the failure to prepare left no hold: come back later all the same
            reason = Reason.BACKING_OFF if error is None else rule_for(error).reason
            action = Rest(reason=reason, until=self._clock.now() + spec.interval)
        await self._skipped(spec, action)
        return Tick(reason=action.reason, next_at=action.until, error=error)

    async def next_at(self, spec: ModelSpec) -> datetime | None:
        """When `spec` is to be ticked next, as things stand: now, where a beat is due."""
        _, action = await self._decide(spec)
        return action.until if isinstance(action, Rest) else self._clock.now()

    async def if_asked(self, spec: ModelSpec) -> Action:
        """What would be done now, as far as is known, if somebody asked for one beat."""
        _, action = await self._decide(spec, asked=True)
        request = self._contracts.known_request(spec)
        if isinstance(action, Warm) and request is not None and is_left_alone(spec, request.billing):
            return Rest(reason=Reason.ALWAYS_ON, until=None)
        return action

    # -- one tick ----------------------------------------------------------------------------------------------------

    async def _decide(
        self, spec: ModelSpec, request: BeatRequest | None = None, *, asked: bool = False
    ) -> tuple[ModelState, Action]:
        """What is to be done, and by which state. Money is asked for where nothing else speaks against a beat."""
        await self._standing.look()
        state = replace(await self._state(spec), asked=asked)
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
        def look(ledger: Ledger) -> tuple[History, Overrides, Knowledge | None]:
            seen = self._learning.glance(ledger, spec, self._clock.now() + self._provider.skew)
            history, overrides = seen.history, self._overriding.read(ledger)
            # What is learned by a wrong time stays learned.
            return history, overrides, learn(ledger, seen) if self._host_time.holds(history.newest) else None

        def learn(ledger: Ledger, seen: Glance) -> Knowledge:
            skew = self._provider.skew
            knowledge = self._learning.knowledge(ledger, spec, self._clock.now() + skew, seen)
            self._sights.keep(ledger, spec, seen.history, knowledge, skew)
            return knowledge

        def look_again(ledger: Ledger) -> Knowledge:
            return learn(ledger, self._learning.glance(ledger, spec, self._clock.now() + self._provider.skew))

        history, overrides, knowledge = await self._desk.do(look)
        if knowledge is None:
            try:
                await self._host_time.make_sure(history.newest)
            except ProviderError as exc:
                await self._outgoing.failed(spec, exc)
            knowledge = await self._desk.do(look_again)
        now, skew = self._clock.now(), self._provider.skew
        return fold(
            history,
            now=now,
            skew=skew,
            hold=self._standing.hold(spec),
            knowledge=knowledge,
            overrides=overrides.of(spec.name),
        )

    async def _prepare(self, spec: ModelSpec) -> BeatRequest:
        """All that must be known before a beat is sent: its request, who has called, and that the rate allows it."""
        request = await self._contracts.request(spec)
        if is_left_alone(spec, request.billing):  # nothing is sent after all: no reason to wait
            return request
        if spec.traffic:
            await self._traffic.refresh()
        await self._provider.admit(self._spread.apart_s)
        return await self._cuts.fitting(spec, await self._inputs.fitting(spec, request))

    async def _beat(self, spec: ModelSpec, request: BeatRequest, reason: Reason, state: ModelState) -> Tick:
        """Claim the beat that was decided on, and send it. Its slot is that of the very state that decided.

        Another process that has claimed since is thereby found out; counting anew here would pass it by.
        """
        key = BeatKey(model=spec.name, slot=state.slots + 1)
        reserve_usd = reserve_of(request, state.learned)
        now = self._clock.now()
        claim = Claim(
            key=key,
            at=now,
            policy=(heeded(spec, state.overrides, now) or spec).policy.value,
            reason=reason,
            request=request,
            reserve_usd=reserve_usd,
            limits=self.budgets.limits(spec),
        )
        answer = await self._desk.do(lambda ledger: ledger.claim(claim))
        if not answer:
            rest = Rest(reason=Reason.CLAIMED_ELSEWHERE, until=self._clock.now() + spec.interval)
            if answer.stopped_by is not None and reserve_usd is not None:
                hold = await self.budgets.stopped(spec, answer.stopped_by, reserve_usd)
                rest = Rest(reason=hold.reason, until=hold.until, cap=hold.cap)
            await self._skipped(spec, rest)
            return Tick(reason=rest.reason, next_at=rest.until)
        beat = OpenBeat(
            key=key, claimed_at=claim.at, policy=claim.policy, reason=reason, request=request, prediction_id=None
        )
        self._sights.forget(spec.name)
        observation: Observation | None = None
        error: ProviderError | None = None
        try:
            observation = await self._outgoing.send(beat, spec)
        except ProviderError as exc:
            error = exc
        return Tick(reason=reason, next_at=await self.next_at(spec), observation=observation, error=error)

    async def _skipped(self, spec: ModelSpec, rest: Rest) -> None:
        at = self._clock.now()
        await self._desk.do(lambda ledger: ledger.count_tick(spec.name, rest.reason, at))
        cap = None if rest.cap is None else str(rest.cap)
        get().info(Event.BEAT_SKIPPED, model=spec.name, reason=rest.reason, until=rest.until, cap=cap)

"""A beat that is out: sent, followed to its end and put on record, be it this process that sent it or one before."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from warmer.core.beat import BeatKey, Observation, OpenBeat, Prediction, Status
from warmer.core.cut import as_ended
from warmer.core.following import pause_s
from warmer.core.lost import find_lost
from warmer.core.observe import observe, unsent
from warmer.core.price import Cost
from warmer.core.spec import ModelSpec
from warmer.core.state import RUNNING_AT_MOST
from warmer.core.verdict import JUST_ENDED, WARM_AT_MOST_S
from warmer.engine.contracts import Contracts
from warmer.engine.desk import Desk
from warmer.engine.first_token import FirstTokens, Listening
from warmer.engine.idling import believed, kept_s, settle_last
from warmer.engine.inputs import Inputs
from warmer.engine.learning import Learning
from warmer.engine.pause import pause
from warmer.engine.standing import Standing
from warmer.engine.traffic import Traffic
from warmer.errors import Doubtful, ModelFailed, ModelRefused, ProviderError, Unavailable, Unreachable
from warmer.log import Event, get
from warmer.ports import UNMETERED, Clock, Hearing, Ledger, Meter, Provider

_HURRIED_S = 0.2
"""The pause once a beat was told to end: whoever waits for it is about to leave."""
_OVERTIME = timedelta(seconds=10)
"""How long past its deadline a prediction is left to the host before we cancel it ourselves."""
ORPHANED_AFTER = timedelta(seconds=30)
"""A create is answered or given up well within this; a claim that is older and has no prediction was abandoned."""
_SENT_WITHIN = timedelta(seconds=10)
"""Between its claim and its create a beat waits for nothing. Where it took longer, this process was frozen."""
_ACCEPTED_WITHIN = timedelta(seconds=15)
"""A create that was sent shows in the account's list by then, be there somebody who waits for the reply or not."""
_CARRIED_OUT_WITHIN = timedelta(seconds=30)
"""Between its claim and its stamp, at the most."""
_LOOK_AGAIN_S = 1.0
_EARLY_AT_MOST = 1000
"""Ends that are kept while creates are answered. More would be other predictions of the account."""


@dataclass(slots=True)
class _Out:
    """A beat that this process follows."""

    since: float  # monotonic; its claim, or its deadline where that was before this process
    prediction_id: str | None = None
    is_overdue: bool = False  # past its deadline, and said to be
    is_told: bool = False  # the provider is to tell its end by itself
    end: Prediction | None = None  # what it told
    is_hinted: bool = False  # it told another process
    is_hurried: bool = False  # told to end: whoever waits for it is about to leave
    listening: Listening | None = None  # to its stream, for its first token
    wake: asyncio.Event = field(default_factory=asyncio.Event)  # there is no reason to wait as long any more

    def stop_listening(self) -> None:
        """Nobody waits for its first token any more."""
        if self.listening is not None:
            self.listening.cancel()
            self.listening = None


class Outgoing:
    """Beats that are out. One instance serves every model of an account."""

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
        meter: Meter = UNMETERED,
        is_shared: bool = False,
    ) -> None:
        """`is_shared`: other processes take over what this one leaves for longer than a create takes."""
        self._provider, self._desk, self._clock = provider, desk, clock
        self._standing, self._traffic, self._contracts = standing, traffic, contracts
        self._learning, self._meter, self._is_shared = learning, meter, is_shared
        self._inputs = inputs
        self._first_tokens = FirstTokens(provider, clock)
        self._out: dict[BeatKey, _Out] = {}
        self._early: dict[str, Prediction | None] = {}  # told to have ended before the reply to a create, and how

    @property
    def out(self) -> frozenset[BeatKey]:
        """The beats that this process has out."""
        return frozenset(self._out)

    async def send(self, beat: OpenBeat, spec: ModelSpec) -> Observation:
        """Create what was claimed, and follow it to its end. A ProviderError is raised once it has been recorded."""
        out = self._out[beat.key] = _Out(since=self._clock.monotonic())
        try:
            return await self._follow(beat, await self._create(beat, spec), spec)
        finally:
            self._out.pop(beat.key, None)
            out.stop_listening()

    def told(self, end: Prediction) -> bool:
        """The provider told by itself how a prediction ended. False where that is no news of a beat that is out here.

        Told again, or told of what is over, nothing changes: a beat has one end, and leaves with it.
        """
        out = self._named(end.id)
        if out is None:
            return False
        is_first, out.end = out.end is None, out.end or end
        out.wake.set()
        return is_first

    def hinted(self, prediction_id: str) -> None:
        """The provider told another process that it has ended: it is worth a look."""
        out = self._named(prediction_id)
        if out is not None:
            out.is_hinted = True
            out.wake.set()

    def may_be_early(self, prediction_id: str, end: Prediction | None) -> bool:
        """Keep an end, told to us or to another process, where the reply to its create may be on the way."""
        is_nameless = any(out.prediction_id is None for out in self._out.values())
        if not is_nameless or self._named(prediction_id) is not None or len(self._early) >= _EARLY_AT_MOST:
            return False
        self._early[prediction_id] = self._early.get(prediction_id) or end
        return True

    def _named(self, prediction_id: str) -> _Out | None:
        return next((out for out in self._out.values() if out.prediction_id == prediction_id), None)

    async def resume(self, beat: OpenBeat, spec: ModelSpec | None) -> bool:
        """See a beat of an earlier life to its end. False where it is too young to be called abandoned."""
        age = abs(self._clock.now() - beat.claimed_at)
        if beat.key in self._out or (beat.prediction_id is None and age < ORPHANED_AFTER):
            return False
        return await self._resume(beat, spec)

    async def take_over(self, spec: ModelSpec) -> None:
        """See the model's beat to its end that a process had out that is gone."""
        # Nothing is lost by looking for it as long as the next one is not due.
        patience = min(ORPHANED_AFTER, max(spec.interval, _ACCEPTED_WITHIN))
        while True:
            beat = (await self._desk.do(lambda ledger: ledger.history(spec.name))).open_beat
            if beat is None or beat.key in self._out or await self._resume(beat, spec, patience):
                return
            await self._clock.sleep(_LOOK_AGAIN_S)

    async def cancel_out(self, *, but: frozenset[str] | set[str] = frozenset()) -> set[str]:
        """Ask the provider to stop what this process has out, save those in `but`. Returns what was asked for."""

        async def cancel(prediction_id: str, out: _Out) -> None:
            try:
                await self._provider.cancel(prediction_id)
            except ProviderError as exc:
                get().warning(Event.BEAT_FAILED, prediction_id=prediction_id, error=f"not cancelled: {exc}")
            out.is_hurried = True
            out.wake.set()

        asked = {
            out.prediction_id: out for out in self._out.values() if out.prediction_id and out.prediction_id not in but
        }
        await asyncio.gather(*(cancel(name, out) for name, out in asked.items()))
        return set(asked)

    def ask(self) -> None:
        """Nobody listens any more to what the provider tells: it is asked how the beats end that are out."""
        for out in self._out.values():
            out.is_told = False
            out.wake.set()

    async def failed(self, spec: ModelSpec, error: ProviderError) -> None:
        """Take note of what kept a beat of `spec` from going out, or from ending well."""
        if isinstance(error, ModelRefused):
            self._contracts.forget(spec.target)
        await self._standing.failed(spec, error)

    # -- from the create to the end ------------------------------------------------------------------------------------

    async def _create(self, beat: OpenBeat, spec: ModelSpec) -> Prediction:
        if self._is_shared and abs(self._clock.now() - beat.claimed_at) > _SENT_WITHIN:
            # Others may have given the beat up, and sent the next.
            stale = "not sent: this process stood still after it had claimed the beat, or the clock was set"
            await self._close(beat, unsent(beat, stale, certain=True))
            raise Unavailable(stale)
        try:
            hooks = self._provider.webhooks
            self._out[beat.key].is_told = hooks is not None and hooks.is_open
            since = self._clock.monotonic()
            prediction = await self._provider.create(beat.request)
            if beat.request.first_token:
                self._out[beat.key].listening = self._first_tokens.listen(prediction, since)
            await self._sent(beat, prediction)
        except Doubtful as exc:
            self._out[beat.key].stop_listening()  # it may be to another beat's
            prediction = await self._look_for(beat, spec, exc)
        except ProviderError as exc:
            await self.failed(spec, exc)
            # What the provider refused, and what never reached it, cost nothing for certain.
            await self._close(beat, unsent(beat, str(exc), certain=True))
            raise
        await self._standing.accepted(spec)
        get().info(
            Event.BEAT_SENT,
            model=spec.name,
            prediction_id=prediction.id,
            reason=beat.reason,
            policy=beat.policy,
            version=beat.request.version,
        )
        return prediction

    async def _look_for(self, beat: OpenBeat, spec: ModelSpec, doubt: Doubtful) -> Prediction:
        """The prediction whose reply was lost. It may be running: it is looked for, and never sent again.

        Raises `doubt` where there is none. Where nobody can tell now, raises why: the beat then stays open, and the
        next sweep looks again.
        """
        try:
            found = await self._find(beat)
        except ProviderError as exc:
            await self.failed(spec, exc)
            raise
        if found is not None:
            await self._sent(beat, found)
            return found
        await self.failed(spec, doubt)
        await self._lost(beat, str(doubt))
        raise doubt

    async def _find(self, beat: OpenBeat) -> Prediction | None:
        """The account's prediction that must be `beat`, whose reply was lost."""
        last = await self._desk.do(lambda ledger: ledger.history(beat.key.model))
        skews = {self._provider.skew}
        if last.last_beat_at is not None and last.last_claim_at is not None:
            # As it was then: a clock may have been set since this beat was claimed.
            skews.add(last.last_beat_at - last.last_claim_at - _CARRIED_OUT_WITHIN)
        listed = await self._listed(beat, skews)
        if self._provider.skew < min(skews):  # the list was asked for by a wrong time, as its reply told
            skews.add(self._provider.skew)
            listed = await self._listed(beat, skews)
        skews.add(self._provider.skew)
        known = await self._desk.do(lambda ledger: ledger.known_beats(p.id for p in listed))
        return find_lost(beat.request, beat.claimed_at, listed, known, skews)

    async def _listed(self, beat: OpenBeat, skews: Collection[timedelta]) -> Sequence[Prediction]:
        return await self._provider.recent(beat.claimed_at + min(skews) - timedelta(seconds=5))

    async def _sent(self, beat: OpenBeat, prediction: Prediction) -> None:
        """Write down which prediction the beat is. Raises Doubtful where that is another beat's already."""
        out = self._out[beat.key]
        out.prediction_id = prediction.id
        if not await self._desk.do(lambda ledger: ledger.sent(beat.key, prediction)):
            out.prediction_id = None
            raise Doubtful(f"the provider answered with the prediction of another beat, {prediction.id}")
        if prediction.id in self._early:
            if (end := self._early.pop(prediction.id)) is not None:
                self.told(end)
            else:
                self.hinted(prediction.id)
        if all(one.prediction_id is not None for one in self._out.values()):
            self._early.clear()

    async def _follow(self, beat: OpenBeat, prediction: Prediction, spec: ModelSpec | None) -> Observation:
        """Look until the prediction has ended, at its deadline at the latest, and record how.

        Where the provider cannot be reached at its deadline, as soon as it can: what cuts us off is no fault of the
        model's, and the host keeps the deadline without us.
        """
        out = self._out[beat.key]
        patience = (beat.request.deadline + _OVERTIME).total_seconds()
        looks, is_cut = 0, False
        trouble = ""
        every = timedelta(0) if spec is None else spec.interval
        is_told = out.is_told and not beat.request.cancel_on_start  # nobody tells of the start
        while True:
            if out.end is None:
                left_s = patience - (self._clock.monotonic() - out.since)
                await self._pause(pause_s(looks, told=is_told, every=every, left_s=left_s), out)
            if out.end is not None:
                break
            looks += 1
            try:
                prediction = await self._provider.read(prediction.id)
            except ProviderError as exc:
                trouble = str(exc)
            if not prediction.status.is_open:
                break
            if beat.request.cancel_on_start and prediction.status is Status.PROCESSING and not is_cut:
                is_cut, looks = await self._cut(prediction), 0
            if self._clock.monotonic() - out.since > patience:
                prediction = await self._give_up(beat, prediction, trouble, spec)
                if not prediction.status.is_open:
                    break
        is_heard = out.end is not None or out.is_hinted
        if out.is_told or is_heard:
            self._meter.webhook(Hearing.TAKEN if is_heard else Hearing.MISSED)
        prediction, first_token_s = out.end or prediction, None
        if out.listening is not None and spec is not None:
            ended_well = prediction.status is Status.SUCCEEDED
            first_token_s = await self._first_tokens.taken(out.listening, spec, ended_well=ended_well)
        return await self._record(beat, prediction, spec, first_token_s)

    async def _pause(self, seconds: float, out: _Out) -> None:
        """Let time pass, less of it once there is a hurry, and no more once the end was told."""
        if out.is_hurried or seconds <= 0:
            await self._clock.sleep(min(seconds, _HURRIED_S))
            return
        try:
            await pause(self._clock, seconds, out.wake)
        finally:
            out.wake.clear()

    async def _cut(self, prediction: Prediction) -> bool:
        """Have it canceled, now that it runs. Whether that was asked for."""
        try:
            await self._provider.cancel(prediction.id)
        except ProviderError:
            return False  # it runs on, and the next look asks again
        return True

    async def _give_up(
        self, beat: OpenBeat, prediction: Prediction, trouble: str, spec: ModelSpec | None
    ) -> Prediction:
        """The prediction as it ended, or as it was where it is to be looked at again.

        What the provider does not cancel may be running, and billed, so it is told again for as long as it can be.
        """
        out = self._out[beat.key]
        is_told = False
        try:
            await self._provider.cancel(prediction.id)
            is_told = True
            prediction = await self._provider.read(prediction.id)
        except Unreachable as exc:
            if spec is not None:
                await self.failed(spec, exc)
            return prediction
        except ProviderError as exc:
            trouble = str(exc)
            if not is_told and self._clock.monotonic() - out.since < RUNNING_AT_MOST.total_seconds():
                if not out.is_overdue:
                    out.is_overdue = True
                    error = f"past its deadline and not cancelled, which is tried again: {trouble}"
                    get().warning(
                        Event.BEAT_FAILED,
                        model=beat.key.model,
                        prediction_id=prediction.id,
                        reason=beat.reason,
                        error=error,
                    )
                return prediction
        if not prediction.status.is_open:
            return prediction
        error = f"still {prediction.status} past its deadline; cancelled. {trouble}".strip()
        return replace(prediction, status=Status.UNKNOWN, error=error)

    async def _resume(self, beat: OpenBeat, spec: ModelSpec | None, patience: timedelta = timedelta()) -> bool:
        """False where the account's list does not show its prediction yet, and the beat is younger than `patience`."""
        age = abs(self._clock.now() - beat.claimed_at)
        since = self._clock.monotonic() - min(age, beat.request.deadline).total_seconds()
        self._out[beat.key] = _Out(since=since, prediction_id=beat.prediction_id)
        try:
            if beat.prediction_id is None:
                prediction = await self._find(beat)
                if prediction is not None:
                    await self._sent(beat, prediction)
                    await self._follow(beat, prediction, spec)
                elif age < patience:
                    return False
                else:
                    await self._lost(beat, "never answered, and not in the account's list")
                return True
            try:
                prediction = await self._provider.read(beat.prediction_id)
            except Unavailable as exc:
                if age < beat.request.deadline + _OVERTIME:
                    raise
                if age < RUNNING_AT_MOST:
                    await self._provider.cancel(beat.prediction_id)
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

    # -- what is kept and said ---------------------------------------------------------------------------------------

    async def _record(
        self, beat: OpenBeat, prediction: Prediction, spec: ModelSpec | None, first_token_s: float | None = None
    ) -> Observation:
        prediction = as_ended(prediction, beat.request)
        if spec is not None and spec.traffic and (prediction.wait_s or 0) > WARM_AT_MOST_S:
            # A boot, or a queue: see who else was there, with a reading that began after the beat.
            try:
                await self._traffic.refresh(self._clock.monotonic() - self._out[beat.key].since)
            except ProviderError as exc:
                await self.failed(spec, exc)

        def record(ledger: Ledger) -> tuple[Observation, Mapping[str, Cost], bool, Observation | None]:
            model, created = beat.key.model, prediction.created_at
            last = ledger.latest_beat(model, sent=True) if prediction.status is Status.FAILED else None
            host = believed(self._learning, ledger, spec, beat.request, self._clock.now() + self._provider.skew)
            before = ledger.before(model, created, JUST_ENDED)
            observation = observe(
                beat, prediction, before, kept_s=kept_s(beat.request, host), first_token_s=first_token_s
            )
            settled = settle_last(ledger, model, beat.request, created, host)
            return observation, settled, ledger.finish(beat.key, observation, settled), last

        observation, settled, is_news, last = await self._desk.do(record)
        if spec is not None and observation.status.is_good:
            self._standing.succeeded(spec)
        elif spec is not None:
            if observation.status is Status.FAILED and is_news:
                await self._inputs.failed(spec, beat.request, last)
            await self.failed(spec, ModelFailed(observation.error or f"the prediction ended {observation.status}"))
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
        if seen.first_token_s is not None:
            facts["first_token_s"] = seen.first_token_s
        if seen.boot_s is not None:
            facts["boot_s"] = round(seen.boot_s, 3)
        if seen.status.is_good:
            get().info(Event.BEAT_DONE, **facts)
        else:
            get().warning(Event.BEAT_FAILED, error=seen.error, **facts)

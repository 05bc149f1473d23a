"""What may be asked of a running daemon: how its models are, and what somebody wants beside the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from uuid import uuid4

from warmer.core.beat import Observation, Reason
from warmer.core.now import ModelDetail, ModelNow
from warmer.core.override import Overrides, binding
from warmer.core.policy import Action, Rest, Warm
from warmer.core.spec import ModelSpec
from warmer.core.told import SLACK, Told, is_known, is_nameless, request_of
from warmer.core.trial import Trial
from warmer.core.warmth import Warmth
from warmer.engine.answers import Answers
from warmer.engine.desk import Desk
from warmer.engine.fleet import Fleet
from warmer.engine.overriding import OverrideWatch, Overriding, change_overrides
from warmer.engine.trial import Trials
from warmer.ports import Clock, Ledger

_BATCH = 50
"""Models at a time: beats go on in between."""


class Console:
    """Implements the `Console` port from what the daemon is made of."""

    def __init__(self, fleet: Fleet, desk: Desk, clock: Clock, watch: OverrideWatch) -> None:
        self._fleet, self._desk, self._clock, self._watch = fleet, desk, clock, watch
        self._answers = Answers(desk, clock, lambda: fleet.accounts)
        self._overriding = Overriding()
        self._trials = Trials(desk, clock)
        self.admin_token: str | None = None

    @property
    def models(self) -> Sequence[str]:
        """The names of the file's models."""
        return [model.name for model in self._fleet.spec.models]

    async def overview(self, names: Collection[str] | None = None) -> tuple[ModelNow, ...]:
        """Each model of the file as it is now, or those of them."""
        overrides, found = await self._desk.do(self._overriding.read), list[ModelNow]()
        for model in self._fleet.spec.models:
            if names is not None and model.name not in names:
                continue
            found.append(self._now(model, overrides, self._answers.at_hand(model)))
            if len(found) % _BATCH == 0:
                await asyncio.sleep(0)
        return tuple(found)

    async def model(self, name: str) -> ModelDetail:
        """One of them, and more of it."""
        model = self._named(name)
        (told,) = await self._answers.warmth([model])

        def read(ledger: Ledger) -> tuple[Overrides, Observation | None, datetime | None]:
            return self._overriding.read(ledger), ledger.latest_beat(name), ledger.history(name).last_activity

        overrides, last_beat, last_use = await self._desk.do(read)
        return ModelDetail(
            now=self._now(model, overrides, told),
            last_beat=last_beat,
            last_use=last_use,
            idle_timeout=self._fleet.accounts.of(model).learning.idle_timeout(name) if model.traffic else None,
        )

    async def warmth(self, names: Sequence[str]) -> tuple[Warmth, ...]:
        """How warm each of these models is, best first."""
        return await self._answers.warmth([self._named(name) for name in dict.fromkeys(names)])

    async def override(self, change: Callable[[Overrides, datetime], Overrides]) -> Overrides:
        """Put what `change` makes of the overrides in their place, and have it taken up."""
        now = self._clock.now()
        made = await self._desk.do(lambda ledger: change_overrides(ledger, lambda known: change(known, now)))
        await self._watch.look()
        return made

    async def beat(self, name: str) -> Action:
        """Begin one beat of that model now, or say what keeps it from going out."""
        model = self._named(name)
        action = await self._fleet.accounts.of(model).heartbeat.if_asked(model)
        if isinstance(action, Warm) and not self._fleet.ask(name):
            return Rest(reason=Reason.IN_FLIGHT, until=None)
        return action

    async def tell(self, call: Told) -> bool:
        """Count a call that an application made. False where it is on record already."""
        request = request_of(call, uuid4().hex)

        def keep(ledger: Ledger) -> bool:
            if call.prediction_id is None:
                around = ledger.uses(call.model, call.created_at - SLACK, request_end + SLACK)
                ours = ledger.known_beats(use.id for use in around)
                if is_known(call, (use for use in around if use.id not in ours and not is_nameless(use.id))):
                    return False
            return ledger.tell(request)

        request_end = call.completed_at or call.created_at
        is_new = await self._desk.do(keep)
        for account in self._fleet.accounts:
            account.sights.forget(call.model)
        if is_new:
            self._fleet.called(call.model)
        return is_new

    async def try_file(self, text: bytes) -> Trial:
        """What the file with that `text` would change. Nothing of it is applied."""
        return await self._trials.run(text, self._fleet.spec)

    def stamp(self) -> datetime:
        """Now, by the clock of the file's own account."""
        return self._clock.now() + self._fleet.accounts.own.provider.skew

    async def close(self) -> None:
        """Leave what is under way."""
        self._trials.close()
        await self._answers.close()

    def _now(self, model: ModelSpec, overrides: Overrides, told: Warmth | None) -> ModelNow:
        return ModelNow(
            model=model.name,
            policy=model.policy,
            next_at=self._fleet.next_at(model.name),
            reason=self._fleet.reason(model.name),
            override=binding(overrides.of(model.name), self._clock.now()),
            warmth=told,
        )

    def _named(self, name: str) -> ModelSpec:
        model = self._fleet.spec.model(name)
        if model is None:  # it left the file while somebody asked
            raise KeyError(name)
        return model

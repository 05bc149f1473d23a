"""Reads customers' calls from the account's prediction list: one reader for all models, only what is new."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from warmer.core.beat import Prediction, Request, Use
from warmer.core.observe import concerns, judged, request_of
from warmer.core.past import Past
from warmer.core.spec import ModelSpec
from warmer.core.state import RUNNING_AT_MOST
from warmer.core.verdict import JUST_ENDED
from warmer.engine.contracts import Contracts
from warmer.engine.desk import Desk
from warmer.engine.readings import Readings
from warmer.errors import ModelRefused, Unavailable
from warmer.log import Event, get
from warmer.ports import RECENT_AT_MOST, UNMETERED, Clock, Ledger, Meter, Provider

FRESH_S = 2.0
"""A reading this young is not repeated: models that come due together share one."""
_HOUR = timedelta(hours=1)
_LOOK_BACK = _HOUR
"""How far the first reading goes. Older activity keeps no model warm."""
_OVERLAP = timedelta(seconds=5)
"""Read again with each reading: the list need not be in step with the clock to the second."""


class Traffic:
    """Brings the ledger's record of customers' calls up to date."""

    def __init__(
        self,
        provider: Provider,
        desk: Desk,
        clock: Clock,
        contracts: Contracts,
        models: Callable[[], Sequence[ModelSpec]],
        *,
        readings: Readings,
        called: Callable[[str], None] = lambda name: None,
        meter: Meter = UNMETERED,
    ) -> None:
        self._provider, self._desk, self._clock, self._contracts = provider, desk, clock, contracts
        self._models, self._called, self._meter = models, called, meter
        self._readings = readings
        self._turn = asyncio.Lock()
        self._blind = False

    async def refresh(self, max_age_s: float = FRESH_S) -> None:
        """Read what is new unless that was done within `max_age_s`.

        Where the list alone cannot be read, beats go on without it and that is said once. Raises what concerns the
        whole account.
        """
        async with self._turn:
            turn = await self._readings.begin(max_age_s)
            if turn is None:
                return
            newest = turn.newest
            try:
                newest = await self._read(turn.newest)
            except (Unavailable, ModelRefused) as exc:  # no model was asked for: it is the list that is refused
                if not self._blind:
                    get().warning(Event.TRAFFIC_FAILED, error=str(exc))
                self._blind = True
            except BaseException:
                await self._readings.give_up(turn)
                raise
            else:
                if self._blind:
                    get().info(Event.TRAFFIC_RESUMED)
                self._blind = False
            await self._readings.end(turn, newest)

    async def _read(self, start: datetime | None) -> datetime | None:
        """Bring in what was created since `start`. Returns the creation of the newest that was seen."""
        horizon = self._clock.now() + self._provider.skew - _LOOK_BACK
        seen = start
        if start is None:
            known = await self._desk.do(lambda ledger: ledger.newest_request_at())
            start = max(horizon, known) if known is not None else horizon
        oldest = start - RUNNING_AT_MOST
        unfinished = await self._desk.do(lambda ledger: ledger.open_requests(oldest))
        since = min([start - _OVERLAP, *(call.created_at for call in unfinished)])
        listed = await self._provider.recent(since)
        if len(listed) >= RECENT_AT_MOST:
            hint = f"`warmer backfill --since {math.ceil((listed[0].created_at - since) / _HOUR)}h` brings them in"
            get().warning(Event.TRAFFIC_MISSED, since=since, until=listed[-1].created_at, hint=hint)
        ours = await self._desk.do(lambda ledger: ledger.known_beats(p.id for p in listed))
        strangers = sorted((p for p in listed if p.id not in ours), key=lambda p: p.created_at)
        for spec in self._models():
            if spec.traffic:
                version = self._contracts.version(spec.target)
                calls = [p for p in strangers if concerns(p, spec, version)]
                if calls:
                    await self._record(spec, calls)
        return max([start, *(p.created_at for p in listed)]) if listed else seen

    async def _record(self, spec: ModelSpec, calls: Sequence[Prediction]) -> None:
        def record(ledger: Ledger) -> tuple[int, list[Request]]:
            first, last = calls[0].created_at, calls[-1].created_at
            known = {use.id: use for use in ledger.uses(spec.name, first - JUST_ENDED, last)}
            facts = _facts(ledger, spec.name, calls, known)
            ended = [call for call in facts if not call.status.is_open and _was_open(known.get(call.prediction_id))]
            return ledger.add_requests(facts), ended

        new, ended = await self._desk.do(record)
        self._meter.calls(ended)
        if new:
            self._called(spec.name)


def _was_open(known: Use | None) -> bool:
    return known is None or known.status.is_open


def _facts(ledger: Ledger, model: str, calls: Sequence[Prediction], known: Mapping[str, Use]) -> list[Request]:
    """`calls`, oldest first, each judged against what was going on when it came. `known`: the uses on record then."""
    first = calls[0].created_at
    uses = {**known, **{call.id: Use.of(call) for call in calls}}
    past = Past(sorted(uses.values(), key=lambda use: use.created_at), ledger.last_activity_before(model, first))
    warm_waits, salt = ledger.history(model).warm_waits, ledger.salt()
    return [judged(request_of(call, model, salt), past, warm_waits) for call in calls]

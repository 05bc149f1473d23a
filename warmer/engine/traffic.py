"""Reads customers' calls from the account's prediction list: one reader for all models, only what is new."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from math import inf

from warmer.core.beat import Prediction, Request, Status, Use
from warmer.core.observe import concerns, judged, request_of
from warmer.core.past import Past
from warmer.core.spec import ModelSpec
from warmer.core.standing import Backoff
from warmer.core.state import RUNNING_AT_MOST
from warmer.core.told import SLACK, is_nameless, twins
from warmer.engine.contracts import Contracts
from warmer.engine.desk import Desk
from warmer.engine.readings import Readings
from warmer.engine.sights import Sights
from warmer.engine.versions import Versions
from warmer.errors import ModelRefused, Unavailable
from warmer.log import Event, get
from warmer.ports import RECENT_AT_MOST, UNMETERED, Clock, Ledger, Meter, Provider

FRESH_S = 2.0
"""A reading this young is not repeated: models that come due together share one."""
_HOUR = timedelta(hours=1)
_LOOK_BACK = _HOUR
"""How far the first reading goes. Older activity keeps no model warm."""
_BLIND = Backoff(first=timedelta(seconds=10), longest=timedelta(minutes=10))
"""For how long the list is left alone after failures: one that hangs must not hold up beat after beat."""
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
        sights: Sights,
        called: Callable[[str], None] = lambda name: None,
        meter: Meter = UNMETERED,
        before: Traffic | None = None,
    ) -> None:
        """`before`: who read until now. That the list cannot be read is said once, whoever finds it."""
        self._provider, self._desk, self._clock = provider, desk, clock
        self._models, self._called, self._meter = models, called, meter
        self._readings, self._sights = readings, sights
        self._versions = Versions(desk, contracts)
        self._seen_at: float | None = None  # monotonic
        self._turn = asyncio.Lock()
        self._failures: int = 1 if before is not None and before._failures else 0  # in a row
        self._blind_until = -inf  # by the monotonic clock

    @property
    def read_at(self) -> float | None:
        """When the last reading that is known to be over began: as long as it is the same, no more calls are known."""
        return self._readings.read_at

    async def refresh(self, max_age_s: float = FRESH_S) -> None:
        """Read what is new unless that was done within `max_age_s`.

        Where the list alone cannot be read, beats go on without it, for longer with each failure, and that is said
        once. Raises what concerns the whole account.
        """
        async with self._turn:
            if self._clock.monotonic() < self._blind_until:
                return
            begun = self._clock.monotonic()
            turn = await self._readings.begin(max_age_s)
            if turn is None:
                self._seen_at = max(self._seen_at or 0.0, begun - max_age_s)
                return
            newest = turn.newest
            try:
                newest = await self._read(turn.newest)
            except (Unavailable, ModelRefused) as exc:  # no model was asked for: it is the list that is refused
                self._failures += 1
                pause = _BLIND.pause(self._failures, jitter=0.0)
                self._blind_until = self._clock.monotonic() + pause.total_seconds()
                if self._failures == 1:
                    get().warning(Event.TRAFFIC_FAILED, error=str(exc))
            except BaseException:
                await self._readings.give_up(turn)
                raise
            else:
                self._seen_at = begun
                if self._failures:
                    get().info(Event.TRAFFIC_RESUMED)
                self._failures = 0
            await self._readings.end(turn, newest)

    @property
    def unseen_s(self) -> float | None:
        """Seconds since the list was last read, at most; None where it was not."""
        return None if self._seen_at is None else self._clock.monotonic() - self._seen_at

    async def _read(self, start: datetime | None) -> datetime | None:
        """Bring in what was created since `start`. Returns the creation of the newest that was seen."""
        horizon = self._clock.now() + self._provider.skew - _LOOK_BACK
        seen = start
        if start is None:
            known = await self._desk.do(lambda ledger: ledger.newest_request_at(horizon))
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
        models = self._models()
        going_to = {spec.name: await self._versions.going_to(spec, strangers) for spec in models if spec.traffic}
        for spec in models:
            if spec.traffic:
                calls = [p for p in strangers if concerns(p, spec, going_to[spec.name])]
                if calls:
                    await self._record(spec, calls)
        await self._versions.saw(strangers, models, going_to, self._clock.now() + self._provider.skew)
        return max([start, *(p.created_at for p in listed)]) if listed else seen

    async def _record(self, spec: ModelSpec, calls: Sequence[Prediction]) -> None:
        def record(ledger: Ledger) -> tuple[int, list[Request]]:
            first, last = calls[0].created_at, max(calls[-1].created_at, self._clock.now() + self._provider.skew)
            known = {use.id: use for use in ledger.uses(spec.name, first - SLACK, last)}
            if nameless := [use for use in known.values() if is_nameless(use.id)]:
                told = twins(nameless, [call for call in calls if call.id not in known])
                ledger.forget_told(spec.name, told)
                known = {name: use for name, use in known.items() if name not in told}
            facts = _facts(ledger, spec.name, calls, known)
            ended = [call for call in facts if _has_ended(call, known.get(call.prediction_id))]
            return ledger.add_requests(facts), ended

        new, ended = await self._desk.do(record)
        self._meter.calls(ended)
        self._sights.forget(spec.name)
        if new:
            self._called(spec.name)


def _has_ended(call: Request, known: Use | None) -> bool:
    """Whether the end of `call` is news. One that was only told has not been seen to end."""
    if call.status.is_open or known is None:
        return not call.status.is_open
    return known.status.is_open or (known.status is Status.UNKNOWN and call.status is not Status.UNKNOWN)


def _facts(ledger: Ledger, model: str, calls: Sequence[Prediction], known: Mapping[str, Use]) -> list[Request]:
    """`calls`, oldest first, each judged against what was going on when it came. `known`: the uses on record then."""
    before = ledger.before(model, calls[0].created_at)
    uses = {**known, **{call.id: Use.of(call) for call in calls}}
    past = Past(sorted(uses.values(), key=lambda use: use.created_at), before.last_activity)
    salt = ledger.salt()
    return [judged(request_of(call, model, salt), past, before.warm_waits) for call in calls]

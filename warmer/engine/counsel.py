"""What takes long to work out and nobody waits for: advice, and policies compared, kept for an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, TypeVar, cast

from warmer.core.board import Compared, Counsel, Point
from warmer.core.spec import Spec
from warmer.engine.aside import Aside
from warmer.engine.desk import Desk
from warmer.ports import Clock, Ledger

GOOD_FOR_S = 3600.0
WITHIN_S = 60.0
"""One such work may take: what it has not come to by then is left to the command."""
_ENOUGH_S = 30.0
"""Beyond that, no further model is begun."""
_AGAIN_S = 300.0
"""After a failure: the page looks every other second."""
_WAITING_AT_MOST = 8
PAINTED_S = 2.0
"""What takes long begins so much after a look: who looks has the processors first, and sees the page."""
_BACK, _TUNED = timedelta(days=28), timedelta(days=56)
"""What `advise` and `tune` look back by default."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept:
    at: float  # monotonic
    spec: Spec
    work: asyncio.Task[Any]


class Counsellor:
    """Has it worked out aside from the daemon, one thing after another, where somebody looks at it."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk, self._clock = desk, clock
        self._aside = Aside.with_ledger()
        self._kept = dict[tuple[str, ...], _Kept]()

    def counsel(self, spec: Spec, names: Sequence[str]) -> Counsel | None:
        """What `advise` says of those models; None where it is not known yet, and is being worked out."""

        async def work(ledger: Ledger) -> Counsel:
            now = self._clock.now()
            try:
                return await self._aside.do(_advise, ledger, spec, tuple(names), now, within_s=WITHIN_S)
            except TimeoutError:
                return Counsel(at=now, advised=(), models=len(names), why="it takes too long to be worked out here")

        return self._at_hand(("counsel", *names), spec, work)

    def compared(self, spec: Spec, name: str) -> Compared | None:
        """What `tune` finds of that model, the same."""

        async def work(ledger: Ledger) -> Compared:
            now = self._clock.now()
            try:
                return await self._aside.do(_compare, ledger, spec, name, now, within_s=WITHIN_S)
            except TimeoutError:
                return Compared(at=now, why="it takes too long to be worked out here; `warmer tune` does")

        return self._at_hand(("compared", name), spec, work)

    def close(self) -> None:
        """Leave what is under way."""
        self._aside.close()
        for kept in self._kept.values():
            kept.work.cancel()

    def _at_hand(self, key: tuple[str, ...], spec: Spec, work: Callable[[Ledger], Awaitable[T]]) -> T | None:
        at = self._clock.monotonic()
        self._kept = {
            one: kept for one, kept in self._kept.items() if not kept.work.done() or at - kept.at < GOOD_FOR_S
        }
        kept = self._kept.get(key)
        if kept is not None and not kept.work.done():
            return None
        if kept is not None and kept.spec is spec:
            if not kept.work.cancelled() and kept.work.exception() is None:
                return cast("T", kept.work.result())
            if at - kept.at < _AGAIN_S:
                return None
        if sum(not one.work.done() for one in self._kept.values()) < _WAITING_AT_MOST:
            self._kept[key] = _Kept(at, spec, asyncio.create_task(self._begin(work)))
        return None

    async def _begin(self, work: Callable[[Ledger], Awaitable[T]]) -> T:
        await self._clock.sleep(PAINTED_S)
        return await work(await self._desk.do(lambda ledger: ledger))  # which is opened anew elsewhere


def _advise(ledger: Ledger, spec: Spec, names: Sequence[str], now: datetime) -> Counsel:
    from warmer.engine.advising import advisor, last_on_record

    begun, end = monotonic(), last_on_record(ledger, spec) or now
    advised_of, found = advisor(ledger, spec, now, end - _BACK, end), []
    for entry in filter(None, map(spec.model, names)):
        if monotonic() - begun > _ENOUGH_S:
            break
        found.append(advised_of(entry))
    why = None if len(found) == len(names) else "the others take too long to be worked out here"
    return Counsel(at=now, advised=tuple(found), models=len(names), why=why)


def _compare(ledger: Ledger, spec: Spec, name: str, now: datetime) -> Compared:
    from warmer.core.tune import Standing, tune
    from warmer.engine.advising import traffic_on_record
    from warmer.engine.hosts import hosts_of

    entry = spec.model(name)
    if entry is None:
        raise KeyError(name)
    tuned = tune(entry, traffic_on_record(ledger, spec, _TUNED, [entry]).get(name), hosts_of(ledger, now)(entry))

    def point(one: Standing) -> Point:
        return Point(
            policy=one.policy,
            hours=" + ".join(one.entry.hours.lines),
            is_now=one is tuned.now,
            is_suggested=one is tuned.suggested,
            beats_a_day=one.days.beats_a_day,
            usd_a_day=one.cost_usd_a_day,
            cold_share=one.days.cold_share,
        )

    stood = () if tuned.now is None else (*tuned.tried, tuned.now)
    return Compared(at=now, why=tuned.why, calls=tuned.calls, days=tuned.days, points=tuple(map(point, stood)))

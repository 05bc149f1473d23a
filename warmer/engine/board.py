"""What the page shows, made so that beats go on: in small parts, or in another process. It is kept for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from warmer.core.avoided import Avoided
from warmer.core.beat import Verdict
from warmer.core.board import (
    MODELS_A_PAGE,
    WEEK,
    Calls,
    Counsel,
    EventsView,
    ModelView,
    MoneyView,
    Overview,
    Step,
    Tally,
    narrowed,
)
from warmer.core.idle_timeout import REMEMBERED
from warmer.core.now import ModelNow
from warmer.core.override import Kind
from warmer.core.spec import ModelSpec, Spec
from warmer.engine import board_views as views
from warmer.engine.board_views import File, Shown
from warmer.engine.console import Console
from warmer.engine.counsel import PAINTED_S, Counsellor
from warmer.engine.desk import Desk
from warmer.engine.fleet import Fleet
from warmer.engine.journal import Journal
from warmer.engine.reader import Reader
from warmer.errors import LedgerError
from warmer.ports import Clock, Ledger

GOOD_FOR_S = 2.0
"""However many look, the ledger is asked once in that time."""
_SLOWLY_S = 60.0
"""The same of figures of a week over all models, and of what takes long to work out."""
_AT_A_TIME = 5
_FINDS, _CALLS = 100, 500
"""More of them are gone through in another process: in this one, beats would have to wait for it."""
_TALLIED_EVERY_S = 10.0
"""How often many models are counted, while somebody looks: those that are shown are looked at each time."""
_FEW = 4 * MODELS_A_PAGE
"""Of so many models, each is counted each time, and views are made here: this process has the time for it."""
_PATIENCE_S, _AT_HAND_S = 0.1, 0.01
"""A page does not wait longer for what its next refresh will have; of many models that has not begun by then."""
_QUICK, _SLOW = 1, 10
"""How much less important than a beat views are: those that somebody waits for, and what takes long."""
T = TypeVar("T")


class Board:
    """Implements the `Board` port."""

    def __init__(self, fleet: Fleet, desk: Desk, clock: Clock, console: Console, journal: Journal) -> None:
        self._fleet, self._desk, self._clock = fleet, desk, clock
        self._console, self._journal = console, journal
        self._counsellor = Counsellor(desk, clock)
        # What takes long is read by another one: nobody waits for it.
        self._reader, self._slow = Reader(desk, niceness=_QUICK), Reader(desk, niceness=_SLOW)
        self._dearest: tuple[str, ...] = ()
        self._tallied: Tally | None = None
        self._kept: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    def follow(self) -> AbstractContextManager[asyncio.Queue[dict[str, Any] | None]]:
        """The lines of the log from now on."""
        return self._journal.follow()

    async def overview(self, draw: Callable[[Overview], T], find: str = "", page: int = 1) -> T:
        """The models whose name has `find`, a page of them."""
        return await self._once(("overview", draw, find, page), GOOD_FOR_S, lambda: self._overview(draw, find, page))

    async def model(self, draw: Callable[[ModelView], T], name: str) -> T:
        """One model of the file."""
        return await self._once(("model", draw, name), GOOD_FOR_S, lambda: self._model(draw, name))

    async def money(self, draw: Callable[[MoneyView], T]) -> T:
        """What all models cost."""
        counsel = self._counsel()
        # The same for all who look, until there is advice.
        drawn, self._dearest = await self._once(
            ("money", draw, counsel and counsel.at), _SLOWLY_S, lambda: self._money(draw, counsel)
        )
        if counsel is None:
            self._counsel()  # it is begun: which models cost the most is known now
        return drawn

    async def events(self, draw: Callable[[EventsView], T]) -> T:
        """What happened lately."""
        return await self._once(("events", draw), GOOD_FOR_S, lambda: self._events(draw))

    @property
    def file(self) -> str:
        """The name of the file in force."""
        return Path(self._fleet.spec.path).name

    def close(self) -> None:
        """Leave what is being worked out."""
        self._reader.close()
        self._slow.close()
        self._counsellor.close()

    # -- each view ---------------------------------------------------------------------------------------------------

    async def _overview(self, draw: Callable[[Overview], T], find: str, page: int) -> T:
        spec = self._fleet.spec
        found = [model.name for model in spec.models if find.casefold() in model.name.casefold()]
        page = min(max(page, 1), max(1, -(-len(found) // MODELS_A_PAGE)))
        names = found[(page - 1) * MODELS_A_PAGE : page * MODELS_A_PAGE]
        for start in range(0, len(names), _AT_A_TIME):
            await self._console.warmth(names[start : start + _AT_A_TIME])  # what is shown is looked at
        nows = await self._console.overview(frozenset(names))
        file = self._file(spec)
        make = partial(
            views.overview,
            file=file,
            shown=[one for now in nows if (one := self._shown(now, spec)) is not None],
            tally=await self._tally(spec),
            weeks=await self._soon(self._once("weeks", _SLOWLY_S, lambda: self._weeks(file.at))),
            find=find,
            found=len(found),
            page=page,
        )
        return await self._view(make, draw)

    async def _begin_reader(self, work: Callable[[Ledger], Any]) -> None:
        """Have it there for the next who looks. It has done such work by then: the first time takes longest."""
        await self._clock.sleep(PAINTED_S)
        await self._reader.do(work)

    async def _model(self, draw: Callable[[ModelView], T], name: str) -> T:
        spec, detail = self._fleet.spec, await self._console.model(name)
        shown = self._shown(detail.now, spec)
        if shown is None:
            raise KeyError(name)
        file, entry = self._file(spec), shown.entry
        stepping = self._once(("steps", name), _SLOWLY_S, lambda: self._steps(name))
        sparing = self._once(("spared", name), _SLOWLY_S, lambda: self._spared(entry, file))
        steps, spared = await asyncio.gather(self._soon(stepping), self._soon(sparing))
        make = partial(
            views.model,
            file=file,
            shown=shown,
            detail=detail,
            steps=steps,
            spared=spared,
            compared=self._counsellor.compared(spec, name),
        )
        return await self._view(make, draw)

    async def _money(self, draw: Callable[[MoneyView], T], counsel: Counsel | None) -> tuple[T, tuple[str, ...]]:
        file = self._file(self._fleet.spec)
        make = partial(views.money, file=file, counsel=counsel)
        return await self._view(make, partial(views.with_dearest, draw, file.models), takes_long=True)

    async def _events(self, draw: Callable[[EventsView], T]) -> T:
        said = self._journal.lines[-views.EVENTS :]
        return await self._view(partial(views.events, file=self._file(self._fleet.spec), said=said), draw)

    async def _view(
        self, make: Callable[[views.Read], Awaitable[Any]], draw: Callable[[Any], T], *, takes_long: bool = False
    ) -> T:
        """What `draw` makes of what `make` puts together; of many models in another process."""
        work = partial(views.drawn, make, draw)
        if self._is_large and (takes_long or self._reader.is_at_hand):
            return await (self._slow if takes_long else self._reader).do(work)
        if self._is_large:
            # A process takes a second to begin. This one has the view in less, in small parts.
            beginning = self._once("reader", GOOD_FOR_S, lambda: self._begin_reader(work))
            asyncio.ensure_future(beginning).add_done_callback(_heard)
        return await asyncio.to_thread(draw, await make(self._desk.do))

    # -- parts of them -----------------------------------------------------------------------------------------------

    @property
    def _is_large(self) -> bool:
        return len(self._fleet.spec.models) > _FEW

    def _file(self, spec: Spec) -> File:
        return File(
            at=self._clock.now(),
            name=Path(spec.path).name,
            zone=spec.zone,
            caps=spec.caps,
            models=tuple(model.name for model in spec.models),
        )

    def _shown(self, now: ModelNow, spec: Spec) -> Shown | None:
        entry = spec.model(now.model)
        if entry is None:
            return None
        learning = self._fleet.accounts.of(entry).learning
        return Shown(now=now, entry=entry, idle_timeout=learning.idle_timeout(now.model) if entry.traffic else None)

    def _counsel(self) -> Counsel | None:
        """The advice on the models that cost the most, as far as these are known."""
        spec = self._fleet.spec
        dearest = [name for name in self._dearest if spec.model(name) is not None]
        return self._counsellor.counsel(spec, dearest) if dearest else None

    async def _tally(self, spec: Spec) -> Tally | None:
        """Of few models as they are now; of many as they were some seconds ago, and None before they were counted."""
        if len(spec.models) <= _FEW:
            return await self._count(spec)
        counting = self._once("tally", _TALLIED_EVERY_S, lambda: self._count(spec, after_s=PAINTED_S))
        if self._tallied is None:
            return await self._soon(counting)
        asyncio.ensure_future(counting).add_done_callback(_heard)
        return self._tallied

    async def _count(self, spec: Spec, *, after_s: float = 0.0) -> Tally:
        if after_s:
            await self._clock.sleep(after_s)
        nows, now = await self._console.overview(), self._clock.now()
        closed = 0
        for start in range(0, len(spec.models), MODELS_A_PAGE):
            closed += sum(not entry.hours.contains(now) for entry in spec.models[start : start + MODELS_A_PAGE])
            await asyncio.sleep(0)
        verdicts = [one.warmth.verdict for one in nows if one.warmth is not None]
        paused = sum(one.override is not None and one.override.kind is Kind.PAUSE for one in nows)
        self._tallied = Tally(
            warm=verdicts.count(Verdict.WARM), cold=verdicts.count(Verdict.COLD), paused=paused, closed=closed
        )
        return self._tallied

    async def _weeks(self, now: datetime) -> tuple[Calls, Calls] | None:
        work = partial(views.weeks, now)
        return await (self._apart(work) if self._is_large else self._desk.do(work))

    async def _steps(self, name: str) -> tuple[Step, ...] | None:
        if not self._is_large:
            finds = await self._desk.do(lambda ledger: ledger.evidence(name, limit=REMEMBERED))
            if len(finds) <= _FINDS:
                return await asyncio.to_thread(narrowed, finds)
        return await self._apart(partial(views.steps, name))

    async def _spared(self, entry: ModelSpec, file: File) -> Avoided | None:
        learned = self._fleet.accounts.of(entry).learning.learned(entry.name)
        make = partial(views.spared, entry=entry, learned=learned, now=file.at, zone=file.zone)
        if not self._is_large:
            count = await self._desk.do(partial(views.calls_since, entry.name, file.at - WEEK, file.zone))
            if count <= _CALLS:
                return await make(self._desk.do)
        return await self._apart(partial(views.drawn, make, _as_it_is))

    async def _apart(self, work: Callable[[Ledger], T]) -> T | None:
        """What `work` finds in the ledger, in another process; None where it finds nothing in time."""
        if self._is_large:
            await self._clock.sleep(PAINTED_S)
        try:
            return await self._slow.do(work)
        except LedgerError:
            return None

    async def _soon(self, work: Awaitable[T]) -> T | None:
        """What `work` gives; None where that takes longer than a page waits: its next refresh has it."""
        working = asyncio.ensure_future(work)
        working.add_done_callback(_heard)
        done, _ = await asyncio.wait({working}, timeout=_AT_HAND_S if self._is_large else _PATIENCE_S)
        return working.result() if done else None

    # -- kept for a moment -------------------------------------------------------------------------------------------

    async def _once(self, key: Hashable, good_for_s: float, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives, or has given within `good_for_s`, or is about to give."""
        at = self._clock.monotonic()
        kept = self._kept.get(key)
        if kept is None or (kept[1].done() and (at - kept[0] > good_for_s or kept[1].exception() is not None)):
            self._kept = {
                one: (since, future)
                for one, (since, future) in self._kept.items()
                if not future.done() or at - since <= _SLOWLY_S
            }
            kept = self._kept[key] = (at, asyncio.ensure_future(work()))
            kept[1].add_done_callback(_heard)
        return cast("T", await asyncio.shield(kept[1]))


def _heard(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()  # whoever waits for it is told; where nobody does any more, it is no matter


def _as_it_is(found: T) -> T:
    return found

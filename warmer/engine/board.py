"""What the page shows, read from the ledger in small parts, so that beats go on in between, and kept for a moment."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from warmer.core.avoided import BEFORE, Avoided, avoided
from warmer.core.beat import Request, Verdict
from warmer.core.board import (
    MODELS_A_PAGE,
    MONTH,
    WEEK,
    Budget,
    Calls,
    Day,
    EventsView,
    Line,
    ModelView,
    MoneyView,
    Overview,
    Step,
    Tally,
    by_hour,
    by_week_hour,
    narrowed,
    open_by_week_hour,
)
from warmer.core.budget import Cap, Limit, Period, Spending, limits, runs_out_at, window
from warmer.core.idle_timeout.belief import REMEMBERED
from warmer.core.insight import Percentiles
from warmer.core.now import ModelNow
from warmer.core.override import Kind, windows
from warmer.core.rollup import BeatSums, CallSums, hour_of, in_days
from warmer.core.spec import ModelSpec, Spec
from warmer.core.spent import Warming, spent_by_reason, usd_a_day
from warmer.core.waits import Waits
from warmer.engine.aside import Aside
from warmer.engine.console import Console
from warmer.engine.counsel import Counsellor
from warmer.engine.desk import Desk
from warmer.engine.fleet import Fleet
from warmer.engine.journal import Journal
from warmer.engine.overriding import Overriding
from warmer.ports import Clock, Ledger

GOOD_FOR_S = 2.0
"""However many look, the ledger is asked once in that time."""
_SLOWLY_S = 60.0
"""The same of figures of a week over all models, and of what takes long to work out."""
_LINES = 5
"""Models read at a time."""
_WAITS_SHOWN = 40
_MET_SHOWN = 2000
_FINDS, _CALLS = 100, 500
"""More of them are gone through in a process aside: in this one, beats would have to wait for it."""
_ASIDE_S = 60.0
"""It may take so long there."""
_TALLIED_EVERY_S = 10.0
"""How often many models are counted, while somebody looks: those that are shown are looked at each time."""
_FEW = 4 * MODELS_A_PAGE
"""So many are counted each time."""
_PATIENCE_S = 0.1
"""A page does not wait longer for what its next refresh will have."""
_REPLAYED = 20_000
"""Calls of a week: more are not replayed for a page."""
_EVENTS = 200
T = TypeVar("T")


class Board:
    """Implements the `Board` port."""

    def __init__(self, fleet: Fleet, desk: Desk, clock: Clock, console: Console, journal: Journal) -> None:
        self._fleet, self._desk, self._clock = fleet, desk, clock
        self._console, self._journal = console, journal
        self._overriding = Overriding()
        self._counsellor = Counsellor(desk, clock)
        self._aside = Aside()
        self._tallied: Tally | None = None
        self._kept: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    def follow(self) -> AbstractContextManager[asyncio.Queue[dict[str, Any] | None]]:
        """The lines of the log from now on."""
        return self._journal.follow()

    async def overview(self, find: str = "", page: int = 1) -> Overview:
        """The models whose name has `find`, a page of them."""
        return await self._once(("overview", find, page), GOOD_FOR_S, lambda: self._overview(find, page))

    async def model(self, name: str) -> ModelView:
        """One model of the file."""
        return await self._once(("model", name), GOOD_FOR_S, lambda: self._model(name))

    async def money(self) -> MoneyView:
        """What all models cost."""
        view, spec = await self._once("money", _SLOWLY_S, self._money), self._fleet.spec
        usd = defaultdict[str, Decimal](Decimal)
        for one in view.spent:
            usd[one.model] += one.known_usd
        dearest = sorted((model.name for model in spec.models), key=lambda name: -usd[name])[:MODELS_A_PAGE]
        counsel = self._counsellor.counsel(spec, dearest)

        async def counselled() -> MoneyView:
            return replace(view, counsel=counsel)

        # The same view for all who look: it is drawn once.
        return await self._once(("money", view.at, counsel and counsel.at), _SLOWLY_S, counselled)

    async def events(self) -> EventsView:
        """What happened lately."""
        return await self._once("events", GOOD_FOR_S, self._events)

    @property
    def file(self) -> str:
        """The name of the file in force."""
        return Path(self._fleet.spec.path).name

    def close(self) -> None:
        """Leave what is being worked out."""
        self._aside.close()
        self._counsellor.close()

    # -- each view ---------------------------------------------------------------------------------------------------

    async def _overview(self, find: str, page: int) -> Overview:
        spec, now = self._fleet.spec, self._clock.now()
        found = [model.name for model in spec.models if find.casefold() in model.name.casefold()]
        page = min(max(page, 1), max(1, -(-len(found) // MODELS_A_PAGE)))
        names = found[(page - 1) * MODELS_A_PAGE : page * MODELS_A_PAGE]
        for start in range(0, len(names), _LINES):
            await self._console.warmth(names[start : start + _LINES])  # what is shown is looked at
        shown = await self._console.overview(frozenset(names))
        lines = list[Line]()
        for start in range(0, len(shown), _LINES):
            lines += await self._desk.do(partial(self._lines, shown[start : start + _LINES], spec, now))
        weeks = await self._soon(self._once("weeks", _SLOWLY_S, self._weeks))
        tally = await self._tally(spec)
        today, month = await self._desk.do(lambda ledger: _spent(ledger, None, spec, now))
        return Overview(
            at=now,
            zone=spec.zone,
            file=Path(spec.path).name,
            models=len(spec.models),
            tally=tally,
            week=weeks and weeks[0],
            week_before=weeks and weeks[1] - weeks[0],
            today=today,
            month=month,
            is_capped_today=_cap(spec, None, Period.DAILY) is not None,
            is_capped_month=_cap(spec, None, Period.MONTHLY) is not None,
            find=find,
            found=len(found),
            page=page,
            lines=tuple(lines),
        )

    async def _model(self, name: str) -> ModelView:
        spec, now = self._fleet.spec, self._clock.now()
        entry = spec.model(name)
        if entry is None:
            raise KeyError(name)
        zone, since = entry.hours.zone, hour_of(now - MONTH)
        stepping = asyncio.ensure_future(self._once(("steps", name), _SLOWLY_S, lambda: self._steps(name)))
        stepping.add_done_callback(_heard)
        detail = await self._console.model(name)
        (line,) = await self._desk.do(partial(self._lines, [detail.now], spec, now))
        met = await self._desk.do(lambda ledger: ledger.met(now - WEEK, limit=_MET_SHOWN, model=name))
        calls = await self._desk.do(lambda ledger: ledger.call_sums(since, spec.zone, model=name))
        beats = await self._desk.do(lambda ledger: ledger.beat_sums(since, spec.zone, model=name))
        spells = await self._desk.do(lambda ledger: ledger.floor_spells(since))
        floored = [
            warming
            for spell in spells
            if spell.model == name
            for warming in Warming.of_floor(spell, since, now, spec.zone)
        ]
        warmings = [*map(Warming.of, in_days(beats, spec.zone)), *floored]
        spared = await self._soon(
            self._once(("avoided", name), _SLOWLY_S, lambda: self._avoided(entry, beats, calls, floored, now))
        )
        steps = await self._soon(stepping)
        week_ago = now - WEEK
        return ModelView(
            at=now,
            file=Path(spec.path).name,
            entry=entry,
            detail=detail,
            line=line,
            met=met,
            beats_by_hour=by_hour([one for one in beats if one.begins >= week_ago]),
            calls_by_hour=by_hour([one for one in calls if one.begins >= week_ago]),
            week_of_calls=by_week_hour(calls, zone, MONTH / WEEK),
            week_open=open_by_week_hour(entry.hours.windows(now, now + WEEK), zone),
            steps=steps,
            spent=spent_by_reason(warmings, models=[name], zone=spec.zone, by_day=True),
            days=_days(now, spec),
            avoided=spared,
            compared=self._counsellor.compared(spec, name),
        )

    async def _money(self) -> MoneyView:
        spec, now = self._fleet.spec, self._clock.now()
        since = hour_of(now - MONTH)
        warmings = list[Warming]()
        begins = since
        while begins < now:  # a day at a time: of a thousand models that is not long
            _, ends = window(Period.DAILY, begins, spec.zone)
            sums = await self._desk.do(partial(_beat_totals, since=begins, until=ends))
            warmings += map(Warming.of, sums)
            begins = ends
        spells = await self._desk.do(lambda ledger: ledger.floor_spells(since))
        warmings += [one for spell in spells for one in Warming.of_floor(spell, since, now, spec.zone)]
        week = [one for one in warmings if one.ends >= now - WEEK]
        today, month = await self._desk.do(lambda ledger: _spent(ledger, None, spec, now))
        asked = limits(spec.caps, now, spec.zone)
        spendings = list[Spending]()
        for start in range(0, len(asked), MODELS_A_PAGE):
            batch = asked[start : start + MODELS_A_PAGE]
            spendings += await self._desk.do(lambda ledger, batch=batch: ledger.spendings(batch, now))  # type: ignore[misc] # bound now
        paces = await asyncio.to_thread(
            lambda: {
                model: usd_a_day(week, model, now=now) for model in {None, *(one.limit.cap.model for one in spendings)}
            }
        )
        names = [model.name for model in spec.models]
        spent = await asyncio.to_thread(spent_by_reason, warmings, models=names, zone=spec.zone, by_day=True)
        _, month_ends = window(Period.MONTHLY, now, spec.zone)
        return MoneyView(
            at=now,
            zone=spec.zone,
            file=Path(spec.path).name,
            days=_days(now, spec),
            spent=spent,
            today=today,
            month=month,
            month_ends=month_ends,
            usd_a_day=paces[None],
            budgets=tuple(
                Budget(
                    spending=one,
                    usd_a_day=paces[one.limit.cap.model],
                    runs_out_at=runs_out_at(one, paces[one.limit.cap.model], now),
                )
                for one in spendings
            ),
        )

    async def _events(self) -> EventsView:
        spec, now = self._fleet.spec, self._clock.now()
        met = await self._desk.do(lambda ledger: ledger.met(now - WEEK, limit=_EVENTS, only_cold_calls=True))
        return EventsView(
            at=now, zone=spec.zone, file=Path(spec.path).name, said=self._journal.lines[-_EVENTS:], met=met
        )

    # -- parts of them -----------------------------------------------------------------------------------------------

    def _lines(self, nows: Sequence[ModelNow], spec: Spec, now: datetime, ledger: Ledger) -> list[Line]:
        with ledger.at_one_instant():
            return [line for one in nows if (line := self._line(one, spec, now, ledger)) is not None]

    def _line(self, one: ModelNow, spec: Spec, now: datetime, ledger: Ledger) -> Line | None:
        entry = spec.model(one.model)
        if entry is None:
            return None
        begins, ends = window(Period.DAILY, now, entry.hours.zone)
        sums = ledger.call_sums(hour_of(now - WEEK), spec.zone, model=one.model)
        waits = Percentiles.of_waits(Waits.sum(sum_.waits for sum_ in sums))
        today, _ = _spent(ledger, entry, spec, now)
        overrides = self._overriding.read(ledger).of(one.model)
        return Line(
            now=one,
            zone=entry.hours.zone,
            last_beat=ledger.latest_beat(one.model),
            week=Calls.of(sums),
            wait_p50_s=waits.p50,
            wait_p95_s=waits.p95,
            today=today,
            is_capped=_cap(spec, entry, Period.DAILY) is not None,
            idle_timeout=self._fleet.accounts.of(entry).learning.idle_timeout(one.model) if entry.traffic else None,
            day=Day(
                begins=begins,
                ends=ends,
                windows=windows(entry, overrides, begins, ends),
                marks=ledger.marks(one.model, begins),
                beats=sum(sum_.beats for sum_ in ledger.beat_sums(begins, spec.zone, model=one.model)),
                calls=sum(sum_.calls for sum_ in sums if sum_.begins >= begins),
            ),
            waits=ledger.met(now - WEEK, limit=_WAITS_SHOWN, model=one.model),
        )

    async def _tally(self, spec: Spec) -> Tally | None:
        """Of few models as they are now; of many as they were some seconds ago, and None before they were counted."""
        if len(spec.models) <= _FEW:
            return await self._count(spec)
        counting = self._once("tally", _TALLIED_EVERY_S, lambda: self._count(spec))
        if self._tallied is None:
            return await self._soon(counting)
        asyncio.ensure_future(counting).add_done_callback(_heard)
        return self._tallied

    async def _count(self, spec: Spec) -> Tally:
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

    async def _weeks(self) -> tuple[Calls, Calls]:
        now = self._clock.now()

        def read(ledger: Ledger) -> tuple[Calls, Calls]:
            with ledger.at_one_instant():  # the one is part of the other
                week, two_weeks = (ledger.call_counts(now - span) for span in (WEEK, 2 * WEEK))
            return sum(week.values(), Calls()), sum(two_weeks.values(), Calls())

        return await self._desk.do(read)

    async def _steps(self, name: str) -> tuple[Step, ...] | None:
        finds = await self._desk.do(lambda ledger: ledger.evidence(name, limit=REMEMBERED))
        return await self._apart(len(finds) > _FINDS, narrowed, finds)

    async def _avoided(
        self,
        entry: ModelSpec,
        beats: Sequence[BeatSums],
        calls: Sequence[CallSums],
        floored: Sequence[Warming],
        now: datetime,
    ) -> Avoided | None:
        """What `report` tells of a week."""
        start, learned = now - WEEK, self._fleet.accounts.of(entry).learning.learned(entry.name)
        if sum(one.calls for one in calls if one.begins >= start) > _REPLAYED:
            return None

        def read(ledger: Ledger) -> list[Request]:
            return list(ledger.requests(since=start - BEFORE, model=entry.name))

        requests = await self._desk.do(read)
        warmings = [*(Warming.of(one) for one in beats if one.ends >= start), *floored]
        work = partial(avoided, start=start, end=now)
        return await self._apart(len(requests) > _CALLS, work, requests, warmings, learned)

    async def _apart(self, is_long: bool, work: Callable[..., T], *given: Any) -> T | None:
        """The result of `work(*given)`, which is worked out off the loop; None where it takes too long."""
        if not is_long:
            return await asyncio.to_thread(work, *given)
        try:
            return await self._aside.do(work, *given, within_s=_ASIDE_S)
        except TimeoutError:
            return None

    async def _soon(self, work: Awaitable[T]) -> T | None:
        """What `work` gives; None where that takes longer than a page waits: its next refresh has it."""
        working = asyncio.ensure_future(work)
        working.add_done_callback(_heard)
        done, _ = await asyncio.wait({working}, timeout=_PATIENCE_S)
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


def _beat_totals(ledger: Ledger, *, since: datetime, until: datetime) -> Sequence[BeatSums]:
    return ledger.beat_totals(since, until)


def _cap(spec: Spec, entry: ModelSpec | None, period: Period) -> Cap | None:
    """The cap of `entry` alone, or the one over all models; the tightest where there are several."""
    model = None if entry is None else entry.name
    caps = [cap for cap in (spec.caps if entry is None else entry.caps) if cap.model == model and cap.period is period]
    return min(caps, key=lambda cap: cap.usd, default=None)


def _spent(ledger: Ledger, entry: ModelSpec | None, spec: Spec, now: datetime) -> tuple[Spending, Spending]:
    """What counts against the daily and the monthly cap of `entry`, or of all; where there is none, against any."""
    model, zone = None if entry is None else entry.name, spec.zone
    asked = []
    for period in Period:
        start, end = window(period, now, zone)
        cap = _cap(spec, entry, period) or Cap(model=model, period=period, usd=Decimal(1))
        asked.append(Limit(cap=cap, start=start, end=end))
    today, month = ledger.spendings(asked, now)
    return today, month


def _days(now: datetime, spec: Spec) -> tuple[date, ...]:
    last = now.astimezone(spec.zone).date()
    return tuple(last - timedelta(days=back) for back in range(MONTH // timedelta(days=1), -1, -1))

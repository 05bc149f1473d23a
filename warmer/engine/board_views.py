"""The views of the page, put together from what the ledger has and what the daemon has in memory.

Each can be made in the daemon, in small parts so that beats go on in between, and at one go in another process.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from warmer.core.avoided import BEFORE, Avoided, avoided
from warmer.core.beat import Observation, Request
from warmer.core.board import (
    MODELS_A_PAGE,
    MONTH,
    WEEK,
    Budget,
    Calls,
    Compared,
    Counsel,
    Day,
    EventsView,
    Line,
    Met,
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
from warmer.core.idle_timeout import REMEMBERED, IdleTimeout
from warmer.core.insight import Percentiles
from warmer.core.learned import Learned
from warmer.core.now import ModelDetail, ModelNow
from warmer.core.override import Overrides, windows
from warmer.core.rollup import BeatSums, CallSums, hour_of, in_days
from warmer.core.spec import ModelSpec
from warmer.core.spent import Warming, spent_by_reason, usd_a_day
from warmer.core.waits import Waits
from warmer.engine.overriding import read_overrides
from warmer.ports import Ledger

_LINES = 5
"""Models read at a time."""
_WAITS_SHOWN = 40
_BOTH = (Period.DAILY, Period.MONTHLY)
_MET_SHOWN = 2000
_REPLAYED = 20_000
"""Calls of a week: more are not replayed for a page."""
EVENTS = 200
"""The last ones, of what was said and of what was met."""
T = TypeVar("T")


class Read(Protocol):
    """How a view comes to the ledger."""

    def __call__(self, work: Callable[[Ledger], T]) -> Awaitable[T]:
        """What `work` finds there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What a view needs of the file in force, and when it is of."""

    at: datetime
    name: str
    zone: ZoneInfo
    caps: tuple[Cap, ...]  # over all models, and each one's own
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A model that is shown, and what the daemon has in memory of it."""

    now: ModelNow
    entry: ModelSpec
    idle_timeout: IdleTimeout | None


def drawn(make: Callable[[Read], Awaitable[Any]], draw: Callable[[Any], T], ledger: Ledger) -> T:
    """What `draw` makes of the view that `make` puts together: at one go, in a process where nobody else waits."""

    # Not by `asyncio.run`: in a main thread it has the whole view put into words, for a signal that nobody sends.
    with closing(asyncio.new_event_loop()) as loop:
        return draw(loop.run_until_complete(make(_AtOnce(ledger))))


@dataclass(frozen=True, slots=True)
class _AtOnce:
    """Implements `Read` in a process where nobody else waits for the ledger."""

    ledger: Ledger

    async def __call__(self, work: Callable[[Ledger], T]) -> T:
        return work(self.ledger)


# -- each view -------------------------------------------------------------------------------------------------------


async def overview(
    read: Read,
    *,
    file: File,
    shown: Sequence[Shown],
    tally: Tally | None,
    weeks: tuple[Calls, Calls] | None,
    find: str,
    found: int,
    page: int,
) -> Overview:
    """The models that are `shown`, of the `found` whose name has `find`."""
    lines = list[Line]()
    for start in range(0, len(shown), _LINES):
        lines += await read(partial(_lines, shown[start : start + _LINES], file))
    today, month = await read(partial(_of_all, file))
    return Overview(
        at=file.at,
        zone=file.zone,
        file=file.name,
        models=len(file.models),
        tally=tally,
        week=weeks and weeks[0],
        week_before=weeks and weeks[1] - weeks[0],
        today=today,
        month=month,
        is_capped_today=_cap(file.caps, None, Period.DAILY) is not None,
        is_capped_month=_cap(file.caps, None, Period.MONTHLY) is not None,
        find=find,
        found=found,
        page=page,
        lines=tuple(lines),
    )


async def model(
    read: Read,
    *,
    file: File,
    shown: Shown,
    detail: ModelDetail,
    steps: tuple[Step, ...] | None,
    spared: Avoided | None,
    compared: Compared | None,
) -> ModelView:
    """One model."""
    name, zone = shown.entry.name, shown.entry.hours.zone
    since, week_ago = hour_of(file.at - MONTH), file.at - WEEK
    (line,) = await read(partial(_lines, [shown], file))
    met = await read(lambda ledger: ledger.met(week_ago, limit=_MET_SHOWN, model=name))
    calls = await read(lambda ledger: ledger.call_sums(since, file.zone, model=name))
    beats, floored = await _warmed(read, name, since, file.at, file.zone)
    warmings = [*map(Warming.of, in_days(beats, file.zone)), *floored]
    return ModelView(
        at=file.at,
        file=file.name,
        entry=shown.entry,
        detail=detail,
        line=line,
        met=met,
        beats_by_hour=by_hour([one for one in beats if one.begins >= week_ago]),
        calls_by_hour=by_hour([one for one in calls if one.begins >= week_ago]),
        week_of_calls=by_week_hour(calls, zone, MONTH / WEEK),
        week_open=open_by_week_hour(shown.entry.hours.windows(file.at, file.at + WEEK), zone),
        steps=steps,
        spent=spent_by_reason(warmings, models=[name], zone=file.zone, by_day=True),
        days=_days(file),
        avoided=spared,
        compared=compared,
    )


async def money(read: Read, *, file: File, counsel: Counsel | None) -> MoneyView:
    """What all models cost."""
    now, since = file.at, hour_of(file.at - MONTH)
    warmings = list[Warming]()
    begins = since
    while begins < now:  # a day at a time: of a thousand models that is not long
        _, ends = window(Period.DAILY, begins, file.zone)
        sums = await read(partial(_beat_totals, since=begins, until=ends))
        warmings += map(Warming.of, sums)
        begins = ends
    spells = await read(lambda ledger: ledger.floor_spells(since))
    warmings += [one for spell in spells for one in Warming.of_floor(spell, since, now, file.zone)]
    today, month = await read(partial(_of_all, file))
    asked = limits(file.caps, now, file.zone)
    spendings = list[Spending]()
    for start in range(0, len(asked), MODELS_A_PAGE):
        spendings += await read(partial(_spendings, asked[start : start + MODELS_A_PAGE], now))
    week = [one for one in warmings if one.ends >= now - WEEK]
    capped = {one.limit.cap.model for one in spendings}
    paces = await asyncio.to_thread(_paces, week, capped, now)
    spent = await asyncio.to_thread(spent_by_reason, warmings, models=file.models, zone=file.zone, by_day=True)
    _, month_ends = window(Period.MONTHLY, now, file.zone)
    return MoneyView(
        at=now,
        zone=file.zone,
        file=file.name,
        days=_days(file),
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
        counsel=counsel,
    )


def with_dearest(draw: Callable[[MoneyView], T], models: Iterable[str], view: MoneyView) -> tuple[T, tuple[str, ...]]:
    """What `draw` makes of the view, and a page of the `models`, those that cost the most first."""
    usd = defaultdict[str, Decimal](Decimal)
    for one in view.spent:
        usd[one.model] += one.known_usd
    return draw(view), tuple(sorted(models, key=lambda name: -usd[name])[:MODELS_A_PAGE])


async def events(read: Read, *, file: File, said: Sequence[dict[str, Any]]) -> EventsView:
    """What happened lately. `said`: the last lines of the log."""
    met: tuple[Met, ...] = await read(lambda ledger: ledger.met(file.at - WEEK, limit=EVENTS, only_cold_calls=True))
    return EventsView(at=file.at, zone=file.zone, file=file.name, said=tuple(said), met=met)


# -- parts of them ---------------------------------------------------------------------------------------------------


def weeks(now: datetime, ledger: Ledger) -> tuple[Calls, Calls]:
    """Customers' calls of the last week, and of the last two."""
    with ledger.at_one_instant():  # the one is part of the other
        week, two_weeks = (ledger.call_counts(now - span) for span in (WEEK, 2 * WEEK))
    return sum(week.values(), Calls()), sum(two_weeks.values(), Calls())


def steps(name: str, ledger: Ledger) -> tuple[Step, ...]:
    """How what is thought of that model's idle time-out has narrowed."""
    return narrowed(ledger.evidence(name, limit=REMEMBERED))


async def spared(
    read: Read, *, entry: ModelSpec, learned: Learned | None, now: datetime, zone: ZoneInfo
) -> Avoided | None:
    """What `report` tells of a week; None where there are too many calls to replay."""
    name, start = entry.name, now - WEEK
    since = hour_of(start)
    if await read(partial(calls_since, name, start, zone)) > _REPLAYED:
        return None
    beats, floored = await _warmed(read, name, since, now, zone)
    requests: list[Request] = await read(lambda ledger: list(ledger.requests(since=start - BEFORE, model=name)))
    warmings = [*(Warming.of(one) for one in beats if one.ends >= start), *floored]
    return await asyncio.to_thread(avoided, requests, warmings, learned, start=start, end=now)


def calls_since(name: str, since: datetime, zone: ZoneInfo, ledger: Ledger) -> int:
    """How many calls of that model there were from then on."""
    return sum(one.calls for one in ledger.call_sums(hour_of(since), zone, model=name) if one.begins >= since)


async def _warmed(
    read: Read, name: str, since: datetime, now: datetime, zone: ZoneInfo
) -> tuple[Sequence[BeatSums], Sequence[Warming]]:
    """What was done to keep that model warm: its beats, and what its floors held."""
    beats = await read(lambda ledger: ledger.beat_sums(since, zone, model=name))
    spells = await read(lambda ledger: ledger.floor_spells(since))
    held = [one for spell in spells if spell.model == name for one in Warming.of_floor(spell, since, now, zone)]
    return beats, held


def _lines(shown: Sequence[Shown], file: File, ledger: Ledger) -> list[Line]:
    with ledger.at_one_instant():
        overrides = read_overrides(ledger)
        asked = [_limit(Period.DAILY, one.entry.name, one.entry.caps, file) for one in shown]
        today = ledger.spendings(asked, file.at)
        return [_line(one, spent, file, overrides, ledger) for one, spent in zip(shown, today, strict=True)]


def _line(shown: Shown, today: Spending, file: File, overrides: Overrides, ledger: Ledger) -> Line:
    entry, name, now = shown.entry, shown.entry.name, file.at
    begins, ends = window(Period.DAILY, now, entry.hours.zone)
    sums: Sequence[CallSums] = ledger.call_sums(hour_of(now - WEEK), file.zone, model=name)
    waits = Percentiles.of_waits(Waits.sum(sum_.waits for sum_ in sums))
    last_beat: Observation | None = ledger.latest_beat(name)
    return Line(
        now=shown.now,
        zone=entry.hours.zone,
        last_beat=last_beat,
        week=Calls.of(sums),
        wait_p50_s=waits.p50,
        wait_p95_s=waits.p95,
        today=today,
        is_capped=_cap(entry.caps, name, Period.DAILY) is not None,
        idle_timeout=shown.idle_timeout,
        day=Day(
            begins=begins,
            ends=ends,
            windows=windows(entry, overrides.of(name), begins, ends),
            marks=ledger.marks(name, begins),
        ),
        waits=ledger.met(now - WEEK, limit=_WAITS_SHOWN, model=name),
    )


def _beat_totals(ledger: Ledger, *, since: datetime, until: datetime) -> Sequence[BeatSums]:
    return ledger.beat_totals(since, until)


def _spendings(asked: Sequence[Limit], now: datetime, ledger: Ledger) -> Sequence[Spending]:
    return ledger.spendings(asked, now)


def _paces(week: Sequence[Warming], models: Iterable[str | None], now: datetime) -> dict[str | None, Decimal]:
    """What a day costs in the mean of the `week`, by model; None: of all."""
    own = defaultdict[str | None, list[Warming]](list)
    for one in week:
        own[one.model].append(one)
    return {model: usd_a_day(week if model is None else own[model], model, now=now) for model in {None, *models}}


def _cap(caps: Iterable[Cap], model: str | None, period: Period) -> Cap | None:
    """The cap of that model alone, or the one over all; the tightest where there are several."""
    own = [cap for cap in caps if cap.model == model and cap.period is period]
    return min(own, key=lambda cap: cap.usd, default=None)


def _limit(period: Period, model: str | None, caps: Iterable[Cap], file: File) -> Limit:
    """The cap of a model, or of all, for that period; where there is none, any."""
    start, end = window(period, file.at, file.zone)
    cap = _cap(caps, model, period) or Cap(model=model, period=period, usd=Decimal(1))
    return Limit(cap=cap, start=start, end=end)


def _of_all(file: File, ledger: Ledger) -> Sequence[Spending]:
    """What counts against the caps over all models, or would: today, and this month."""
    return ledger.spendings([_limit(period, None, file.caps, file) for period in _BOTH], file.at)


def _days(file: File) -> tuple[date, ...]:
    last = file.at.astimezone(file.zone).date()
    return tuple(last - timedelta(days=back) for back in range(MONTH // timedelta(days=1), -1, -1))

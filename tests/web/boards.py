"""A board with one model of every kind on it, as values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from web.vitals import CHAT, NOON, beat

from warmer.core.advise import Advice, Advised
from warmer.core.avoided import Avoided
from warmer.core.beat import Reason, Verdict
from warmer.core.board import (
    Budget,
    Calls,
    Compared,
    Counsel,
    Day,
    EventsView,
    Line,
    Marks,
    Met,
    ModelView,
    MoneyView,
    Overview,
    Point,
    Step,
    Tally,
)
from warmer.core.budget import Cap, Limit, Period, Spending
from warmer.core.hours import ActiveHours
from warmer.core.idle_timeout import IdleTimeout
from warmer.core.now import ModelDetail, ModelNow
from warmer.core.override import Kind, Override
from warmer.core.price import FREE, Billing, Cost
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.spent import Spent
from warmer.core.warmth import Warmth
from warmer.core.waste import Finding, Waste
from warmer.core.ways import Option, Way

T = TypeVar("T")
ZONE = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
BEGINS, ENDS = NOON - 13 * HOUR, NOON + 11 * HOUR
EVIL = '</script><img src=x onerror="alert(1)">&\u202e'


def now_of(model: str, **changes: Any) -> ModelNow:
    told = ModelNow(
        model=model,
        policy=PolicyName.AWARE,
        next_at=NOON + timedelta(seconds=18),
        reason=Reason.RECENT_ACTIVITY,
        override=None,
        warmth=Warmth(model=model, probability=0.97, expected_wait_s=0.2, verdict=Verdict.WARM),
    )
    return replace(told, **changes)


def spending(usd: str, cap: str = "2", model: str | None = None, period: Period = Period.DAILY) -> Spending:
    limit = Limit(cap=Cap(model=model, period=period, usd=Decimal(cap)), start=BEGINS, end=ENDS)
    return Spending(limit=limit, settled_usd=Decimal(usd), reserved_usd=Decimal(0))


def met(model: str = CHAT, **changes: Any) -> Met:
    one = Met(
        model=model,
        at=NOON - HOUR,
        wait_s=0.02,
        gap_s=61.0,
        verdict=Verdict.WARM,
        reason=Reason.IDLE,
        status="succeeded",
        cost_usd=Decimal("0.0003"),
    )
    return replace(one, **changes)


FOUND = (
    met(),
    met(verdict=Verdict.COLD, wait_s=14.2, reason=None, gap_s=312.0),
    met(error=EVIL, verdict=Verdict.UNSURE),
)


def line(model: str, **changes: Any) -> Line:
    one = Line(
        now=now_of(model),
        zone=ZONE,
        last_beat=beat(model),
        week=Calls(calls=500, cold=4, unsure=0),
        wait_p50_s=0.02,
        wait_p95_s=0.9,
        today=spending("0.12"),
        is_capped=True,
        idle_timeout=replace(IdleTimeout.unknown(), band_s=(280.0, 310.0), gaps=41),
        day=Day(
            begins=BEGINS,
            ends=ENDS,
            windows=((BEGINS + 8 * HOUR, BEGINS + 20 * HOUR),),
            marks=Marks(
                beats=(NOON - HOUR,),
                calls=(NOON - 2 * HOUR,),
                cold=(NOON - 3 * HOUR,),
                beat_count=7,
                call_count=3,
            ),
        ),
        waits=FOUND,
    )
    return replace(one, **changes)


def spent(model: str, reason: str = "idle") -> Spent:
    usd = Decimal("0.25")
    return Spent(
        model=model, day=NOON.date(), reason=reason, count=9, cost=replace(FREE, usd=usd), known_usd=usd, unknown=0
    )


def compared() -> Compared:
    def point(policy: str, cold: float, **more: Any) -> Point:
        return Point(policy=policy, hours="24/7", beats_a_day=900.0, usd_a_day=Decimal("0.27"), cold_share=cold, **more)

    return Compared(
        at=NOON,
        why="sends 90 heartbeats a day in the place of 900",
        calls=480,
        days=21,
        points=(
            replace(point("observe", 0.31), beats_a_day=0.0, usd_a_day=Decimal(0)),
            point("aware", 0.004, is_now=True),
            replace(point("adaptive 2%", 0.018, is_suggested=True), beats_a_day=90.0, usd_a_day=Decimal("0.03")),
            point("adaptive 1%", 0.009),
        ),
    )


def advised(model: str) -> Advised:
    left = Option(way=Way.LEAVE_COLD, cost=Cost(usd=Decimal("3.10"), is_estimated=True), cold_share=0.31)
    beats = Option(way=Way.HEARTBEAT, cost=Cost(usd=Decimal("11.40"), is_estimated=True), cold_share=0.004)
    advice = Advice(
        model=model,
        billing=Billing.PUBLIC,
        now=Way.HEARTBEAT,
        calls=480,
        days=21,
        why=f"not worth warming: {EVIL}",
        is_learned=True,
        way=Way.LEAVE_COLD,
        options=(left, beats),
    )
    found = Finding(waste=Waste.UNUSED, why="nobody has called it for 15 days", write="take its entry out")
    return Advised(advice=advice, repeats=None, cache_saves_usd=None, findings=(found,))


class Shown:
    """Implements the `Board` port: the models of a console, some of them in a state of their own."""

    def __init__(self, *models: str) -> None:
        self.models, self.said = models, list[dict[str, Any]]()
        self.followers = list[asyncio.Queue[dict[str, Any] | None]]()

    async def overview(self, draw: Callable[[Overview], T], find: str = "", page: int = 1) -> T:
        lines = [line(name) for name in self.models if find in name]
        if lines:
            paused = Override(kind=Kind.PAUSE, since=NOON, until=None)
            lines[-1] = replace(
                lines[-1], now=now_of(lines[-1].now.model, override=paused, reason=Reason.PAUSED, warmth=None)
            )
        view = Overview(
            at=NOON,
            zone=ZONE,
            file="warmer.yaml",
            models=len(self.models),
            tally=Tally(warm=1, cold=1, paused=1, closed=0),
            week=Calls(calls=4812, cold=38, unsure=62),
            week_before=Calls(calls=100, cold=10, unsure=0),
            today=spending("0.41"),
            month=spending("7.10", "40", period=Period.MONTHLY),
            is_capped_today=True,
            is_capped_month=False,
            find=find,
            found=len(lines),
            page=page,
            lines=tuple(lines),
        )
        return draw(view)

    async def model(self, draw: Callable[[ModelView], T], name: str) -> T:
        view = ModelView(
            at=NOON,
            file="warmer.yaml",
            entry=ModelSpec(
                name=name,
                target=Target(kind=TargetKind.MODEL, owner="acme", name="chat"),
                hours=ActiveHours(lines=("Mo-Fr 08:00-20:00",), zone=ZONE),
            ),
            detail=ModelDetail(now=now_of(name), last_beat=beat(name), last_use=NOON, idle_timeout=None),
            line=line(name),
            met=FOUND,
            beats_by_hour={NOON: 3},
            calls_by_hour={NOON: 5},
            week_of_calls=tuple((0.5,) * 24 for _ in range(7)),
            week_open=tuple((1.0,) * 24 for _ in range(7)),
            steps=(Step(gap_s=60.0, cold=False, low_s=70.0, median_s=200.0, high_s=400.0),),
            spent=(spent(name),),
            days=(NOON.date() - timedelta(days=1), NOON.date()),
            avoided=Avoided(calls=100, unwarmed_cold=31, cold_starts=30.0, low=25.0, high=35.0, why="no price"),
            compared=compared(),
        )
        return draw(view)

    async def money(self, draw: Callable[[MoneyView], T]) -> T:
        view = MoneyView(
            at=NOON,
            zone=ZONE,
            file="warmer.yaml",
            days=(NOON.date() - timedelta(days=1), NOON.date()),
            spent=tuple(spent(name, reason) for name in self.models for reason in ("idle", "floor")),
            today=spending("0.41"),
            month=spending("7.10", "40", period=Period.MONTHLY),
            month_ends=ENDS,
            usd_a_day=Decimal("0.40"),
            budgets=(
                Budget(spending=spending("0.41"), usd_a_day=Decimal("0.4"), runs_out_at=None),
                Budget(spending=spending("2", model=self.models[0]), usd_a_day=Decimal("0.4"), runs_out_at=NOON),
            ),
            counsel=Counsel(at=NOON, advised=tuple(map(advised, self.models)), models=2),
        )
        return draw(view)

    @property
    def file(self) -> str:
        return "warmer.yaml"

    async def events(self, draw: Callable[[EventsView], T]) -> T:
        said = {"timestamp": "2026-11-24T11:00:00.000Z", "level": "error", "event": "config.rejected", "problem": EVIL}
        view = EventsView(at=NOON, zone=ZONE, file="warmer.yaml", said=(said,), met=FOUND)
        return draw(view)

    @contextmanager
    def follow(self) -> Iterator[asyncio.Queue[dict[str, Any] | None]]:
        lines = asyncio.Queue[dict[str, Any] | None]()
        self.followers.append(lines)
        try:
            yield lines
        finally:
            self.followers.remove(lines)

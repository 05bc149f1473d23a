"""What the page shows agrees with what the ledger has, is read in small parts, and is kept for a moment."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from engine.stage import BLIP, LLAMA, SDXL, START, Host, file_of, ledger_at, model

from warmer.charts.board import events_page, model_page, money_page, overview_page
from warmer.core.beat import Reason, Verdict
from warmer.core.board import EventsView, Line, ModelView, MoneyView, Overview, Tally
from warmer.core.spec import PolicyName
from warmer.core.why import WHY
from warmer.engine.board import GOOD_FOR_S, Board
from warmer.engine.counsel import PAINTED_S
from warmer.engine.daemon import Daemon
from warmer.engine.journal import WAITING_AT_MOST, Journal
from warmer.log import Event, configure, get
from warmer.sandbox.world import World
from warmer.testing import VirtualClock, VirtualSchedule, run

T = TypeVar("T")
MODELS = (model(LLAMA, every=50), model(SDXL, policy=PolicyName.ADAPTIVE), model(BLIP, policy=PolicyName.OBSERVE))


def itself(view: T) -> T:
    return view


def staged(db: Path, scene: Any, seconds: float = 2 * 3600) -> None:
    async def play() -> None:
        clock, world = VirtualClock(START), World(begin=START, seed=1)
        spec = file_of(*MODELS)
        daemon = Daemon(
            spec,
            load=lambda: spec,
            connect=lambda new: Host(world, clock, clock),
            ledger=ledger_at(db),
            clock=clock,
            schedule=VirtualSchedule,
        )
        serving = asyncio.ensure_future(daemon.run(watch=False, signals=False))

        async def visit() -> None:
            for _ in range(int(seconds // 600)):
                await clock.sleep(600)
                world.create(clock.now(), LLAMA, dict(world.model(LLAMA).default_example or {}), caller="customer")

        visiting = asyncio.ensure_future(visit())
        await clock.sleep(seconds)
        await visiting
        await scene(daemon._board, ledger_at(db), clock)
        daemon.stop()
        await serving

    run(play())


def test_figures_are_those_of_the_ledger_and_every_view_can_be_drawn(db: Path) -> None:
    async def scene(board: Board, ledger: Any, clock: VirtualClock) -> None:
        beats, calls = list(ledger.beats()), list(ledger.requests())
        view = await board.overview(itself)
        assert [line.now.model for line in view.lines] == [LLAMA, SDXL, BLIP]
        assert sum(line.day.marks.beat_count for line in view.lines) == len(beats)
        assert view.week is not None
        assert view.week_before is not None
        assert view.week.calls == sum(line.day.marks.call_count for line in view.lines) == len(calls) > 5
        assert view.week.cold == sum(call.verdict is Verdict.COLD for call in calls)
        assert view.week_before.calls == 0
        assert view.today.settled_usd == sum(beat.cost_usd for beat in beats)
        assert LLAMA in overview_page(view)

        one = await board.model(itself, LLAMA)
        own = [beat for beat in beats if beat.model == LLAMA]
        assert sum(one.beats_by_hour.values()) == len(own)
        assert sum(map(sum, one.week_of_calls)) * 4 == len(calls)
        assert sum(spent.known_usd for spent in one.spent) == sum(beat.cost_usd for beat in own)
        assert len(one.met) == len(own) + len(calls)
        assert one.steps is not None
        assert one.line.idle_timeout is not None
        assert one.steps[-1].median_s == pytest.approx(one.line.idle_timeout.median_s)
        assert "Why, lately" in model_page(one)

        money = await board.money(itself)
        assert sum(spent.known_usd for spent in money.spent) == view.today.settled_usd
        assert "this month" in money_page(money)
        assert "found cold" in events_page(await board.events(itself))
        assert (await board.overview(itself, find="SDXL")).found == 1
        with pytest.raises(KeyError):
            await board.model(itself, "acme/none")

    staged(db, scene)


def test_however_many_look_the_ledger_is_asked_once_for_a_moment(db: Path) -> None:
    async def scene(board: Board, ledger: Any, clock: VirtualClock) -> None:
        first, second = await asyncio.gather(board.overview(itself), board.overview(itself))
        assert first is second
        await clock.sleep(1)
        assert await board.overview(itself) is first
        await clock.sleep(2)
        assert (await board.overview(itself)).at - first.at == timedelta(seconds=3)

    staged(db, scene, seconds=60)


def test_many_models_are_counted_beside_the_view_and_not_each_time(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmer.engine.board._FEW", 0)

    async def scene(board: Board, ledger: Any, clock: VirtualClock) -> None:
        counted = list[Tally]()
        for _ in range(8):  # 3 s apart: each a view of its own
            view = await board.overview(itself)
            assert [line.now.model for line in view.lines] == [LLAMA, SDXL, BLIP]
            assert "of 3 warm" in overview_page(view)
            told = board._tallied
            if told is not None and not (counted and counted[-1] is told):
                counted.append(told)
            await clock.sleep(3)
        assert 2 <= len(counted) <= 4
        assert all(tally.warm + tally.cold <= 3 and tally.paused == tally.closed == 0 for tally in counted)

    staged(db, scene, seconds=60)


@pytest.mark.parametrize("few", [100, 0])
def test_advice_is_asked_of_the_dearest_and_of_models_that_cost_nothing_at_the_first_look(
    db: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr("warmer.engine.board._FEW", few)
    asked = list[tuple[str, ...]]()

    async def scene(board: Board, ledger: Any, clock: VirtualClock) -> None:
        monkeypatch.setattr(board._counsellor, "counsel", lambda spec, names: asked.append(tuple(names)))
        await board.money(itself)
        (names,) = asked
        assert set(names[:2]) == {LLAMA, SDXL}
        assert names[2:] == (BLIP,)  # it is observed alone

    staged(db, scene, seconds=600)


def test_views_of_many_models_are_made_in_another_process_and_are_the_same(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(board: Board, ledger: Any, clock: VirtualClock) -> None:
        async def seen() -> tuple[Overview, ModelView, MoneyView, EventsView]:
            await board.overview(itself)
            await board.model(itself, LLAMA)
            await asyncio.gather(*(future for _, future in board._kept.values()))
            for key in [key for key in board._kept if isinstance(key, tuple) and key[0] in ("overview", "model")]:
                del board._kept[key]  # what takes long is there by now
            return (
                await board.overview(itself),
                await board.model(itself, LLAMA),
                await board.money(itself),
                await board.events(itself),
            )

        here = await seen()
        board._kept.clear()
        with monkeypatch.context() as patch:
            patch.setattr("warmer.engine.board._FEW", 0)
            patch.setattr("warmer.engine.board.PAINTED_S", 0.0)
            there = await seen()
            assert LLAMA in await board.overview(overview_page)
            assert await board.events(_process) != os.getpid()
        assert list(map(still, there)) == list(map(still, here))

    nothing: Any = None

    def still(view: Any) -> Any:
        """Without what the daemon has in memory, and another moment changes."""
        if isinstance(view, Overview):
            return replace(view, tally=None, lines=tuple(map(still, view.lines)))
        if isinstance(view, ModelView):
            return replace(view, detail=nothing, line=still(view.line), compared=None)
        if isinstance(view, MoneyView):
            return replace(view, counsel=None)
        return replace(view, now=nothing, idle_timeout=None) if isinstance(view, Line) else view

    staged(db, scene)


def test_what_takes_long_of_many_models_begins_once_the_page_is_there(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.engine.board._FEW", 0)

    async def scene(board: Board, ledger: Any, clock: VirtualClock) -> None:
        asked = list[str]()
        monkeypatch.setattr(board._slow, "do", lambda work: asked.append(work) or _nothing())
        assert (await board.model(itself, LLAMA)).steps is None
        assert asked == []
        await clock.sleep(3)
        assert len(asked) == 2  # the steps, and what was spared

    staged(db, scene, seconds=600)


def test_the_first_look_at_many_models_does_not_wait_for_a_process_to_begin(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.engine.board._FEW", 0)

    async def scene(board: Board, ledger: Any, clock: VirtualClock) -> None:
        assert await board.overview(_drawn_by) == os.getpid()
        await clock.sleep(PAINTED_S)
        await asyncio.gather(*(future for _, future in board._kept.values()))
        await clock.sleep(GOOD_FOR_S)
        assert await board.overview(_drawn_by) != os.getpid()

    staged(db, scene, seconds=60)


async def _nothing() -> None:
    return None


def _process(_: EventsView) -> int:
    return os.getpid()


def _drawn_by(_: Overview) -> int:
    return os.getpid()


def test_who_follows_too_slowly_is_left_and_the_others_go_on(tmp_path: Path) -> None:
    async def scene() -> None:
        with (tmp_path / "log").open("w") as out:
            configure(stream=out, json=True, secrets=["hush-hush"])
            journal = Journal()
            with journal.kept(), journal.follow() as slow, journal.follow() as quick:
                for number in range(WAITING_AT_MOST + 1):
                    get().warning(Event.CONFIG_REJECTED, problem=f"hush-hush {number}")
                    await asyncio.sleep(0)
                    line = await quick.get()
                    assert line is not None
                    assert line["problem"] == f"*** {number}"
                told = [slow.get_nowait() for _ in range(slow.qsize())]
                assert told[-1] is None
                assert len(told) == WAITING_AT_MOST
                assert journal.lines[-1]["problem"] == f"*** {WAITING_AT_MOST}"
                get().info(Event.BEAT_DONE, model=LLAMA)
                await asyncio.sleep(0)
                assert (await quick.get() or {})["event"] == Event.BEAT_DONE
                assert journal.lines[-1]["event"] == Event.CONFIG_REJECTED  # the ledger has the beats
                journal.end()
                assert await quick.get() is None

    asyncio.run(scene())


def test_every_reason_is_said_in_words() -> None:
    assert set(WHY) == set(Reason)

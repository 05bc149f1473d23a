"""A deployment's floor over days, in virtual time: the whole daemon on the sandbox's world."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine.stage import ALWAYS, BLIP, START, Play, Stage, file_of, ledger_at, model, when

from warmer.core.beat import Reason
from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec, PolicyName, Spec, TargetKind
from warmer.errors import AccountRefused, CreditExhausted, ModelRefused, ProviderError, Throttled, Unavailable
from warmer.sandbox.world import World
from warmer.testing import run

pytestmark = pytest.mark.usefixtures("seldom_looks")

UPSCALER = "acme/upscaler"
UTC_ZONE = ZoneInfo("UTC")
HOUR = 3600.0
SOON = timedelta(seconds=2)


def hours(*lines: str, zone: str = "UTC") -> ActiveHours:
    return ActiveHours(lines=lines, zone=ZoneInfo(zone))


def floor(*lines: str, **more: Any) -> ModelSpec:
    """An entry of the sandbox's deployment, which begins with no floor and may have two instances."""
    plain: dict[str, Any] = {"hours": hours(*lines) if lines else ALWAYS, "name": "up", "kind": TargetKind.DEPLOYMENT}
    return model(UPSCALER, **{"policy": PolicyName.FLOOR, **plain, **more})


def events(lines: list[Any], *names: str) -> list[str]:
    return [line["event"] for line in lines if line["event"].startswith("floor.") and line["event"] not in names]


def least(play: Play | Stage) -> int:
    return play.world.deployment(UPSCALER).min_instances


def unwatched(db: Path, spec: Spec, **more: Any) -> Play:
    """A daemon whose file is never looked at: that is most of what one does in a week."""
    return Play(db, spec, watch=False, **more)


def by_hand(play: Play, instances: int) -> None:
    """As somebody does on the website."""
    play.world.release(play.true.now(), UPSCALER, min_instances=instances)


def changes(play: Play) -> list[tuple[datetime, int]]:
    return sorted(change for host in play.hosts for change in host.changes)


def world_with(instances: int, most: int = 3) -> World:
    world = World(begin=START, seed=1)
    world.release(START, UPSCALER, min_instances=instances, max_instances=most)
    return world


async def until(play: Play, seconds: float) -> None:
    await asyncio.sleep(max(0.0, seconds - play.true.monotonic()))


@pytest.mark.thorough
def test_for_a_week_it_is_up_in_the_hours_and_their_lead_and_as_it_was_outside(db: Path, lines: list[Any]) -> None:
    async def scene() -> list[tuple[datetime, int]]:
        spec = file_of(floor("Mo-Fr 08:00-12:00,13:00-17:00", lead=timedelta(minutes=5)))
        async with unwatched(db, spec) as play:
            await asyncio.sleep(7 * 24 * HOUR)
        return changes(play)

    made = run(scene())
    assert len(made) == 2 * 2 * 5 + 1  # it begins and ends in one and the same window
    for at, instances in made[1:]:
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        edges = ("07:55", "12:55") if instances else ("12:00", "17:00")
        due = [day + timedelta(hours=int(edge[:2]), minutes=int(edge[3:])) for edge in edges]
        assert any(edge <= at < edge + SOON for edge in due), at
    assert [instances for _, instances in made] == [*([1, 0] * 10), 1]
    assert events(lines, "floor.left") == [*(["floor.raised", "floor.lowered"] * 10), "floor.raised"]


@pytest.mark.parametrize(
    "day", ["2026-10-24", pytest.param("2027-03-27", marks=pytest.mark.thorough)]
)  # the days before daylight saving ends, and begins
def test_eight_o_clock_stays_eight_o_clock_when_the_clocks_change(db: Path, day: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat(f"{day}T00:00+00:00")

    async def scene() -> list[tuple[datetime, int]]:
        entry = floor("08:00-12:00", hours=hours("08:00-12:00", zone="Europe/Berlin"))
        async with unwatched(db, file_of(entry), start=start) as play:
            await asyncio.sleep(3 * 24 * HOUR)
        return changes(play)

    local = [(at.astimezone(berlin), instances) for at, instances in run(scene())]
    assert [(at.hour, at.minute, instances) for at, instances in local] == [(8, 0, 1), (12, 0, 0)] * 3


def test_hours_without_end_keep_it_raised_and_a_stop_says_what_it_leaves(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        async with unwatched(db, file_of(floor(instances=2))) as play:
            await asyncio.sleep(48 * HOUR)
        assert (least(play), len(changes(play))) == (2, 1)

    run(scene())
    left = lines[-2]
    assert (left["event"], left["deployment"], left["instances"], left["found"]) == ("floor.left", UPSCALER, 2, 0)


def test_no_beat_is_sent_and_every_tick_says_why(db: Path) -> None:
    async def scene() -> dict[Any, int]:
        stage = Stage(db, floor("Mo-Fr 09:00-12:00"))
        await stage.play(26 * HOUR)
        assert stage.beats() == []
        return stage.counted()

    assert run(scene()) == {Reason.FLOOR_HELD: 2, Reason.CLOSED: 1}


def test_what_is_there_already_is_left_as_it_is(db: Path) -> None:
    async def scene() -> None:
        async with unwatched(db, file_of(floor("Mo-Fr 09:00-12:00")), world=world_with(2)) as play:
            await asyncio.sleep(30 * HOUR)
        assert (least(play), changes(play)) == (2, [])

    run(scene())


def test_what_was_there_is_put_back_and_not_zero(db: Path) -> None:
    async def scene() -> None:
        async with unwatched(db, file_of(floor("Mo-Fr 09:00-12:00", instances=3)), world=world_with(1)) as play:
            await asyncio.sleep(HOUR)
            assert least(play) == 3
            await asyncio.sleep(3 * HOUR)
        assert (least(play), [n for _, n in changes(play)]) == (1, [3, 1])

    run(scene())


@pytest.mark.parametrize("theirs", [0, 2])
def test_a_change_by_somebody_else_is_respected_until_the_next_window_and_told_once(
    db: Path, lines: list[Any], theirs: int
) -> None:
    async def scene() -> None:
        async with unwatched(db, file_of(floor("Mo-Fr 09:00-12:00"))) as play:
            await until(play, HOUR)
            by_hand(play, theirs)
            await until(play, 23.9 * HOUR)  # past the closing, and up to the next opening
            assert (least(play), [n for _, n in changes(play)]) == (theirs, [1])
            await until(play, 25 * HOUR)
            assert least(play) == max(theirs, 1)
            await until(play, 28 * HOUR)
            assert least(play) == theirs  # which is now what was found

    run(scene())
    anew = [] if theirs else ["floor.raised", "floor.lowered"]
    assert events(lines) == ["floor.raised", "floor.overruled", *anew]
    told = next(line for line in lines if line["event"] == "floor.overruled")
    assert (told["instances"], told["found"], told["model"]) == (theirs, 0, "up")


@pytest.mark.parametrize(
    "after",
    [
        file_of(model(BLIP, policy=PolicyName.OBSERVE)),
        file_of(floor("Mo-Fr 09:00-12:00", policy=PolicyName.OBSERVE)),
        file_of(floor("Sa 09:00-12:00")),
    ],
    ids=["removed", "another policy", "other hours"],
)
def test_an_entry_that_asks_no_more_is_lowered_at_once(db: Path, after: Spec) -> None:
    async def scene() -> None:
        async with Play(db, file_of(floor("Mo-Fr 09:00-12:00"))) as play:
            await until(play, HOUR)
            assert least(play) == 1
            play.edit(after)
            await when(lambda: least(play) == 0)
            assert play.true.monotonic() < HOUR + 5

    run(scene())


def test_another_number_of_instances_is_followed_at_once(db: Path) -> None:
    async def scene() -> None:
        spec = file_of(floor("Mo-Fr 09:00-12:00"))
        async with Play(db, spec) as play:
            for instances in (2, 1):
                await asyncio.sleep(HOUR / 2)
                play.edit(replace(spec, models=(replace(spec.models[0], instances=instances),)))
                await when(lambda instances=instances: least(play) == instances)
            await until(play, 4 * HOUR)
            assert (least(play), [n for _, n in changes(play)]) == (0, [1, 2, 1, 0])

    run(scene())


@pytest.mark.parametrize("gone", [timedelta(minutes=1), timedelta(hours=5), timedelta(hours=50)], ids=str)
def test_what_a_dead_daemon_left_is_put_right_when_the_next_one_starts(db: Path, gone: timedelta) -> None:
    async def scene() -> None:
        spec = file_of(floor("Tu,Th 09:00-12:00"))
        async with unwatched(db, spec) as play:
            await until(play, HOUR)
        assert least(play) == 1
        await asyncio.sleep(gone.total_seconds())
        async with unwatched(db, spec, world=play.world, start=play.true.now()) as later:
            await asyncio.sleep(5)
            assert least(later) == int(spec.models[0].hours.contains(later.true.now()))
            await asyncio.sleep(4 * HOUR)
        assert least(later) == 0

    run(scene())


@pytest.mark.parametrize(
    ("error", "raised_within_s"),
    [
        (CreditExhausted("402"), 400),
        (AccountRefused("401"), 200),
        (ModelRefused("403", "hint"), 1000),
        (Unavailable("409"), 130),
        (Unavailable("503"), 130),
        (Throttled("429", timedelta(seconds=30)), 130),
    ],
    ids=str,
)
def test_a_refused_raise_is_said_once_and_made_up_for_once_it_is_taken(
    db: Path, lines: list[Any], error: ProviderError, raised_within_s: float
) -> None:
    async def scene() -> None:
        async with unwatched(db, file_of(floor("Mo-Fr 09:30-12:00"))) as play:
            play.hosts[0].refusing["set_minimum"] = error
            await until(play, 0.6 * HOUR)
            assert least(play) == 0
            del play.hosts[0].refusing["set_minimum"]
            await when(lambda: least(play) == 1)
            assert play.true.monotonic() < 0.6 * HOUR + raised_within_s
            await until(play, 4 * HOUR)
            assert least(play) == 0

    run(scene())
    assert events(lines) == ["floor.failed", "floor.raised", "floor.lowered"]
    said = [line["event"] for line in lines if line["event"] in ("account.paused", "model.disabled")]
    assert len(said) == (not isinstance(error, Unavailable))


@pytest.mark.parametrize(
    "error", [CreditExhausted("402"), ModelRefused("403", "hint"), Unavailable("409"), Unavailable("500")], ids=str
)
def test_a_refused_lowering_is_tried_every_minute_whatever_is_held(
    db: Path, lines: list[Any], error: ProviderError
) -> None:
    async def scene() -> None:
        async with unwatched(db, file_of(floor("Mo-Fr 09:00-10:00"))) as play:
            await until(play, 0.9 * HOUR)
            play.hosts[0].refusing["set_minimum"] = error
            await until(play, 5 * HOUR)
            assert least(play) == 1
            del play.hosts[0].refusing["set_minimum"]
            await when(lambda: least(play) == 0)
            assert play.true.monotonic() < 5 * HOUR + 65

    run(scene())
    assert events(lines) == ["floor.raised", "floor.failed", "floor.lowered"]


def test_a_reply_that_is_lost_is_looked_for_and_nothing_is_asked_twice(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        async with unwatched(db, file_of(floor("Mo-Fr 09:00-10:00"))) as play:
            play.hosts[0].losing_changes = 2
            await until(play, 2 * HOUR)
        assert [n for _, n in changes(play)] == [1, 0]

    run(scene())
    assert events(lines) == ["floor.raised", "floor.lowered"]


def test_more_than_the_deployment_may_have_disables_the_entry_with_what_to_do(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        async with unwatched(db, file_of(floor(instances=4))) as play:
            await until(play, HOUR)
        assert (least(play), changes(play)) == (0, [])

    run(scene())
    (told,) = (line for line in lines if line["event"] == "model.disabled")
    assert told["hint"] == "write `instances: 2`, or raise its max_instances"


def test_two_daemons_on_one_ledger_raise_once_and_lower_once(db: Path, lines: list[Any]) -> None:
    async def scene() -> None:
        spec = file_of(floor("Mo-Fr 09:00-12:00"))
        async with unwatched(db, spec) as one, unwatched(db, spec, world=one.world) as other:
            other.true = one.true
            await asyncio.sleep(24.5 * HOUR)
            assert least(one) == 1
        made = sorted([*changes(one), *changes(other)])
        assert [n for _, n in made] == [1, 0, 1]

    run(scene())
    assert events(lines, "floor.left") == ["floor.raised", "floor.lowered", "floor.raised"]


def test_a_request_that_arrives_after_another_process_has_ended_its_raise_is_put_back(db: Path) -> None:
    """The one stood still between writing down and asking, for longer than the window lasted."""

    async def scene() -> None:
        spec = file_of(floor("Mo-Fr 09:00-10:00"))
        async with unwatched(db, spec) as slow:
            slow.hosts[0].latency_s = 2 * HOUR  # of each request: nothing is heard of it before the closing
            await until(slow, HOUR)
            async with unwatched(db, spec, world=slow.world, start=slow.true.now()) as other:
                await asyncio.sleep(12 * HOUR)
                assert least(other) == 0

    run(scene())


def test_a_ledger_keeps_every_raise_with_its_span(db: Path) -> None:
    async def scene() -> None:
        async with unwatched(db, file_of(floor("Mo-Fr 09:00-10:00"))):
            await asyncio.sleep(24.5 * HOUR)

    run(scene())
    latest = ledger_at(db).floor(UPSCALER)
    assert latest is not None
    assert (latest.number, latest.ended_at, latest.begun_at.astimezone(UTC).hour) == (2, None, 9)

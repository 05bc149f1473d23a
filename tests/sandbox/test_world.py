from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.sandbox.catalogue import schema
from warmer.sandbox.inputs import InvalidInputError
from warmer.sandbox.instances import Life
from warmer.sandbox.predictions import Found, Prediction, Status
from warmer.sandbox.traits import Billing, Deployment, Kind, Traits, Version, version_id
from warmer.sandbox.world import Moment, NotThereError, World

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
OVERHEAD = 0.015
BOOT = 10.0
RUN = 2.0
IDLE = 60.0


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def model(name: str = "model", **changes: Any) -> Traits:
    """A model without any chance in it."""
    slug = f"acme/{name}"
    versions = tuple(
        Version(id=version_id(slug, number), created_at=BEGIN, openapi_schema=schema("hello-world"))
        for number in (2, 1)
    )
    exact = {"boot_spread": 0.0, "run_spread": 0.0, "overhead_spread": 0.0, "idle_timeout_spread": 0.0}
    usual = {"kind": Kind.GREETING, "hardware": "gpu-t4", "boot_s": BOOT, "run_s": RUN, "idle_timeout_s": IDLE}
    return Traits(owner="acme", name=name, versions=versions, **{**usual, "overhead_s": OVERHEAD, **exact, **changes})


def world(*models: Traits, deployments: tuple[Deployment, ...] = (), seed: int = 0) -> World:
    return World(begin=BEGIN, models=models or (model(),), deployments=deployments, seed=seed)


def deployment(**changes: Any) -> Deployment:
    usual = {"owner": "acme", "name": "dep", "model": "acme/model", "version": version_id("acme/model", 2)}
    return Deployment(**{**usual, "hardware": "gpu-t4", "min_instances": 0, "max_instances": 2, **changes})


def call(a_world: World, second: float, target: str = "acme/model", **changes: Any) -> Prediction:
    return a_world.create(at(second), target, {"text": "x"}, **{"caller": "me", **changes})


COLD_END = BOOT + OVERHEAD + RUN  # of a call at 0 that finds nothing up


# Warm and cold


def test_the_first_call_waits_for_a_whole_boot() -> None:
    a_world = world()
    prediction = call(a_world, 0)
    assert prediction.status is Status.STARTING
    a_world.advance(at(60))
    assert prediction.found is Found.COLD
    assert prediction.started_at == at(BOOT + OVERHEAD)
    assert prediction.completed_at == at(COLD_END)
    assert prediction.output == "hello x"


def test_a_call_during_a_boot_waits_for_the_rest_of_it_and_is_cold() -> None:
    a_world = world()
    call(a_world, 0)
    second = call(a_world, 6)
    a_world.advance(at(60))
    assert second.found is Found.COLD
    assert second.started_at == at(COLD_END + OVERHEAD)  # behind the first, one at a time
    assert len(a_world.journal.instances(a_world.now)) == 1


def test_a_call_on_an_idle_instance_is_warm() -> None:
    a_world = world()
    call(a_world, 0)
    second = call(a_world, 30)
    a_world.advance(at(60))
    assert second.found is Found.WARM
    assert second.wait == timedelta(seconds=OVERHEAD)


def test_a_call_queued_behind_a_running_one_is_warm_however_long_it_waits() -> None:
    a_world = world()
    call(a_world, 0)
    second = call(a_world, BOOT + 1)
    a_world.advance(at(60))
    assert second.found is Found.WARM
    assert second.wait is not None
    assert second.wait > timedelta(seconds=1)


@pytest.mark.parametrize(
    ("after_idle", "found"),
    [
        (timedelta(seconds=IDLE) - timedelta(microseconds=1), Found.WARM),
        (timedelta(seconds=IDLE), Found.COLD),
        (timedelta(seconds=IDLE) + timedelta(microseconds=1), Found.COLD),
    ],
)
def test_an_instance_is_up_until_its_idle_timeout_that_instant_excluded(after_idle: timedelta, found: Found) -> None:
    a_world = world()
    call(a_world, 0)
    second = a_world.create(at(COLD_END) + after_idle, "acme/model", {"text": "y"}, caller="me")
    a_world.advance(at(200))
    assert second.found is found


def test_activity_pushes_the_idle_timeout_away() -> None:
    a_world = world()
    for second in (0, 50, 100, 150):
        last = call(a_world, second)
    a_world.advance(at(160))
    assert last.found is Found.WARM
    assert len(a_world.journal.instances(a_world.now)) == 1


def test_another_version_runs_on_instances_of_its_own() -> None:
    a_world = world()
    call(a_world, 0)
    other = call(a_world, 30, version=version_id("acme/model", 1))
    a_world.advance(at(60))
    assert other.found is Found.COLD


def test_a_deployment_and_its_model_do_not_warm_each_other() -> None:
    a_world = world(deployments=(deployment(),))
    call(a_world, 0)
    through = call(a_world, 30, "acme/dep")
    a_world.advance(at(60))
    assert through.found is Found.COLD
    assert (through.target, through.model) == ("acme/dep", "acme/model")


def test_an_official_model_is_always_on_for_any_number_at_once() -> None:
    a_world = world(model(is_official=True, usd_per_output=Decimal("0.003")))
    all_at_once = [call(a_world, 0) for _ in range(20)]
    a_world.advance(at(60))
    assert {one.found for one in all_at_once} == {Found.WARM}
    assert {one.wait for one in all_at_once} == {timedelta(seconds=OVERHEAD)}
    assert all_at_once[0].version == "hidden"


def test_a_long_queue_boots_another_instance_up_to_the_ceiling() -> None:
    a_world = world(model(max_instances=2, queue_per_instance=2))
    made = [call(a_world, 0) for _ in range(7)]
    a_world.advance(at(60))
    assert len(a_world.journal.instances(a_world.now)) == 2
    assert sum(one.started_at == at(BOOT + OVERHEAD) for one in made) == 2


def test_an_instance_booted_for_a_queue_leaves_that_call_cold() -> None:
    a_world = world(model(max_instances=2, queue_per_instance=1, run_s=100.0))
    call(a_world, 0)
    call(a_world, BOOT + 1)
    third = call(a_world, BOOT + 2)  # two wait behind one that runs for 100 s: another instance boots
    a_world.advance(at(150))
    assert [one.found for one in a_world.journal.calls()] == [Found.COLD, Found.COLD, Found.WARM]
    assert third.found is Found.WARM  # it ran on the first instance, which was up when it came


# Ends


def test_a_deadline_before_the_start_aborts_and_the_boot_goes_on() -> None:
    a_world = world()
    first = call(a_world, 0, cancel_after=timedelta(seconds=5))
    second = call(a_world, 20)
    a_world.advance(at(60))
    assert (first.status, first.started_at, first.completed_at) == (Status.ABORTED, None, at(5))
    assert first.found is Found.COLD
    assert second.found is Found.WARM


def test_a_deadline_after_the_start_cancels() -> None:
    a_world = world()
    prediction = call(a_world, 0, cancel_after=timedelta(seconds=11))
    a_world.advance(at(60))
    assert (prediction.status, prediction.completed_at) == (Status.CANCELED, at(11))
    assert prediction.run == timedelta(seconds=11 - BOOT - OVERHEAD)


def test_a_deadline_after_the_end_changes_nothing() -> None:
    a_world = world()
    prediction = call(a_world, 0, cancel_after=timedelta(seconds=30))
    a_world.advance(at(60))
    assert prediction.status is Status.SUCCEEDED


def test_a_user_cancels_what_is_queued_and_what_runs_but_not_what_is_over() -> None:
    a_world = world()
    running, queued = call(a_world, 0), call(a_world, 1)
    assert a_world.cancel(at(2), queued.id).status is Status.CANCELED
    assert queued.started_at is None
    a_world.cancel(at(11), running.id)
    assert (running.status, running.completed_at) == (Status.CANCELED, at(11))
    assert a_world.cancel(at(12), running.id).completed_at == at(11)


def test_a_run_is_stopped_after_thirty_minutes() -> None:
    a_world = world(model(run_s=7200.0))
    prediction = call(a_world, 0)
    a_world.advance(at(7200))
    assert (prediction.status, prediction.run) == (Status.FAILED, timedelta(minutes=30))
    assert prediction.error


def test_a_planned_failure_ends_as_failed_with_its_text() -> None:
    a_world = world()
    a_world.fail_next("acme/model", "CUDA out of memory (code: E1001)")
    first, second = call(a_world, 0), call(a_world, 1)
    a_world.advance(at(60))
    assert (first.status, first.error, first.output) == (Status.FAILED, "CUDA out of memory (code: E1001)", None)
    assert second.status is Status.SUCCEEDED


def test_data_is_removed_an_hour_after_the_end() -> None:
    a_world = world()
    prediction = call(a_world, 0)
    a_world.advance(at(COLD_END + 3599))
    assert not prediction.data_removed
    a_world.advance(at(COLD_END + 3600))
    assert (prediction.data_removed, prediction.input, prediction.output) == (True, None, None)


# Bills


def test_a_public_model_bills_the_run_alone() -> None:
    a_world = world()
    call(a_world, 0)
    a_world.advance(at(600))
    assert a_world.journal.billed_usd(a_world.now) == Decimal("0.000225") * 2
    assert a_world.journal.instances(a_world.now)[0].billed_usd is None


def test_what_failed_or_was_aborted_on_a_public_model_is_free_and_what_was_canceled_costs_its_run() -> None:
    a_world = world()
    a_world.fail_next("acme/model", "no")
    failed, aborted = call(a_world, 0), call(a_world, 1, cancel_after=timedelta(seconds=5))
    canceled = call(a_world, 20)
    a_world.cancel(at(21), canceled.id)
    a_world.advance(at(60))
    assert [failed.billed_usd, aborted.billed_usd] == [0, 0]
    assert canceled.billed_usd == Decimal("0.000225") * Decimal("0.985")


@pytest.mark.parametrize("kept_by", ["private", "deployment"])
def test_a_private_model_and_a_deployment_bill_every_second_online(kept_by: str) -> None:
    a_world = world(model(private=kept_by == "private"), deployments=(deployment(),))
    target = "acme/model" if kept_by == "private" else "acme/dep"
    prediction = call(a_world, 0, target)
    a_world.advance(at(600))
    (stay,) = a_world.journal.instances(a_world.now)
    assert prediction.billed_usd is None
    assert stay.online == timedelta(seconds=COLD_END + IDLE)
    assert stay.active == timedelta(seconds=RUN)
    assert stay.billed_usd == Decimal("0.000225") * Decimal("72.015")
    assert a_world.journal.billed_usd(a_world.now) == stay.billed_usd


def test_an_instance_still_online_is_billed_up_to_now() -> None:
    a_world = world(deployments=(deployment(min_instances=1),))
    a_world.advance(at(3600))
    (stay,) = a_world.journal.instances(a_world.now)
    assert (stay.life, stay.billed_usd) == (Life.IDLE, Decimal("0.81"))


def test_an_official_model_bills_each_output_of_what_succeeded() -> None:
    flux = Traits(
        owner="acme",
        name="flux",
        kind=Kind.IMAGES,
        hardware="gpu-h100",
        is_official=True,
        usd_per_output=Decimal("0.003"),
        versions=(Version(id="f" * 64, created_at=BEGIN, openapi_schema=schema("flux-schnell")),),
    )
    a_world = world(flux)
    four = a_world.create(BEGIN, "acme/flux", {"prompt": "x", "num_outputs": 4}, caller="me")
    canceled = a_world.create(BEGIN, "acme/flux", {"prompt": "x"}, caller="me")
    a_world.cancel(at(0.1), canceled.id)
    a_world.advance(at(60))
    assert (four.billed_usd, canceled.billed_usd) == (Decimal("0.012"), Decimal(0))


def test_a_fast_booting_fine_tune_bills_the_run_even_where_private() -> None:
    a_world = world(model(private=True, fast_boot=True))
    prediction = call(a_world, 0)
    a_world.advance(at(60))
    assert (prediction.billing, prediction.billed_usd) == (Billing.FAST_BOOT, Decimal("0.00045"))


# Deployments


def test_a_floor_keeps_instances_up_beyond_their_idle_timeout() -> None:
    a_world = world(deployments=(deployment(min_instances=1),))
    late = call(a_world, 3600, "acme/dep")
    a_world.advance(at(3700))
    assert late.found is Found.WARM


def test_a_raised_floor_boots_and_a_lowered_one_lets_go_at_once() -> None:
    a_world = world(deployments=(deployment(),))
    assert a_world.release(at(0), "acme/dep", min_instances=2).number == 2
    a_world.advance(at(1000))
    assert [stay.life for stay in a_world.journal.instances(a_world.now)] == [Life.IDLE, Life.IDLE]
    assert a_world.release(at(1000), "acme/dep", min_instances=0).number == 3
    assert [stay.off_at for stay in a_world.journal.instances(a_world.now)] == [at(1000), at(1000)]


def test_an_instance_within_its_idle_timeout_outlives_the_floor() -> None:
    a_world = world(deployments=(deployment(min_instances=1),))
    call(a_world, 100, "acme/dep")
    a_world.release(at(110), "acme/dep", min_instances=0)
    a_world.advance(at(500))
    assert a_world.journal.instances(a_world.now)[0].off_at == at(100 + OVERHEAD + RUN + IDLE)


def test_a_new_release_brings_new_instances_and_the_old_ones_finish() -> None:
    a_world = world(deployments=(deployment(min_instances=1),))
    running = call(a_world, 50, "acme/dep")
    a_world.release(at(51), "acme/dep", hardware="gpu-l40s")
    a_world.advance(at(100))
    old, new = a_world.journal.instances(a_world.now)
    assert running.status is Status.SUCCEEDED
    assert (old.off_at, new.hardware, new.booted_at) == (running.completed_at, "gpu-l40s", at(51))


def test_a_removed_deployment_finishes_what_it_has_and_is_gone() -> None:
    a_world = world(deployments=(deployment(),))
    queued = call(a_world, 0, "acme/dep")
    a_world.undeploy(at(1), "acme/dep")
    with pytest.raises(NotThereError, match="acme/dep"):
        call(a_world, 2, "acme/dep")
    a_world.advance(at(60))
    assert queued.status is Status.SUCCEEDED
    assert a_world.journal.instances(a_world.now)[0].off_at == queued.completed_at


def test_a_deployment_without_instances_allowed_never_runs() -> None:
    a_world = world(deployments=(deployment(max_instances=0),))
    stuck = call(a_world, 0, "acme/dep", cancel_after=timedelta(minutes=10))
    a_world.advance(at(700))
    assert stuck.status is Status.ABORTED
    assert a_world.journal.instances(a_world.now) == []


# What is refused


def test_an_input_that_does_not_fit_creates_nothing() -> None:
    a_world = world()
    with pytest.raises(InvalidInputError) as refused:
        a_world.create(BEGIN, "acme/model", {}, caller="me")
    assert [(one.type, one.field, one.description) for one in refused.value.fields] == [
        ("required", "input", "text is required")
    ]
    assert a_world.journal.creates() == 0


def test_unknown_names_are_refused_with_those_there_are() -> None:
    a_world = world()
    with pytest.raises(NotThereError, match="there are acme/model"):
        call(a_world, 0, "acme/other")
    with pytest.raises(NotThereError, match="its latest is"):
        call(a_world, 0, version="f" * 64)
    with pytest.raises(NotThereError, match="ids come from"):
        a_world.cancel(BEGIN, "nothing")


def test_time_does_not_go_backwards() -> None:
    a_world = world()
    a_world.advance(at(10))
    with pytest.raises(ValueError, match="time went backwards"):
        call(a_world, 9)


# Journal


def test_the_journal_sums_by_target_and_caller() -> None:
    a_world = world(model(), model("other"))
    for second, target, caller in ((0, "acme/model", "a"), (20, "acme/model", "b"), (30, "acme/other", "a")):
        call(a_world, second, target, caller=caller)
    assert a_world.journal.running_now() == 1
    a_world.advance(at(60))
    journal = a_world.journal
    assert [(one.target, one.caller, one.calls, one.found_cold) for one in journal.totals()] == [
        ("acme/model", "a", 1, 1),
        ("acme/model", "b", 1, 0),
        ("acme/other", "a", 1, 1),
    ]
    assert journal.cold_share(target="acme/model") == 0.5
    assert journal.cold_share(caller="nobody") is None
    assert (journal.creates(), journal.creates(caller="a"), journal.running_now()) == (3, 2, 0)
    assert sum(one.billed_usd for one in journal.totals()) == journal.billed_usd(a_world.now)


def test_strangers_use_the_same_instances_but_are_not_in_the_list() -> None:
    a_world = world()
    stranger = call(a_world, 0, stranger=True)
    ours = call(a_world, 30)
    a_world.advance(at(60))
    assert ours.found is Found.WARM
    assert a_world.predictions() == [ours]
    assert a_world.journal.calls()[0].id == stranger.id


def test_listeners_hear_each_moment_at_its_instant() -> None:
    a_world, heard = world(), list[tuple[Moment, datetime]]()
    a_world.subscribe(lambda _, moment: heard.append((moment, a_world.now)))
    call(a_world, 0)
    a_world.advance(at(60))
    assert heard == [
        (Moment.CREATED, at(0)),
        (Moment.STARTED, at(BOOT + OVERHEAD)),
        (Moment.OVER, at(COLD_END)),
    ]


def test_a_published_version_is_the_latest_and_the_old_one_still_runs() -> None:
    a_world = world()
    old = a_world.model("acme/model").latest
    new = a_world.publish(BEGIN, "acme/model")
    assert a_world.model("acme/model").latest == new
    assert call(a_world, 0).version == new.id
    assert call(a_world, 0, version=old.id).version == old.id


# Chance


def _story(seed: int) -> str:
    a_world = World(begin=BEGIN, seed=seed)
    random, second = Random(7), 0.0
    targets = ["meta/meta-llama-3-8b-instruct", "acme/private-llm"]
    for number in range(200):
        second += random.expovariate(1 / 40)
        a_world.create(at(second), targets[number % 2], {"prompt": "hi"}, caller="me")
    a_world.advance(at(second + 3600))
    return f"{a_world.journal.calls()}{a_world.journal.instances(a_world.now)}"


def test_the_same_seed_tells_the_same_story_and_another_one_another() -> None:
    assert _story(1) == _story(1)
    assert _story(1) != _story(2)


def test_traffic_on_one_model_does_not_change_the_draws_of_another() -> None:
    quiet, busy = World(begin=BEGIN, seed=3), World(begin=BEGIN, seed=3)
    for second in range(0, 600, 7):
        busy.create(at(second), "replicate/hello-world", {"text": "x"}, caller="noise")
        if second % 70 == 0:
            for a_world in (quiet, busy):
                a_world.create(at(second), "acme/private-llm", {"prompt": "hi"}, caller="me")
    waits = []
    for a_world in (quiet, busy):
        a_world.advance(at(1200))
        waits.append([(one.wait, one.run) for one in a_world.journal.calls(target="acme/private-llm")])
    assert waits[0] == waits[1]


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 120), min_size=1, max_size=40),
    lives=st.lists(st.one_of(st.none(), st.integers(5, 40)), min_size=40, max_size=40),
    ceiling=st.integers(1, 3),
)
def test_whatever_comes_every_prediction_ends_and_every_second_is_accounted_for(
    gaps: list[int], lives: list[int | None], ceiling: int
) -> None:
    a_world, second = world(model(private=True, max_instances=ceiling)), 0
    for gap, life in zip(gaps, lives, strict=False):
        second += gap
        call(a_world, second, cancel_after=None if life is None else timedelta(seconds=life))
    a_world.advance(at(second + 3600))
    calls, stays = a_world.journal.calls(), a_world.journal.instances(a_world.now)
    assert all(one.status.over for one in calls)
    assert all(stay.life is Life.OFF for stay in stays)
    runs = sum((one.run for one in calls if one.run is not None), timedelta(0))
    assert runs == sum((stay.active for stay in stays), timedelta(0))
    assert all(stay.active <= stay.online for stay in stays)
    boundaries = sorted(
        [(stay.booted_at, 1) for stay in stays] + [(stay.off_at, -1) for stay in stays if stay.off_at is not None]
    )
    online = most = 0
    for _, step in boundaries:
        online += step
        most = max(most, online)
    assert most <= ceiling

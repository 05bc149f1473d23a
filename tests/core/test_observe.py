from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from warmer.core.beat import BeatKey, BeatRequest, OpenBeat, Prediction, Reason, Status, Use, Verdict
from warmer.core.history import Before
from warmer.core.hours import ActiveHours
from warmer.core.observe import concerns, judged, observe, request_of, unsent
from warmer.core.past import Past
from warmer.core.price import UNKNOWN, Billing, Cost, Price
from warmer.core.spec import ModelSpec, Target, TargetKind

CLAIMED = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CREATED = CLAIMED + timedelta(seconds=0.25)
T4 = Price(per_second=Decimal("0.000225"), source="gpu-t4@2026-11-18")
MODEL = Target(kind=TargetKind.MODEL, owner="meta", name="llama")
DEPLOYMENT = Target(kind=TargetKind.DEPLOYMENT, owner="acme", name="llama")
BEAT = OpenBeat(
    key=BeatKey(model="llama", slot=7),
    claimed_at=CLAIMED,
    policy="aware",
    reason=Reason.IDLE,
    request=BeatRequest(
        target=MODEL,
        version="f00",
        billing=Billing.PUBLIC,
        input={"prompt": "hi"},
        deadline=timedelta(minutes=10),
        price=T4,
    ),
    prediction_id="p",
)
DONE = Prediction(
    id="p",
    status=Status.SUCCEEDED,
    created_at=CREATED,
    started_at=CREATED + timedelta(seconds=0.1),
    completed_at=CREATED + timedelta(seconds=0.9),
    predict_s=0.5,
    model="meta/llama",
    version="f00",
)


def seen(prediction: Prediction = DONE, beat: OpenBeat = BEAT, **known: Any) -> Any:
    return observe(beat, prediction, Before(**known), kept_s=60.0)


def billed_as(billing: Billing, price: Price | None = T4) -> OpenBeat:
    return replace(BEAT, request=replace(BEAT.request, billing=billing, price=price))


def test_a_finished_beat_is_recorded_as_the_facts_of_it() -> None:
    observation = seen(last_activity=CREATED - timedelta(seconds=61.5))

    assert (observation.model, observation.prediction_id) == ("llama", "p")
    assert (observation.policy, observation.reason) == ("aware", Reason.IDLE)
    assert (observation.created_at, observation.started_at) == (CREATED, DONE.started_at)
    assert (observation.gap_s, observation.wait_s, observation.run_s) == (61.5, 0.1, 0.5)
    assert (observation.verdict, observation.status, observation.error) == (Verdict.WARM, Status.SUCCEEDED, None)
    assert (observation.cost_usd, observation.billing) == (Decimal("0.000112"), Billing.PUBLIC)
    assert observation.price == "0.000225/s gpu-t4@2026-11-18"


def test_a_gap_is_unknown_where_no_earlier_activity_is_and_never_negative() -> None:
    assert seen().gap_s is None
    assert seen(last_activity=CREATED).gap_s == 0
    assert seen(last_activity=CREATED + timedelta(seconds=5)).gap_s == 0


def test_a_cost_is_kept_with_its_class_and_how_it_is_known() -> None:
    exact, estimated, unknown = (
        seen(beat=billed_as(billing, price))
        for billing, price in ((Billing.PUBLIC, T4), (Billing.PRIVATE, T4), (Billing.PUBLIC, None))
    )

    assert (exact.billing, exact.cost) == (Billing.PUBLIC, Cost(usd=Decimal("0.000112")))
    assert estimated.cost == Cost(usd=Decimal("0.013612"), is_estimated=True)  # and the 60 s of idle time that it buys
    assert unknown.cost == UNKNOWN


def test_the_price_is_kept_only_where_it_was_used() -> None:
    assert seen(beat=billed_as(Billing.PUBLIC, None)).price is None
    assert seen(beat=billed_as(Billing.OFFICIAL)).price is None


def test_a_verdict_is_judged_in_company_and_against_what_is_typical() -> None:
    slow = replace(DONE, started_at=CREATED + timedelta(seconds=6), completed_at=CREATED + timedelta(seconds=7))
    running = Use.of(
        replace(DONE, id="other", created_at=CREATED - timedelta(seconds=9), started_at=CREATED - timedelta(seconds=8))
    )

    assert seen(slow).verdict is Verdict.COLD
    assert seen(slow, uses=[running]).verdict is Verdict.UNSURE
    assert seen(slow, warm_waits=(2.0, 2.0, 2.0)).verdict is Verdict.WARM


def test_a_beat_is_not_the_company_of_itself() -> None:
    booting = replace(DONE, started_at=CREATED + timedelta(seconds=60), completed_at=CREATED + timedelta(seconds=61))

    assert seen(booting, uses=[Use.of(replace(booting, started_at=None, completed_at=None))]).verdict is Verdict.COLD


def test_a_beat_that_certainly_never_left_cost_nothing() -> None:
    observation = unsent(BEAT, "no route", certain=True)

    assert (observation.cost_usd, observation.status, observation.error) == (0, Status.FAILED, "no route")
    assert observation.prediction_id is None
    assert observation.created_at == CLAIMED
    assert (observation.gap_s, observation.wait_s, observation.run_s) == (None, None, None)
    assert observation.verdict is Verdict.UNSURE


def test_a_beat_that_may_have_left_costs_nobody_knows_what() -> None:
    observation = unsent(BEAT, "no answer", certain=False)

    assert (observation.cost_usd, observation.status) == (None, Status.UNKNOWN)


def test_a_customers_call_is_recorded_as_the_facts_of_it() -> None:
    known = request_of(DONE, "llama")
    assert (known.gap_s, known.verdict) == (None, Verdict.UNSURE)
    call = judged(known, Past((), CREATED - timedelta(seconds=2)), ())

    assert (call.model, call.prediction_id, call.created_at) == ("llama", "p", CREATED)
    assert (call.gap_s, call.wait_s, call.run_s) == (2.0, 0.1, 0.5)
    assert (call.verdict, call.status) == (Verdict.WARM, Status.SUCCEEDED)


def test_of_a_customers_input_a_salted_hash_is_known_and_nothing_else() -> None:
    secret = replace(DONE, input={"prompt": "my secret", "seed": 1})
    call = request_of(secret, "llama", b"salt")
    assert call.input_hash is not None
    assert "my secret" not in repr(call)
    assert (
        call.input_hash
        == request_of(replace(DONE, input={"seed": 1, "prompt": "my secret"}), "llama", b"salt").input_hash
    )
    for other in (
        request_of(secret, "llama", b"pepper"),
        request_of(secret, "whisper", b"salt"),
        request_of(replace(DONE, input={"prompt": "my secret", "seed": 2}), "llama", b"salt"),
    ):
        assert other.input_hash not in (None, call.input_hash)
    for nothing in (None, {}):
        assert request_of(replace(DONE, input=nothing), "llama", b"salt").input_hash is None


def test_a_customers_call_that_waits_is_unsure_until_it_has_started() -> None:
    waiting = replace(DONE, status=Status.STARTING, started_at=None, completed_at=None, predict_s=None)
    started = replace(waiting, status=Status.PROCESSING, started_at=CREATED + timedelta(seconds=30))

    def verdict(prediction: Prediction) -> Verdict:
        return judged(request_of(prediction, "llama"), Past(()), ()).verdict

    assert verdict(waiting) is Verdict.UNSURE
    assert verdict(started) is Verdict.COLD


@pytest.mark.parametrize(
    ("target", "version", "shown", "concerned"),
    [
        (MODEL, "f00", {}, True),
        (MODEL, "f00", {"version": None}, True),
        (MODEL, None, {"version": None}, True),
        (MODEL, None, {"version": "bar"}, True),
        (MODEL, "f00", {"version": "bar"}, False),
        (MODEL, "f00", {"model": "meta/other"}, False),
        (MODEL, "f00", {"model": None}, False),
        (MODEL, "f00", {"deployment": "acme/llama"}, False),
        (DEPLOYMENT, None, {}, False),
        (DEPLOYMENT, None, {"deployment": "acme/llama"}, True),
        (DEPLOYMENT, None, {"deployment": "acme/llama", "version": "bar"}, True),
        (DEPLOYMENT, None, {"deployment": "acme/other"}, False),
        (DEPLOYMENT, None, {"deployment": None, "model": "acme/llama"}, False),
    ],
)
def test_a_call_concerns_a_model_when_it_ran_in_the_instances_that_its_beats_keep_warm(
    target: Target, version: str | None, shown: dict[str, Any], concerned: bool
) -> None:
    spec = ModelSpec(name="llama", target=target, hours=ActiveHours.always_open())

    assert concerns(replace(DONE, **shown), spec, version) is concerned

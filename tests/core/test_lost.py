from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warmer.core.beat import BeatRequest, Prediction, Status
from warmer.core.lost import find_lost
from warmer.core.price import Billing
from warmer.core.spec import Target, TargetKind

CLAIMED = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
REQUEST = BeatRequest(
    target=Target(kind=TargetKind.MODEL, owner="meta", name="llama"),
    version="v1",
    billing=Billing.PUBLIC,
    input={"prompt": "hi", "max_tokens": 1},
    deadline=timedelta(minutes=10),
)
CREATED = CLAIMED + timedelta(seconds=1)
OURS = Prediction(
    id="ours",
    status=Status.STARTING,
    created_at=CREATED,
    model="meta/llama",
    version="v1",
    deadline=CREATED + timedelta(minutes=10),
    input={"prompt": "hi", "max_tokens": 1, "temperature": 0.7},
)


def found(
    *listed: Prediction, request: BeatRequest = REQUEST, skew_s: float = 0, known: tuple[str, ...] = ()
) -> str | None:
    lost = find_lost(request, CLAIMED, listed, frozenset(known), {timedelta(seconds=skew_s)})
    return lost.id if lost else None


def test_the_prediction_that_fits_is_found() -> None:
    assert found(OURS) == "ours"
    assert found() is None


@pytest.mark.parametrize(
    "shown",
    [
        {"input": None},
        {"deadline": None},
        {"input": None, "deadline": None},
        {"version": None},
        {"model": "replicate/llama-alias"},
        {"model": None, "version": None},
        {"status": Status.SUCCEEDED},
        {"input": {"prompt": "hi", "max_tokens": 1.0}},
        {"deadline": CREATED + timedelta(minutes=10, seconds=0.9)},
    ],
)
def test_what_the_list_does_not_show_does_not_speak_against_it(shown: dict[str, Any]) -> None:
    assert found(replace(OURS, **shown)) == "ours"


@pytest.mark.parametrize(
    "shown",
    [
        {"model": "meta/other", "version": None, "input": None},
        {"model": "meta/other", "version": None, "deadline": None},
        {"model": None, "version": None, "deadline": None},
        {"version": "v2"},
        {"deployment": "acme/up"},
        {"input": {"prompt": "a real question", "max_tokens": 1}},
        {"input": {"prompt": "hi"}},
        {"deadline": CREATED + timedelta(minutes=5)},
        {"created_at": CLAIMED - timedelta(seconds=3), "deadline": None},
        {"created_at": CLAIMED + timedelta(seconds=91), "deadline": None},
    ],
)
def test_a_customers_call_is_not_taken_for_the_beat(shown: dict[str, Any]) -> None:
    assert found(replace(OURS, **shown)) is None


def test_beats_that_are_accounted_for_are_left_out() -> None:
    second = replace(OURS, id="second", created_at=CREATED + timedelta(seconds=1), deadline=None)
    assert found(second, OURS, known=("ours",)) == "second"


def test_the_earliest_with_our_deadline_is_the_one() -> None:
    later = replace(OURS, id="later", created_at=CREATED + timedelta(seconds=0.5))
    bare = replace(OURS, id="bare", created_at=CREATED - timedelta(seconds=0.5), deadline=None)
    assert found(later, OURS, bare) == "ours"
    assert found(later, bare) == "later"


def test_the_window_is_in_the_providers_time() -> None:
    ahead = timedelta(hours=1)
    shifted = replace(OURS, created_at=OURS.created_at + ahead, deadline=CREATED + ahead + timedelta(minutes=10))
    assert found(shifted) is None
    assert found(shifted, skew_s=3600) == "ours"
    assert found(OURS, skew_s=3600) is None


def test_a_deployments_beat_is_known_by_the_deployment() -> None:
    target = Target(kind=TargetKind.DEPLOYMENT, owner="acme", name="up")
    request = replace(REQUEST, target=target, billing=Billing.DEPLOYMENT)
    assert found(replace(OURS, deployment="acme/up"), request=request) == "ours"
    assert found(replace(OURS, deployment="acme/other"), request=request) is None
    assert found(replace(OURS, input=None), request=request) is None
    assert found(OURS, request=request) == "ours"


def test_files_are_listed_under_addresses_of_their_own() -> None:
    request = replace(REQUEST, input={"image": "data:image/png;base64,AAAA"})
    assert found(replace(OURS, input={"image": "https://files.test/1.png"}), request=request) == "ours"

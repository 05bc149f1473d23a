from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from warmer.core.hours import ActiveHours
from warmer.core.price import Price
from warmer.core.spec import (
    AUTO_INTERVAL,
    AccountSpec,
    ModelSpec,
    PolicyName,
    SecretRef,
    Spec,
    Target,
    TargetKind,
)

LLAMA = Target(kind=TargetKind.MODEL, owner="meta", name="llama")
MODEL = ModelSpec(name="llama", target=LLAMA, hours=ActiveHours.always_open())


def test_a_target_is_written_as_the_file_writes_it() -> None:
    pinned = replace(LLAMA, version="f00")

    assert (str(LLAMA), LLAMA.slug) == ("meta/llama", "meta/llama")
    assert (str(pinned), pinned.slug) == ("meta/llama:f00", "meta/llama")


def test_auto_is_shorter_than_the_shortest_idle_time_out_that_was_measured() -> None:
    assert MODEL.every is None
    assert MODEL.interval == AUTO_INTERVAL
    assert MODEL.interval < timedelta(minutes=1)


def test_an_interval_that_was_asked_for_is_kept() -> None:
    assert replace(MODEL, every=timedelta(seconds=30)).interval == timedelta(seconds=30)


def test_moving_an_entry_in_the_file_is_no_change() -> None:
    assert replace(MODEL, where="warmer.yaml:7") == replace(MODEL, where="warmer.yaml:9")


@pytest.mark.parametrize(
    "change",
    [
        {"every": timedelta(seconds=30)},
        {"policy": PolicyName.FIXED},
        {"target": replace(LLAMA, version="f00")},
        {"hours": ActiveHours(lines=("Mo-Fr 08:00-20:00",), zone=ZoneInfo("UTC"))},
        {"input": {"prompt": "hi"}},
        {"price": Price(per_second=Decimal("0.1"), source="file")},
        {"deadline": timedelta(minutes=1)},
        {"traffic": False},
    ],
)
def test_any_other_edit_of_an_entry_is_a_change(change: dict[str, object]) -> None:
    assert dataclasses.replace(MODEL, **change) != MODEL  # type: ignore[arg-type]  # of many types


def test_a_file_is_the_same_by_what_it_asks_for_and_not_by_its_bytes_or_name() -> None:
    spec = Spec(zone=ZoneInfo("UTC"), models=(MODEL,), path="a.yaml", digest="1")

    assert spec == replace(spec, path="b.yaml", digest="2")
    assert spec != replace(spec, zone=ZoneInfo("Europe/Berlin"))
    assert spec != replace(spec, models=())


def test_a_model_is_found_by_its_name() -> None:
    spec = Spec(zone=ZoneInfo("UTC"), models=(MODEL, replace(MODEL, name="other")))

    assert spec.model("other") == replace(MODEL, name="other")
    assert spec.model("meta/llama") is None


def test_a_secret_is_named_and_never_held() -> None:
    assert str(SecretRef(scheme="env", name="TOKEN")) == "env:TOKEN"
    assert str(AccountSpec().token) == "env:REPLICATE_API_TOKEN"


def test_values_of_the_file_cannot_be_edited() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODEL.name = "other"  # type: ignore[misc]  # that is the point

"""`advise` as a process, on ledgers with a past in them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.processes import Desk
from harness.records import moments_of, record_beat, record_calls

from warmer.core.beat import Reason, Request, Status, Verdict
from warmer.ledger import open_ledger

MONDAY = datetime(2026, 9, 7, tzinfo=UTC)
OFFICE = "{deployment: acme/up, policy: floor, hardware: gpu-a100-large, self_host: {per_hour: 1.20}, name: up}"


@pytest.fixture
def past(desk: Desk) -> Desk:
    """Three weeks of office hours on a deployment, and of four calls a day on a public model."""
    desk.write(f"{OFFICE}\n{{model: a/rare, hardware: gpu-t4}}\n{{model: a/none}}")
    for name, situation in (("up", "office"), ("a/rare", "rare")):
        record_calls(desk.ledger, name, moments_of(situation, days=21, begins=MONDAY))
    return desk


def advised(desk: Desk, *args: str) -> dict[str, Any]:
    document: dict[str, Any] = desk.run("advise", "-c", str(desk.file), "--json", *args).document
    return document


def test_the_table_has_every_way_and_the_sentences_say_what_to_do(past: Desk) -> None:
    ran = past.run("advise", "-c", str(past.file))
    assert ran.code == 0, ran.err
    assert re.search(r"(?m)^up +leave cold +advised +~\$\d{3}\.\d\d +46\.\d %", ran.out)
    assert re.search(r"(?m)^up +self host +\$864\.00 +0\.0 %", ran.out)
    assert "  self-hosting pays from 5.7 billed GPU-hours a day on" in ran.out
    assert "  waste: its floor stands all day" in ran.out
    assert "a/none: 0 calls on 0 whole days: too few to judge" in ran.out
    assert "\x1b" not in ran.out


def test_the_document_has_the_same_with_money_as_text(past: Desk) -> None:
    document = advised(past)
    up, rare, none = document["models"]
    assert (document["schema"], document["from"] < document["to"]) == (1, True)
    assert (up["billing"], up["now"], up["advice"]) == ("deployment", "always_on", "leave_cold")
    ways = ["leave_cold", "heartbeat", "scheduled_floor", "always_on", "self_host"]
    assert [one["option"] for one in up["options"]] == ways
    assert [one["known"] for one in up["options"]] == ["estimated"] * 4 + ["exact"]
    assert up["options"][4]["monthly_usd"] == "864.000000"
    assert up["cache"] is None
    assert [one["finding"] for one in up["findings"]] == ["idle_floor"]
    assert rare["options"][2]["applies"] is False
    assert (none["advice"], none["options"]) == (None, [])
    assert advised(past) == document


def test_a_target_or_another_span_is_heeded(past: Desk) -> None:
    past.write("{deployment: acme/up, policy: adaptive, cold_target: 2%, hardware: gpu-a100-large, name: up}")
    assert advised(past)["models"][0]["advice"] == "scheduled_floor"
    assert "too few to judge" in advised(past, "--since", "3d")["models"][0]["why"]


def test_the_price_that_the_api_told_of_a_deployment_is_used(desk: Desk) -> None:
    desk.write("{deployment: acme/up}")
    record_calls(desk.ledger, "acme/up", moments_of("office", days=21, begins=MONDAY))
    assert "write `hardware` or `price`" in advised(desk)["models"][0]["why"]
    record_beat(desk.ledger, "acme/up", MONDAY + timedelta(days=1))
    always_on = advised(desk)["models"][0]["options"][3]
    assert always_on["monthly_usd"] == "583.200000"


def test_repeated_inputs_say_what_a_cache_would_save(desk: Desk) -> None:
    desk.write("{model: a/b, hardware: gpu-t4, policy: observe}")
    ledger = open_ledger(f"sqlite:///{desk.ledger}")
    calls = [MONDAY + timedelta(hours=number) for number in range(24 * 10)]
    ledger.add_requests(
        Request(
            model="a/b",
            prediction_id=f"call-{number}",
            created_at=at,
            started_at=at,
            completed_at=at + timedelta(seconds=2),
            gap_s=None,
            wait_s=0.0,
            run_s=2.0,
            verdict=Verdict.WARM,
            status=Status.SUCCEEDED,
            input_hash="same" if number % 4 == 0 else f"{number}",
        )
        for number, at in enumerate(calls)
    )
    ledger.close()
    (model,) = advised(desk)["models"]
    cache = model["cache"]
    assert (cache["calls"], cache["repeated_24h_share"]) == (240, round(59 / 240, 6))
    assert float(cache["monthly_usd"]) == pytest.approx(59 * 2 * 0.000225 * 30 / 10, rel=0.05)
    assert "24.6 % repeat one of the 24 h before" in desk.run("advise", "-c", str(desk.file)).out


def test_a_model_that_is_watched_and_never_called_is_waste(desk: Desk) -> None:
    desk.write("{model: a/b, hardware: gpu-t4}\n{model: c/new, hardware: gpu-t4}")
    now = datetime.now(UTC)
    ledger = open_ledger(f"sqlite:///{desk.ledger}")
    for model, since in (("a/b", 20), ("c/new", 3)):
        for day in range(since):
            ledger.count_tick(model, Reason.IDLE, now - timedelta(days=day))
    ledger.close()
    watched, new = advised(desk)["models"]
    assert [one["finding"] for one in watched["findings"]] == ["unused"]
    assert new["findings"] == []

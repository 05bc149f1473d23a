from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from warmer.core.backtest.entry import Traffic
from warmer.core.hours import ActiveHours
from warmer.core.price import Billing
from warmer.core.situations import situation
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.waste import Waste, wastes

OFFICE, STEADY = (
    Traffic(trace=situation(name, days=21), midnight=datetime(2026, 11, 2, tzinfo=UTC)) for name in ("office", "steady")
)


def entry(policy: PolicyName, *lines: str, **more: Any) -> ModelSpec:
    kind = TargetKind.DEPLOYMENT if policy is PolicyName.FLOOR else TargetKind.MODEL
    hours = ActiveHours(lines=lines or ("24/7",), zone=ZoneInfo("UTC"))
    return ModelSpec(name="m", target=Target(kind=kind, owner="a", name="b"), hours=hours, policy=policy, **more)


def found(
    one: ModelSpec, traffic: Traffic | None = OFFICE, *, billing: Billing | None = None, days: int = 0
) -> list[Any]:
    return list(wastes(one, traffic, billing, silent_for=timedelta(days=days) if days else None))


def test_a_floor_that_stands_all_day_for_hours_without_a_call_is_waste() -> None:
    (only,) = found(entry(PolicyName.FLOOR))
    assert only.waste is Waste.IDLE_FLOOR
    assert "in 70 % of its hours nobody calls" in only.why
    assert only.write == "`hours: Mo-Fr 08:00-18:00`"
    assert found(entry(PolicyName.FLOOR, "Mo-Sa 00:00-24:00"))
    assert found(entry(PolicyName.FLOOR, "Mo-Fr 08:00-18:00")) == []
    assert found(entry(PolicyName.FLOOR), STEADY) == []
    assert found(entry(PolicyName.AWARE)) == []
    assert found(entry(PolicyName.FLOOR), None) == []


def test_a_heartbeat_on_an_official_model_is_waste() -> None:
    (forced,) = found(entry(PolicyName.AWARE, billing=Billing.OFFICIAL), billing=Billing.OFFICIAL)
    assert forced.waste is Waste.OFFICIAL_HEARTBEAT
    assert "each heartbeat costs an output" in forced.why
    (told,) = found(entry(PolicyName.ADAPTIVE), billing=Billing.OFFICIAL)
    assert "none is sent" in told.why
    assert "policy: observe" in told.write
    assert found(entry(PolicyName.OBSERVE), billing=Billing.OFFICIAL) == []


def test_a_model_that_nobody_called_for_two_weeks_is_waste() -> None:
    for policy in (PolicyName.AWARE, PolicyName.FLOOR):
        (only,) = found(entry(policy), days=17)
        assert (only.waste, only.why) == (Waste.UNUSED, "nobody has called it for 17 days")
    assert found(entry(PolicyName.AWARE), days=13) == []
    assert found(entry(PolicyName.OBSERVE), days=30) == []

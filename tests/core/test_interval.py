from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from warmer.core.hours import ActiveHours
from warmer.core.idle_timeout import IdleTimeout
from warmer.core.interval import owed_interval
from warmer.core.override import Kind, Override
from warmer.core.spec import AUTO_INTERVAL, ModelSpec, PolicyName, Target, TargetKind

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)  # a Tuesday
NIGHT = NOON + timedelta(hours=11)
MINUTE = timedelta(minutes=1)
BELIEF = IdleTimeout.unknown()
LEARNED = timedelta(seconds=BELIEF.interval_s)


def entry(policy: PolicyName = PolicyName.AWARE, every: timedelta | None = None, traffic: bool = True) -> ModelSpec:
    kind = TargetKind.DEPLOYMENT if policy is PolicyName.FLOOR else TargetKind.MODEL
    hours = ActiveHours(lines=("Mo-Fr 08:00-20:00",), zone=ZoneInfo("UTC"))
    target = Target(kind=kind, owner="a", name="b")
    return ModelSpec(name="m", target=target, hours=hours, policy=policy, every=every, traffic=traffic)


@pytest.mark.parametrize(
    ("spec", "owed"),
    [
        (entry(), LEARNED),
        (entry(every=timedelta(seconds=1)), timedelta(seconds=1)),
        (entry(every=timedelta(days=1)), LEARNED),
        (entry(traffic=False), AUTO_INTERVAL),
        (entry(PolicyName.FIXED, every=timedelta(days=1)), timedelta(days=1)),
        (entry(PolicyName.ADAPTIVE), None),
        (entry(PolicyName.OBSERVE), None),
        (entry(PolicyName.FLOOR), None),
    ],
)
def test_in_hours_beats_owe_what_the_file_and_the_belief_allow(spec: ModelSpec, owed: timedelta | None) -> None:
    assert owed_interval(spec, (), BELIEF, NOON) == owed
    assert owed_interval(spec, (), BELIEF, NIGHT) is None


def test_without_a_belief_the_file_holds() -> None:
    assert owed_interval(entry(), (), None, NOON) == AUTO_INTERVAL


def test_overrides_are_heeded() -> None:
    pause = Override(kind=Kind.PAUSE, since=NOON, until=NOON + MINUTE)
    assert owed_interval(entry(), (pause,), BELIEF, NOON) is None
    assert owed_interval(entry(), (pause,), BELIEF, NOON + MINUTE) == LEARNED
    warm = Override(kind=Kind.WARM, since=NIGHT, until=NIGHT + MINUTE)
    assert owed_interval(entry(PolicyName.OBSERVE), (warm,), BELIEF, NIGHT) == LEARNED

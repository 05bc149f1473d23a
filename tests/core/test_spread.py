from __future__ import annotations

from datetime import timedelta

import pytest

from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.spread import apart_s


def fleet(count: int, every_s: float) -> list[ModelSpec]:
    return [
        ModelSpec(
            name=f"acme/m{number}",
            target=Target(kind=TargetKind.MODEL, owner="acme", name=f"m{number}"),
            hours=ActiveHours.always_open(),
            policy=PolicyName.FIXED,
            every=timedelta(seconds=every_s),
        )
        for number in range(count)
    ]


def test_a_large_fleet_is_spread_over_a_little_less_than_its_interval() -> None:
    assert 1000 * apart_s(fleet(1000, 30)) == pytest.approx(30 / 1.1)
    assert apart_s([*fleet(500, 30), *fleet(500, 60)]) == pytest.approx(1 / (1.1 * 25))


def test_few_beats_are_not_spread() -> None:
    assert apart_s([]) == 0
    assert apart_s(fleet(50, 30)) == 0
    assert apart_s(fleet(9, 1)) == 0
    assert apart_s(fleet(10, 1)) > 0

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.insight import Percentiles
from warmer.core.waits import ERROR, NO_WAITS, Waits

SECONDS = st.floats(0, 1e6) | st.sampled_from([0.0, 0.1, 0.25, 1.0, 12.3])


@given(st.lists(st.lists(SECONDS, max_size=40), max_size=6))
def test_sums_of_sums_tell_percentiles_to_half_a_per_cent(parts: list[list[float]]) -> None:
    waits = Waits.sum(Waits.of(part).compact() for part in parts)
    exact = Percentiles.of(value for part in parts for value in part)
    told = Percentiles.of_waits(waits)

    assert (told.count, told.longest) == (exact.count, exact.longest)
    for found, true in ((told.p50, exact.p50), (told.p95, exact.p95), (told.p99, exact.p99)):
        assert (found is None) is (true is None)
        if found is not None and true is not None:
            assert math.isclose(found, true, rel_tol=ERROR * 1.0001, abs_tol=0.0001)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.0123, 1.0, 9.99, 12.3, 604.0, 86_400.0])
def test_three_digits_are_told_as_they_are(seconds: float) -> None:
    assert Waits.of([seconds, seconds]).ranks(50) == (2, (seconds,))


def test_more_than_one_entry_counts_are_none_too_many() -> None:
    many = Waits.sum([Waits.of([1.0] * 50_000)] * 3).compact()
    assert many.ranks(50, 99) == (150_000, (1.0, 1.0))
    assert len(many.packed) <= 12


def test_of_nothing_nothing_is_told() -> None:
    assert Waits.of([]) == NO_WAITS == Waits.sum([])
    assert NO_WAITS.ranks(50) == (0, (None,))

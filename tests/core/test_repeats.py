from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from warmer.core.repeats import Repeats, input_hash

START = datetime(2026, 11, 2, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def test_a_repeat_is_one_of_an_input_that_came_before_lately_or_ever() -> None:
    found = Repeats.of([(at(0), "a"), (at(1), "b"), (at(2), None), (at(24), "a"), (at(50), "a"), (at(51), "c")])
    assert found is not None
    assert (found.calls, found.lately, found.repeated) == (5, (at(24),), 2)
    assert Repeats.of([(at(0), None)]) is None
    assert Repeats.of([]) is None


jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
inputs = st.dictionaries(st.text(), jsons, min_size=1, max_size=4)


@given(inputs, inputs)
def test_inputs_have_one_hash_where_they_are_alike_and_two_where_not(
    one: dict[str, object], other: dict[str, object]
) -> None:
    hashes = [input_hash(given, "m", b"salt") for given in (one, dict(reversed(one.items())), other)]
    assert None not in hashes
    assert hashes[0] == hashes[1]
    if repr(sorted(one.items())) != repr(sorted(other.items())) and one != other:
        assert hashes[0] != hashes[2]

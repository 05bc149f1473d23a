from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.beat import Prediction, Status, Use, Verdict
from warmer.core.told import Told, is_known, is_nameless, request_of, twins

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def told(begins: int, ends: int | None = None, number: str = "1") -> Use:
    call = Told(
        model="m", created_at=NOON + begins * SECOND, completed_at=None if ends is None else NOON + ends * SECOND
    )
    return Use.of(request_of(call, number))


def listed(begins: int, ends: int | None, name: str = "p") -> Prediction:
    return Prediction(
        id=name,
        status=Status.PROCESSING if ends is None else Status.SUCCEEDED,
        created_at=NOON + begins * SECOND,
        started_at=NOON + begins * SECOND,
        completed_at=None if ends is None else NOON + ends * SECOND,
    )


def test_a_told_call_counts_as_a_use_and_teaches_nothing() -> None:
    request = request_of(Told(model="m", created_at=NOON), "7")

    assert is_nameless(request.prediction_id)
    assert (request.status, request.verdict, request.wait_s) == (Status.UNKNOWN, Verdict.UNSURE, None)
    assert request.completed_at == NOON
    assert request_of(Told(model="m", created_at=NOON, prediction_id="abc"), "7").prediction_id == "abc"


def test_a_call_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="before"):
        Told(model="m", created_at=NOON, completed_at=NOON - SECOND)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (told(0), listed(0, 10), True),
        (told(0), listed(4, 10), True),  # told before it was made
        (told(0), listed(6, 10), False),
        (told(14), listed(0, 10), True),  # told after it had ended
        (told(16), listed(0, 10), False),
        (told(100), listed(0, None), True),  # it is going on
        (told(0, 30), listed(20, 25), True),
        (told(0, 3), listed(20, 25), False),
    ],
)
def test_which_call_of_the_list_is_the_one_that_was_told(ours: Use, theirs: Prediction, same: bool) -> None:
    assert twins([ours], [theirs]) == (frozenset([ours.id]) if same else frozenset())
    call = Told(model="m", created_at=ours.created_at, completed_at=ours.completed_at)
    assert is_known(call, [Use.of(theirs)]) is same


def test_each_call_of_the_list_is_one_that_was_told_at_most() -> None:
    ours = [told(at, number=str(at)) for at in (0, 1, 2)]

    assert len(twins(ours, [listed(0, 5)])) == 1
    assert len(twins(ours, [listed(0, 5, "p"), listed(1, 6, "q"), listed(50, 60, "r")])) == 2


@given(
    st.lists(st.integers(0, 200), max_size=6), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 30)), max_size=6)
)
def test_no_more_are_found_again_than_there_are_on_either_side(ours: list[int], theirs: list[tuple[int, int]]) -> None:
    nameless = [told(at, number=str(number)) for number, at in enumerate(ours)]
    seen = [listed(begins, begins + lasts, f"p{number}") for number, (begins, lasts) in enumerate(theirs)]

    found = twins(nameless, seen)

    assert found <= {use.id for use in nameless}
    assert len(found) <= len(seen)

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.beat import Prediction, Status
from warmer.core.versions import LATEST, LEAST, Call, calls_of, elsewhere, latest

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OURS, THEIRS, THIRD = (letter * 64 for letter in "abc")


def calls(versions: str, *, every: timedelta = timedelta(minutes=1), until: datetime = NOW) -> list[Call]:
    """One call a letter, the last of them at `until`."""
    count = len(versions)
    return [
        Call(id=f"c{number}", at=until - (count - 1 - number) * every, version=letter * 64)
        for number, letter in enumerate(versions)
    ]


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ("", None),
        ("b" * (LEAST - 1), None),  # somebody tries something
        ("b" * LEAST, ("b", LEAST, LEAST)),
        ("a" * 6 + "b" * 5, None),
        ("a" * 5 + "b" * 5, None),  # not more than half
        ("a" * 5 + "b" * 6, ("b", 6, 11)),
        ("ab" * 10, None),
        ("b" * 30 + "a" * 10, None),  # of the last LATEST, half
        ("a" * 30 + "b" * 11, ("b", 11, LATEST)),
        ("a" * 30 + "b" * 6 + "c" * 5, ("b", 6, LATEST)),  # both are elsewhere
        ("a" * 50 + "b", None),  # a stray one
    ],
)
def test_customers_run_another_version_where_most_of_their_latest_calls_do(
    versions: str, told: tuple[str, int, int] | None
) -> None:
    found = elsewhere(calls(versions), {OURS}, NOW)
    assert (found and (found.version[0], found.calls, found.of)) == told


def test_calls_of_a_day_ago_tell_nothing() -> None:
    old = calls("b" * 9, until=NOW - timedelta(days=1))
    assert elsewhere(old, {OURS}, NOW) is None
    assert elsewhere(old, {OURS}, NOW - timedelta(hours=1)) is not None


def test_what_another_entry_warms_is_not_elsewhere() -> None:
    assert elsewhere(calls("b" * 9), {OURS, THEIRS}, NOW) is None
    assert elsewhere(calls("bbbbcccccc"), {OURS, THEIRS}, NOW) is not None


@given(st.lists(st.sampled_from("abc"), max_size=40), st.randoms(use_true_random=False))
def test_neither_order_nor_repeats_of_what_was_read_matter(versions: list[str], random: Any) -> None:
    read = calls("".join(versions))
    again = [*read, *read[::2]]
    random.shuffle(again)
    assert latest(again, NOW) == latest(read, NOW) == tuple(read[-LATEST:])
    assert elsewhere(again, {OURS}, NOW) == elsewhere(read, {OURS}, NOW)


def test_only_calls_of_a_version_by_itself_are_counted() -> None:
    def seen(**more: Any) -> Prediction:
        return Prediction(id="p", status=Status.SUCCEEDED, created_at=NOW, **more)

    assert calls_of(
        [
            seen(model="o/n", version=THEIRS),
            seen(model="o/n", version=THEIRS, deployment="o/d"),
            seen(model="o/official"),  # hidden
            seen(model="o/official", version="dp-" + "0" * 32),
            seen(version=THEIRS),
        ]
    ) == {"o/n": [Call(id="p", at=NOW, version=THEIRS)]}

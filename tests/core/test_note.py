from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pydantic import AwareDatetime

from warmer.core.beat import Reason
from warmer.core.note import read_note


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    reason: Reason
    ends_at: float
    at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Inner
    sent: list[float]


WHOLE = '{"inner": {"reason": "throttled", "ends_at": -Infinity, "at": "2026-11-21T09:00:00+00:00"}, "sent": [1, 2.5]}'


def test_what_was_written_is_read() -> None:
    inner = Inner(reason=Reason.THROTTLED, ends_at=float("-inf"), at=datetime(2026, 11, 21, 9, tzinfo=UTC))
    assert read_note(WHOLE, Outer) == Outer(inner=inner, sent=[1, 2.5])


def test_what_a_newer_version_says_besides_is_passed_over() -> None:
    assert read_note(WHOLE.replace('"sent"', '"more": [{}], "sent"'), Outer) == read_note(WHOLE, Outer)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "{", "null", "1", "[]", "{}", '{"inner": null, "sent": []}', "[" * 100_000),
        WHOLE.replace('"sent"', '"went"'),
        WHOLE.replace("throttled", "unheard of"),
        WHOLE.replace("-Infinity", '"soon"'),
        WHOLE.replace("[1, 2.5]", "{}"),
        WHOLE.replace("+00:00", ""),
        WHOLE.replace("2026-11-21", "9" * 5000),
    ],
)
def test_a_note_that_nobody_of_this_version_wrote_is_none(text: str) -> None:
    assert read_note(text, Outer) is None

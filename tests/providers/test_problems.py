from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer import errors
from warmer.providers.problems import DEFAULT_RETRY, LONGEST_RETRY, problem_of, retry_hint, stated_limit
from warmer.providers.rate import Limit

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LOW_CREDIT = {
    "detail": "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute "
    "with a burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~5s.",
    "status": 429,
    "retry_after": 5,
}


@pytest.mark.parametrize(
    ("status", "body", "reading", "creating"),
    [
        (400, {"detail": "x"}, errors.ModelRefused, errors.ModelRefused),
        (401, {"title": "Unauthenticated"}, errors.AccountRefused, errors.AccountRefused),
        (401, None, errors.AccountRefused, errors.AccountRefused),
        (402, {"title": "Insufficient credit"}, errors.CreditExhausted, errors.CreditExhausted),
        (403, {"detail": "no"}, errors.ModelRefused, errors.ModelRefused),
        (403, None, errors.Unavailable, errors.Doubtful),
        (404, {"detail": "no"}, errors.ModelRefused, errors.ModelRefused),
        (404, None, errors.Unavailable, errors.Doubtful),
        (408, {"detail": "late"}, errors.Unavailable, errors.Doubtful),
        (409, {"detail": "busy"}, errors.Unavailable, errors.Unavailable),
        (422, {"detail": "no"}, errors.ModelRefused, errors.ModelRefused),
        (429, None, errors.Throttled, errors.Throttled),
        (500, {"detail": "oops"}, errors.Unavailable, errors.Doubtful),
        (502, None, errors.Unavailable, errors.Doubtful),
        (307, None, errors.Unavailable, errors.Doubtful),
    ],
)
def test_a_status_has_one_meaning(status: int, body: Any, reading: type[Exception], creating: type[Exception]) -> None:
    assert type(problem_of(status, body, about="a/b", now=NOW)) is reading
    assert type(problem_of(status, body, about="a/b", now=NOW, creating=True)) is creating


def test_a_refused_input_names_its_fields() -> None:
    body = {
        "detail": "- input: prompt is required\n",
        "status": 422,
        "title": "Input validation failed",
        "invalid_fields": [
            {"type": "required", "field": "input", "description": "prompt is required"},
            {"type": "enum", "field": "input.aspect_ratio", "description": "aspect_ratio must be one of: 1:1"},
        ],
    }
    problem = problem_of(422, body, about="a/b", now=NOW)
    assert isinstance(problem, errors.ModelRefused)
    assert "prompt is required" in problem.hint
    assert "aspect_ratio must be one of" in problem.hint
    assert problem.key == "input"


def test_a_refused_version_says_to_pin_another() -> None:
    body = {
        "title": "Invalid version or not permitted",
        "detail": "The specified version does not exist",
        "status": 422,
    }
    problem = problem_of(422, body, about="a/b:old", now=NOW)
    assert isinstance(problem, errors.ModelRefused)
    assert "write a/b for its latest version" in problem.hint
    assert problem.key == "target"
    latest = problem_of(422, body, about="a/b", now=NOW)
    assert isinstance(latest, errors.ModelRefused)
    assert "take the entry out if a/b is gone" in latest.hint


@pytest.mark.parametrize("status", [403, 404])
def test_a_model_that_the_account_may_not_see_says_so(status: int) -> None:
    problem = problem_of(status, {"detail": "no"}, about="a/b", now=NOW)
    assert isinstance(problem, errors.ModelRefused)
    assert "token's account" in problem.hint
    assert problem.key == "target"


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        (None, None, DEFAULT_RETRY.total_seconds()),
        ("7", None, 7),
        ("7.5", None, 7.5),
        ("Sat, 21 Nov 2026 09:00:30 GMT", None, 30),
        ("Sat, 21 Nov 2026 08:00:30 GMT", None, DEFAULT_RETRY.total_seconds()),
        (None, {"retry_after": 12}, 12),
        (None, {"retry_after": "12"}, 12),
        ("3", {"retry_after": 12, "detail": "resets in ~30s."}, 30),
        ("40", {"retry_after": 12, "detail": "resets in ~30s."}, 40),
        (None, {"detail": "Expected available in 1 second."}, 1),
        (None, {"detail": "Expected available in 45 seconds."}, 45),
        (None, LOW_CREDIT, 5),
        ("0", None, 1),
        ("-5", {"retry_after": 4}, 4),
        ("NaN", {"retry_after": float("inf")}, DEFAULT_RETRY.total_seconds()),
        ("soon", {"retry_after": True}, DEFAULT_RETRY.total_seconds()),
        ("7200", None, LONGEST_RETRY.total_seconds()),
        ("99999999999", {"retry_after": 9}, 9),
        (None, {"retry_after": 10**400}, DEFAULT_RETRY.total_seconds()),
        (None, ["retry_after"], DEFAULT_RETRY.total_seconds()),
    ],
)
def test_the_longest_valid_hint_is_waited_for(header: str | None, body: Any, seconds: float) -> None:
    assert retry_hint(body, header, NOW) == timedelta(seconds=seconds)


def test_a_stated_limit_is_understood() -> None:
    assert stated_limit(LOW_CREDIT) == Limit(per_minute=6, burst=1)
    assert stated_limit({"detail": "reduced to 0 requests per minute"}) is None
    assert stated_limit({"detail": "Request was throttled."}) is None


@given(
    status=st.integers(min_value=300, max_value=599),
    header=st.none() | st.text(max_size=40),
    body=st.none()
    | st.dictionaries(
        st.sampled_from(["detail", "title", "retry_after", "invalid_fields", "error"]),
        st.none()
        | st.text()
        | st.floats()
        | st.lists(st.dictionaries(st.sampled_from(["field", "description"]), st.text())),
    ),
    creating=st.booleans(),
)
def test_every_reply_becomes_a_short_error_of_ours(status: int, header: str | None, body: Any, creating: bool) -> None:
    problem = problem_of(status, body, about="a/b", now=NOW, retry_after=header, creating=creating)
    assert isinstance(problem, errors.ProviderError)
    assert len(str(problem)) < 1000
    str(problem).encode()
    assert "\n" not in str(problem)

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.beat import Reason
from warmer.core.standing import Backoff, Scope, held_until, rule_for
from warmer.errors import (
    AccountRefused,
    CreditExhausted,
    Doubtful,
    ModelFailed,
    ModelRefused,
    ProviderError,
    Throttled,
    Unavailable,
    Unreachable,
)

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def throttled(seconds: float) -> Throttled:
    return Throttled("slow down", timedelta(seconds=seconds))


RULES = {
    # error: scope, reason, first pause, longest pause
    AccountRefused("401"): (Scope.ACCOUNT, Reason.ACCOUNT_REFUSED, MINUTE, 60 * MINUTE),
    CreditExhausted("402"): (Scope.ACCOUNT, Reason.CREDIT_EXHAUSTED, 3 * MINUTE, 60 * MINUTE),
    throttled(0): (Scope.ACCOUNT, Reason.THROTTLED, 10 * SECOND, 10 * MINUTE),
    Unreachable("no route"): (Scope.ACCOUNT, Reason.UNREACHABLE, 5 * SECOND, 2 * MINUTE),
    ModelRefused("404", "write another"): (Scope.MODEL, Reason.MODEL_DISABLED, 15 * MINUTE, 360 * MINUTE),
    ModelFailed("it failed"): (Scope.MODEL, Reason.BACKING_OFF, 10 * SECOND, 10 * MINUTE),
    Unavailable("502"): (Scope.MODEL, Reason.BACKING_OFF, 10 * SECOND, 10 * MINUTE),
    Doubtful("cut off"): (Scope.MODEL, Reason.BACKING_OFF, 10 * SECOND, 10 * MINUTE),
    ProviderError("other"): (Scope.MODEL, Reason.BACKING_OFF, 10 * SECOND, 10 * MINUTE),
}
ERRORS = st.sampled_from(list(RULES))
JITTER = st.floats(0, 1)


@pytest.mark.parametrize("error", list(RULES), ids=lambda error: type(error).__name__)
def test_each_kind_of_no_has_its_scope_its_reason_and_its_pauses(error: ProviderError) -> None:
    scope, reason, first, longest = RULES[error]
    rule = rule_for(error)

    assert (rule.scope, rule.reason, rule.backoff) == (scope, reason, Backoff(first=first, longest=longest))
    assert not rule.reason.sends


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 10), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 320), (7, 600), (8, 600), (10**6, 600)],
)
def test_pauses_double_up_to_the_longest(failures: int, seconds: float) -> None:
    backoff = Backoff(first=10 * SECOND, longest=10 * MINUTE)

    assert backoff.pause(failures, jitter=0) == timedelta(seconds=seconds)


@given(ERRORS, st.integers(1, 200), JITTER)
def test_jitter_takes_off_up_to_a_fifth(error: ProviderError, failures: int, jitter: float) -> None:
    backoff = rule_for(error).backoff
    whole = backoff.pause(failures, 0)

    assert backoff.first <= whole <= backoff.longest
    assert whole * 0.8 - timedelta(microseconds=1) <= backoff.pause(failures, jitter) <= whole


@given(ERRORS, st.integers(1, 60), JITTER)
def test_one_failure_more_never_shortens_the_pause(error: ProviderError, failures: int, jitter: float) -> None:
    backoff = rule_for(error).backoff

    assert backoff.pause(failures + 1, jitter) >= backoff.pause(failures, jitter)


@pytest.mark.parametrize("error", [e for e in RULES if not isinstance(e, Throttled)], ids=lambda e: type(e).__name__)
def test_a_hold_lasts_as_long_as_the_pause(error: ProviderError) -> None:
    first, longest = RULES[error][2:]

    assert held_until(error, 1, NOW, 0) == NOW + first
    assert held_until(error, 2, NOW, 0) == NOW + 2 * first
    assert held_until(error, 1, NOW, 1) == NOW + first * 0.8
    assert held_until(error, 99, NOW, 0) == NOW + longest


@pytest.mark.parametrize(
    ("hint", "failures", "jitter", "seconds"),
    [
        (5, 1, 0.0, 5),
        (5, 1, 1.0, 5),  # the first time, the hint alone is followed
        (45, 1, 0.5, 45),
        (5, 2, 0.0, 20),  # it was not enough: the pauses double behind it
        (5, 2, 1.0, 16),
        (5, 3, 0.0, 40),
        (45, 2, 0.0, 45),
        (45, 3, 1.0, 45),
        (900, 99, 0.0, 900),  # longer than any pause of ours
        (0.5, 99, 0.0, 600),
    ],
)
def test_a_throttle_is_held_by_its_hint_or_by_the_pause_where_that_is_longer(
    hint: float, failures: int, jitter: float, seconds: float
) -> None:
    assert held_until(throttled(hint), failures, NOW, jitter) == NOW + timedelta(seconds=seconds)


@given(st.floats(0, 3600), st.integers(1, 100), JITTER)
def test_a_throttles_hint_is_never_undercut(hint: float, failures: int, jitter: float) -> None:
    error = throttled(hint)

    assert held_until(error, failures, NOW, jitter) >= NOW + error.retry_after


@given(ERRORS, st.integers(2, 100), JITTER)
def test_a_hold_is_always_ahead(error: ProviderError, failures: int, jitter: float) -> None:
    assert held_until(error, failures, NOW, jitter) > NOW

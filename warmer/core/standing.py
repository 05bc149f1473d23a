"""How long to keep still after the provider said no: one rule for each kind of no."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from warmer.core.beat import Reason
from warmer.errors import AccountRefused, CreditExhausted, ModelRefused, ProviderError, Throttled, Unreachable


class Scope(Enum):
    """Whom a hold concerns."""

    ACCOUNT = "account"  # every model
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Doubling pauses, from `first` to `longest`."""

    first: timedelta
    longest: timedelta

    def pause(self, failures: int, jitter: float) -> timedelta:
        """The pause after that many failures in a row (from 1). `jitter` is 0 to 1; it takes off up to a fifth."""
        doublings = min(max(failures - 1, 0), 30)
        return min(self.first * float(1 << doublings), self.longest) * (1 - 0.2 * jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one kind of error leads to."""

    scope: Scope
    reason: Reason
    backoff: Backoff


_MINUTE = timedelta(minutes=1)
# A human has to act on the first two; looking again is cheap for us and harmless for them.
_REFUSED = Rule(
    scope=Scope.ACCOUNT, reason=Reason.ACCOUNT_REFUSED, backoff=Backoff(first=_MINUTE, longest=60 * _MINUTE)
)
_CREDIT = Rule(
    scope=Scope.ACCOUNT, reason=Reason.CREDIT_EXHAUSTED, backoff=Backoff(first=3 * _MINUTE, longest=60 * _MINUTE)
)
_THROTTLED = Rule(
    scope=Scope.ACCOUNT, reason=Reason.THROTTLED, backoff=Backoff(first=_MINUTE / 6, longest=10 * _MINUTE)
)
_UNREACHABLE = Rule(
    scope=Scope.ACCOUNT, reason=Reason.UNREACHABLE, backoff=Backoff(first=_MINUTE / 12, longest=2 * _MINUTE)
)
_DISABLED = Rule(
    scope=Scope.MODEL, reason=Reason.MODEL_DISABLED, backoff=Backoff(first=15 * _MINUTE, longest=6 * 60 * _MINUTE)
)
_FAILING = Rule(scope=Scope.MODEL, reason=Reason.BACKING_OFF, backoff=Backoff(first=_MINUTE / 6, longest=10 * _MINUTE))

ACCOUNT_HOLDS = tuple(rule.reason for rule in (_REFUSED, _CREDIT, _THROTTLED, _UNREACHABLE))
MODEL_HOLDS = tuple(rule.reason for rule in (_DISABLED, _FAILING))


def rule_for(error: ProviderError) -> Rule:
    """The rule that `error` falls under; anything unnamed is a failure of its model alone."""
    for kind, rule in (
        (AccountRefused, _REFUSED),
        (CreditExhausted, _CREDIT),
        (Throttled, _THROTTLED),
        (Unreachable, _UNREACHABLE),
        (ModelRefused, _DISABLED),
    ):
        if isinstance(error, kind):
            return rule
    return _FAILING


def held_until(error: ProviderError, failures: int, now: datetime, jitter: float) -> datetime:
    """When to try again after `error`, the `failures`th in a row. A throttle's own hint is never undercut."""
    if isinstance(error, Throttled) and failures == 1:
        return now + error.retry_after
    pause = rule_for(error).backoff.pause(failures, jitter)
    return now + (max(pause, error.retry_after) if isinstance(error, Throttled) else pause)

"""How the account and each model stand with the provider; says once when that changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from warmer.core.spec import ModelSpec
from warmer.core.standing import Scope, held_until, rule_for
from warmer.core.state import Hold
from warmer.errors import ModelRefused, ProviderError
from warmer.log import Event, get

_TRIAL = timedelta(seconds=30)
"""For how long one model alone may try, once an account's hold is over: the others wait for how it fares."""


@dataclass(slots=True)
class _Trouble:
    hold: Hold
    failures: int
    said: bool = False


class Standing:
    """Holds on the account and on models. A hold ends by itself: the next try decides whether it comes back, longer."""

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._account: _Trouble | None = None
        self._models: dict[str, _Trouble] = {}

    def hold(self, spec: ModelSpec, now: datetime) -> Hold | None:
        """What keeps `spec` from being warmed at `now`, or None."""
        for trouble in (self._account, self._models.get(spec.name)):
            if trouble is not None and _holds(trouble, now):
                return trouble.hold
        return None

    def begin_trial(self, now: datetime) -> None:
        """A beat goes out. After an account's hold it goes alone."""
        if self._account is not None:
            self._account.hold = Hold(reason=self._account.hold.reason, until=now + _TRIAL)

    def failed(self, spec: ModelSpec, error: ProviderError, now: datetime) -> Hold:
        """Take note of `error`, and say so where it is news. Returns the hold that follows."""
        rule = rule_for(error)
        known = self._account if rule.scope is Scope.ACCOUNT else self._models.get(spec.name)
        same = known is not None and known.hold.reason is rule.reason
        # Ticks that were under way together fail together: that is one failure, not one each.
        again = known is not None and same and not _holds(known, now)
        failures = known.failures + again if known is not None and same else 1
        hold = Hold(reason=rule.reason, until=held_until(error, failures, now, self._jitter()))
        trouble = _Trouble(hold=hold, failures=failures, said=known.said if known is not None and same else False)
        if rule.scope is Scope.ACCOUNT:
            self._account = trouble
            self._say_once(trouble, Event.ACCOUNT_PAUSED, reason=rule.reason, until=hold.until, error=str(error))
        else:
            self._models[spec.name] = trouble
            if isinstance(error, ModelRefused):
                self._say_once(
                    trouble,
                    Event.MODEL_DISABLED,
                    model=spec.name,
                    error=str(error),
                    hint=error.hint,
                    where=spec.where,
                    retry_at=hold.until,
                )
        return hold

    def succeeded(self, spec: ModelSpec) -> None:
        """The provider accepted a beat of `spec`: its account is well."""
        if self._account is not None:
            if self._account.said:
                get().info(Event.ACCOUNT_RESUMED, was=self._account.hold.reason)
            self._account = None
        trouble = self._models.pop(spec.name, None)
        if trouble is not None and trouble.said:
            get().info(Event.MODEL_ENABLED, model=spec.name)

    def forget(self, name: str | None = None) -> None:
        """Start afresh with one model, or with the account: its entry or token was changed."""
        if name is None:
            self._account = None
        else:
            self._models.pop(name, None)

    def _say_once(self, trouble: _Trouble, event: Event, **facts: object) -> None:
        if not trouble.said:
            trouble.said = True
            get().warning(event, **facts)


def _holds(trouble: _Trouble, now: datetime) -> bool:
    return trouble.hold.until is not None and now < trouble.hold.until

"""How the account and each model stand with the provider; says once when that changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from warmer.core.beat import Reason
from warmer.core.spec import ModelSpec
from warmer.core.standing import Scope, held_until, rule_for
from warmer.core.state import Hold
from warmer.errors import ModelRefused, ProviderError
from warmer.log import Event, get
from warmer.ports import Clock

_TRIAL_S = 10.0
"""For how long one model alone may try, once an account's hold is over: a create is answered well within."""
_OVER_S = 0.001
"""Less than this is left of a hold only by the rounding of a timer."""


@dataclass(slots=True)
class _Trouble:
    reason: Reason
    ends_at: float  # by the monotonic clock: a hold lasts as long as it was meant to, whoever sets the wall clock
    failures: int
    said: bool = False
    on_trial: bool = False


class Standing:
    """Holds on the account and on models. A hold ends by itself: the next try decides whether it comes back, longer."""

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._clock, self._jitter = clock, jitter
        self._account: _Trouble | None = None
        self._models: dict[str, _Trouble] = {}

    def hold(self, spec: ModelSpec) -> Hold | None:
        """What keeps `spec` from being warmed now, or None."""
        return self.account_hold or self._hold(self._models.get(spec.name))

    @property
    def account_hold(self) -> Hold | None:
        """What keeps every model from being warmed now, or None."""
        return self._hold(self._account)

    def begin_trial(self) -> None:
        """A beat goes out. After an account's hold it goes alone: the others wait for how it fares."""
        if self._account is not None:
            self._account.ends_at, self._account.on_trial = self._clock.monotonic() + _TRIAL_S, True

    def failed(self, spec: ModelSpec, error: ProviderError) -> None:
        """Take note of `error`, and say so where it is news."""
        rule, now = rule_for(error), self._clock.now()
        known = self._account if rule.scope is Scope.ACCOUNT else self._models.get(spec.name)
        if known is not None and known.reason is not rule.reason:
            known = None
        # Ticks that were under way together fail together: that is one failure, not one each.
        is_next = known is None or known.on_trial or self._left_s(known) <= 0
        failures = (known.failures if known is not None else 0) + is_next
        pause = held_until(error, failures, now, self._jitter()) - now
        trouble = _Trouble(
            reason=rule.reason,
            ends_at=self._clock.monotonic() + pause.total_seconds(),
            failures=failures,
            said=known is not None and known.said,
        )
        if rule.scope is Scope.ACCOUNT:
            self._account = trouble
            self._say_once(trouble, Event.ACCOUNT_PAUSED, reason=rule.reason, until=now + pause, error=str(error))
            return
        self._models[spec.name] = trouble
        if isinstance(error, ModelRefused):
            self._say_once(
                trouble,
                Event.MODEL_DISABLED,
                model=spec.name,
                error=str(error),
                hint=error.hint,
                where=spec.where,
                retry_at=now + pause,
            )

    def accepted(self, spec: ModelSpec) -> None:
        """The provider took what was sent for `spec`, however that ends: its entry is well.

        So is the account where this was its trial. What went out before the account's hold tells nothing of it.
        """
        if self._account is not None and self._account.on_trial:
            if self._account.said:
                get().info(Event.ACCOUNT_RESUMED, was=self._account.reason)
            self._account = None
        self._enable(spec)

    def succeeded(self, spec: ModelSpec) -> None:
        """A beat of `spec` ended well: nothing speaks against its next."""
        self._enable(spec)
        self._models.pop(spec.name, None)

    def forget(self, name: str) -> None:
        """Start afresh with one model: its entry was changed, or is gone."""
        self._models.pop(name, None)

    def _enable(self, spec: ModelSpec) -> None:
        trouble = self._models.get(spec.name)
        if trouble is not None and trouble.reason is Reason.MODEL_DISABLED:
            del self._models[spec.name]
            if trouble.said:
                get().info(Event.MODEL_ENABLED, model=spec.name)

    def _hold(self, trouble: _Trouble | None) -> Hold | None:
        if trouble is None or (left_s := self._left_s(trouble)) <= 0:
            return None
        return Hold(reason=trouble.reason, until=self._clock.now() + timedelta(seconds=left_s))

    def _left_s(self, trouble: _Trouble) -> float:
        left_s = trouble.ends_at - self._clock.monotonic()
        return left_s if left_s > _OVER_S else 0.0

    def _say_once(self, trouble: _Trouble, event: Event, **facts: object) -> None:
        if not trouble.said:
            trouble.said = True
            get().warning(event, **facts)

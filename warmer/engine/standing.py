"""How the account and each model stand with the provider; says once when that changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf

from warmer.core.beat import Reason
from warmer.core.spec import ModelSpec
from warmer.core.standing import Scope, held_until, rule_for
from warmer.core.state import Hold
from warmer.engine.trouble import Kept, OwnTrouble, Trouble
from warmer.errors import ModelRefused, ProviderError, Unreachable
from warmer.log import Event, get
from warmer.ports import Clock

_TRIAL_S = 10.0
"""For how long one model alone may try, once an account's hold is over: a create is answered well within."""
_OVER_S = 0.001
"""Less than this is left of a hold only by the rounding of a timer."""


class Standing:
    """Holds on the account and on models. A hold ends by itself: the next try decides whether it comes back, longer."""

    def __init__(
        self,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
        *,
        title: str = "replicate",
        shared: Kept | None = None,
        lifts: bool = False,
        before: Standing | None = None,
    ) -> None:
        """`title`: what the account is called in the log. `shared`: where its holds are kept, if not here alone.
        `lifts`: one that is found there is over.

        `before`: how things stood until the file changed. Nothing of it holds, and what is over is told to be.
        That the provider is out of reach is this process's own trouble: others may reach it.
        """
        self._clock, self._jitter, self._title = clock, jitter, title
        own = OwnTrouble(clock)
        self._account = own if shared is None else shared
        self._reach = own
        self._kept: tuple[Kept, ...] = tuple(dict.fromkeys((self._account, self._reach)))
        self._models: dict[str, Trouble] = {}
        self._is_over = False  # another has taken over: what went out before tells it nothing, and is said by nobody
        if before is not None:
            own.trouble = before._reach.trouble and _renewed(before._reach.trouble)
            self._models = {name: _renewed(trouble) for name, trouble in before._models.items()}
            before._is_over = True
        self._lifts = lifts and shared is not None
        self._is_trying = False
        self._well_at: float = -inf if before is None else before._well_at  # when a trial showed that there is somebody

    async def look(self) -> None:
        """See what other processes were told. Those of `hold` and `account_hold` are as of then."""
        if self._lifts:
            self._lifts = False
            await self._account.change(_lifted)
        await self._account.look()

    def hold(self, spec: ModelSpec) -> Hold | None:
        """What keeps `spec` from being warmed now, or None."""
        return self.account_hold or self._as_hold(self._models.get(spec.name), self._clock.monotonic())

    def held(self, name: str) -> Reason | None:
        """What keeps the model of that name from being warmed now, and no other, or None."""
        hold = self._as_hold(self._models.get(name), self._clock.monotonic())
        return None if hold is None else hold.reason

    @property
    def account_hold(self) -> Hold | None:
        """What keeps every model from being warmed now, or None."""
        for kept in self._kept:
            if (hold := self._as_hold(kept.trouble, kept.now())) is not None:
                return hold
        return None

    async def set_out(self) -> Hold | None:
        """A beat is to go out: None where it may.

        After an account's hold it goes alone, over all processes: the others wait for how it fares.
        """
        for kept in self._kept:
            if kept.trouble is None:
                continue
            if not await kept.change(_on_trial) and (hold := self._as_hold(kept.trouble, kept.now())) is not None:
                return hold
            self._is_trying = True
        return None

    async def failed(self, spec: ModelSpec, error: ProviderError) -> None:
        """Take note of `error`, and say so where it is news."""
        if self._is_over:
            return
        rule, now = rule_for(error), self._clock.now()
        if rule.scope is Scope.MODEL:
            trouble, is_news = self._after(self._models.get(spec.name), self._clock.monotonic(), error)
            self._models[spec.name] = replace(trouble, said=True)
            if is_news:
                until = now + timedelta(seconds=trouble.ends_at - self._clock.monotonic())
                self._say_of(spec, error, until)
            return
        kept = self._account
        if isinstance(error, Unreachable):
            if self._clock.monotonic() - error.waited_s < self._well_at:
                return  # it was begun in the outage that is over
            kept = self._reach

        def note(known: Trouble | None, at: float) -> tuple[Trouble, bool]:
            trouble, is_news = self._after(known, at, error)
            return replace(trouble, said=True), is_news

        if await kept.change(note) and kept.trouble is not None:
            until = now + timedelta(seconds=kept.trouble.ends_at - kept.now())
            get().warning(Event.ACCOUNT_PAUSED, account=self._title, reason=rule.reason, until=until, error=str(error))

    async def accepted(self, spec: ModelSpec) -> None:
        """The provider took what was sent for `spec`, however that ends: its entry is well.

        So is the account where this was its trial. What went out before the account's hold tells nothing of it.
        """
        if self._is_over:
            return
        if self._is_trying:
            self._is_trying = False
            self._well_at = self._clock.monotonic()
            for kept in self._kept:
                ended = await kept.change(_passed) if kept.trouble is not None else None
                if ended is not None and ended.said:
                    get().info(Event.ACCOUNT_RESUMED, account=self._title, was=ended.reason)
        self._enable(spec)

    def succeeded(self, spec: ModelSpec) -> None:
        """A beat of `spec` ended well: nothing speaks against its next."""
        if self._is_over:
            return
        self._enable(spec)
        if self._models.pop(spec.name, None) is not None:
            get().info(Event.MODEL_RECOVERED, model=spec.name)

    def renew(self, name: str) -> None:
        """Start afresh with one model: its entry was changed."""
        if (trouble := self._models.get(name)) is not None:
            self._models[name] = _renewed(trouble)

    def forget(self, name: str) -> None:
        """The model's entry is gone."""
        self._models.pop(name, None)

    def _say_of(self, spec: ModelSpec, error: ProviderError, until: datetime) -> None:
        if isinstance(error, ModelRefused):
            facts = {"error": str(error), "hint": error.hint, "where": spec.where_of(error.key)}
            get().warning(Event.MODEL_DISABLED, model=spec.name, **facts, retry_at=until)
        else:
            get().warning(Event.MODEL_FAILED, model=spec.name, error=str(error), retry_at=until)

    def _enable(self, spec: ModelSpec) -> None:
        trouble = self._models.get(spec.name)
        if trouble is not None and trouble.reason is Reason.MODEL_DISABLED:
            del self._models[spec.name]
            get().info(Event.MODEL_ENABLED, model=spec.name)

    def _after(self, known: Trouble | None, now: float, error: ProviderError) -> tuple[Trouble, bool]:
        """The trouble that `error` leads to at `now`, by the clock of whoever keeps it; and whether it is unsaid."""
        reason = rule_for(error).reason
        if known is not None and known.reason is not reason:
            known = None
        # Ticks that were under way together fail together: that is one failure, not one each.
        is_next = known is None or known.on_trial or _left_s(known, now) <= 0
        failures = (known.failures if known is not None else 0) + is_next
        wall = self._clock.now()
        pause = held_until(error, failures, wall, self._jitter()) - wall
        said = known is not None and known.said and not known.is_stale
        return Trouble(reason=reason, ends_at=now + pause.total_seconds(), failures=failures, said=said), not said

    def _as_hold(self, trouble: Trouble | None, now: float) -> Hold | None:
        if trouble is None or (left_s := _left_s(trouble, now)) <= 0:
            return None
        return Hold(reason=trouble.reason, until=self._clock.now() + timedelta(seconds=left_s))


def _left_s(trouble: Trouble, now: float) -> float:
    left_s = trouble.ends_at - now
    return left_s if left_s > _OVER_S else 0.0


def _renewed(known: Trouble) -> Trouble:
    """What is left of it once the file has changed."""
    return replace(known, ends_at=-inf, failures=0, on_trial=False, is_stale=True)


def _on_trial(known: Trouble | None, now: float) -> tuple[Trouble | None, bool]:
    """One beat goes out alone, where no hold stands."""
    if known is None or _left_s(known, now) > 0:
        return known, known is None
    return replace(known, ends_at=now + _TRIAL_S, on_trial=True), True


def _passed(known: Trouble | None, now: float) -> tuple[Trouble | None, Trouble | None]:
    """The trial went well; what it ended."""
    return (None, known) if known is not None and known.on_trial else (known, None)


def _lifted(known: Trouble | None, now: float) -> tuple[Trouble | None, None]:
    """Over, so that the next beat is a trial."""
    return (None if known is None else replace(known, ends_at=min(known.ends_at, now))), None

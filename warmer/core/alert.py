"""What people are told of while they do not look: one alert an episode, however often its cause comes and goes.

An episode begins with the first sign of something, and is over once nobody has seen a sign of it for CALM. A model that
fails and recovers every few minutes is one episode: whoever is told of it has heard all there is to hear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

CALM = timedelta(minutes=30)
"""Without a sign for so long, it is over. Longer than a refused model waits before it is tried again."""
TRIES = 5
"""So often an alert is tried to be sent."""
FIRST_PAUSE = timedelta(minutes=1)
"""Before the second try; each later pause is twice the one before."""
_NOTED_EVERY = timedelta(minutes=1)
"""A sign that goes on is written down no more often."""


class AlertKind(StrEnum):
    """What an alert can be about."""

    COLD_STREAK = "cold_streak"  # the last beats of a model were cold, one after another
    BUDGET_NEARLY_USED = "budget_nearly_used"  # 80 % of a cap
    BUDGET_REACHED = "budget_reached"
    MODEL_DISABLED = "model_disabled"
    ACCOUNT_REFUSED = "account_refused"  # the token, or the credit

    @property
    def ends(self) -> bool:
        """Whether it is told to be over: a budget only begins anew, when its alert has said it would."""
        return self not in (AlertKind.BUDGET_NEARLY_USED, AlertKind.BUDGET_REACHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Something is wrong at this moment."""

    kind: AlertKind
    scope: str  # a model, a cap, or all models
    text: str  # what to tell, for people
    until: datetime | None = None  # the end of a cap's window: of another window it is another episode

    @property
    def key(self) -> str:
        """What tells its episode from others."""
        return f"{self.kind} {self.scope} {self.until.isoformat() if self.until else ''}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What is known of a row of signs. Every moment is a Unix time of our own clock."""

    kind: AlertKind
    scope: str
    text: str
    begun: float
    seen: float  # the last sign
    until: float = 0.0  # it is not over before
    is_over: bool = False  # which is still to be told
    is_told: bool = False
    tries: int = 0  # to tell what is to be told now
    next_try: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What is to be told now."""

    key: str
    kind: AlertKind
    scope: str
    text: str
    is_over: bool


Episodes = Mapping[str, Episode]


def advance(known: Episodes, signs: Iterable[Sign], now: datetime) -> tuple[Episodes, tuple[Alert, ...]]:
    """The episodes after these signs at `now`, and the alerts that whoever keeps those is to send.

    An alert comes back until it is `told`, TRIES times at most, so that one that a killed process did not send is sent
    by the next.
    """
    at = now.timestamp()
    found = {key: replace(one, seen=min(one.seen, at), next_try=_heeding_clock(one, at)) for key, one in known.items()}
    for sign in signs:
        found[sign.key] = _after(found.get(sign.key), sign, at)
    kept, due = dict[str, Episode](), list[Alert]()
    for key, episode in found.items():
        one = _ended(episode, at)
        if one is None:
            continue
        if not one.is_told and one.tries < TRIES and one.next_try <= at:
            due.append(Alert(key=key, kind=one.kind, scope=one.scope, text=one.text, is_over=one.is_over))
            pause = FIRST_PAUSE.total_seconds() * 2**one.tries
            one = replace(one, tries=one.tries + 1, next_try=at + pause)
        kept[key] = one
    return kept, tuple(due)


def told(known: Episodes, alerts: Iterable[Alert]) -> Episodes:
    """The episodes once these alerts were sent."""
    found = dict(known)
    for alert in alerts:
        one = found.get(alert.key)
        if one is None or one.is_over != alert.is_over:
            continue
        if one.is_over:
            del found[alert.key]
        else:
            found[alert.key] = replace(one, is_told=True)
    return found


def _after(one: Episode | None, sign: Sign, at: float) -> Episode:
    until = sign.until.timestamp() if sign.until else 0.0
    if one is None:
        return Episode(kind=sign.kind, scope=sign.scope, text=sign.text, begun=at, seen=at, until=until)
    if one.is_over:  # nobody was told that it is: it goes on
        return replace(one, seen=at, is_over=False, is_told=True)
    return replace(one, seen=at) if at - one.seen >= _NOTED_EVERY.total_seconds() else one


def _ended(one: Episode, at: float) -> Episode | None:
    """`one`, over where it is; None where there is nothing more to tell of it."""
    if one.is_over:
        return one if one.tries < TRIES or one.next_try > at else None
    if at < max(one.seen + CALM.total_seconds(), one.until):
        return one
    # Of what nobody was told, nobody needs to be told that it is over.
    return replace(one, is_over=True, is_told=False, tries=0, next_try=at) if one.kind.ends and one.is_told else None


def _heeding_clock(one: Episode, at: float) -> float:
    """When to try next: no later than it could have been meant, where the clock was set back."""
    longest_s: float = FIRST_PAUSE.total_seconds() * 2**TRIES
    return min(one.next_try, at + longest_s)

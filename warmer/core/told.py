"""Calls that an application tells of itself: on record at once, and only once where the account's list has them too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from warmer.core.beat import Prediction, Request, Status, Use, Verdict

SLACK = timedelta(seconds=5)
"""By how much a call may be told before it is made, or after it has ended."""
PAST, AHEAD = timedelta(hours=1), timedelta(minutes=1)
"""How far a call that is told may be from now: older ones keep no model warm, later ones are a clock's fault."""
_MARK = "told-"
"""How the ids begin that stand in for those that were not told. The provider's have no hyphen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One call, as it was told. Stamps are the provider's."""

    model: str  # the entry's name
    created_at: datetime
    completed_at: datetime | None = None  # None: it may be going on
    prediction_id: str | None = None

    def __post_init__(self) -> None:
        if self.completed_at is not None and self.completed_at < self.created_at:
            raise ValueError("`completed_at` is before `created_at`")

    @classmethod
    def at(
        cls,
        now: datetime,
        model: str,
        *,
        created_at: datetime | None = None,
        completed_at: datetime | None = None,
        prediction_id: str | None = None,
    ) -> Told:
        """What is told at `now`, the provider's; a call of now where it has no stamps.

        Raises ValueError for stamps that are not of now, or out of order.
        """
        for key, moment in (("created_at", created_at), ("completed_at", completed_at)):
            if moment is not None and not now - PAST <= moment <= now + AHEAD:
                raise ValueError(f"`{key}` is not within the last hour: tell a call when it is made, or when it ends")
        return cls(
            model=model,
            created_at=created_at or min(completed_at or now, now),
            completed_at=completed_at,
            prediction_id=prediction_id,
        )


def request_of(told: Told, number: str) -> Request:
    """`told` as a call on record, until the account's list shows it. `number` makes an id for one without.

    It used the model at least when it was told. What it met nobody can say: it teaches nothing of the host.
    """
    return Request(
        model=told.model,
        prediction_id=told.prediction_id or f"{_MARK}{number}",
        created_at=told.created_at,
        started_at=told.created_at,
        completed_at=told.completed_at or told.created_at,
        gap_s=None,
        wait_s=None,
        run_s=None,
        verdict=Verdict.UNSURE,
        status=Status.UNKNOWN,
    )


def is_nameless(prediction_id: str) -> bool:
    """Whether it stands in for an id that was not told."""
    return prediction_id.startswith(_MARK)


def is_known(told: Told, uses: Iterable[Use]) -> bool:
    """Whether `told`, which has no id, is one of the calls `uses` that were seen already."""
    return any(_is_same(told.created_at, told.completed_at or told.created_at, use) for use in uses)


def twins(nameless: Sequence[Use], seen: Iterable[Prediction]) -> frozenset[str]:
    """The ids of those calls told without an id that are among the calls `seen` now: one for each of these at most."""
    left = {use.id: use for use in sorted(nameless, key=lambda use: use.created_at)}
    for call in sorted(seen, key=lambda call: call.created_at):
        same = (
            name for name, use in left.items() if _is_same(use.created_at, use.completed_at or use.created_at, call)
        )
        if (found := next(same, None)) is not None:
            del left[found]
    return frozenset(use.id for use in nameless) - left.keys()


def _is_same(begins: datetime, ends: datetime, call: Prediction | Use) -> bool:
    """Whether what was told to begin and end then may be `call`: both were going on at some time, give or take."""
    return call.created_at - SLACK <= ends and (call.completed_at is None or begins <= call.completed_at + SLACK)

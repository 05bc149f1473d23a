"""What was going on with a model when a beat or a call came: the whole record gone through once, in order of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from warmer.core.beat import Status, Use
from warmer.core.verdict import JUST_ENDED

LONGEST_USE = timedelta(hours=1)
"""What was never seen to end is over by then: the provider lets nothing run for more than 30 min."""


class Past:
    """A model's uses, oldest first, of which only those are held that may still matter to what comes next."""

    def __init__(self, uses: Iterable[Use], last_activity: datetime | None = None) -> None:
        """`last_activity` is the end of the last use before all of `uses`, where there was one."""
        self._coming = iter(uses)
        self._next = next(self._coming, None)
        self._near: list[Use] = []
        self._ended = [] if last_activity is None else [last_activity]  # of what is not near any more, the latest

    def around(self, found: Use) -> tuple[list[Use], datetime | None]:
        """The other uses that `found` may have met, and when the last activity before it ended.

        That end is the very moment at which `found` came, where another use was still going on. To be asked for later
        and later moments, since the past is not gone back to.
        """
        came = found.created_at
        while self._next is not None and self._next.created_at <= came:
            self._near.append(self._next)
            self._next = next(self._coming, None)
        self._forget(came - JUST_ENDED)
        others = [use for use in self._near if use.id != found.id]
        if any(_goes_on(use, came) for use in others):
            return others, came
        return others, max([end for use in others if (end := _end(use)) is not None] + self._ended, default=None)

    def _forget(self, before: datetime) -> None:
        """Let go of what ended before that, but not of when."""
        held = list[Use]()
        for use in self._near:
            if use.created_at >= before - LONGEST_USE if use.completed_at is None else use.completed_at >= before:
                held.append(use)
            elif (end := _end(use)) is not None:
                self._ended = [max([end, *self._ended])]
        self._near = held


def _goes_on(use: Use, moment: datetime) -> bool:
    if use.status.is_open:
        return True
    return use.started_at is not None if use.completed_at is None else use.completed_at > moment


def _end(use: Use) -> datetime | None:
    """When the model was last used by it; None where it never ran: canceled or aborted before it started."""
    return use.completed_at if use.started_at is not None or use.status is Status.SUCCEEDED else None

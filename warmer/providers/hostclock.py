"""How far the provider's clock is ahead of ours, by what its replies say. One odd reply does not move it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from warmer.ports import Clock
from warmer.providers.replies import is_thinkable

SKEW_NOTED_S = 2.0
"""The Date header counts whole seconds and is a journey old: less is no skew, and a longer journey tells none."""
AGREE = timedelta(minutes=1)
"""Two witnesses of one moment are no further apart, where they are of one clock."""


class HostClock:
    """The provider's clock.

    A create has three witnesses: the Date header of its reply, the stamp of what was made, and what was known before.
    Where two agree, the third is wrong. A Date by another clock than the stamps, such as a proxy's, is set right from
    then on. Other replies move the clock by less than a minute, unless ours was set meanwhile.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._skew = timedelta(0)
        self._date_off = timedelta(0)  # how far the stamps of predictions are ahead of the Date header
        self._ahead_s: float | None = None  # of our wall clock before the monotonic one, when a create last told

    @property
    def skew(self) -> timedelta:
        """How far the provider's clock is ahead of ours; zero where it is within two seconds."""
        return self._skew

    def now(self) -> datetime:
        """The provider's time."""
        return self._clock.now() + self._skew

    def note(self, headers: Mapping[str, str], left: datetime, back: datetime, *, is_asked: bool = False) -> None:
        """A reply to what left us then, and was back then. `is_asked`: for its Date, which is believed then."""
        date = date_of(headers)
        if date is None or back < left:
            return
        # It was stamped at some time of the journey, in some part of its second.
        least, most = date + self._date_off - back, date + self._date_off - left + timedelta(seconds=1)
        is_free = is_asked or not self._holds
        if (back - left).total_seconds() <= SKEW_NOTED_S:
            skew = _between(least, most)
            if is_free or abs(skew - self._skew) <= AGREE:
                self._skew = skew
        elif is_free and not least - AGREE <= self._skew <= most + AGREE:
            self._skew = least  # a long journey tells that much: what was made is rather younger than that

    def note_made(self, headers: Mapping[str, str], stamp: datetime, left: datetime, back: datetime) -> datetime:
        """A prediction was made between those moments, stamped so. Returns when that was, by the provider's clock."""
        known = self.now() if self._holds else self._clock.now()
        date = date_of(headers)
        told = None if date is None else date + self._date_off
        self._ahead_s = self._ahead()
        if told is not None and abs(told - known) <= AGREE < abs(stamp - known):
            self._believe(_between(told - back, told - left))
            return self.now()
        if date is not None:
            self._date_off = stamp - date if abs(stamp - date) > AGREE else timedelta(0)
        self._believe(_between(stamp - back, stamp - left))
        return stamp

    def _believe(self, skew: timedelta) -> None:
        if abs(skew - self._skew) > AGREE:  # else what is known is known more exactly
            self._skew = skew

    @property
    def _holds(self) -> bool:
        """Whether a create has told since our clock was set."""
        return self._ahead_s is not None and abs(self._ahead() - self._ahead_s) <= SKEW_NOTED_S

    def _ahead(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The Date header; None where there is none that can be read, or be true."""
    try:
        moment = parsedate_to_datetime(headers.get("date") or "")
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if is_thinkable(moment) else None


def _between(least: timedelta, most: timedelta) -> timedelta:
    """The skew that lies between those; none, where that may be all."""
    noted = timedelta(seconds=SKEW_NOTED_S)
    return timedelta(0) if least < noted and most > -noted else (least + most) / 2

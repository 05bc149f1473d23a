"""How far the provider's clock is ahead: what one odd reply may do to it, and what it must follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from warmer.core.beat import Status
from warmer.providers.hostclock import HostClock
from warmer.providers.replies import prediction_of

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
HOUR, YEAR, NONE = timedelta(hours=1), timedelta(days=365), timedelta(0)
JOURNEY = timedelta(seconds=0.2)


class Ours:
    """Our clock: it stands, and may be set."""

    def __init__(self) -> None:
        self._now = NOW

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 100.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")

    def step(self, by: timedelta) -> None:
        self._now += by


class Replies:
    """What comes back from a provider whose clock is `ahead` of ours."""

    def __init__(self, ahead: timedelta = NONE) -> None:
        self.ours, self.ahead = Ours(), ahead
        self.clock = HostClock(self.ours)

    def _head(self, date_off: timedelta | None) -> dict[str, str]:
        now = self.ours.now() + self.ahead
        return {} if date_off is None else {"date": format_datetime(now + date_off, usegmt=True)}

    def get(
        self, date_off: timedelta | None = NONE, *, is_asked: bool = False, journey: timedelta = JOURNEY
    ) -> timedelta:
        back = self.ours.now()
        self.clock.note(self._head(date_off), back - journey, back, is_asked=is_asked)
        return self.clock.skew

    def create(self, date_off: timedelta | None = NONE, stamp_off: timedelta = NONE) -> timedelta:
        """How far from the truth is what is taken for its creation."""
        back = self.ours.now()
        self.clock.note(self._head(date_off), back - JOURNEY, back)
        made = back - JOURNEY / 2 + self.ahead
        return self.clock.note_made(self._head(date_off), made + stamp_off, back - JOURNEY, back) - made


def near(one: timedelta, other: timedelta) -> bool:
    return abs(one - other) < timedelta(seconds=3)


@pytest.mark.parametrize("ahead", [NONE, HOUR, -HOUR, 10 * YEAR, -10 * YEAR])
@pytest.mark.parametrize("odd", [HOUR, -HOUR, YEAR, -9 * YEAR])
def test_one_odd_stamp_moves_no_clock_and_is_put_right(ahead: timedelta, odd: timedelta) -> None:
    replies = Replies(ahead)
    for _ in range(3):
        assert near(replies.create(), NONE)
        assert near(replies.create(stamp_off=odd), NONE)
        assert near(replies.get(), ahead)


@pytest.mark.parametrize("odd", [HOUR, -HOUR, YEAR, -9 * YEAR])
def test_an_odd_stamp_of_the_very_first_create_moves_no_clock_either(odd: timedelta) -> None:
    replies = Replies()
    assert near(replies.create(stamp_off=odd), NONE)
    assert replies.clock.skew == NONE


@pytest.mark.parametrize("ahead", [NONE, HOUR, -10 * YEAR])
@pytest.mark.parametrize("odd", [HOUR, -HOUR, -9 * YEAR])
def test_a_date_that_is_suddenly_another_moves_no_clock(ahead: timedelta, odd: timedelta) -> None:
    replies = Replies(ahead)
    replies.create()
    for _ in range(5):
        assert near(replies.get(odd), ahead)
    assert near(replies.create(date_off=odd), NONE)
    assert near(replies.get(odd), ahead)
    assert near(replies.get(), ahead)  # and when it is well again


def test_a_date_that_was_always_another_is_set_right_by_the_first_create() -> None:
    replies = Replies()
    assert near(replies.get(HOUR), HOUR)  # nothing else is known yet
    assert near(replies.create(HOUR), NONE)
    assert replies.clock.skew == NONE
    assert near(replies.create(HOUR, stamp_off=YEAR), NONE)
    assert replies.get(HOUR) == NONE


@pytest.mark.parametrize("step", [timedelta(seconds=-30), HOUR, -HOUR, 10 * YEAR])
def test_our_clock_may_be_set(step: timedelta) -> None:
    replies = Replies()
    replies.create()
    replies.ours.step(step)
    replies.ahead = -step
    assert near(replies.get(), -step)
    assert near(replies.create(), NONE)
    assert near(replies.create(stamp_off=YEAR), NONE)
    assert near(replies.get(), -step)


def test_the_provider_s_clock_may_be_set() -> None:
    replies = Replies()
    replies.create()
    replies.ahead = HOUR
    assert replies.get() == NONE
    assert near(replies.get(is_asked=True), HOUR)
    replies.ahead = 3 * HOUR
    assert near(replies.create(), NONE)
    assert near(replies.clock.skew, 3 * HOUR)


def test_without_a_date_the_stamps_tell() -> None:
    replies = Replies(HOUR)
    assert replies.get(None) == NONE
    assert near(replies.create(None), NONE)
    assert near(replies.clock.skew, HOUR)


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", ""])
def test_a_date_that_cannot_be_true_is_none(date: str) -> None:
    clock = HostClock(Ours())
    clock.note({"date": date}, NOW, NOW)
    clock.note_made({"date": date}, NOW, NOW, NOW)
    assert clock.skew == NONE


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "2027-11-24T09:00:00Z"])
def test_stamps_that_cannot_be_true_are_none(stamp: str) -> None:
    found = prediction_of(
        {"id": "p", "status": "succeeded", "created_at": stamp, "started_at": stamp, "completed_at": stamp}, NOW
    )
    assert found is not None
    assert (found.created_at, found.started_at, found.completed_at) == (NOW, None, None)
    assert found.status is Status.SUCCEEDED


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_slow_reply_tells_an_hour_and_no_seconds(ahead: timedelta) -> None:
    replies, journey = Replies(ahead), timedelta(seconds=20)
    assert near(replies.get(journey=journey), ahead)
    replies.create()
    replies.ours.step(ahead)
    replies.ahead = NONE
    assert near(replies.get(journey=journey, is_asked=True), NONE)
    assert replies.get(timedelta(seconds=-30), journey=journey, is_asked=True) == replies.clock.skew
    assert near(replies.clock.skew, NONE)

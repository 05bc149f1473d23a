from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.sandbox.limits import Bucket
from warmer.sandbox.stamps import read_duration, read_hold, read_stamp, stamp

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)


@given(per_minute=st.integers(1, 600), burst=st.integers(1, 50), tries=st.integers(1, 80))
def test_who_waits_as_long_as_told_is_let_in(per_minute: int, burst: int, tries: int) -> None:
    bucket, now = Bucket(per_minute=per_minute, burst=burst), BEGIN
    for _ in range(tries):
        grant = bucket.take(now)
        if not grant.allowed:
            now += timedelta(seconds=grant.reset_s)
            assert bucket.take(now).allowed


@given(gaps=st.lists(st.floats(0, 20), max_size=60))
def test_no_span_sees_more_than_its_rate_and_the_burst(gaps: list[float]) -> None:
    bucket, now, allowed = Bucket(per_minute=6, burst=1), BEGIN, list[datetime]()
    for gap in gaps:
        now += timedelta(seconds=gap)
        if bucket.take(now).allowed:
            allowed.append(now)
    for number, moment in enumerate(allowed):
        assert (moment - allowed[0]).total_seconds() >= 10 * number - 0.001 * (number + 1)


def test_an_untouched_bucket_is_told_as_recorded() -> None:
    assert Bucket(per_minute=600).take(BEGIN).headers == {"ratelimit-remaining": "599", "ratelimit-reset": "1"}


@given(moment=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), salt=st.text(max_size=8))  # noqa: DTZ001
def test_a_stamp_reads_back_to_the_millisecond(moment: datetime, salt: str) -> None:
    aware = moment.replace(tzinfo=UTC)
    assert timedelta(0) <= aware - read_stamp(stamp(aware, salt)) < timedelta(milliseconds=1)


def test_stamps_are_utc() -> None:
    berlin = datetime(2026, 1, 5, 9, tzinfo=timezone(timedelta(hours=1)))
    assert stamp(berlin) == "2026-01-05T08:00:00.000000Z"
    assert read_stamp("2026-01-05T09:00:00+01:00") == berlin
    assert read_stamp("2026-01-05T08:00:00") == BEGIN


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [("wait", 60), ("wait=1", 1), ("wait=60", 60), ("wait=99", 60), ("wait=0", None), ("", None), (None, None)],
)
def test_a_preference_is_read(prefer: str | None, seconds: int | None) -> None:
    assert read_hold(prefer) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(("text", "hint"), [("1d", "write it like"), ("4s", "the minimum is 5 seconds"), ("", "90s")])
def test_a_duration_that_is_none_says_how_to_write_one(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        read_duration(text)

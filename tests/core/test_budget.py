from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.budget import Cap, Period, Spending, in_the_way, limits, runs_out_at, window

ZONES = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
MOMENTS = st.datetimes(datetime(1975, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as asked
USD = st.decimals(0, 100, places=6)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        (Period.DAILY, "UTC", "2026-11-21T00:00Z", "2026-11-21T00:00Z", "2026-11-22T00:00Z"),
        (Period.DAILY, "Europe/Berlin", "2026-11-20T23:30Z", "2026-11-20T23:00Z", "2026-11-21T23:00Z"),
        (Period.DAILY, "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),  # 23 hours
        (Period.DAILY, "Europe/Berlin", "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),  # 25 hours
        (Period.DAILY, "Asia/Kathmandu", "2026-11-21T12:00Z", "2026-11-20T18:15Z", "2026-11-21T18:15Z"),
        (Period.DAILY, "Africa/Cairo", "2026-04-24T12:00Z", "2026-04-23T22:00Z", "2026-04-24T21:00Z"),  # no midnight
        (Period.DAILY, "America/Havana", "2026-11-01T12:00Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),  # two of them
        (Period.DAILY, "America/St_Johns", "2010-11-07T02:45Z", "2010-11-07T02:30Z", "2010-11-08T03:30Z"),
        (Period.DAILY, "Pacific/Apia", "2011-12-30T09:00Z", "2011-12-29T10:00Z", "2011-12-30T10:00Z"),
        (Period.MONTHLY, "Europe/Berlin", "2026-11-21T12:00Z", "2026-10-31T23:00Z", "2026-11-30T23:00Z"),
        (Period.MONTHLY, "Europe/Berlin", "2026-03-01T00:00Z", "2026-02-28T23:00Z", "2026-03-31T22:00Z"),
        (Period.MONTHLY, "America/New_York", "2027-01-01T03:00Z", "2026-12-01T05:00Z", "2027-01-01T05:00Z"),
    ],
)
def test_a_window_is_a_day_or_a_month_of_the_zone(period: Period, zone: str, now: str, start: str, end: str) -> None:
    assert window(period, at(now), ZoneInfo(zone)) == (at(start), at(end))


@given(st.sampled_from(Period), MOMENTS, ZONES, st.floats(0, 0.999))
def test_windows_follow_one_another_without_gap_or_overlap(
    period: Period, now: datetime, zone: ZoneInfo, share: float
) -> None:
    start, end = window(period, now, zone)

    assert start <= now < end
    assert window(period, start + (end - start) * share, zone) == (start, end)
    assert window(period, end, zone)[0] == end
    assert window(period, start - timedelta(microseconds=1), zone)[1] == start


@given(MOMENTS, ZONES)
def test_the_days_of_a_month_fill_it(now: datetime, zone: ZoneInfo) -> None:
    start, end = window(Period.MONTHLY, now, zone)

    assert window(Period.DAILY, start, zone)[0] == start
    assert window(Period.DAILY, end - timedelta(microseconds=1), zone)[1] == end


def spending(cap: str, settled: str = "0", reserved: str = "0", *, period: Period = Period.DAILY) -> Spending:
    (limit,) = limits([Cap(model=None, period=period, usd=Decimal(cap))], at("2026-11-21T12:00Z"), ZoneInfo("UTC"))
    return Spending(limit=limit, settled_usd=Decimal(settled), reserved_usd=Decimal(reserved))


def test_a_beat_that_just_fits_may_go_and_a_micro_dollar_more_may_not() -> None:
    nearly = spending("2", "1.5", "0.3")

    assert nearly.left_usd == Decimal("0.2")
    assert not nearly.stops(Decimal("0.2"))
    assert nearly.stops(Decimal("0.200001"))
    assert not nearly.stops_for_good(Decimal("0.200001"))  # what is out may cost less than it reserves
    assert nearly.stops_for_good(Decimal("0.500001"))


def test_nothing_is_left_of_a_cap_that_was_lowered_below_what_is_spent() -> None:
    assert spending("1", "1.5").left_usd == 0
    assert spending("1", "1.5").stops(Decimal(0))


def test_of_several_caps_the_one_that_stops_the_longest_is_named() -> None:
    day, month = spending("1", "1"), spending("9", "9", period=Period.MONTHLY)
    waiting = spending("9", "0", "9", period=Period.MONTHLY)

    assert in_the_way([spending("1"), spending("2")], Decimal("0.5")) is None
    assert in_the_way([day, month], Decimal("0.5")) is month
    assert in_the_way([waiting, day], Decimal("0.5")) is day
    assert in_the_way([waiting], Decimal("0.5")) is waiting


@given(st.lists(st.tuples(USD.filter(bool), USD, USD), max_size=4), USD)
def test_what_may_go_passes_no_cap(figures: list[tuple[Decimal, Decimal, Decimal]], reserve: Decimal) -> None:
    all_of_them = [spending(str(cap), str(settled), str(reserved)) for cap, settled, reserved in figures]

    stopped = in_the_way(all_of_them, reserve)
    passes = [one for one in all_of_them if one.settled_usd + one.reserved_usd + reserve > one.limit.cap.usd]
    assert (stopped is None) == (not passes)
    assert stopped is None or stopped in passes


def test_a_cap_says_what_it_is_of_and_is_an_amount() -> None:
    assert str(Cap(model=None, period=Period.DAILY, usd=Decimal(2))) == "daily of all models"
    assert str(Cap(model="chat", period=Period.MONTHLY, usd=Decimal(2))) == "monthly of chat"
    for usd in ("0", "-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="above 0"):
            Cap(model=None, period=Period.DAILY, usd=Decimal(usd))


@pytest.mark.parametrize(
    ("period", "settled", "a_day", "when"),
    [
        (Period.DAILY, "0", "2", None),  # half a day is left, and twice what is needed
        (Period.DAILY, "1", "2", None),  # to the end, and to the last cent
        (Period.DAILY, "1", "4", "2026-11-21T18:00Z"),
        (Period.DAILY, "2", "0", "2026-11-21T12:00Z"),  # it has run out
        (Period.DAILY, "3", "4", "2026-11-21T12:00Z"),  # a cap that was lowered
        (Period.DAILY, "1.9", "0", None),
        (Period.MONTHLY, "1", "0.1", None),
        (Period.MONTHLY, "1", "0.2", "2026-11-26T12:00Z"),
    ],
)
def test_the_day_a_cap_runs_out_on(period: Period, settled: str, a_day: str, when: str | None) -> None:
    found = runs_out_at(spending("2", settled, period=period), Decimal(a_day), at("2026-11-21T12:00Z"))

    assert found == (None if when is None else at(when))

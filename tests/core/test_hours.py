from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from warmer.core.hours import HORIZON, ActiveHours, week

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday


def hours(*lines: str, zone: str = "Europe/Berlin", country: str | None = "DE") -> ActiveHours:
    return ActiveHours(lines=lines, zone=ZoneInfo(zone), country=country)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def windows(value: ActiveHours, start: str, end: str) -> list[str]:
    """As UTC `MM-DDTHH:MM/MM-DDTHH:MM`."""
    return [f"{since:%m-%dT%H:%M}/{until:%m-%dT%H:%M}" for since, until in value.windows(utc(start), utc(end))]


def test_a_window_holds_its_opening_and_not_its_closing() -> None:
    nine_to_five = hours("Mo-Fr 09:00-17:00")
    opening, closing = utc("2026-11-20T08:00"), utc("2026-11-20T16:00")
    assert not nine_to_five.contains(opening - timedelta(microseconds=1))
    assert nine_to_five.contains(opening)
    assert nine_to_five.contains(closing - timedelta(microseconds=1))
    assert not nine_to_five.contains(closing)


def test_next_open_and_next_close_are_strictly_after() -> None:
    nine_to_five = hours("Mo-Fr 09:00-17:00")
    opening, closing = utc("2026-11-20T08:00"), utc("2026-11-20T16:00")
    assert nine_to_five.next_open(opening - timedelta(microseconds=1)) == opening
    assert nine_to_five.next_open(opening) == utc("2026-11-23T08:00")
    assert nine_to_five.next_close(opening) == closing
    assert nine_to_five.next_close(closing) == utc("2026-11-23T16:00")


def test_answers_are_utc_whatever_zone_was_asked_in() -> None:
    asked = NOW.astimezone(ZoneInfo("Asia/Tokyo"))
    answer = hours("Mo-Fr 09:00-17:00").next_close(asked)
    assert answer == utc("2026-11-20T16:00")
    assert answer is not None
    assert answer.tzinfo is UTC
    assert hours("Mo-Fr 09:00-17:00").contains(NOW.astimezone(timezone(timedelta(hours=-11))))


@pytest.mark.parametrize("method", ["contains", "next_open", "next_close"])
def test_a_naive_moment_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        getattr(hours("24/7"), method)(datetime.fromisoformat("2026-11-20T12:00"))


def test_values_with_the_same_fields_are_equal_and_hash_alike() -> None:
    assert hours("Mo-Fr 09:00-17:00") == hours("Mo-Fr 09:00-17:00")
    assert len({hours("24/7"), hours("24/7"), hours("Mo"), hours("24/7", zone="UTC")}) == 3


def test_a_list_of_lines_is_their_union() -> None:
    value = hours("Mo-Fr 08:00-20:00; PH off", "Fr 18:00-22:00", "Sa 22:00-02:00")
    assert windows(value, "2026-11-20T00:00", "2026-11-23T00:00") == [
        "11-20T07:00/11-20T21:00",
        "11-21T21:00/11-22T01:00",
    ]


def test_windows_that_touch_are_one() -> None:
    value = hours("Mo 08:00-12:00", "Mo 12:00-24:00", "Tu 00:00-01:00")
    assert windows(value, "2026-11-23T00:00", "2026-11-25T00:00") == ["11-23T07:00/11-24T00:00"]
    assert value.next_close(utc("2026-11-23T07:30")) == utc("2026-11-24T00:00")


def test_windows_are_clipped_to_what_was_asked() -> None:
    value = hours("Mo-Fr 08:00-20:00")
    assert windows(value, "2026-11-20T10:00", "2026-11-20T11:00") == ["11-20T10:00/11-20T11:00"]
    assert windows(value, "2026-11-21T10:00", "2026-11-21T11:00") == []
    assert windows(value, "2026-11-20T11:00", "2026-11-20T10:00") == []


def test_windows_over_many_months_have_no_seam() -> None:
    found = hours("08:00-08:00", "Mo 10:00-12:00").windows(utc("2026-01-01"), utc("2028-01-01"))
    assert found == ((utc("2026-01-01"), utc("2028-01-01")),)
    found = hours("22:00-02:00", zone="UTC").windows(utc("2026-01-01T03:00"), utc("2027-01-01T03:00"))
    assert len(found) == 365
    assert {until - since for since, until in found} == {timedelta(hours=4)}


def test_an_edge_on_the_first_of_a_month_is_seen_once() -> None:
    value = hours("Nov 30,Dec 1 00:00-24:00", zone="UTC")
    assert windows(value, "2026-11-01", "2026-12-31") == ["11-30T00:00/12-02T00:00"]
    value = hours("2026 Dec 1 00:00-24:00", zone="UTC")
    assert value.next_open(utc("2026-11-29")) == utc("2026-12-01")
    assert not value.contains(utc("2026-11-30T23:59"))
    assert value.contains(utc("2026-12-01"))
    value = hours("2026 Nov 30 00:00-24:00", zone="UTC")
    assert value.next_close(utc("2026-11-30")) == utc("2026-12-01")
    assert not value.contains(utc("2026-12-01"))


def test_public_holidays_follow_the_country() -> None:
    unity_day = utc("2028-10-03T10:00")  # a Tuesday, a holiday in Germany alone
    assert not hours("Mo-Fr 08:00-20:00; PH off", country="DE").contains(unity_day)
    assert hours("Mo-Fr 08:00-20:00; PH off", country="FR").contains(unity_day)


# --- the clock changes ------------------------------------------------------------------------------------------------

SPRING, AUTUMN = ("2026-03-28T12:00", "2026-03-29T12:00"), ("2026-10-24T12:00", "2026-10-25T12:00")


@pytest.mark.parametrize(
    ("line", "zone", "span", "expected"),
    [
        # Berlin skips 02:00-03:00 at 01:00 UTC
        ("Su 02:30-06:00", "Europe/Berlin", SPRING, ["03-29T01:00/03-29T04:00"]),
        ("Su 00:00-02:30", "Europe/Berlin", SPRING, ["03-28T23:00/03-29T01:00"]),
        ("Su 02:10-02:40", "Europe/Berlin", SPRING, []),
        ("Su 02:00-03:00", "Europe/Berlin", SPRING, []),
        ("Su 01:00-02:10,02:50-04:00", "Europe/Berlin", SPRING, ["03-29T00:00/03-29T02:00"]),
        ("Sa 22:00-02:30", "Europe/Berlin", SPRING, ["03-28T21:00/03-29T01:00"]),
        # Berlin repeats 02:00-03:00: at 00:00 and at 01:00 UTC
        ("Su 02:30-06:00", "Europe/Berlin", AUTUMN, ["10-25T00:30/10-25T05:00"]),
        ("Su 00:00-02:30", "Europe/Berlin", AUTUMN, ["10-24T22:00/10-25T00:30"]),
        ("Su 02:10-02:40", "Europe/Berlin", AUTUMN, ["10-25T00:10/10-25T00:40"]),
        ("Su 02:00-03:00", "Europe/Berlin", AUTUMN, ["10-25T00:00/10-25T02:00"]),
        ("Sa 22:00-02:00", "Europe/Berlin", AUTUMN, ["10-24T20:00/10-25T00:00"]),
        # Lord Howe skips 02:00-02:30 and repeats 01:30-02:00
        (
            "Su 02:10-04:00",
            "Australia/Lord_Howe",
            ("2026-10-03T12:00", "2026-10-04T12:00"),
            ["10-03T15:30/10-03T17:00"],
        ),
        ("Su 02:10-02:20", "Australia/Lord_Howe", ("2026-10-03T12:00", "2026-10-04T12:00"), []),
        (
            "Su 01:40-01:50",
            "Australia/Lord_Howe",
            ("2026-04-04T12:00", "2026-04-05T12:00"),
            ["04-04T14:40/04-04T14:50"],
        ),
        (
            "Su 01:40-02:00",
            "Australia/Lord_Howe",
            ("2026-04-04T12:00", "2026-04-05T12:00"),
            ["04-04T14:40/04-04T15:30"],
        ),
        # Santiago repeats Saturday 23:00-24:00 and skips Sunday 00:00-01:00
        ("Sa 20:00-24:00", "America/Santiago", ("2026-04-04T12:00", "2026-04-05T12:00"), ["04-04T23:00/04-05T04:00"]),
        ("Su 00:00-08:00", "America/Santiago", ("2026-09-05T12:00", "2026-09-06T12:00"), ["09-06T04:00/09-06T11:00"]),
        ("Su 00:10-00:50", "America/Santiago", ("2026-09-05T12:00", "2026-09-06T12:00"), []),
        # Apia has no Friday, 30 December 2011: the clock jumps from Thursday 24:00 to Saturday 00:00, at 10:00 UTC
        ("Fr 08:00-20:00", "Pacific/Apia", ("2011-12-29T12:00", "2012-01-01T12:00"), []),
        ("Fr 22:00-02:00", "Pacific/Apia", ("2011-12-29T12:00", "2012-01-01T12:00"), ["12-30T10:00/12-30T12:00"]),
        ("Th 22:00-02:00", "Pacific/Apia", ("2011-12-29T12:00", "2012-01-01T12:00"), ["12-30T08:00/12-30T10:00"]),
        ("Th,Sa 00:00-24:00", "Pacific/Apia", ("2011-12-29T12:00", "2012-01-01T08:00"), ["12-29T12:00/12-31T10:00"]),
    ],
)
def test_an_edge_happens_the_first_time_the_wall_clock_reaches_or_passes_it(
    line: str, zone: str, span: tuple[str, str], expected: list[str]
) -> None:
    assert windows(hours(line, zone=zone), *span) == expected


def test_nine_oclock_stays_nine_oclock_over_a_clock_change() -> None:
    value = hours("Mo-Fr 09:00-17:00")
    assert value.next_open(utc("2026-03-27T12:00")) == utc("2026-03-30T07:00")
    assert value.next_open(utc("2026-10-23T12:00")) == utc("2026-10-26T08:00")


# --- always, and never again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "always"),
    [
        (("24/7",), True),
        (("Mo-Su 00:00-24:00",), True),
        (("08:00-08:00",), True),
        (("Mo-Fr", "Sa,Su"), True),
        (("00:00-12:00", "12:00-24:00"), True),
        (("24/7; PH off",), False),
        (("24/7; Dec 24 12:00-14:00 off",), False),
        (("Mo-Sa",), False),
        (("2026+",), True),
    ],
)
def test_always_is_open_without_end(lines: tuple[str, ...], always: bool) -> None:
    value = hours(*lines)
    assert value.always is always
    if always:
        assert value.contains(NOW)
        assert value.next_open(NOW) is None
        assert value.next_close(NOW) is None
    else:
        assert value.next_close(NOW) is not None


def test_hours_that_are_not_named_are_open_without_end() -> None:
    value = ActiveHours.always_open()
    assert value.always
    assert value.windows(NOW, NOW + timedelta(days=400)) == ((NOW, NOW + timedelta(days=400)),)


def test_hours_that_begin_some_day_are_shut_before_it() -> None:
    value = hours("2026+", zone="UTC")
    assert not value.contains(utc("2025-06-01"))
    assert value.next_open(utc("2025-06-01")) == utc("2026-01-01")


def test_hours_that_are_over_never_open_again() -> None:
    value = hours("2026 Nov 27 10:00-12:00")
    assert value.next_close(utc("2026-11-27T10:00")) == utc("2026-11-27T11:00")
    assert value.next_open(utc("2026-11-27T10:00")) is None
    assert value.next_close(utc("2026-11-28T10:00")) is None
    assert not value.always


def test_a_leap_day_is_found_eight_years_ahead() -> None:
    assert hours("Feb 29 10:00-12:00").next_open(utc("2096-03-01")) == utc("2104-02-29T09:00")


def test_what_opens_beyond_the_horizon_is_not_looked_for() -> None:
    value = hours("2060 Mo 10:00-12:00")
    assert value.next_open(utc("2026-01-01")) is None
    opening = value.next_open(utc("2055-01-01"))
    assert opening == utc("2060-01-05T09:00")
    assert opening is not None
    assert value.next_open(opening - HORIZON) is None
    assert value.next_open(opening - HORIZON + timedelta(seconds=1)) == opening


# --- the coming week --------------------------------------------------------------------------------------------------


def test_the_week_lists_seven_local_days() -> None:
    value = hours("Mo-Fr 08:00-12:00,13:00-20:00; PH off", "Sa 22:00-02:00", country="DE")
    assert [str(day) for day in week(value, utc("2026-12-23T23:30"))] == [
        "Th 24 Dec  08:00-12:00, 13:00-20:00",
        "Fr 25 Dec  closed",
        "Sa 26 Dec  22:00-24:00",
        "Su 27 Dec  00:00-02:00",
        "Mo 28 Dec  08:00-12:00, 13:00-20:00",
        "Tu 29 Dec  08:00-12:00, 13:00-20:00",
        "We 30 Dec  08:00-12:00, 13:00-20:00",
    ]


def test_the_week_of_hours_without_end_is_open_all_day() -> None:
    assert {str(day)[11:] for day in week(ActiveHours.always_open(), NOW)} == {"00:00-24:00"}


def test_the_week_shows_what_a_clock_change_makes_of_a_window() -> None:
    sunday = week(hours("02:30-04:00"), utc("2026-03-29T10:00"))[0]
    assert str(sunday) == "Su 29 Mar  03:00-04:00"
    days = week(hours("08:00-20:00", zone="Pacific/Apia"), utc("2011-12-29T20:00"))
    assert [day.date for day in days[:3]] == [date(2011, 12, 29), date(2011, 12, 30), date(2011, 12, 31)]
    assert [str(day)[11:] for day in days[:3]] == ["08:00-20:00", "closed", "08:00-20:00"]


def test_the_stretches_of_a_day_are_moments_of_the_zone() -> None:
    (stretch,) = week(hours("Fr 08:00-20:00"), NOW)[0].stretches
    assert stretch == (utc("2026-11-20T07:00"), utc("2026-11-20T19:00"))
    assert stretch[0].tzinfo is BERLIN

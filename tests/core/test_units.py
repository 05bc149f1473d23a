from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.units import (
    format_duration,
    format_instant,
    format_usd,
    from_micros,
    parse_duration,
    parse_instant,
    to_micros,
)

MICROS = st.integers(min_value=0, max_value=10**15)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("500ms", 0.5),
        ("1m500ms", 60.5),
        ("1.5h", 5400),
        ("0.25s", 0.25),
        ("1d2h3m4s5ms", 93_784.005),
        ("0s", 0),
        (" 50s ", 50),
    ],
)
def test_a_duration_is_a_number_and_a_unit_or_several(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "30",
            "1.5",
            "-5s",
            "+5s",
            "5 s",
            "5S",
            "5sec",
            "5min",
            "1h 30m",
            "30m1h",
            "1s1s",
            "s",
            ".5s",
            "5.s",
        ),
        *("1e3s", "٣s", "22:00", "P1D", "auto", "inf", "nan", "1m2", "5s\n6s"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write a number and a unit, such as 30s, 5m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(("digits", "unit"), [(12, "d"), (400, "s"), (5000, "ms"), (1_000_001, "d")])
def test_a_duration_longer_than_any_is_refused(digits: int, unit: str) -> None:
    with pytest.raises(ValueError, match="longer than any duration can be"):
        parse_duration("9" * digits + unit)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta.max))
def test_a_written_duration_reads_back_to_the_microsecond(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=50), "50s"),
        (timedelta(seconds=60), "1m"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(hours=24), "1d"),
        (timedelta(milliseconds=500), "500ms"),
        (timedelta(seconds=1, microseconds=1), "1s0.001ms"),
    ],
)
def test_a_duration_is_written_in_the_largest_units_that_fit(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


def test_a_negative_duration_has_no_spelling() -> None:
    with pytest.raises(ValueError, match="negative"):
        format_duration(timedelta(microseconds=-1))


@pytest.mark.parametrize(
    ("fraction", "microseconds"),
    [
        ("", 0),
        (".7", 700_000),
        (".765", 765_000),
        (".7659", 765_900),
        (".76599", 765_990),
        (".765994", 765_994),
        (".7659941", 765_994),
        (".76599419", 765_994),
        (".765994199", 765_994),
    ],
)
def test_an_instant_is_read_with_any_number_of_fraction_digits(fraction: str, microseconds: int) -> None:
    read = parse_instant(f"2023-09-08T16:19:34{fraction}Z")

    assert read == datetime(2023, 9, 8, 16, 19, 34, microseconds, tzinfo=UTC)
    assert read.tzinfo is UTC


@pytest.mark.parametrize("offset", ["Z", "+00:00", "-00:00", "+0000", "+00"])
def test_zero_offsets_are_utc(offset: str) -> None:
    assert parse_instant(f"2026-11-21T09:00:00{offset}") == datetime(2026, 11, 21, 9, tzinfo=UTC)


def test_an_offset_is_turned_into_utc() -> None:
    assert parse_instant("2026-11-21T09:00:00.5+05:30") == datetime(2026, 11, 21, 3, 30, 0, 500_000, tzinfo=UTC)
    assert parse_instant("2026-12-31T23:30:00-01:00") == datetime(2027, 1, 1, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-21T09:00:00", "2026-11-21", "2026-11-21 09:00:00.123"])
def test_an_instant_without_a_zone_is_refused_with_what_to_add(text: str) -> None:
    with pytest.raises(ValueError, match="has no time zone: end it with Z"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00"])
def test_an_instant_that_utc_cannot_hold_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="outside the years"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["", "now", "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z", "1763715600"])
def test_what_is_no_instant_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month|hour"):
        parse_instant(text)


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    moment = datetime(2026, 11, 21, 10, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))

    assert format_instant(moment) == "2026-11-21T09:00:00.999Z"


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_written_instant_reads_back_to_the_millisecond(moment: datetime) -> None:
    assert parse_instant(format_instant(moment)) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@given(st.lists(MICROS, max_size=200))
def test_sums_of_micro_dollars_are_exact(amounts: list[int]) -> None:
    assert to_micros(sum((from_micros(one) for one in amounts), Decimal(0))) == sum(amounts)


@given(MICROS)
def test_micro_dollars_come_back_as_they_went(micros: int) -> None:
    assert to_micros(from_micros(micros)) == micros
    assert from_micros(micros).as_tuple().exponent == -6


@pytest.mark.parametrize(
    ("usd", "micros"),
    [
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("0.0000025", 2),
        ("0.00000250000000000000000000000001", 3),
        ("1234567890.0000005000000000000000000000001", 1_234_567_890_000_001),
        ("0.00000049999999999999999999999999999999", 0),
        ("1E+3", 1_000_000_000),
        ("0.1", 100_000),
        ("-0.0000015", -2),
    ],
)
def test_half_a_micro_dollar_goes_to_the_even_one_and_no_other_rounding_comes_before(usd: str, micros: int) -> None:
    assert to_micros(Decimal(usd)) == micros


@given(st.decimals(min_value=0, max_value=10**9, places=12))
def test_rounding_agrees_with_whole_number_arithmetic(usd: Decimal) -> None:
    whole = int(usd.scaleb(12))
    down, rest = divmod(whole, 10**6)
    up = rest > 500_000 or (rest == 500_000 and down % 2 == 1)

    assert to_micros(usd) == down + up
    assert from_micros(to_micros(usd)) == usd.quantize(Decimal("0.000001"), rounding=ROUND_HALF_EVEN)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**9))
def test_money_is_written_without_an_exponent_and_exactly(usd: Decimal) -> None:
    text = format_usd(usd)

    assert text is not None
    assert set(text) <= set("0123456789.")
    assert Decimal(text) == usd


@pytest.mark.parametrize(("usd", "text"), [("1E-7", "0.0000001"), ("1E+3", "1000"), ("0E-6", "0.000000")])
def test_small_and_round_amounts_have_no_exponent(usd: str, text: str) -> None:
    assert format_usd(Decimal(usd)) == text


def test_unknown_money_stays_unknown() -> None:
    assert format_usd(None) is None

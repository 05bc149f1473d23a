from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from warmer.core.hours import ActiveHours, HoursError

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday


def hours(*lines: str, zone: str = "Europe/Berlin", country: str | None = "DE") -> ActiveHours:
    return ActiveHours(lines=lines, zone=ZoneInfo(zone), country=country)


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        ("9am-5pm", "character 1, `9am-5pm`", "`09:00-17:00`"),
        ("2-5 pm", "cannot be read", "`14:00-17:00`"),
        ("9:30 a.m. - 12 p.m.", "cannot be read", "`09:30-12:00`"),
        ("Mon-Fri 08:00-20:00", "character 1, `Mon-Fri`", "`Mo-Fr 08:00-20:00`"),
        ("Monday to Friday 9am to 5pm", "cannot be read", "`Mo-Fr 09:00-17:00`"),
        ("Mo-Fr 08-20", "character 7, `08-20`", "`Mo-Fr 08:00-20:00`"),
        ("Mo-Fr 8.00-20.00", "character 7", "`Mo-Fr 08:00-20:00`"),
        ("Mo–Fr 08:00–20:00", "cannot be read", "`Mo-Fr 08:00-20:00`"),
        ("Mo - Fr 08:00-20:00", "cannot be read", "`Mo-Fr 08:00-20:00`"),
        ("Mo-Fr: 08:00-20:00", "cannot be read", "`Mo-Fr 08:00-20:00`"),
        ("Mo/We/Fr 08:00-20:00", "cannot be read", "`Mo,We,Fr 08:00-20:00`"),
        ("Montag bis Freitag 8-20 Uhr", "cannot be read", "`Mo-Fr 08:00-20:00`"),
        ("Di-Do, So 08:00-20:00", "cannot be read", "`Tu-Th,Su 08:00-20:00`"),
        ("täglich 08:00-20:00", "cannot be read", "`Mo-Su 08:00-20:00`"),
        ("weekdays 08:00-20:00", "cannot be read", "`Mo-Fr 08:00-20:00`"),
        ("Mo-Fr 08:00-20:00; holidays off", "character 20, `holidays`", "`Mo-Fr 08:00-20:00; PH off`"),
        ("always", "cannot be read", "`24/7`"),
        ("Mo-Fr 08:00-12:00 13:00-17:00", "character 19", "`Mo-Fr 08:00-12:00,13:00-17:00`"),
        ("Mo-Fr 08:00-12:00 and 13:00-17:00", "character 19", "`Mo-Fr 08:00-12:00,13:00-17:00`"),
        ("Mo-Fr 08:00-20:00 Sa 10:00-12:00", "character 19", "`Mo-Fr 08:00-20:00; Sa 10:00-12:00`"),
        ("Dec 24-26 off; Mon-Fri 9-17", "character 16", "`Dec 24-26 off; Mo-Fr 09:00-17:00`"),
        ('Mon 08:00-20:00 "Mon, 9-5"', "cannot be read", '`Mo 08:00-20:00 "Mon, 9-5"`'),
        ("Mo-Fr 08:00-20:00;", "at its end", "`Mo-Fr 08:00-20:00`"),
        ("Mo-Fr 08:00", "has no end", "`08:00-20:00`"),
        ("Mo-Fr 08:00-", "has no end", "`08:00-20:00`"),
        ("22:00", "has no end", "`22:00-06:00`"),
        ("9 to 5", "cannot be read", "as in `Mo-Fr 08:00-20:00; PH off`"),
        ("whenever", "cannot be read", "as in `Mo-Fr 08:00-20:00; PH off`"),
        ("Mo-Fr 08:60-20:00", "a time 08:60", "minutes go to 59"),
        ("Mo-Fr 08:00-49:00", "a time 49:00", "48"),
        ("Mo-Fr 24:00-26:00", "begins at 24:00", "before 24:00"),
        ("2028-2026 08:00-20:00", "do you mean '2026-2028'", "as in"),
        ("* 8-20 * * 1-5", "cron", "`Mo-Fr 08:00-21:00`; `every`"),
        ("0 9-17 * * MON-FRI", "cron", "`Mo-Fr 09:00-18:00`; `every`"),
        ("*/5 * * * *", "cron", "`24/7`; `every`"),
        ("0 8 1 * *", "cron", "as in `Mo-Fr 08:00-20:00; PH off`"),
        ("", "empty", "`24/7`"),
        (" \n", "empty", "`24/7`"),
        ("off", "never opens", "behind what it shortens"),
        ("PH off", "never opens", "behind what it shortens"),
        ("Mo-Fr 08:00-20:00 closed", "never opens", "behind what it shortens"),
        ("2020 Mo-Fr 08:00-20:00", "never opens", "2026"),
        ("Feb 30 10:00-12:00", "names Feb 30", "`Feb 29`"),
        ("Mo-Fr 08:00-20:00; Nov 31 off", "names Nov 31", "`Nov 30`"),
        ("2027 Feb 29 10:00-12:00", "Feb 2027 has 28 days", "`Feb 28`"),
        ("sunrise-sunset", "sunrise", "time of day"),
        ("08:00-(sunset+01:00)", "sunset", "time of day"),
        ("Mo 08:00+", "open at `08:00+`", "`08:00-24:00`"),
        ("Mo 08:00-20:00+", "open at `20:00+`", "`20:00-24:00`"),
        ("08:00-20:00/01:00", "repeats", "span alone"),
        ("Mo-Fr 08:00-20:00; Sa unknown", "`unknown`", "`off`"),
        ("Mo-Fr 08:00-20:00; SH off", "school holidays", "dates"),
        ('Mo-Fr 08:00-20:00; "by appointment"', "comment alone", "behind its rule"),
        ("Mo, We 10:00-12:00", "open Mo around the clock", "`Mo,We 10:00-12:00`"),
        ("Mo-Fr 08:00-20:00; Sa, Su off", "open Sa around the clock", "`Mo-Fr 08:00-20:00; Sa,Su off`"),
    ],
)
def test_a_line_that_cannot_be_followed_says_what_to_write(line: str, problem: str, hint: str) -> None:
    with pytest.raises(HoursError) as caught:
        hours("24/7", line)
    assert problem in caught.value.problem
    assert hint in caught.value.hint
    assert str(caught.value) == f"{caught.value.problem} ({caught.value.hint})"
    assert "\n" not in str(caught.value)


def test_a_list_of_no_lines_is_refused() -> None:
    with pytest.raises(HoursError, match="empty"):
        hours()


def test_public_holidays_of_no_country_are_refused() -> None:
    with pytest.raises(HoursError, match="country: DE"):
        hours("Mo-Fr 08:00-20:00; PH off", country=None)


@pytest.mark.parametrize(
    ("country", "hint"), [("de", "`DE`"), ("UK", "`GB`"), ("DEU", "ISO 3166"), ("", "ISO 3166"), ("XX", "dates")]
)
def test_an_unknown_country_is_refused(country: str, hint: str) -> None:
    with pytest.raises(HoursError) as caught:
        hours("24/7", country=country)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "Mo-Fr 8:00-20:00",
        "mo-fr 08:00-20:00",
        " Mo-Fr  08:00-20:00;\n  PH off\n",
        "Mo 00:00-24:00, We 10:00-12:00",
        "Mo-Fr 08:00-20:00, Sa 10:00-12:00; PH off",
        "Sa 22:00-26:00",
        'Mo-Fr 08:00-20:00 "sunrise, SH; unknown 08:00+"',
        "2028 Feb 29 10:00-12:00",
        "2026+ Feb 29 10:00-12:00",
        "week 53 Mo 10:00-12:00",
        "Mo[1],Mo[-1] 10:00-12:00",
        "easter -2 days off; 10:00-12:00",
    ],
)
def test_a_line_that_can_be_followed_is_accepted(line: str) -> None:
    assert hours(line).next_open(NOW) is not None


def test_every_line_that_the_documentation_shows_as_an_example_is_accepted() -> None:
    table = (
        (Path(__file__).parents[2] / "docs" / "hours.md").read_text(encoding="utf-8").partition("| line | open |")[2]
    )
    examples = re.findall(r"^\| `([^`]+)`", table.partition("##")[0], re.MULTILINE)
    assert len(examples) == 10
    for line in examples:
        hours(line)

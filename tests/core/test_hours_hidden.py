from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from warmer.core.hours import ActiveHours, hidden_rules
from warmer.core.hours_hidden import Effect
from warmer.core.hours_notation import split_rules

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday


def hours(*lines: str, zone: str = "Europe/Berlin", country: str | None = "DE") -> ActiveHours:
    return ActiveHours(lines=lines, zone=ZoneInfo(zone), country=country)


@pytest.mark.parametrize(
    ("line", "rule", "by", "effect", "first", "instead"),
    [
        (
            "Sa 22:00-02:00; Su 10:00-12:00",
            "Sa 22:00-02:00",
            "Su 10:00-12:00",
            Effect.HIDES_TAIL,
            ("2026-11-22T00:00", "2026-11-22T02:00"),
            ("Sa 22:00-02:00, Su 10:00-12:00",),
        ),
        (
            "Mo-Fr 08:00-20:00; Su 22:00-02:00",
            "Su 22:00-02:00",
            "Mo-Fr 08:00-20:00",
            Effect.HIDES_TAIL,
            ("2026-11-23T00:00", "2026-11-23T02:00"),
            ("Mo-Fr 08:00-20:00, Su 22:00-02:00",),
        ),
        (
            "Mo-Fr 08:00-20:00; Tu 10:00-12:00; PH off",
            "Mo-Fr 08:00-20:00",
            "Tu 10:00-12:00",
            Effect.HIDES,
            ("2026-11-24T08:00", "2026-11-24T10:00"),
            ("Mo-Fr 08:00-20:00, Tu 10:00-12:00; PH off",),
        ),
        (
            'Mo-Fr 08:00-20:00 "a; b"; Dec 24 08:00-12:00',
            'Mo-Fr 08:00-20:00 "a; b"',
            "Dec 24 08:00-12:00",
            Effect.HIDES,
            ("2026-12-24T12:00", "2026-12-24T20:00"),
            ('Mo-Fr 08:00-20:00 "a; b", Dec 24 08:00-12:00',),
        ),
        (  # a comma would make it a second time of the same days
            "Mo-Fr 08:00-12:00; 13:00-17:00; PH off",
            "Mo-Fr 08:00-12:00",
            "13:00-17:00",
            Effect.HIDES,
            ("2026-11-23T08:00", "2026-11-23T12:00"),
            ("Mo-Fr 08:00-12:00; PH off", "13:00-17:00; PH off"),
        ),
        (
            "22:00-02:00; PH off",
            "22:00-02:00",
            "PH off",
            Effect.SHUTS_TAIL,
            ("2026-12-25T00:00", "2026-12-25T02:00"),
            (),
        ),
        (
            "PH off; Mo-Fr 08:00-20:00",
            "PH off",
            "Mo-Fr 08:00-20:00",
            Effect.UNDOES,
            ("2026-12-25T08:00", "2026-12-25T20:00"),
            ("Mo-Fr 08:00-20:00; PH off",),
        ),
    ],
)
def test_a_rule_that_hides_part_of_another_is_found(
    line: str, rule: str, by: str, effect: Effect, first: tuple[str, str], instead: tuple[str, ...]
) -> None:
    (found,) = hidden_rules(line, BERLIN, "DE", NOW)
    assert (found.rule, found.by, found.effect) == (rule, by, effect)
    assert (found.start.isoformat("T", "minutes"), found.end.isoformat("T", "minutes")) == first
    assert found.instead == instead
    assert f"`{rule}`" in str(found)
    assert all(f"`{spelling}`" in str(found) for spelling in instead)
    if instead:
        assert not [again for better in instead for again in hidden_rules(better, BERLIN, "DE", NOW)]


@pytest.mark.parametrize(
    "line",
    [
        "24/7",
        "Mo-Fr 08:00-20:00; PH off",
        "Mo-Fr 08:00-20:00; Sa 10:00-12:00",
        "Mo-Fr 08:00-20:00; Sa off",
        "off; Mo-Fr 08:00-20:00",
        "Sa 22:00-02:00, Su 10:00-12:00",
        "Mo-Fr 08:00-20:00; Mo 12:00-13:00 off",
        "Mo 22:00-02:00; Tu 00:00-01:00 off",
        "24/7; PH off",
        "Mo-Fr 08:00-20:00; Sa 22:00-02:00; Su 00:00-02:00",
        "Mo-Fr 08:00-20:00; Dec 24 08:00-12:00; Dec 24-Jan 1 off",
        'Sa 10:00-12:00 "; Sa 14:00-15:00"',
    ],
)
def test_a_line_whose_rules_leave_each_other_alone_has_no_warning(line: str) -> None:
    assert hidden_rules(line, BERLIN, "DE", NOW) == ()


def test_warnings_name_the_day_and_come_in_order_of_time() -> None:
    found = hidden_rules("Mo-Su 22:00-02:00; Sa,Su 20:00-04:00", BERLIN, "DE", NOW)
    assert [str(warning) for warning in found] == [
        "`Sa,Su 20:00-04:00` hides what `Mo-Su 22:00-02:00` opens after midnight, first on Sa 21 Nov 2026 00:00-02:00; "
        "if that is not meant, write `Mo-Su 22:00-02:00, Sa,Su 20:00-04:00`",
        "`Mo-Su 22:00-02:00` hides what `Sa,Su 20:00-04:00` opens after midnight, first on Mo 23 Nov 2026 02:00-04:00; "
        "if that is not meant, write `Mo-Su 22:00-02:00, Sa,Su 20:00-04:00`",
    ]


def test_what_was_hidden_before_now_is_past() -> None:
    saturday_night = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)  # 01:30 in Berlin, within the hidden hours
    (found,) = hidden_rules("Sa 22:00-02:00; Su 10:00-12:00", BERLIN, None, saturday_night)
    assert found.start == datetime.fromisoformat("2026-11-22T01:30")
    (found,) = hidden_rules("Sa 22:00-02:00; Su 10:00-12:00", BERLIN, None, saturday_night + timedelta(hours=1))
    assert found.start == datetime.fromisoformat("2026-11-29T00:00")


def test_rules_are_divided_outside_of_comments_only() -> None:
    assert split_rules('Mo "a;b" ; Tu; "c"') == ('Mo "a;b"', "Tu", '"c"')

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from warmer.core.adaptive import Adaptive
from warmer.core.prospect import Prospect, local_seconds, offset_at
from warmer.core.traffic import calls_per_s

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
DAY_S = 86_400.0


def every(minutes: float, hours: float) -> list[datetime]:
    count = int(hours * 60 / minutes)
    return [NOON - timedelta(minutes=minutes) * number for number in range(count, 0, -1)]


@pytest.mark.parametrize(
    ("calls", "an_hour"),
    [
        ([], 0),
        (every(10, 24), 6),
        (every(10, 2), 6),  # a young record is not diluted by the day that it has not seen
        ([NOON - timedelta(seconds=1)], 12),  # nor is one call a rate of thousands
        ([one - timedelta(hours=3) for one in every(10, 21)], 2.6),  # silent for three hours
    ],
)
def test_the_rate_of_calls(calls: list[datetime], an_hour: float) -> None:
    assert calls_per_s(calls, NOON) * 3600 == pytest.approx(an_hour, rel=0.1)


def test_nine_o_clock_stays_nine_o_clock_over_a_change_of_the_clock() -> None:
    days = [
        datetime(2026, 10, 20, 9, 0, tzinfo=BERLIN) + timedelta(days=day) for day in range(12)
    ]  # winter from the 25th
    times = local_seconds(days, BERLIN, days[-1])
    assert {at % DAY_S for at in times} == {9 * 3600.0}


def test_a_gap_over_a_change_of_the_clock_is_as_long_as_it_was() -> None:
    before = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    after = before + timedelta(hours=2)
    first, second = local_seconds([before, after], BERLIN, after)
    assert second - first == 7200


def test_a_prospect_counts_there_and_back() -> None:
    prospect = Prospect(decider=Adaptive(worth=80), offset=offset_at(NOON, BERLIN))
    assert prospect.moment(prospect.seconds(NOON)) == NOON
    assert prospect.seconds(NOON) % DAY_S == 13 * 3600
    assert prospect.seconds(NOON) // DAY_S % 7 == 1  # a Tuesday


def test_what_a_copy_is_fed_the_first_does_not_hear_of() -> None:
    prospect = Prospect(decider=Adaptive(worth=80), offset=timedelta(0))
    prospect.copy().decider.seen(5.0)
    assert prospect.decider.last_s is None

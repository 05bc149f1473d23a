from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from warmer.core.budget import Period, window
from warmer.core.rollup import begin_of, hour_of, quarter_of

QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)
BEGIN = datetime(2026, 10, 20, tzinfo=UTC)  # clocks are set in the two weeks after that, in both halves of the world
HALVES = {"UTC": 0, "Europe/Berlin": 0, "Asia/Kolkata": 20, "Asia/Kathmandu": 20, "America/St_Johns": 20}
"""So many hours of twenty days have a midnight within them."""


@pytest.mark.parametrize("name", [*HALVES, "Australia/Lord_Howe", "Australia/Eucla", "America/Havana"])
def test_an_hour_lies_in_one_day_of_the_zone(name: str) -> None:
    zone = ZoneInfo(name)
    moments = [BEGIN + number * QUARTER for number in range(4 * 24 * 20)]
    for moment in moments:
        begins = begin_of(moment, zone)
        assert hour_of(moment) <= begins <= moment
        assert begins == quarter_of(begins)
        assert window(Period.DAILY, begins, zone) == window(Period.DAILY, moment, zone)
    starts = sorted({begin_of(moment, zone) for moment in moments})
    assert max(after - before for before, after in pairwise(starts)) == HOUR
    cut = len(starts) - 24 * 20
    assert cut == HALVES.get(name, cut)


def test_every_zone_s_days_begin_with_a_quarter_of_an_hour() -> None:
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for month in (1, 7):
            start, _ = window(Period.DAILY, datetime(2026, month, 9, 12, tzinfo=UTC), zone)
            assert start == quarter_of(start), name

"""ActiveHours against an oracle that goes minute by minute and knows neither the library nor the module.

The oracle has two halves. `Plan.wall` says from the drawn days and times which minutes of wall time are open.
`wall_reached` says for each minute of UTC how far the wall clock of the zone has come by then: its highest reading so
far. An edge happens the first time the clock reaches or passes it, so a minute is open when its highest reading is.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest
from harness.cases import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.hours import ActiveHours, hidden_rules

# Days on which something is odd, several a zone: the clock changes, or (Kolkata) nothing does but the month.
ODD_DAYS = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25", "2026-01-31"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "America/Santiago": ("2026-04-05", "2026-09-06"),  # at midnight: Saturday has 25 hours, Sunday begins at 01:00
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),  # by half an hour
    "Asia/Kolkata": ("2026-02-28", "2026-12-31"),
    "Africa/Casablanca": ("2026-02-15", "2026-03-22"),  # winter time for a month only
    "Pacific/Apia": ("2011-12-30", "2011-04-02", "2011-09-24"),  # the first was left out
    "Asia/Tehran": ("2022-03-22", "2022-09-22"),  # at midnight, the other way
}
WINDOWS = cases(10_000)
DAY = 24 * 60
BEFORE, LENGTH = 4, 9  # days: a week end and midnights on both sides of the odd day
WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
EPOCH = datetime(2011, 1, 3, tzinfo=UTC)  # a Monday


@dataclass(frozen=True)
class Rule:
    """The same times on some weekdays: minutes of the day, the end up to two days on."""

    days: tuple[int, ...]
    times: tuple[tuple[int, int], ...]
    extended: bool = False  # past midnight as 26:00, not 02:00

    def text(self) -> str:
        times = ",".join(f"{_clock(start)}-{_clock(self._end(start, end))}" for start, end in self.times)
        return f"{','.join(WEEKDAYS[day] for day in self.days)} {times}".strip()

    def _end(self, start: int, end: int) -> int:
        return end - DAY if end > DAY and end - start <= DAY and not self.extended else end

    def week(self) -> bytes:
        """Every minute of a week from Monday on, 1 where the rule holds."""
        minutes = bytearray(9 * DAY)
        for day in self.days:
            for start, end in self.times or ((0, DAY),):
                minutes[day * DAY + start : day * DAY + end] = b"\1" * (end - start)
        return _either(bytes(minutes[: 7 * DAY]), bytes(minutes[7 * DAY :]) + bytes(5 * DAY))


@dataclass(frozen=True)
class Plan:
    """Lines that are open together, each of one rule and what an `off` takes from it."""

    lines: tuple[tuple[Rule, Rule | None], ...]

    def texts(self) -> tuple[str, ...]:
        return tuple(rule.text() + (f"; {off.text()} off" if off else "") for rule, off in self.lines)

    def weeks(self) -> list[bytes]:
        return [_but(rule.week(), off.week()) if off else rule.week() for rule, off in self.lines]

    def opening(self) -> Plan:
        """Without an `off` that would leave nothing of its line."""
        lines = zip(self.lines, self.weeks(), strict=True)
        return Plan(tuple((rule, off if 1 in week else None) for (rule, off), week in lines))


def _either(these: bytes, those: bytes) -> bytes:
    return (int.from_bytes(these) | int.from_bytes(those)).to_bytes(len(these))


def _but(these: bytes, those: bytes) -> bytes:
    return (int.from_bytes(these) & ~int.from_bytes(those)).to_bytes(len(these))


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


MINUTES = st.one_of(
    st.integers(0, DAY - 1),
    st.integers(0, 4 * 60),  # where clocks change
    st.sampled_from([0, 30, 60, 90, 120, 150, 180, 22 * 60, 23 * 60, 23 * 60 + 30]),
)
LENGTHS = st.one_of(
    st.integers(1, 2 * DAY), st.integers(1, 120), st.sampled_from([30, 60, 240, DAY - 60, DAY - 1, DAY, DAY + 60])
)
DAYS = st.integers(1, 127).map(lambda mask: tuple(day for day in range(7) if mask >> day & 1))
TIMES = st.tuples(MINUTES, LENGTHS).map(lambda time: (time[0], min(time[0] + time[1], 2 * DAY)))
RULES = st.builds(Rule, days=DAYS, times=st.lists(TIMES, min_size=1, max_size=2).map(tuple), extended=st.booleans())
OFFS = st.one_of(
    st.none(),
    st.builds(Rule, days=DAYS, times=st.just(())),
    st.builds(Rule, days=DAYS, times=TIMES.map(lambda time: (time,))),
)
PLANS = st.lists(st.tuples(RULES, OFFS), min_size=1, max_size=2).map(lambda lines: Plan(tuple(lines)).opening())


@cache
def wall_reached(zone: ZoneInfo, start: datetime, minutes: int) -> list[int]:
    """Per minute of UTC from `start`, the highest reading so far of the wall clock, in minutes of its week."""
    run_up = 2 * DAY
    readings = (
        (start + timedelta(minutes=minute)).astimezone(zone).replace(tzinfo=UTC) for minute in range(-run_up, minutes)
    )
    highest = list(accumulate(((reading - EPOCH) // timedelta(minutes=1) for reading in readings), max))
    return [reading % (7 * DAY) for reading in highest[run_up:]]


@pytest.mark.parametrize(("name", "day"), [(name, day) for name in ODD_DAYS for day in ODD_DAYS[name]])
def test_the_odd_days_are_odd(name: str, day: str) -> None:
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
    offsets = {
        moment.astimezone(ZoneInfo(name)).utcoffset() for moment in (noon - timedelta(days=2), noon + timedelta(days=1))
    }
    month_ends = (noon + timedelta(days=1)).day == 1
    assert len(offsets) == 2 or month_ends


@pytest.mark.parametrize("zone", [ZoneInfo(name) for name in ODD_DAYS], ids=str)
def test_random_windows_agree_with_the_oracle_over_odd_days(zone: ZoneInfo) -> None:
    examples = WINDOWS // len(ODD_DAYS)
    compared: set[tuple[Plan, str]] = set()

    @settings(max_examples=examples * 6 // 5, deadline=None, derandomize=True, database=None)
    @given(plan=PLANS, day=st.sampled_from(ODD_DAYS[zone.key]))
    def agree(plan: Plan, day: str) -> None:
        weeks = plan.weeks()
        week = _either(weeks[0], weeks[-1])
        hours = ActiveHours(lines=plan.texts(), zone=zone)
        assert hours.always is (0 not in week)
        compare(hours, week, datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=BEFORE))
        compared.add((plan, day))

    agree()
    assert len(compared) >= examples


def compare(hours: ActiveHours, week: bytes, start: datetime) -> None:
    """Every minute of LENGTH days through `windows`; the odd minutes also through the three questions."""
    length = LENGTH * DAY
    oracle = bytes(map(week.__getitem__, wall_reached(hours.zone, start, length)))
    opens, closes = _after_each(oracle, b"\0\1"), _after_each(oracle, b"\1\0")

    def at(minute: int) -> datetime:
        return start + timedelta(minutes=minute)

    windows = hours.windows(start, at(length))
    assert _painted(windows, start, length) == oracle
    assert len(windows) == len(opens) + oracle[0]

    odd = range((BEFORE - 1) * DAY, (BEFORE + 2) * DAY)
    around = {near for edge in (*opens, *closes) if edge in odd for near in (edge - 1, edge, edge + 1)}
    for minute in (0, *sorted(around), *odd[7 * 60 :: 97]):  # a prime: all minutes of an hour have their turn
        moment = at(minute)
        assert hours.contains(moment) == oracle[minute], moment
        for edges, answer in ((opens, hours.next_open(moment)), (closes, hours.next_close(moment))):
            coming = bisect_right(edges, minute)
            if coming < len(edges):
                assert answer == at(edges[coming]), moment
            else:
                assert answer is None or answer >= at(length), moment


def _after_each(oracle: bytes, turn: bytes) -> list[int]:
    """The minutes at which the oracle turns, in order."""
    found, at = [], oracle.find(turn)
    while at >= 0:
        found.append(at + 1)
        at = oracle.find(turn, at + 1)
    return found


def _painted(windows: tuple[tuple[datetime, datetime], ...], start: datetime, length: int) -> bytes:
    minutes = bytearray(length)
    for since, until in windows:
        first, last = ((edge - start) // timedelta(minutes=1) for edge in (since, until))
        minutes[first:last] = b"\1" * (last - first)
    return bytes(minutes)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(first=RULES, second=RULES)
def test_two_rules_are_warned_of_exactly_when_the_line_opens_less_than_both(first: Rule, second: Rule) -> None:
    line = f"{first.text()}; {second.text()}"
    zone = ZoneInfo("UTC")
    start = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday
    opened = _painted(ActiveHours(lines=(line,), zone=zone).windows(start, start + timedelta(weeks=1)), start, 7 * DAY)
    both = _either(first.week(), second.week())
    warnings = hidden_rules(line, zone, None, start - timedelta(days=3))
    assert bool(warnings) == (opened != both)
    for warning in warnings:
        better = ActiveHours(lines=warning.instead, zone=zone)  # two rules that open always have such a spelling
        assert _painted(better.windows(start, start + timedelta(weeks=1)), start, 7 * DAY) == both

"""A report in words and as the data of its charts."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from warmer.charts.report import MOST_SERIES, charts, words
from warmer.core.insight import Percentiles, Summary
from warmer.core.price import Cost

MONDAY = date(2026, 11, 23)
FRIDAY = MONDAY + timedelta(days=4)


def day(model: str, number: int | None, **more: Any) -> Summary:
    return Summary(model=model, day=None if number is None else MONDAY + timedelta(days=number), **more)


def by_title(*days: Summary) -> dict[str, Any]:
    return {chart["title"]: chart for chart in charts(days, MONDAY, FRIDAY)}


def test_days_without_a_row_are_gaps_and_charts_without_a_figure_are_left_out() -> None:
    found = by_title(
        day("chat", 0, beats=4, cost_usd=Decimal("0.02"), calls=10, calls_cold=1, waits=Percentiles.of([1.0])),
        day("chat", 3, beats=2, cost_usd=Decimal("0.01"), floor=Cost(usd=Decimal("0.5"), is_estimated=True)),
        day("code", 1, beats=1),
    )
    assert found["Cost by day"]["series"] == [{"name": "chat", "values": [0.02, None, None, 0.51, None]}]
    assert found["Calls found cold by day"]["series"] == [{"name": "chat", "values": [0.1, None, None, None, None]}]
    assert [one["name"] for one in found["Beats by day"]["series"]] == ["chat", "code"]
    assert found["Beats by day"]["days"] == ["Mon 23 Nov", "Tue 24 Nov", "Wed 25 Nov", "Thu 26 Nov", "Fri 27 Nov"]
    assert "chat, code" in found["Beats by day"]["description"]
    assert by_title() == {}


def test_of_many_models_the_largest_have_a_colour_and_the_others_are_added_up() -> None:
    days = [day(f"m{number}", 0, beats=number, calls=9, calls_cold=1) for number in range(1, MOST_SERIES + 4)]
    found = by_title(*days)
    bars, lines = found["Beats by day"]["series"], found["Calls found cold by day"]["series"]
    assert bars[0] == {"name": f"m{MOST_SERIES + 3}", "values": [MOST_SERIES + 3, None, None, None, None]}
    assert bars[-1] == {"name": "3 others", "values": [1 + 2 + 3, 0, 0, 0, 0]}
    assert len(bars) == MOST_SERIES + 1
    assert len(lines) == MOST_SERIES
    assert f"of {MOST_SERIES + 3} models" in found["Calls found cold by day"]["about"]


def test_words_tell_what_is_unknown() -> None:
    whole = [
        day("chat", None, calls=12, calls_cold=1, calls_unsure=2, beats=1000, cost_usd=Decimal("1.5"), cost_unknown=3),
        day("code", None, floor=Cost(usd=Decimal("0.25"), is_estimated=True)),
    ]
    assert list(words(whole)) == [
        "12 calls of 2 models, of which 10.0 % found their model cold.",
        "1,000 beats and raised floors cost $1.7500, and 3 of them at a cost nobody knows.",
    ]
    assert next(words([day("chat", None)])) == "0 calls of 1 model."

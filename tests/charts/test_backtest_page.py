"""The result of a backtest in words and as a chart's data."""

from __future__ import annotations

from decimal import Decimal

import pytest

from warmer.charts.backtest import chart, facts, words
from warmer.core.backtest.compare import Comparison, Curve, compare
from warmer.core.backtest.outcome import AddedLatency, Row
from warmer.core.backtest.policies import REFERENCES, Settings, policy
from warmer.core.backtest.trace import Trace
from warmer.core.backtest.world import World


def row(policy: str, cold: int, heartbeats: int, *, cost: str | None = None, **parameters: float | str) -> Row:
    return Row(
        trace="t",
        policy=policy,
        parameters=parameters,
        models=1,
        requests=1000,
        cold_requests=cold,
        cold_share=cold / 1000,
        cold_first_requests=1,
        heartbeats=heartbeats,
        heartbeat_seconds=heartbeats * 0.3,
        boot_seconds=0.0,
        online_seconds=0.0,
        added_latency_s=AddedLatency(mean=0.0, p50=0.0, p95=0.0, p99=0.0),
        cost_usd=None if cost is None else Decimal(cost),
    )


ALWAYS = (row("none", 425, 0), row("cron-30s", 0, 60_000), row("cron-30s-08-20", 2, 30_000))
SKI = row("ski", 19, 10_800, cold_start_worth=80.0)
AWARE = row("aware", 1, 34_000)


def compared(*rows: Row, curves: tuple[Curve, ...] = ()) -> Comparison:
    bound = row("keep-only-optimum", 17, 7_400, cold_start_worth=80.0)
    return Comparison(trace="t", days=21.0, rows=rows, yardsticks=(bound,), curves=curves)


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        (
            (AWARE, SKI),
            "ski, where a cold start is worth K = 80 heartbeats, leaves 1.90 % of the requests cold, for 18.00 % of "
            "the heartbeats of a cron job every 30 s (10,800 of 60,000).",
        ),
        (
            (SKI, row("adaptive", 15, 12_000, cold_target=0.02)),
            "adaptive, told to hold 2 %, leaves 1.50 % of the requests cold, for 20.00 % of the "
            "heartbeats of a cron job every 30 s (12,000 of 60,000).",
        ),
        ((), "Without heartbeats 42.50 % are cold, with the cron job 0 %."),
    ],
)
def test_words_tell_of_the_adaptive_policy_or_else_of_the_cheapest(rows: tuple[Row, ...], first: str) -> None:
    assert next(words(compared(*ALWAYS, *rows), 80.0)) == first


def test_words_tell_the_cost_where_it_is_known() -> None:
    priced = (
        row("none", 425, 0, cost="0"),
        row("cron-30s", 0, 60_000, cost="4.05"),
        row("aware", 1, 30_000, cost="2.025"),
    )
    assert "(30,000 of 60,000, $2.0250 of $4.0500)" in next(words(compared(*priced), 80.0))
    drawn = chart(compared(*priced))
    assert drawn is not None
    assert drawn["in_usd"]
    assert [point["x"] for point in drawn["points"][:3]] == [0.0, 4.05, 2.025]


def test_the_chart_has_every_row_by_its_kind_with_exact_figures() -> None:
    drawn = chart(compared(*ALWAYS, AWARE, SKI))
    assert drawn is not None
    assert not drawn["in_usd"]
    assert [(point["name"], point["kind"]) for point in drawn["points"]] == [
        ("none", "reference"),
        ("cron-30s", "reference"),
        ("cron-30s-08-20", "reference"),
        ("aware", "policy"),
        ("ski", "policy"),
        ("keep-only-optimum", "yardstick"),
    ]
    ski = drawn["points"][4]
    assert (ski["x"], ski["cold_share"]) == (0.18, 0.019)
    assert dict(ski["told"]) == {
        "a cold start is worth": "80 heartbeats",
        "cold": "1.90 %, 19 of 1,000",
        "heartbeats": "10,800",
        "of cron-30s": "18.00 %",
    }
    assert "ski 1.90 % cold for 18.00 %" in drawn["description"]


def test_a_curve_names_the_worth_of_each_of_its_points() -> None:
    curve = Curve(policy="ski", rows=(SKI, row("ski", 3, 27_000, cold_start_worth=1280.0)))
    drawn = chart(compared(*ALWAYS, SKI, curves=(curve,)))
    assert drawn is not None
    (line,) = drawn["curves"]
    assert [(point["worth"], point["x"]) for point in line["points"]] == [("80", 0.18), ("1,280", 0.45)]


def test_a_trace_without_requests_says_so_and_has_no_chart() -> None:
    settings, world = Settings(), World()
    empty = compare(Trace.of("empty", {}), [policy(name, settings) for name in REFERENCES], settings, world)
    assert chart(empty) is None
    assert list(words(empty, 80.0)) == ["There are no requests in this trace, so there is nothing to compare."]
    assert ("days", "0") in facts(empty, settings, world)


def test_the_facts_tell_what_was_replayed() -> None:
    told = facts(compared(*ALWAYS), Settings(cold_target=0.02), World())
    assert told == [
        ("models", "1"),
        ("requests", "1,000"),
        ("days", "21"),
        ("idle time-out", "1m"),
        ("trusted interval", "50s"),
        ("boot, median", "12s"),
        ("worth of a cold start, K", "80 heartbeats"),
        ("cold target", "2 %"),
        ("seed", "0"),
    ]

"""The page of a backtest: for each trace the result in words, as a chart and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from warmer.charts.page import render
from warmer.core.backtest.compare import Comparison
from warmer.core.backtest.outcome import Row
from warmer.core.backtest.policies import REFERENCES, Settings
from warmer.core.backtest.world import World
from warmer.core.units import format_duration

CRON = "cron-30s"
"""The reference row that all heartbeats are measured by."""


def backtest_page(
    compared: Sequence[Comparison],
    headers: Sequence[str],
    tables: Sequence[Sequence[Sequence[str]]],
    settings: Settings,
    world: World,
) -> str:
    """One page with a section for each trace.

    `tables`: for each trace the cells of its rows and yardsticks, under `headers`, of which the first is the trace.
    """
    return render(
        "backtest.html.j2",
        headers=headers[1:],
        sections=[
            {
                "name": one.trace,
                "facts": facts(one, settings, world),
                "words": list(words(one, settings.cold_start_worth)),
                "chart": chart(one),
                "lines": [
                    {"kind": kind, "cells": cells[1:]} for (kind, _), cells in zip(_rows(one), table, strict=True)
                ],
            }
            for one, table in zip(compared, tables, strict=True)
        ],
    )


def facts(compared: Comparison, settings: Settings, world: World) -> list[tuple[str, str]]:
    """What was replayed, and what was true and trusted meanwhile."""
    worth = f"{settings.cold_start_worth:,g} heartbeats"
    target = () if settings.cold_target is None else (("cold target", f"{settings.cold_target * 100:g} %"),)
    return [
        ("models", f"{compared.rows[0].models:,}"),
        ("requests", f"{compared.rows[0].requests:,}"),
        ("days", f"{compared.days:,.4g}"),
        ("idle time-out", _duration(world.idle_timeout)),
        ("trusted interval", "learned" if settings.learns else _duration(settings.interval)),
        ("boot, median", _duration(world.boot_median)),
        ("worth of a cold start, K", worth),
        *target,
        ("seed", str(world.seed)),
    ]


def words(compared: Comparison, worth: float) -> Iterator[str]:
    """The result in sentences, about the adaptive policy, or else the one that comes cheapest at `worth`."""
    by_name = {row.policy: row for row in compared.rows}
    none, cron = by_name["none"], by_name[CRON]
    if not (none.requests and cron.heartbeats):
        yield "There are no requests in this trace, so there is nothing to compare."
        return
    chosen = [row for row in compared.rows if row.policy not in REFERENCES]
    if chosen:
        hero = by_name.get("adaptive") or min(chosen, key=lambda row: row.cost_in_heartbeats(worth))
        yield (
            f"{hero.policy}{_told(hero)} leaves {_per_cent(hero.cold_share)} of the requests cold, for "
            f"{_per_cent(hero.heartbeats / cron.heartbeats)} of the heartbeats of a cron job every 30 s "
            f"({hero.heartbeats:,} of {cron.heartbeats:,}{_paid(hero, cron)})."
        )
    yield f"Without heartbeats {_per_cent(none.cold_share)} are cold, with the cron job {_per_cent(cron.cold_share)}."


def chart(compared: Comparison) -> Mapping[str, Any] | None:
    """What `assets/tradeoff.js` draws; None where no row has both a share of cold requests and one of heartbeats.

    `x` is heartbeats as a share of the cron job's, or USD where these are known.
    """
    cron = next(row for row in compared.rows if row.policy == CRON)
    if not (cron.requests and cron.heartbeats):
        return None

    def point(row: Row) -> dict[str, Any]:
        return {
            "name": row.policy,
            "x": row.heartbeats / cron.heartbeats if row.cost_usd is None else float(row.cost_usd),
            "cold_share": row.cold_share,
            "told": list(_facts(row, cron)),
        }

    rows = list(_rows(compared))
    return {
        "x_name": "heartbeats, as a share of those of cron-30s"
        if cron.cost_usd is None
        else "cost of the heartbeats, USD",
        "in_usd": cron.cost_usd is not None,
        "description": _description(compared.trace, [row for _, row in rows], cron),
        "points": [point(row) | {"kind": kind} for kind, row in rows],
        "curves": [
            {
                "name": curve.policy,
                "points": [point(row) | {"worth": f"{row.parameters['cold_start_worth']:,g}"} for row in curve.rows],
            }
            for curve in compared.curves
        ],
    }


def _rows(compared: Comparison) -> Iterator[tuple[str, Row]]:
    """Every row, and what kind of thing it is."""
    for row in compared.rows:
        yield "reference" if row.policy in REFERENCES else "policy", row
    for row in compared.yardsticks:
        yield "yardstick", row


def _facts(row: Row, cron: Row) -> Iterator[tuple[str, str]]:
    """The exact figures of one point."""
    if (worth := row.parameters.get("cold_start_worth")) is not None:
        yield "a cold start is worth", f"{worth:,g} heartbeats"
    yield "cold", f"{_per_cent(row.cold_share)}, {row.cold_requests:,} of {row.requests:,}"
    yield "heartbeats", f"{row.heartbeats:,}"
    yield "of cron-30s", _per_cent(row.heartbeats / cron.heartbeats)
    if row.cost_usd is not None:
        yield "cost", _usd(row.cost_usd)


def _description(trace: str, rows: Sequence[Row], cron: Row) -> str:
    """The chart, for who does not see it."""
    each = "; ".join(
        f"{row.policy} {_per_cent(row.cold_share)} cold for {_per_cent(row.heartbeats / cron.heartbeats)}"
        for row in rows
    )
    return f"Share of cold requests against heartbeats, as a share of those of cron-30s, for {trace}: {each}."


def _told(row: Row) -> str:
    """What the policy of `row` goes by."""
    if (target := row.parameters.get("cold_target")) is not None:
        return f", told to hold {float(target) * 100:g} %,"
    worth = row.parameters.get("cold_start_worth")
    return f", where a cold start is worth K = {worth:,g} heartbeats," if worth is not None else ""


def _paid(row: Row, cron: Row) -> str:
    if row.cost_usd is None or cron.cost_usd is None:
        return ""
    return f", {_usd(row.cost_usd)} of {_usd(cron.cost_usd)}"


def _duration(micros: int) -> str:
    return format_duration(timedelta(microseconds=micros))


def _usd(money: Decimal) -> str:
    return f"${money:,.4f}"


def _per_cent(share: float | None) -> str:
    """A share to a hundredth of a per cent; what is less than that is not shown as nothing."""
    if share is None:
        return "-"
    if 0 < share < 0.00005:
        return "<0.01 %"
    return f"{share * 100:.2f} %" if share else "0 %"

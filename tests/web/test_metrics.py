"""What /metrics shows, read back as Prometheus would."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from web.vitals import CHAT, CODE, MONTH, NOON, Told, beat, busy, call, knowing

from warmer.core.beat import Reason, Status, Verdict
from warmer.core.health import ModelGauges
from warmer.core.price import Cost
from warmer.version import __version__
from warmer.web.metrics import CONTENT_TYPE, Metrics

CONTRACT = {
    "warmer_beats": ("counter", {"model", "outcome"}),
    "warmer_beat_verdicts": ("counter", {"model", "verdict"}),
    "warmer_wait_seconds": ("histogram", {"model", "verdict"}),
    "warmer_run_seconds": ("histogram", {"model"}),
    "warmer_cost_usd": ("counter", {"model"}),
    "warmer_cost_unknown": ("counter", {"model"}),
    "warmer_requests": ("counter", {"model", "verdict"}),
    "warmer_idle_timeout_seconds": ("gauge", {"model", "bound"}),
    "warmer_next_beat_timestamp_seconds": ("gauge", {"model"}),
    "warmer_interval_seconds": ("gauge", {"model"}),
    "warmer_model_held": ("gauge", {"model", "reason"}),
    "warmer_account_held": ("gauge", {"reason"}),
    "warmer_schedule_lag_seconds": ("histogram", set()),
    "warmer_webhooks": ("counter", {"outcome"}),
    "warmer_budget_limit_usd": ("gauge", {"scope", "period"}),
    "warmer_budget_used_usd": ("gauge", {"scope", "period"}),
    "warmer_budget_reached": ("gauge", {"scope", "period"}),
    "warmer_budget_remaining_usd": ("gauge", {"scope"}),
    "warmer_config_last_reload_successful": ("gauge", set()),
    "warmer_config_last_reload_timestamp_seconds": ("gauge", set()),
    "warmer_build_info": ("gauge", {"version", "python"}),
}
SHARED = {"warmer_members": ("gauge", set[str]())}
"""Where several processes divide the beats."""


Shown = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: bytes) -> Shown:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def scraped(metrics: Metrics, told: Told) -> Shown:
    return read(asyncio.run(metrics.scrape(told)))


def value(shown: Shown, name: str, **labels: str) -> float | None:
    return shown.get((name, frozenset(labels.items())))


# -- names -----------------------------------------------------------------------------------------------------------


def test_the_names_types_and_labels_are_those_of_the_contract() -> None:
    text = asyncio.run(busy().scrape(knowing(CHAT, remaining_usd={"all models": Decimal("1.5")})))
    found = {
        family.name: (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
        for family in text_string_to_metric_families(text.decode())
    }
    assert found == CONTRACT | SHARED


def test_the_names_pass_the_rules_of_promtool() -> None:
    text = asyncio.run(busy().scrape(knowing(CHAT, remaining_usd={"all models": Decimal(1)}))).decode()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    assert types.keys() == helps.keys()
    for name, kind in types.items():
        assert re.fullmatch(r"warmer(_[a-z]+)+", name)
        assert name.endswith("_total") == (kind == "counter")
        assert not re.search(r"_(bucket|count|sum|created)$", name)
        assert not re.search(r"_(ms|milliseconds|minutes|hours|s|sec|cents)(_|$)", name)
        assert kind in ("counter", "gauge", "histogram")


def test_the_scrape_is_plain_text_of_the_usual_format(serving: Any) -> None:
    async def scene() -> None:
        async with serving(knowing(CHAT)) as site:
            reply = await site.get("/metrics")
            assert reply.headers["content-type"] == CONTENT_TYPE
            assert read(reply.content) == read(await site.metrics.scrape(site.vitals))

    asyncio.run(scene())


# -- counts ----------------------------------------------------------------------------------------------------------


def test_beats_are_counted_by_how_they_ended() -> None:
    metrics = Metrics()
    for number in range(3):
        metrics.beat(beat(number=number))
    metrics.beat(beat(status=Status.FAILED))
    metrics.beat(beat(CODE, status=Status.ABORTED, wait_s=None, run_s=None))
    shown = scraped(metrics, knowing(CHAT, CODE))
    assert value(shown, "warmer_beats_total", model=CHAT, outcome="succeeded") == 3
    assert value(shown, "warmer_beats_total", model=CHAT, outcome="failed") == 1
    assert value(shown, "warmer_beats_total", model=CODE, outcome="aborted") == 1
    assert value(shown, "warmer_beats_total", model=CODE, outcome="succeeded") == 0  # from the first scrape on
    outcomes = {dict(labels)["outcome"] for name, labels in shown if name == "warmer_beats_total"}
    assert outcomes == {"succeeded", "started", "failed", "canceled", "aborted", "unknown"}


def test_waits_and_runs_are_spread_over_buckets() -> None:
    metrics = Metrics()
    for wait_s in (0.25, 0.3, 0.9):
        metrics.beat(beat(wait_s=wait_s))
    metrics.beat(beat(wait_s=500.0, run_s=2.0, verdict=Verdict.COLD))
    metrics.beat(beat(wait_s=None, run_s=None))
    shown = scraped(metrics, knowing(CHAT))

    def up_to(le: str, verdict: str) -> float | None:
        return value(shown, "warmer_wait_seconds_bucket", model=CHAT, verdict=verdict, le=le)

    assert [up_to(le, "warm") for le in ("0.25", "1.0", "+Inf")] == [1, 3, 3]
    assert [up_to(le, "cold") for le in ("320.0", "+Inf")] == [0, 1]
    assert up_to("+Inf", "unsure") is None
    assert value(shown, "warmer_wait_seconds_sum", model=CHAT, verdict="warm") == pytest.approx(1.45)
    assert value(shown, "warmer_wait_seconds_count", model=CHAT, verdict="cold") == 1
    assert value(shown, "warmer_run_seconds_count", model=CHAT) == 4
    assert value(shown, "warmer_run_seconds_sum", model=CHAT) == pytest.approx(4.1)


def test_a_cost_that_is_unknown_is_counted_and_never_taken_for_nothing() -> None:
    metrics = Metrics()
    metrics.beat(beat())
    metrics.beat(beat(cost_usd=None, price=None))
    shown = scraped(metrics, knowing(CHAT))
    assert value(shown, "warmer_cost_usd_total", model=CHAT) == 0.000225
    assert value(shown, "warmer_cost_unknown_total", model=CHAT) == 1


def test_calls_and_lateness_are_counted() -> None:
    metrics = Metrics()
    metrics.calls([call(), call(verdict=Verdict.COLD), call()])
    for late_s in (0.001, 0.03, 45.0):
        metrics.tick(late_s)
    shown = scraped(metrics, knowing(CHAT))
    assert value(shown, "warmer_requests_total", model=CHAT, verdict="warm") == 2
    assert value(shown, "warmer_requests_total", model=CHAT, verdict="cold") == 1
    assert value(shown, "warmer_requests_total", model=CHAT, verdict="unsure") == 0
    assert value(shown, "warmer_schedule_lag_seconds_bucket", le="0.05") == 2
    assert value(shown, "warmer_schedule_lag_seconds_count") == 3


def test_what_is_measured_now_is_shown_as_it_is() -> None:
    told = knowing(CHAT, remaining_usd={"all models": Decimal("1.25"), CHAT: Decimal(0)}, config_is_latest=False)
    told.measured = replace(
        told.measured, models={**told.measured.models, CODE: ModelGauges(next_at=None, idle_timeout_s={})}
    )
    shown = scraped(Metrics(), told)
    assert value(shown, "warmer_next_beat_timestamp_seconds", model=CHAT) == NOON.timestamp()
    assert value(shown, "warmer_next_beat_timestamp_seconds", model=CODE) is None
    bounds = {
        dict(labels)["bound"]: seconds
        for (name, labels), seconds in shown.items()
        if name == "warmer_idle_timeout_seconds"
    }
    assert bounds == {"low": 60, "median": 90, "high": 120}
    assert value(shown, "warmer_budget_remaining_usd", scope="all models") == 1.25
    assert value(shown, "warmer_budget_remaining_usd", scope=CHAT) == 0
    assert value(shown, "warmer_config_last_reload_successful") == 0
    assert value(shown, "warmer_config_last_reload_timestamp_seconds") == NOON.timestamp()
    (build,) = [dict(labels) for name, labels in shown if name == "warmer_build_info"]
    assert build["version"] == __version__


def test_caps_holds_and_what_is_owed_are_shown_as_they_are() -> None:
    told = knowing(CHAT, CODE, reached=(MONTH,), account_held=Reason.CREDIT_EXHAUSTED)
    held = ModelGauges(next_at=NOON, idle_timeout_s={}, held=Reason.BACKING_OFF)
    told.measured = replace(told.measured, models={**told.measured.models, CODE: held})
    shown = scraped(Metrics(), told)
    cap = {"scope": "all models", "period": "monthly"}
    assert value(shown, "warmer_budget_limit_usd", **cap) == 40
    assert value(shown, "warmer_budget_used_usd", **cap) == 10
    assert value(shown, "warmer_budget_reached", **cap) == 1
    assert value(shown, "warmer_interval_seconds", model=CHAT) == 55
    assert value(shown, "warmer_interval_seconds", model=CODE) is None
    holds = {
        (dict(of).get("model"), dict(of)["reason"]): is_held for (name, of), is_held in shown.items() if "_held" in name
    }
    assert {of for of, is_held in holds.items() if is_held} == {(CODE, "backing_off"), (None, "credit_exhausted")}
    assert len(holds) == 2 * 2 + 4  # each from the first scrape on


def test_what_beats_found_is_counted_from_the_first_scrape_on() -> None:
    metrics, told = Metrics(), knowing(CHAT)
    assert value(scraped(metrics, told), "warmer_beat_verdicts_total", model=CHAT, verdict="cold") == 0
    metrics.beat(beat(verdict=Verdict.COLD))
    assert value(scraped(metrics, told), "warmer_beat_verdicts_total", model=CHAT, verdict="cold") == 1


# -- labels ----------------------------------------------------------------------------------------------------------


def test_a_model_that_leaves_the_file_loses_its_series_and_begins_anew() -> None:
    metrics = busy()
    metrics.beat(beat(CODE))
    both, one = knowing(CHAT, CODE), knowing(CHAT)
    assert value(scraped(metrics, both), "warmer_beats_total", model=CODE, outcome="succeeded") == 1
    metrics.beat(beat("acme/left-before-the-scrape"))
    models = {dict(labels).get("model") for _, labels in scraped(metrics, one)} - {None}
    assert models == {CHAT}
    assert value(scraped(metrics, both), "warmer_beats_total", model=CODE, outcome="succeeded") == 0


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "ü 模型", "{le=}", "a,b=c"])
def test_any_name_that_a_file_may_give_comes_through(name: str) -> None:
    metrics = Metrics()
    metrics.beat(beat(name))
    assert value(scraped(metrics, knowing(name)), "warmer_beats_total", model=name, outcome="succeeded") == 1


# -- costs that are settled later ------------------------------------------------------------------------------------


def settled(usd: str) -> Cost:
    return Cost(usd=Decimal(usd), is_estimated=True)


def test_a_cost_that_is_corrected_is_counted_as_corrected_and_the_counter_never_falls() -> None:
    metrics, told = Metrics(), knowing(CHAT)

    def total() -> float | None:
        return value(scraped(metrics, told), "warmer_cost_usd_total", model=CHAT)

    metrics.beat(beat(number=1, cost_usd=Decimal("0.30")))
    assert total() == 0.30
    metrics.settled(CHAT, {"beat-1": settled("0.10"), "of-an-earlier-life": settled("5")})
    assert total() == 0.30  # 0.20 too much was shown
    metrics.beat(beat(number=2, cost_usd=Decimal("0.05")))
    assert total() == 0.30
    metrics.settled(CHAT, {"beat-2": settled("0.25")})
    assert total() == 0.35
    metrics.beat(beat(number=3, cost_usd=None))
    metrics.settled(CHAT, {"beat-3": settled("0.05")})
    assert total() == 0.40


costs = st.decimals(0, 5, places=6)


@given(st.lists(st.tuples(costs, st.none() | costs), max_size=20))
def test_the_counter_of_costs_is_the_highest_that_their_sum_has_been(
    beats: list[tuple[Decimal, Decimal | None]],
) -> None:
    metrics, ledger, highest, before = Metrics(), Decimal(0), Decimal(0), 0.0
    for number, (first, later) in enumerate(beats):
        metrics.beat(beat(number=number, cost_usd=first))
        ledger += first
        highest = max(highest, ledger)
        if later is not None:
            metrics.settled(CHAT, {f"beat-{number}": Cost(usd=later, is_estimated=True)})
            ledger += later - first
            highest = max(highest, ledger)
        shown = float(metrics._models[CHAT].spent.shown)
        assert shown == float(highest)
        assert shown >= before
        before = shown


# -- beside the loop -------------------------------------------------------------------------------------------------


def test_beats_go_on_while_it_is_scraped() -> None:
    async def scene() -> None:
        metrics, names = Metrics(), [f"acme/model-{number}" for number in range(300)]
        told = knowing(*names)
        scraping = asyncio.ensure_future(metrics.scrape(told))
        counted = 0
        while not scraping.done():
            for name in names:
                metrics.beat(beat(name, verdict=list(Verdict)[counted % 3], status=list(Status)[2 + counted % 5]))
            metrics.beat(beat("acme/stranger"))
            counted += 1
            await asyncio.sleep(0)
        assert counted
        read(await scraping)
        shown = read(await metrics.scrape(told))
        total = sum(number for (name, _), number in shown.items() if name == "warmer_beats_total")
        assert total == counted * len(names)

    asyncio.run(scene())

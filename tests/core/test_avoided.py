from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.avoided import BEFORE, avoided
from warmer.core.backtest.entry import Host, Traffic, replay_entry
from warmer.core.beat import Request, Status, Verdict
from warmer.core.hours import ActiveHours
from warmer.core.idle_timeout import Find, IdleTimeout
from warmer.core.learned import Learned
from warmer.core.price import FREE, UNKNOWN, Cost, Known
from warmer.core.situations import situation
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.spent import Warming

START = datetime(2026, 11, 2, tzinfo=UTC)
WARM, COLD, UNSURE = Verdict.WARM, Verdict.COLD, Verdict.UNSURE
CENT = Cost(usd=Decimal("0.01"))


def believed(idle_timeout_s: float, times: int = 30) -> IdleTimeout:
    belief = IdleTimeout.unknown()
    for _ in range(times):
        for share, is_cold in ((0.97, False), (1.03, True)):
            belief = belief.after(Find(gap_s=idle_timeout_s * share, cold=is_cold))
    return belief


KNOWN = Learned(idle_timeout=believed(300.0), boots_s=(20.0,) * 5)
UNLEARNED = Learned()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def call(seconds: float, verdict: Verdict = WARM, *, run_s: float = 1.5) -> Request:
    return Request(
        model="m",
        prediction_id=f"call-{seconds}",
        created_at=at(seconds),
        started_at=at(seconds),
        completed_at=at(seconds + run_s),
        gap_s=None,
        wait_s=0.0,
        run_s=run_s,
        verdict=verdict,
        status=Status.SUCCEEDED,
    )


def beat(seconds: float, cost: Cost = CENT) -> Warming:
    return Warming(model="m", reason="idle", begins=at(seconds), ends=at(seconds + 0.5), cost=cost)


def told(calls: list[Request], beats: list[Warming], learned: Learned | None = KNOWN, **more: Any) -> Any:
    return avoided(calls, beats, learned, **({"start": START, "end": at(86_400)} | more))


@pytest.mark.parametrize(
    ("calls", "beats", "cold_starts"),
    [
        ([call(100)], [beat(0)], 1),  # the first call of all would have booted
        ([call(100), call(350)], [beat(0)], 1),  # the second would have found what the first left
        ([call(100), call(500)], [beat(0), beat(300)], 2),
        ([call(100), call(110)], [beat(0)], 2),  # two wait for one boot
        ([call(100), call(500, COLD)], [beat(0), beat(300)], 1),  # it was met cold all the same
        ([call(100), call(500, UNSURE)], [beat(0), beat(300)], 2),  # as those that were told
        (
            [call(100, COLD), call(500, UNSURE), call(900), call(1300)],
            [beat(s) for s in (0, 300, 700, 1100)],
            2 + 2 / 3,
        ),
        ([call(100), call(350, UNSURE)], [beat(0)], 1),  # warm either way
        ([call(100), call(5000)], [beat(0)], 1),  # no beat had kept anything until then
        ([call(-100), call(100)], [beat(-150), beat(150)], 0),  # counted before, and it left an instance
    ],
)
def test_what_is_avoided(calls: list[Request], beats: list[Warming], cold_starts: float) -> None:
    found = told(calls, beats)

    assert found.cold_starts == pytest.approx(cold_starts)
    if cold_starts:
        assert float(found.price_usd) == pytest.approx(0.01 * len(beats) / cold_starts, abs=1e-6)
        assert found.low <= cold_starts <= found.high
        assert found.known is Known.EXACT


def test_what_cannot_be_said_is_not_said_to_be_nothing() -> None:
    for calls, beats, learned, why in (
        ([call(100)], [beat(0)], None, "calls are not read"),
        ([call(100)], [], KNOWN, "nothing was sent"),
        ([], [beat(0)], KNOWN, "nobody called"),
        ([call(-9000)], [beat(0)], KNOWN, "nobody called"),
        ([call(9000)], [beat(0)], KNOWN, "nobody called"),
    ):
        found = told(calls, beats, learned)
        assert why in found.why
        assert (found.cold_starts, found.low, found.high, found.unwarmed_cold) == (None,) * 4
        assert (found.price_usd, found.price_low_usd, found.price_high_usd) == (None,) * 3
        assert found.known is Known.UNKNOWN


@pytest.mark.parametrize("calls", [[call(100, COLD)], [call(100, COLD), call(200, COLD)]], ids=["none", "less"])
def test_what_avoided_nothing_has_no_price(calls: list[Request]) -> None:
    found = told(calls, [beat(0)])

    assert found.cold_starts == found.low == 0
    assert found.price_usd is None
    assert found.why == "it spared no cold start"


def test_an_unknown_cost_leaves_the_price_unknown_but_not_what_it_is_at_least() -> None:
    calls = [call(day * 86_400 + 100) for day in range(30)]
    beats = [beat(day * 86_400) for day in range(30)]
    end = at(30 * 86_400)
    whole = told(calls, beats, end=end)
    found = told(calls, [beat(0, UNKNOWN), *beats[1:]], end=end)

    assert (found.price_usd, found.price_high_usd, found.known) == (None, None, Known.UNKNOWN)
    assert found.why == "1 of 30 costs are unknown"
    assert 0 < found.price_low_usd <= whole.price_low_usd
    assert (found.cold_starts, found.low, found.high) == (whole.cold_starts, whole.low, whole.high)


def test_an_estimated_cost_makes_an_estimated_price() -> None:
    found = told([call(100), call(500)], [beat(0), beat(300, replace(CENT, is_estimated=True))])

    assert found.known is Known.ESTIMATED


def test_what_was_free_costs_nothing() -> None:
    found = told([call(100)], [beat(0, FREE)])

    assert found.price_usd == 0
    assert found.known is Known.EXACT


def test_as_long_as_nobody_knows_the_idle_time_out_the_bar_is_wide() -> None:
    calls = [call(400 * number) for number in range(1, 200)]
    beats = [beat(400 * number - 100) for number in range(1, 200)]
    known, unknown = told(calls, beats), told(calls, beats, UNLEARNED)

    assert known.cold_starts == 199
    assert known.low > 150
    assert unknown.low == 0  # an instance may stay for an hour by itself
    assert unknown.high > 190
    assert unknown.price_high_usd is None


def test_doubtful_finds_widen_the_bar() -> None:
    calls = [call(400 * number, UNSURE if number % 2 else WARM) for number in range(1, 200)]
    beats = [beat(400 * number - 100) for number in range(1, 200)]
    found = told(calls, beats)

    assert found.cold_starts == 199
    assert found.low < 100


def test_a_run_of_good_days_and_bad_ones_has_a_wider_bar_than_days_that_are_alike() -> None:
    def days(*counts: int) -> Any:
        calls = [
            call(day * 86_400 + 400 * number) for day, count in enumerate(counts) for number in range(1, count + 1)
        ]
        beats = [beat(day * 86_400 + 400 * number - 100) for day in range(len(counts)) for number in range(1, 101)]
        return told(calls, beats, end=at(len(counts) * 86_400))

    even, uneven = days(*[50] * 10), days(*[95, 5] * 5)
    assert even.cold_starts == uneven.cold_starts == 500
    assert even.price_usd == uneven.price_usd
    assert even.price_low_usd > uneven.price_low_usd
    assert even.price_high_usd < uneven.price_high_usd


@pytest.mark.parametrize("name", ["office", "evening", "timer", "rare"])
def test_unwarmed_is_what_the_backtest_of_the_same_calls_has(name: str) -> None:
    (arrivals,) = situation(name, days=7).models
    moments = [at(us / 1e6) for us in arrivals.at.tolist()]
    calls = [call(us / 1e6) for us in arrivals.at.tolist()]
    entry = ModelSpec(
        name="m",
        target=Target(kind=TargetKind.MODEL, owner="a", name="b"),
        hours=ActiveHours.always_open(),
        policy=PolicyName.OBSERVE,
    )
    traffic = Traffic.of_moments("ledger", "m", moments, ZoneInfo("UTC"))
    usual = replace(KNOWN, boots_s=(60.0,))  # too few to tell how far they spread
    found = told(calls, [beat(60 * number) for number in range(7 * 1440)], usual, end=at(7 * 86_400))

    assert found.calls == len(calls)
    assert found.unwarmed_cold == replay_entry(entry, traffic, Host.of(usual)).cold.sum()


SECONDS = st.floats(-BEFORE.total_seconds(), 3 * 86_400 - 1).map(lambda value: round(value, 3))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(SECONDS, st.sampled_from(Verdict)), max_size=40),
    st.lists(st.tuples(SECONDS, st.sampled_from([CENT, FREE, UNKNOWN])), max_size=40),
    st.sampled_from([KNOWN, UNLEARNED]),
)
def test_every_bar_holds_its_figure(
    calls: list[tuple[float, Verdict]], beats: list[tuple[float, Cost]], learned: Learned
) -> None:
    found = told([call(*one) for one in calls], [beat(*one) for one in beats], learned, end=at(3 * 86_400))

    assert (found.price_usd is None) == (found.why is not None)
    if found.cold_starts is not None:
        assert 0 <= found.low <= found.cold_starts <= found.high
    if found.price_usd is not None:
        assert found.price_low_usd <= found.price_usd
        assert found.price_high_usd is None or found.price_usd <= found.price_high_usd

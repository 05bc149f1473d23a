from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from warmer.core.floor import Spell
from warmer.core.price import FREE, UNKNOWN, Cost, Known, Price
from warmer.core.spent import Spent, Warming, spent_by_reason, usd_a_day

START = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
COSTS = st.sampled_from([FREE, UNKNOWN, Cost(usd=Decimal("0.000112")), Cost(usd=Decimal("0.25"), is_estimated=True)])


def warming(model: str, reason: str, after: timedelta, cost: Cost) -> Warming:
    return Warming(model=model, reason=reason, begins=START + after, ends=START + after, cost=cost)


def of(usd: str) -> Cost:
    return Cost(usd=Decimal(usd))


HOUR = timedelta(hours=1)


def test_what_was_spent_stands_by_model_day_and_reason_the_dearest_first() -> None:
    warmings = [
        warming("z", "idle", 0 * HOUR, of("0.01")),
        warming("z", "idle", 1 * HOUR, of("0.02")),  # past midnight in Berlin
        warming("z", "probe", 1 * HOUR, of("0.05")),
        warming("a", "idle", 0 * HOUR, UNKNOWN),
        warming("gone", "idle", 0 * HOUR, of("1")),
    ]

    whole = spent_by_reason(warmings, models=["z", "a"], zone=BERLIN)
    assert [(one.model, one.reason, one.count, one.known_usd) for one in whole] == [
        ("z", "probe", 1, Decimal("0.05")),
        ("z", "idle", 2, Decimal("0.03")),
        ("a", "idle", 1, Decimal(0)),
        ("gone", "idle", 1, Decimal(1)),
    ]
    assert {one.day for one in whole} == {None}
    days = spent_by_reason(warmings, models=["z", "a"], zone=BERLIN, by_day=True)
    assert [(one.model, one.day, one.reason) for one in days[:3]] == [
        ("z", date(2026, 11, 21), "idle"),
        ("z", date(2026, 11, 22), "probe"),
        ("z", date(2026, 11, 22), "idle"),
    ]


def test_one_unknown_cost_makes_the_sum_unknown_and_leaves_the_known_part() -> None:
    costs = (UNKNOWN, of("0.01"), Cost(usd=Decimal("0.02"), is_estimated=True))
    (found,) = spent_by_reason([warming("a", "idle", 0 * HOUR, cost) for cost in costs], models=["a"], zone=BERLIN)

    assert found.cost.known is Known.UNKNOWN
    assert (found.known_usd, found.unknown, found.count) == (Decimal("0.03"), 1, 3)


T4 = Price(per_second=Decimal("0.000225"), source="gpu-t4@2026-11-18")


def spell(lowered_at: datetime | None, price: Price | None = T4) -> Spell:
    return Spell(deployment="o/d", model="d", instances=2, raised_at=START, lowered_at=lowered_at, price=price)


def test_a_raised_floor_is_spent_on_day_by_day() -> None:
    found = list(Warming.of_floor(spell(START + 26 * HOUR), START - HOUR, START + 99 * HOUR, BERLIN))

    assert [(one.begins - START, one.ends - START) for one in found] == [
        (0 * HOUR, HOUR / 2),  # to midnight in Berlin
        (HOUR / 2, 24.5 * HOUR),
        (24.5 * HOUR, 26 * HOUR),
    ]
    assert [one.cost.usd for one in found] == [Decimal("0.81"), Decimal("38.88"), Decimal("2.43")]
    by_day = spent_by_reason(found, models=["d"], zone=BERLIN, by_day=True)
    assert [(one.reason, one.beats, one.count, one.cost.known) for one in by_day] == [
        ("floor", 0, 1, Known.ESTIMATED)
    ] * 3


def test_a_floor_that_is_still_raised_costs_until_now_and_one_of_unknown_price_nobody_knows_what() -> None:
    (found,) = Warming.of_floor(spell(None), START + HOUR, START + 2 * HOUR, BERLIN)
    assert (found.begins, found.ends, found.cost.usd) == (START + HOUR, START + 2 * HOUR, Decimal("1.62"))
    (unknown,) = Warming.of_floor(spell(None, None), START + HOUR, START + 2 * HOUR, BERLIN)
    assert unknown.cost.usd is None
    assert not list(Warming.of_floor(spell(START), START + HOUR, START + 2 * HOUR, BERLIN))


@given(
    st.lists(
        st.builds(
            warming,
            st.sampled_from("abc"),
            st.sampled_from(["idle", "probe", "floor"]),
            st.timedeltas(timedelta(0), timedelta(days=9)),
            COSTS,
        )
    )
)
def test_days_add_up_to_the_whole_and_nothing_is_lost(warmings: list[Warming]) -> None:
    def sums(rows: tuple[Spent, ...]) -> dict[tuple[str, str], tuple[int, int, Decimal]]:
        found: dict[tuple[str, str], tuple[int, int, Decimal]] = {}
        for one in rows:
            count, unknown, usd = found.get((one.model, one.reason), (0, 0, Decimal(0)))
            found[one.model, one.reason] = (count + one.count, unknown + one.unknown, usd + one.known_usd)
        return found

    whole = spent_by_reason(warmings, models=["b"], zone=BERLIN)
    assert sums(whole) == sums(spent_by_reason(warmings, models=["b"], zone=BERLIN, by_day=True))
    assert sum(one.count for one in whole) == len(warmings)


def test_the_pace_is_the_mean_since_the_first_of_them() -> None:
    now = START + timedelta(days=2)
    warmings = [
        warming("a", "idle", timedelta(days=1), of("0.5")),
        warming("a", "idle", timedelta(days=1.5), UNKNOWN),
        warming("b", "idle", timedelta(0), of("1")),
    ]

    assert usd_a_day(warmings, "a", now=now) == Decimal("0.5")
    assert usd_a_day(warmings, None, now=now) == Decimal("0.75")
    assert usd_a_day(warmings, "c", now=now) == 0
    # The first minute of all, in which a model boots, tells no pace.
    assert usd_a_day([warming("a", "idle", timedelta(0), of("0.01"))], "a", now=START) == Decimal("0.24")

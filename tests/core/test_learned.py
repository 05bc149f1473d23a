from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from warmer.core.history import Evidence
from warmer.core.idle_timeout import Find, IdleTimeout
from warmer.core.learned import BOOTS, Learned
from warmer.core.spec import AUTO_INTERVAL

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def met(gap_s: float | None, *, cold: bool = False, wait_s: float | None = 0.02, **more: str) -> Evidence:
    return Evidence(at=START, gap_s=gap_s, cold=cold, wait_s=wait_s, **more)


KNOWN = [met(100)] * 10 + [met(130, cold=True, wait_s=12.0), met(129, cold=True, wait_s=12.0)] + [met(110)] * 10


def test_the_belief_is_the_learners() -> None:
    belief = IdleTimeout.unknown()
    for one in KNOWN:
        belief = belief.after(Find(gap_s=one.gap_s or 0.0, cold=one.cold))
    learned = Learned().after_all(KNOWN)
    assert learned.idle_timeout.interval_s == belief.interval_s
    assert learned.idle_timeout.is_known
    assert learned.trusted_s == belief.interval_s


def test_what_is_not_known_yet_is_trusted_as_long_as_a_usual_interval() -> None:
    assert Learned().trusted_s == AUTO_INTERVAL.total_seconds()
    assert not Learned().idle_timeout.is_known


def test_what_has_no_gap_or_one_too_short_to_tell_teaches_no_time_out() -> None:
    seen = [met(None, cold=True, wait_s=9.0), met(0.0), met(9.9), met(3, cold=True, wait_s=8.0)]
    learned = Learned().after_all(seen)
    assert learned.idle_timeout.gaps == 0
    assert learned.boots_s == (9.0, 8.0)


def test_another_version_puts_the_time_out_in_doubt_and_forgets_the_boots() -> None:
    learned = Learned().after_all([*KNOWN, met(105, version="a")])
    other = learned.after(met(20, version="b"))
    assert learned.idle_timeout.is_known
    assert not other.idle_timeout.is_known
    assert other.boots_s == ()
    assert learned.after(met(20, version="a")).idle_timeout.is_known


def test_customers_of_an_older_version_do_not_put_it_in_doubt_again_and_again() -> None:
    learned = Learned().after_all([*KNOWN, met(105, version="a"), met(105, version="b"), *KNOWN])
    assert learned.idle_timeout.is_known
    assert learned.after_all([met(105, version=version) for version in "abab"]).idle_timeout.is_known


def test_another_price_puts_the_time_out_in_doubt() -> None:
    learned = Learned().after_all([*KNOWN, met(105, price="0.000225/s gpu-t4@2026-11-18")])
    assert not learned.after(met(20, price="0.001400/s gpu-a100-large@2026-11-18")).idle_timeout.is_known
    assert learned.after(met(20)).idle_timeout.is_known  # a customer's call tells no price


def test_a_price_table_of_another_day_puts_nothing_in_doubt() -> None:
    learned = Learned().after_all([*KNOWN, met(105, price="0.000225/s gpu-t4@2026-11-18")])
    assert learned.after(met(20, price="0.000225/s gpu-t4@2027-02-01")).idle_timeout.is_known


def test_a_doubt_is_settled_in_a_few_finds_where_nothing_has_changed() -> None:
    learned = Learned().after_all([*KNOWN, met(105, version="a"), met(105, version="b")])
    assert not learned.idle_timeout.is_known
    again = learned.after_all([met(108)] * 3)
    assert again.idle_timeout.interval_s > 90


def test_boots_that_take_quite_another_time_put_the_time_out_in_doubt() -> None:
    boots = [met(300, cold=True, wait_s=10.0 + number % 3) for number in range(20)]
    learned = Learned().after_all([*KNOWN, *boots])
    slower = learned.after_all([met(300, cold=True, wait_s=40.0)] * 2)
    assert len(slower.boots_s) > 5  # two may be chance
    assert slower.after(met(300, cold=True, wait_s=40.0)).boots_s[-3:] == (40.0,) * 3
    assert len(slower.after(met(300, cold=True, wait_s=40.0)).boots_s) == 5


def test_the_lead_is_the_p95_wait_for_a_boot() -> None:
    learned = Learned().after_all(met(300, cold=True, wait_s=float(seconds)) for seconds in range(1, 101))
    assert len(learned.boots_s) <= BOOTS
    assert learned.lead_s is not None
    assert learned.boot_s is not None
    assert learned.boot_s < learned.lead_s <= 100
    assert Learned().lead_s is None


@given(st.lists(st.builds(met, st.floats(10, 5000), cold=st.booleans(), wait_s=st.floats(0.01, 100)), max_size=25))
def test_it_is_a_fold_that_may_be_cut_anywhere(seen: list[Evidence]) -> None:
    whole = Learned().after_all(seen)
    for cut in (0, len(seen) // 2, len(seen)):
        parts = Learned().after_all(seen[:cut]).after_all(seen[cut:])
        assert parts.boots_s == whole.boots_s
        assert parts.idle_timeout.interval_s == whole.idle_timeout.interval_s
        assert parts.idle_timeout.band_s == whole.idle_timeout.band_s

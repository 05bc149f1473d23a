from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.beat import Status, Use, Verdict
from warmer.core.verdict import BASELINE_FROM, BASELINE_WAITS, DEFAULT_WARM_WAIT_S, baseline_s, judge

ORIGIN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
WARM, COLD, UNSURE = Verdict.WARM, Verdict.COLD, Verdict.UNSURE
DEFAULT = DEFAULT_WARM_WAIT_S


def use(
    name: str,
    created: float,
    *,
    wait: float | None = None,
    run: float | None = None,
    ended: float | None = None,
    status: Status = Status.SUCCEEDED,
) -> Use:
    """A use that came after `created` seconds, waited `wait` and ran `run`; `ended` where it never started."""
    started = None if wait is None else created + wait
    completed = ended if ended is not None else None if started is None or run is None else started + run
    return Use(
        id=name,
        status=status,
        created_at=at(created),
        started_at=None if started is None else at(started),
        completed_at=None if completed is None else at(completed),
        wait_s=wait,
    )


def test_what_met_a_boot_by_its_host_is_cold_however_short_its_wait() -> None:
    found = replace(use("found", 0, wait=0.01, run=0.1), woke=True)
    behind = use("behind", 0, wait=0.1, run=0.1)
    assert judge(found, (), DEFAULT) is COLD
    assert judge(behind, [replace(found, id="a", started_at=at(0.05))], DEFAULT) is COLD
    assert judge(replace(found, status=Status.UNKNOWN), (), DEFAULT) is UNSURE


def at(seconds: float) -> datetime:
    return ORIGIN + timedelta(seconds=seconds)


def found(wait: float | None, *others: Use, typical_s: float = DEFAULT, status: Status = Status.SUCCEEDED) -> Verdict:
    """The verdict of a use that came after 100 s and waited `wait`."""
    return judge(use("found", 100, wait=wait, run=1, status=status), others, typical_s)


# -- alone -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typical_s", "wait", "verdict"),
    [
        # not known yet: the default of 0.2 s
        (DEFAULT, 0.0, WARM),
        (DEFAULT, 0.013, WARM),
        (DEFAULT, 1.0, WARM),
        (DEFAULT, 1.001, UNSURE),
        (DEFAULT, 2.499, UNSURE),
        (DEFAULT, 2.5, COLD),
        (DEFAULT, 300.0, COLD),
        # quicker than the default: the limits do not fall with it
        (0.01, 1.0, WARM),
        (0.01, 1.001, UNSURE),
        (0.01, 2.5, COLD),
        # slower: 4 times is warm, 10 times is cold
        (0.5, 2.0, WARM),
        (0.5, 2.001, UNSURE),
        (0.5, 4.999, UNSURE),
        (0.5, 5.0, COLD),
        (3.0, 12.0, WARM),
        (3.0, 12.1, UNSURE),
        (3.0, 29.9, UNSURE),
        (3.0, 30.0, COLD),
    ],
)
def test_alone_the_wait_tells_against_what_is_typical(typical_s: float, wait: float, verdict: Verdict) -> None:
    assert found(wait, typical_s=typical_s) is verdict


@pytest.mark.parametrize("status", list(Status))
def test_without_a_wait_nobody_can_tell(status: Status) -> None:
    assert found(None, status=status) is UNSURE


def test_a_status_nobody_knows_tells_nothing() -> None:
    assert found(0.1, status=Status.UNKNOWN) is UNSURE


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.PROCESSING])
def test_whatever_became_of_it_later_it_found_what_it_found(status: Status) -> None:
    assert found(0.1, status=status) is WARM
    assert found(60, status=status) is COLD


# -- with others -------------------------------------------------------------------------------------------------------

COMPANY = {
    "behind a running one, and quick": (0.1, [use("r", 90, wait=0.1, run=60)], WARM),
    "behind a running one, and slow: a queue, or a second instance that booted": (
        60,
        [use("r", 90, wait=0.1, run=70)],
        UNSURE,
    ),
    "behind a running one, and in between": (2.0, [use("r", 90, wait=0.1, run=60)], UNSURE),
    "behind one that is still running": (60, [use("r", 90, wait=0.1, status=Status.PROCESSING)], UNSURE),
    "behind one that had booted and runs": (60, [use("r", 10, wait=60, run=60)], UNSURE),
    "after one that has ended": (60, [use("r", 90, wait=0.1, run=5)], COLD),
    "after one that ended at that very moment": (60, [use("r", 90, wait=0, run=10)], UNSURE),
    "after one that ended a moment ago: its instance turned to a queue": (60, [use("r", 90, wait=0, run=9.5)], UNSURE),
    "quick after one that ended a moment ago": (0.1, [use("r", 90, wait=0, run=9.5)], WARM),
    "in a queue, between one run and the next": (
        6,
        [use("r", 90, wait=0, run=9.99), use("q", 95, wait=5.01, run=6)],
        UNSURE,
    ),
    "during another's boot, which both waited for": (20, [use("b", 90, wait=30, run=1)], COLD),
    "late in another's boot: cold, however short the rest was": (0.2, [use("b", 70, wait=30.1, run=1)], COLD),
    "during a boot that is not over, started before it": (0.5, [use("b", 90, status=Status.STARTING)], UNSURE),
    "during a boot that is not over, after long": (60, [use("b", 90, status=Status.STARTING)], COLD),
    "during a boot, on another instance that was up before it": (5, [use("b", 90, wait=60, run=1)], COLD),
    "during a boot, quick on an instance that was up": (0.1, [use("b", 90, wait=60, run=1)], UNSURE),
    "while another waited as one does at a warm model": (0.3, [use("w", 99.9, wait=0.2, run=1)], WARM),
    "while another waited shortly, and slow itself: that one ran first": (
        60,
        [use("w", 99.9, wait=0.2, run=60)],
        UNSURE,
    ),
    "quick while one runs and another waits for a second instance": (
        0.1,
        [use("r", 90, wait=0.1, run=60), use("b", 95, wait=5.05, run=1)],
        UNSURE,
    ),
    "while another waited neither short nor long": (1.0, [use("w", 99, wait=2.0, run=1)], UNSURE),
    "while one waited that was aborted before it started": (0.5, [use("a", 90, ended=690)], UNSURE),
    "slow while one waited that was aborted before it started": (60, [use("a", 90, ended=690)], COLD),
    "after one was canceled while it waited": (0.5, [use("c", 90, ended=95, status=Status.CANCELED)], WARM),
    "one boots, one runs: an instance was up": (
        60,
        [use("b", 95, wait=30, run=1), use("r", 90, wait=0.1, run=60)],
        UNSURE,
    ),
    "before another that came later": (0.5, [use("l", 101, wait=60, run=1)], WARM),
    "slow, and another came later and was quick": (60, [use("l", 150, wait=0.1, run=1)], COLD),
    "two came in the same instant to a cold model": (20, [use("t", 100, wait=20, run=1)], COLD),
    "two came in the same instant to a warm model": (0.1, [use("t", 100, wait=0.1, run=1)], WARM),
}


@pytest.mark.parametrize(("wait", "others", "verdict"), COMPANY.values(), ids=COMPANY.keys())
def test_company_changes_what_a_wait_can_prove(wait: float, others: list[Use], verdict: Verdict) -> None:
    assert found(wait, *others) is verdict


def test_a_use_is_not_its_own_company() -> None:
    itself = use("found", 100, wait=60, run=1)

    assert judge(itself, [itself, use("found", 100, status=Status.STARTING)], DEFAULT) is COLD


USES = st.builds(
    use,
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 130),
    wait=st.none() | st.floats(0, 60),
    run=st.none() | st.floats(0, 60),
    status=st.sampled_from([Status.SUCCEEDED, Status.STARTING, Status.FAILED]),
)


@given(st.floats(0, 600), st.lists(USES, max_size=5), st.floats(0.001, 30))
def test_company_never_turns_a_short_wait_cold_without_a_boot_or_a_long_one_warm(
    wait: float, others: list[Use], typical_s: float
) -> None:
    alone, together = found(wait, typical_s=typical_s), found(wait, *others, typical_s=typical_s)

    if alone is COLD:
        assert together is not WARM
    if alone is not COLD and together is COLD:
        assert any(other.was_waiting_at(at(100)) for other in others)


@given(st.floats(0, 600), st.lists(USES, max_size=5), st.randoms(use_true_random=False))
def test_the_order_in_which_others_are_listed_does_not_matter(wait: float, others: list[Use], random: object) -> None:
    shuffled = list(others)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's own Random

    assert found(wait, *others) is found(wait, *shuffled)


# -- what is typical ---------------------------------------------------------------------------------------------------


def test_what_is_typical_is_assumed_until_a_few_waits_are_known() -> None:
    assert baseline_s(()) == DEFAULT
    assert baseline_s((1.5,) * (BASELINE_FROM - 1)) == DEFAULT
    assert baseline_s((1.5,) * BASELINE_FROM) == 1.5


def test_what_is_typical_is_among_the_shorter_waits_so_that_queues_change_little() -> None:
    assert baseline_s((0.3, 0.1, 60.0, 0.2, 0.4)) == pytest.approx(0.2)
    assert baseline_s((0.02, 1.9, 2.1, 0.03, 1.2, 2.4, 0.02, 1.7)) < 0.1


def test_what_may_have_been_a_boot_teaches_nothing_of_what_is_typical() -> None:
    assert baseline_s((9.0, 30.0, 14.0, 2.5)) == DEFAULT


def test_only_the_latest_waits_count() -> None:
    assert baseline_s((0.5,) * BASELINE_WAITS + (9.0,) * 500) == 0.5


def test_a_model_that_was_learned_to_be_slow_is_not_called_cold_for_it() -> None:
    assert found(6.0) is COLD
    assert found(6.0, typical_s=baseline_s((2.0, 1.9, 2.2))) is WARM

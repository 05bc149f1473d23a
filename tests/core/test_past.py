"""What `Past` tells of the neighbours of a call, beside the same asked of all uses at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from warmer.core.beat import Status, Use
from warmer.core.past import LONGEST_USE, Past
from warmer.core.verdict import judge

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def use(
    name: str, created: float, started: float | None, ended: float | None, status: Status = Status.SUCCEEDED
) -> Use:
    return Use(
        id=name,
        status=status,
        created_at=at(created),
        started_at=None if started is None else at(started),
        completed_at=None if ended is None else at(ended),
        wait_s=None if started is None else started - created,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Use]:
    """Uses on a grid of half seconds, so that many fall together; some never start, some are never seen to end."""
    halves = st.integers(0, 12).map(lambda n: n / 2)
    made = list[Use]()
    for number in range(draw(st.integers(1, 25))):
        created = draw(st.integers(0, 60)) / 2
        started = draw(st.none() | halves.map(lambda wait, created=created: created + wait))
        ended = draw(st.none() | halves.map(lambda run, after=started or created: after + run))
        status = draw(st.sampled_from([one for one in Status if ended is None or not one.is_open]))
        made.append(use(str(number), created, started, ended, status))
    return sorted(made, key=lambda one: one.created_at)


@given(uses=histories(), before=st.none() | st.just(at(-9)))
def test_neighbours_and_last_activity_are_those_of_the_whole_record(uses: list[Use], before: datetime | None) -> None:
    past = Past(uses, before)
    for found in uses:
        came = found.created_at
        others, last_activity = past.around(found)
        everyone = [one for one in uses if one.id != found.id and one.created_at <= came]
        going_on = [
            one
            for one in everyone
            if one.status.is_open
            or (one.completed_at > came if one.completed_at is not None else one.started_at is not None)
        ]
        ends = [
            one.completed_at
            for one in everyone
            if one.completed_at is not None and (one.started_at is not None or one.status is Status.SUCCEEDED)
        ]
        known = [*ends, *([before] if before else [])]
        assert last_activity == (came if going_on else max(known, default=None))
        assert judge(found, others, 0.2) is judge(found, everyone, 0.2)


def test_what_was_never_seen_to_end_is_over_in_the_end() -> None:
    lost, later = use("lost", 0, 1, None, Status.PROCESSING), LONGEST_USE.total_seconds() + 2
    past = Past([lost, use("soon", 1800, 1800, 1801), use("late", later, later, later + 1)])
    assert past.around(use("soon", 1800, 1800, 1801)) == ([lost], at(1800))
    assert past.around(use("late", later, later, later + 1)) == ([], at(1801))


def test_only_what_may_still_matter_is_held() -> None:
    uses = [use(str(number), number * 2, number * 2, number * 2 + 0.5) for number in range(1000)]
    past = Past(iter(uses))
    assert max(len(past.around(one)[0]) for one in uses) <= 1

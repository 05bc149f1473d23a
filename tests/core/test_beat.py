from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from warmer.core.beat import Prediction, Reason, Status, Use

CREATED = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
ENDED = [status for status in Status if not status.is_open]


def at(seconds: float) -> datetime:
    return CREATED + timedelta(seconds=seconds)


def prediction(
    *,
    status: Status = Status.SUCCEEDED,
    started: float | None = None,
    completed: float | None = None,
    predict_s: float | None = None,
    total_s: float | None = None,
) -> Prediction:
    return Prediction(
        id="p",
        status=status,
        created_at=CREATED,
        started_at=None if started is None else at(started),
        completed_at=None if completed is None else at(completed),
        predict_s=predict_s,
        total_s=total_s,
    )


# Which fields are there -> wait and run. Started after 3 s, completed after 5.5 s; metrics say 2 of 5.25.
WAIT_AND_RUN = {
    # started, completed, predict, total
    (False, False, False, False): (None, None),
    (False, False, False, True): (None, None),
    (False, False, True, False): (None, 2.0),
    (False, False, True, True): (3.25, 2.0),
    (False, True, False, False): (None, None),
    (False, True, False, True): (None, None),
    (False, True, True, False): (None, 2.0),
    (False, True, True, True): (3.25, 2.0),
    (True, False, False, False): (3.0, None),
    (True, False, False, True): (3.0, None),
    (True, False, True, False): (3.0, 2.0),
    (True, False, True, True): (3.0, 2.0),
    (True, True, False, False): (3.0, 2.5),
    (True, True, False, True): (3.0, 2.5),
    (True, True, True, False): (3.0, 2.0),
    (True, True, True, True): (3.0, 2.0),
}


def test_the_table_below_names_every_combination() -> None:
    assert set(WAIT_AND_RUN) == set(product((False, True), repeat=4))


@pytest.mark.parametrize(("present", "expected"), WAIT_AND_RUN.items())
def test_wait_and_run_come_from_whatever_the_provider_left_in(
    present: tuple[bool, ...], expected: tuple[float | None, float | None]
) -> None:
    started, completed, predict_s, total_s = (
        value if there else None for value, there in zip((3, 5.5, 2.0, 5.25), present, strict=True)
    )
    one = prediction(started=started, completed=completed, predict_s=predict_s, total_s=total_s)

    assert (one.wait_s, one.run_s) == expected


def test_a_stamp_out_of_order_is_no_negative_time() -> None:
    assert prediction(started=-1).wait_s == 0
    assert prediction(started=2, completed=1).run_s == 0
    assert prediction(predict_s=2.0, total_s=1.0).wait_s == 0


def test_a_run_of_no_time_is_known() -> None:
    assert prediction(predict_s=0.0).run_s == 0
    assert prediction(started=0).wait_s == 0


@pytest.mark.parametrize(
    ("one", "free"),
    [
        (prediction(status=Status.SUCCEEDED, started=1, completed=2), False),
        (prediction(status=Status.SUCCEEDED), False),
        (prediction(status=Status.FAILED, started=1, completed=2, predict_s=1.0), True),
        (prediction(status=Status.FAILED), True),
        (prediction(status=Status.CANCELED, completed=2), True),
        (prediction(status=Status.CANCELED, completed=2, predict_s=0.0), True),
        (prediction(status=Status.CANCELED, started=1, completed=2), False),
        (prediction(status=Status.CANCELED, completed=2, predict_s=0.5), False),
        (prediction(status=Status.ABORTED, completed=600), True),
        (prediction(status=Status.UNKNOWN, completed=2), False),
        (prediction(status=Status.STARTING), False),
        (prediction(status=Status.PROCESSING, started=1), False),
    ],
)
def test_only_what_failed_or_never_started_is_free(one: Prediction, free: bool) -> None:
    assert one.is_free is free


def test_only_a_starting_or_processing_prediction_may_still_change() -> None:
    assert [status for status in Status if status.is_open] == [Status.STARTING, Status.PROCESSING]


def test_a_reason_sends_or_skips() -> None:
    assert [reason.value for reason in Reason if reason.sends] == [
        "first_sight",
        "interval_over",
        "idle",
        "probe",
        "opening",
        "likely",
        "ordered",
    ]


def test_a_use_has_the_times_of_its_prediction() -> None:
    one = prediction(started=3, completed=5)
    use = Use.of(one)

    assert (use.id, use.status, use.created_at, use.started_at, use.completed_at, use.wait_s) == (
        "p",
        Status.SUCCEEDED,
        CREATED,
        at(3),
        at(5),
        3.0,
    )


def test_a_use_waits_from_its_creation_to_its_start_and_runs_from_there_to_its_end() -> None:
    use = Use.of(prediction(started=3, completed=5))

    assert [use.was_waiting_at(moment) for moment in (at(0) - TICK, at(0), at(3) - TICK, at(3), at(5))] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert [use.was_running_at(moment) for moment in (at(0), at(3) - TICK, at(3), at(5) - TICK, at(5))] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_a_use_that_never_started_waits_until_it_ends_and_never_runs() -> None:
    use = Use.of(prediction(status=Status.ABORTED, completed=600))

    assert use.was_waiting_at(at(600) - TICK)
    assert not use.was_waiting_at(at(600))
    assert not any(use.was_running_at(at(seconds)) for seconds in (0, 300, 600))


def test_a_use_without_an_end_goes_on() -> None:
    waiting = Use.of(prediction(status=Status.STARTING))
    running = Use.of(prediction(status=Status.PROCESSING, started=3))

    assert waiting.was_waiting_at(at(9999))
    assert not waiting.was_running_at(at(9999))
    assert running.was_running_at(at(9999))
    assert not running.was_waiting_at(at(9999))


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("started", [None, 0, 3])
@pytest.mark.parametrize("completed", [None, 0, 3, 5])
def test_a_use_is_never_waiting_and_running_at_once(status: Status, started: int | None, completed: int | None) -> None:
    use = Use.of(prediction(status=status, started=started, completed=completed))

    for moment in (at(-1), at(0), at(1), at(3), at(4), at(5), at(6)):
        assert not (use.was_waiting_at(moment) and use.was_running_at(moment))


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("started", [None, 2.0])
def test_only_an_open_use_goes_on_without_an_end(status: Status, started: float | None) -> None:
    use = Use.of(prediction(status=status, started=started))
    moment = at(3000)
    assert use.was_waiting_at(moment) == (status.is_open and started is None)
    assert use.was_running_at(moment) == (status.is_open and started is not None)

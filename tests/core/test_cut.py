from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warmer.core.beat import BeatRequest, Observation, Prediction, Reason, Status, Verdict
from warmer.core.cut import LOOKED_AT, as_ended, still_warms
from warmer.core.price import Billing
from warmer.core.spec import Target, TargetKind

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVERY = timedelta(seconds=60)


def request(**more: Any) -> BeatRequest:
    facts: dict[str, Any] = {"deadline": timedelta(seconds=600), "cancel_on_start": True} | more
    target = Target(kind=TargetKind.MODEL, owner="acme", name="chat")
    return BeatRequest(target=target, version="v1", billing=Billing.PUBLIC, input={}, **facts)


def prediction(status: Status = Status.CANCELED, started: float | None = 5.0, over: float = 6.0) -> Prediction:
    started_at = None if started is None else NOON + timedelta(seconds=started)
    return Prediction(
        id="a", status=status, created_at=NOON, started_at=started_at, completed_at=NOON + timedelta(seconds=over)
    )


@pytest.mark.parametrize(
    ("seen", "asked", "status"),
    [
        (prediction(), request(), Status.STARTED),
        (prediction(), request(cancel_on_start=False), Status.CANCELED),
        (prediction(started=None), request(), Status.CANCELED),  # it never ran
        (prediction(over=600), request(), Status.CANCELED),  # at its deadline, by the host
        (prediction(status=Status.FAILED), request(), Status.FAILED),
        (prediction(status=Status.SUCCEEDED), request(), Status.SUCCEEDED),  # it was quicker
    ],
)
def test_only_what_was_canceled_for_having_started_has_done_what_it_is_for(
    seen: Prediction, asked: BeatRequest, status: Status
) -> None:
    assert as_ended(seen, asked).status is status


def beats(story: str, *, every: float = 60.0, gap: float | None = None) -> list[Observation]:
    """The newest first, of a story in which `c` is a beat cut and found cold, `w` a whole one; big: found warm."""
    made = []
    for number, letter in enumerate(story):
        created_at = NOON + timedelta(seconds=number * every)
        made.append(
            Observation(
                model="acme/chat",
                prediction_id=str(number),
                policy="aware",
                reason=Reason.IDLE,
                created_at=created_at,
                started_at=created_at,
                completed_at=created_at + timedelta(seconds=5),
                gap_s=(every - 5 if gap is None else gap) if number else None,
                wait_s=0.1,
                run_s=1.0,
                verdict={"?": Verdict.UNSURE}.get(letter, Verdict.COLD if letter.islower() else Verdict.WARM),
                status=Status.SUCCEEDED if letter in "wW" else Status.STARTED,
                error=None,
                cost_usd=None,
                price=None,
                billing=Billing.PUBLIC,
            )
        )
    return made[::-1]


@pytest.mark.parametrize(
    ("story", "warms"),
    [
        ("", True),
        ("c", True),
        ("ccc", True),  # before the first of them nothing was cut
        ("cCcc", True),  # one was found warm
        ("cccc", False),
        ("c?c?c?c", False),  # what nobody can tell of tells nothing
        ("ccccwWW", False),  # whole runs warm, as it seems
        ("ccccwww", False),  # two after whole runs, and that is too few
        ("ccccwwww", True),  # those are found cold too
        ("ccccwWWW", False),
        ("ccccwwwwcC", True),
    ],
)
def test_cutting_is_to_blame_where_beats_after_cut_ones_alone_are_cold(story: str, warms: bool) -> None:
    assert still_warms(beats(story), EVERY) is warms


def test_what_came_late_or_after_somebody_else_blames_nothing() -> None:
    assert still_warms(beats("cccccc", every=3600), EVERY)
    assert still_warms(beats("cccccc", gap=20), EVERY)  # a customer called in between
    assert still_warms(beats("cccc" + "W" * LOOKED_AT)[:LOOKED_AT], EVERY)  # long ago

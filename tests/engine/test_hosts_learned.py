"""What the ledger teaches of a host, for the commands that replay its calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.records import record_calls

from warmer.core.beat import Verdict
from warmer.core.floor import Floor
from warmer.core.hours import ActiveHours
from warmer.core.learned import Learned
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.engine.hosts import learned_of
from warmer.ledger import open_ledger

START = datetime(2026, 11, 2, tzinfo=UTC)
ENTRY = ModelSpec(
    name="up",
    target=Target(kind=TargetKind.DEPLOYMENT, owner="acme", name="upscaler"),
    hours=ActiveHours.always_open(),
    policy=PolicyName.FLOOR,
)


def hours(count: float) -> datetime:
    return START + timedelta(hours=count)


def learned_with(path: Path, *, held: bool) -> Learned | None:
    """At a host that keeps an instance for 300 s, but from hour 6 to hour 12, when all calls were met warm."""
    gaps = [timedelta(seconds=gap) for gap in (280, 320)]
    calls = [hours(1)]
    while calls[-1] < hours(6):
        calls.append(calls[-1] + timedelta(seconds=1.5) + gaps[len(calls) % 2])
    record_calls(path, "up", [*calls, *(hours(6 + 0.5 * number) for number in range(1, 12))], idle_timeout_s=300.0)
    ledger = open_ledger(f"sqlite:///{path}")
    ledger.settle(replace(call, verdict=Verdict.WARM) for call in list(ledger.requests(since=hours(6.1))))
    if held:
        raised = Floor(
            deployment="acme/upscaler",
            number=1,
            model="up",
            found=0,
            held=1,
            wanted=1,
            begun_at=hours(6),
            asked_at=hours(6),
        )
        ledger.keep_floor(raised, at=hours(6))
        ledger.keep_floor(replace(raised, revision=2, held=0, wanted=0, ended_at=hours(12)), at=hours(12))
    found = learned_of(ledger, hours(13))(ENTRY)
    ledger.close()
    return found


def test_what_was_met_under_a_raised_floor_teaches_nothing_of_the_idle_time_out(tmp_path: Path) -> None:
    held = learned_with(tmp_path / "held.db", held=True)
    free = learned_with(tmp_path / "free.db", held=False)
    assert held is not None
    assert free is not None
    assert 280 <= held.idle_timeout.median_s <= 320
    assert free.idle_timeout.median_s > 600


def test_nothing_is_learned_where_no_traffic_is_read(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert learned_of(ledger, START)(replace(ENTRY, traffic=False)) is None
    ledger.close()

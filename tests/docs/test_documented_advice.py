"""docs/advice.md and the reference tell what `advise` does, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.pages import REFERENCE, ROOT, Page
from harness.processes import Desk
from harness.records import RUN, moments_of, record_calls

from warmer.core.advise import ALIKE, WORTH_BOOTS
from warmer.core.beat import Request, Status, Verdict
from warmer.core.repeats import KEPT
from warmer.core.tune import LEAST_CALLS, LEAST_DAYS, WORTH_BEATS
from warmer.core.waste import IDLE_SHARE, UNUSED_FOR, Waste
from warmer.core.ways import MONTH_DAYS, Way
from warmer.ledger import open_ledger

ADVICE = Page(ROOT / "docs" / "advice.md")
MONDAY = datetime(2026, 9, 7, tzinfo=UTC)


@pytest.mark.parametrize(("title", "words"), [("The ways", Way), ("Waste", Waste)])
def test_every_word_of_a_closed_list_of_advice_is_told_and_no_other(title: str, words: Any) -> None:
    assert ADVICE.first_cells(title) == [word.value for word in words]


def test_the_figures_of_advice_are_those_of_the_code() -> None:
    assert f"Of {MONTH_DAYS} days" in ADVICE.section("The money")
    choice = ADVICE.section("The choice")
    assert f"beyond {WORTH_BEATS:.0f} heartbeats each" in choice
    assert (WORTH_BOOTS, LEAST_DAYS, ALIKE) == (10, 7, 1.005)
    assert "ten boots' worth" in choice
    assert "half a per cent" in choice
    assert f"At least {LEAST_CALLS} calls and seven whole days" in choice
    assert timedelta(hours=24) == KEPT
    assert (timedelta(days=14), 0.5) == (UNUSED_FOR, IDLE_SHARE)


def test_every_key_of_advise_is_told_and_no_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write(
        "{deployment: a/b, hardware: cpu, policy: floor, hours: 00:00-24:00, name: up}\n{model: c/d, hardware: cpu}"
    )
    record_calls(desk.ledger, "up", moments_of("office", days=14, begins=MONDAY))
    ledger = open_ledger(f"sqlite:///{desk.ledger}")
    ledger.add_requests([_seen(MONDAY + timedelta(hours=number)) for number in range(14 * 24)])
    ledger.close()
    document = desk.run("advise", "--json", "-c", str(desk.file)).document
    assert document["models"][0]["findings"]
    assert document["models"][1]["cache"]
    told = set(REFERENCE.first_cells("`advise --json`"))
    assert _keys_of(document) | {"models[].options[]", "models[].findings[]", "models[].cache"} == told


def _seen(at: datetime) -> Request:
    return Request(
        model="c/d",
        prediction_id=at.isoformat(),
        created_at=at,
        started_at=at,
        completed_at=at + RUN,
        gap_s=None,
        wait_s=0.1,
        run_s=RUN.total_seconds(),
        verdict=Verdict.WARM,
        status=Status.SUCCEEDED,
        input_hash="same",
    )


def _keys_of(document: Any, at: str = "") -> set[str]:
    """`models[].options[].why`, and so on for every leaf."""
    if isinstance(document, dict):
        return {path for key, value in document.items() for path in _keys_of(value, f"{at}.{key}" if at else key)}
    if isinstance(document, list):
        return {path for item in document for path in _keys_of(item, f"{at}[]")}
    return {at}

"""The keys of every JSON document and the columns of every export stand in docs/reference.md, and no others."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from harness.pages import REFERENCE
from harness.processes import PATIENCE_S, Desk, Sandbox, environment
from harness.records import moments_of, record_calls

from warmer.cli.demo_outcome import Outcome, Row
from warmer.cli.export import WITHIN
from warmer.core.beat import Observation, Request
from warmer.core.budget import Cap, Limit, Period
from warmer.core.health import Check, Health, Member
from warmer.core.insight import Summary
from warmer.core.plain import plain
from warmer.report import summary_facts
from warmer.sandbox.customers import Replay
from warmer.web.app import readiness

FREE = ("input", "effective", "ticks", "schema", "parameters")
"""Keys whose value is not ours to describe, or is described elsewhere."""


def keys_of(document: Any, at: str = "") -> set[str]:
    """`models[].wait_s.p50`, and so on for every leaf."""
    if isinstance(document, dict) and document and at.rpartition(".")[2] not in FREE:
        return {path for key, value in document.items() for path in keys_of(value, f"{at}.{key}" if at else key)}
    if isinstance(document, list | tuple):
        return {path for item in document for path in keys_of(item, f"{at}[]")} or {f"{at}[]"}
    return {at}


def told_keys(title: str, *, summaries: tuple[str, ...] = ()) -> set[str]:
    return set(REFERENCE.first_cells(title)) | {
        f"{where}.{key}" for where in summaries for key in REFERENCE.first_cells("A summary")
    }


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A folder with a file and a ledger that has a beat and a call in it, and the sandbox that took them."""
    folder = tmp_path_factory.mktemp("documented")
    process = subprocess.Popen(
        [sys.executable, "-m", "warmer", "sandbox", "--speed", "20"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        sandbox = Sandbox(process.stdout.readline().removeprefix("listening ").strip())
        made = Desk(folder, sandbox.url)
        sandbox.post(
            "/sandbox/customer", {"model": "replicate/hello-world", "input": {"text": "x"}, "caller": "customer"}
        )
        # Whoever called, `fixed` sends its beat.
        made.write(
            "{model: replicate/hello-world, hardware: cpu, policy: fixed, shadow: aware}", top="budget: {daily: 9}"
        )
        assert made.run("once", "-c", str(made.file)).code == 0
        assert made.run("warm", "replicate/hello-world", "--for", "1h", "-c", str(made.file)).code == 0
        yield made
        made.close()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def test_every_key_of_status_is_told_and_no_other(desk: Desk) -> None:
    file = desk.file.with_name("adaptive.yaml")
    file.write_text(desk.file.read_text().replace("policy: fixed, shadow: aware", "policy: adaptive"))
    document = desk.run("status", "--json", "-c", str(file)).document
    assert keys_of(document) == told_keys("`status --json`")


def test_every_key_of_readyz_is_told_and_no_other() -> None:
    now = datetime.now(UTC)
    cap = Cap(model=None, period=Period.DAILY, usd=Decimal(1))
    document = readiness(
        Health(
            config=Check(ok=True),
            ledger=Check(ok=True),
            schedule=Check(ok=True),
            reached=(Limit(cap=cap, start=now, end=now),),
            account=None,
            models=1,
            members=(Member(number=1, silent_s=0.5, is_self=True),),
        )
    )
    assert keys_of(plain(document)) | {"budget[]", "members[]"} == told_keys("`/readyz`")


def test_every_key_of_plan_is_told_and_no_other(desk: Desk) -> None:
    document = desk.run("plan", "--json", "-c", str(desk.file)).document
    assert keys_of(document) == told_keys("`plan --json`")


def test_every_key_of_pause_is_told_and_no_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    document = desk.run("pause", "--json", "-c", str(desk.write("{model: a/b}"))).document
    assert keys_of(document) == told_keys("`pause --json`")


def test_every_key_of_tune_is_told_and_no_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    file = str(desk.write("{model: a/b, hardware: cpu}\n{model: c/d}"))
    monday = datetime(2026, 9, 7, tzinfo=UTC)
    for model, calls in (("a/b", moments_of("office", days=14, begins=monday)), ("c/d", [monday])):
        record_calls(desk.ledger, model, calls)
    document = desk.run("tune", "--json", "-c", file).document
    assert document["models"][0]["suggested"]
    assert keys_of(document) == told_keys("`tune --json`")


def test_every_key_of_backfill_is_told_and_no_other(desk: Desk) -> None:
    document = desk.run("backfill", "--json", "-c", str(desk.file)).document
    assert keys_of(document) == told_keys("`backfill --json`")


def test_every_key_of_backtest_is_told_and_no_other(desk: Desk) -> None:
    document = desk.run("backtest", "--example", "rare", "--policy", "ski", "--json").document
    assert keys_of(document["yardsticks"]) == keys_of(document["rows"])
    assert keys_of(document | {"yardsticks": []}) == told_keys("`backtest --json`")


def test_every_key_of_report_is_told_and_no_other(desk: Desk) -> None:
    document = desk.run("report", "--json", "-c", str(desk.file)).document
    assert document["days"]
    assert keys_of(document) == told_keys("`report --json`", summaries=("models[]", "days[]"))


def test_every_key_of_check_is_told_and_no_other(desk: Desk) -> None:
    right = desk.run("check", "--online", "--show", "--json", "-c", str(desk.file)).document
    offline = desk.run("check", "--json", "-c", str(desk.file)).document
    wrong = desk.folder / "wrong.yaml"
    wrong.write_text("models: [{model: a/b, evry: 30s}]")
    refused = desk.run("check", "--json", "-c", str(wrong)).document
    assert keys_of(right) | keys_of(offline) | keys_of(refused) == told_keys("`check --json`")


def test_every_key_of_inspect_is_told_and_no_other(desk: Desk) -> None:
    document = desk.run("inspect", "replicate/hello-world", "--json", "-c", str(desk.file)).document
    assert keys_of(document) == told_keys("`inspect --json`")


def test_every_key_of_ledger_check_is_told_and_no_other(desk: Desk) -> None:
    document = desk.run("ledger", "check", "--json", "-c", str(desk.file)).document
    assert keys_of(document) == told_keys("`ledger check --json`")


def test_every_key_of_demo_is_told_and_no_other() -> None:
    replay = Replay(**{field.name: _some(field.type) for field in dataclasses.fields(Replay)})
    seen = Summary(model="a/b", day=None)
    row = Row(
        seen=seen,
        true_bill_usd=Decimal(0),
        true_cold=0,
        unwarmed=replay,
        cron=replay,
        learned_s=None,
        idle_timeout_s=60.0,
        last_idle_usd=Decimal(0),
    )
    outcome = Outcome(rows=(row,), lasting=timedelta(0), verdicts=0, verdicts_wrong=0, verdicts_unsure=0)
    assert keys_of(plain(outcome.document())) == told_keys("`demo --json`", summaries=("models[]",))


def _some(kind: Any) -> Any:
    return () if "tuple" in str(kind) else Decimal(0) if "Decimal" in str(kind) else 0


def test_every_key_of_a_summary_is_told_and_no_other() -> None:
    assert keys_of(plain(summary_facts(Summary(model="a/b", day=None)))) == told_keys("A summary")


def test_every_exported_column_is_told_in_its_order(desk: Desk) -> None:
    told = [(row[0].strip("`"), row[1]) for row in REFERENCE.table("Exported rows")]
    in_requests = {field.name for field in dataclasses.fields(Request)}
    columns = [field.name for field in dataclasses.fields(Observation) if field.name not in WITHIN]
    assert told == [(name, "both" if name in in_requests else "beats") for name in columns]
    for facts in ("beats", "requests"):
        rows = desk.run("export", facts, "-c", str(desk.file)).out.splitlines()
        assert rows, facts
        assert list(json.loads(rows[0])) == [name for name, where in told if facts == "beats" or where == "both"]
        document = desk.run("export", facts, "--json", "-c", str(desk.file)).document
        assert {key.partition(".")[0] for key in keys_of(document)} == {"schema", f"{facts}[]"}
        assert f"{facts}[]" in told_keys("`export --json`")

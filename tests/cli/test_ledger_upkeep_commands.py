"""`warmer ledger` as a process."""

from __future__ import annotations

from datetime import UTC, datetime

from harness.processes import Desk
from harness.records import record_beat

MODELS = "{model: a/b}"


def test_it_checks_copies_and_vacuums(desk: Desk) -> None:
    file = str(desk.write(MODELS))
    missing = desk.run("ledger", "check", "-c", file)
    assert missing.code == 1
    assert "there is none yet" in missing.err
    assert not desk.ledger.exists()

    record_beat(desk.ledger, "a/b", datetime(2026, 11, 21, tzinfo=UTC))
    checked = desk.run("ledger", "check", "-c", file)
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.startswith(f"{desk.ledger} (sqlite), ")
    assert checked.out.endswith("nothing is wrong\n")
    told = desk.run("ledger", "check", "--json", "-c", file).document
    assert told["ok"]
    assert {"name": "beats", "rows": 1} in told["tables"]

    copy = desk.folder / "copy.db"
    assert desk.run("ledger", "backup", str(copy), "-c", file).code == 0
    again = desk.run("ledger", "backup", str(copy), "-c", file)
    assert again.code == 2
    assert "is there already" in again.err
    vacuumed = desk.run("ledger", "vacuum", "-c", file)
    assert vacuumed.code == 0
    assert "bytes before" in vacuumed.out


def test_a_ledger_that_is_damaged_is_told_by_the_exit_code(desk: Desk) -> None:
    file = str(desk.write(MODELS))
    for slot in range(1, 60):
        record_beat(desk.ledger, f"a/b-{slot}", datetime(2026, 11, 21, tzinfo=UTC))
    whole = desk.ledger.read_bytes()
    desk.ledger.write_bytes(whole[:-8192] + b"\x7f" * 8192)
    checked = desk.run("ledger", "check", "--json", "-c", file)
    assert checked.code == 1
    assert checked.document["problems"]
    assert not checked.document["ok"]

"""A file is tried without a look at anything else here, and what it would change is what a reload would."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from engine.stage import START, ledger_at
from structlog.testing import capture_logs

from warmer import config
from warmer.core.spec import Spec
from warmer.core.trial import Change, ChangeKind, Trial
from warmer.engine.desk import Desk
from warmer.engine.planning import plan_file
from warmer.engine.trial import Trials
from warmer.errors import ConfigError, Fault
from warmer.log import Event
from warmer.testing import VirtualClock, run

FILE = """
timezone: Europe/Berlin
admin_token: env:WARMER_ADMIN_TOKEN
models:
  - {model: acme/chat, every: 60s, price: {per_second: 0.001}}
  - {model: acme/code, hours: Mo-Fr 08:00-20:00}
"""


def tried(db: Path, text: str, in_force: Spec | None = None) -> Trial:
    spec = in_force or config.parse(FILE.encode(), path="warmer.yaml")

    async def scene() -> Trial:
        desk = Desk(ledger_at(db))
        trials = Trials(desk, VirtualClock(START), within_s=300)
        try:
            return await trials.run(text.encode(), spec)
        finally:
            trials.close()
            desk.close()

    return run(scene())


def test_what_would_change_is_told_with_what_plan_expects(db: Path) -> None:
    with capture_logs() as lines:
        found = tried(db, FILE.replace("60s", "30s").replace("acme/code", "acme/draw") + "budget: {daily: 900}\n")
    assert (found.ok, found.faults, found.models, found.why) == (True, (), 2, None)
    kinds = {one.model: one.change for one in found.changes}
    assert kinds == {
        "acme/draw": ChangeKind.ADDED,
        "acme/chat": ChangeKind.CHANGED,
        "acme/code": ChangeKind.REMOVED,
    }
    chat = of(found, "acme/chat")
    assert [(one.key, one.was, one.becomes) for one in chat.edits] == [("every", "1m", "30s")]
    assert [one.key for one in found.file] == ["budget"]
    spec = config.parse(FILE.encode(), path="x")
    planned = {one.model: one for one in plan_file(spec, ledger_at(db), START, START + timedelta(days=7))}
    assert chat.now is not None
    assert chat.now.beats_per_day == pytest.approx(planned["acme/chat"].beats / 7, abs=0.06)
    assert chat.then is not None
    assert chat.then.beats_per_day > chat.now.beats_per_day
    assert found.then is not None
    assert [(line["event"], line["faults"], line["removed"]) for line in lines] == [
        (Event.CONFIG_TRIED, 0, ["acme/code"])
    ]


def of(found: Trial, model: str) -> Change:
    return next(one for one in found.changes if one.model == model)


def test_the_same_file_changes_nothing(db: Path) -> None:
    found = tried(db, FILE)
    assert (found.ok, found.changes, found.file) == (True, (), ())
    assert found.now == found.then


def test_faults_have_their_places_as_check_gives_them(db: Path) -> None:
    found = tried(db, "models:\n  - {model: acme/chat, polcy: aware}\n  - {modle: x}\n")
    assert not found.ok
    assert [(one.file, one.line) for one in found.faults] == [("tried", 2), ("tried", 3)]
    assert "did you mean `policy`" in found.faults[0].hint
    assert found.digest is None


def refused(text: str) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        config.parse(text.encode(), path="tried", in_force=config.parse(FILE.encode(), path="warmer.yaml"))
    return caught.value.faults


def test_no_file_of_the_host_is_read(db: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("date: r8_hidden\nper_second: {gpu-t4: geheim}\n")
    (problem,) = {fault.problem for path in (secret, tmp_path / "none") for fault in refused(f"prices: {path}\n{FILE}")}
    assert problem == "another price table than the one in force is not read for a trial"
    known = config.parse(b"models: [{model: acme/chat}]", path="warmer.yaml")
    own = replace(known, prices="own.yaml")
    assert tried(db, "prices: own.yaml\nmodels: [{model: acme/chat}]", own).ok  # known already: it is not read


def test_secrets_stay_references(db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMER_ADMIN_TOKEN", "geheim-42")
    (tmp_path / "token").write_text("geheim-43")
    found = tried(db, FILE.replace("env:WARMER_ADMIN_TOKEN", f"file:{tmp_path / 'token'}"))
    assert [(one.key, one.was, one.becomes) for one in found.file] == [
        ("admin_token", "env:WARMER_ADMIN_TOKEN", f"file:{tmp_path / 'token'}")
    ]
    assert "geheim" not in repr(found)


def test_another_ledger_or_engine_needs_a_restart_and_is_not_opened(db: Path, tmp_path: Path) -> None:
    found = tried(db, FILE + f"ledger: sqlite:///{tmp_path}/other.db\n")
    assert not found.ok
    assert "restart" in (found.restart or "")
    assert not (tmp_path / "other.db").exists()

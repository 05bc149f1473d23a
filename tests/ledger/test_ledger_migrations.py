"""Ledgers of every released revision, with what was in them, brought up to date in every kind of database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from warmer.core.beat import Reason, Verdict
from warmer.core.budget import Cap, Period, limits
from warmer.core.floor import Floor
from warmer.errors import LedgerError
from warmer.ledger import open_ledger
from warmer.ledger.opening import HEAD
from warmer.ledger.rows import dump_request
from warmer.ports import Ledger

REVISIONS = [f"{number:04}" for number in range(1, int(HEAD) + 1)]
HOUR_US = 3_600_000_000


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", "warmer.ledger:migrations")
    return made


@dataclass
class Old:
    """A ledger of an older revision, written to as the warmer of that time did: by the columns that it had."""

    engine: sa.Engine
    revision: str

    def make(self) -> None:
        with self.engine.begin() as connection:
            migration = config()
            migration.attributes["connection"] = connection
            command.upgrade(migration, self.revision)

    def insert(self, table: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            columns = {column["name"] for column in sa.inspect(connection).get_columns(table)}
            known = {key: value for key, value in values.items() if key in columns}
            connection.execute(sa.insert(sa.table(table, *map(sa.column, known))).values(known))

    def has(self, since: str) -> bool:
        return self.revision >= since


@pytest.fixture
def old_at(address: str) -> Callable[[str], Old]:
    def make(revision: str) -> Old:
        url = sa.make_url(address)
        driver = "postgresql+psycopg" if url.drivername == "postgresql" else url.drivername
        if driver == "sqlite":
            Path(str(url.database)).parent.mkdir()
        engine = sa.create_engine(url.set(drivername=driver), poolclass=sa.NullPool)
        old = Old(engine, revision)
        old.make()
        return old

    return make


def micros(moment: Any) -> int:
    return round(moment.timestamp() * 1_000_000)


def fill(old: Old, facts: Any) -> None:
    """Two finished beats, one that is out, two calls, ticks, an import, a raise: as far as it had them."""
    at = micros(facts.start)
    request = dump_request(facts.claim(price=None).request)
    for slot, cost in ((1, 225), (2, None)):
        old.insert(
            "beats",
            model=facts.model,
            slot=slot,
            instance=0,
            policy="aware",
            reason="idle",
            claimed_at=at + slot * 60_000_000,
            prediction_id=f"beat-{slot}",
            created_at=at + slot * 60_000_000 + 250_000,
            started_at=at + slot * 60_000_000 + 500_000,
            completed_at=at + slot * 60_000_000 + 1_500_000,
            gap_s=61.5,
            wait_s=0.25,
            run_s=1.0,
            verdict="warm",
            status="succeeded",
            cost_micros=cost,
            price="0.000225/s gpu-t4@2026-11-18",
            billing="public",
            version="f00",
            cost_is_estimated=False,
            first_token_s=0.375,
            boot_s=2.5,
        )
    old.insert(
        "beats",
        model=facts.model,
        slot=3,
        instance=0,
        policy="aware",
        reason="idle",
        claimed_at=at + HOUR_US,
        request=request,
        reserved_micros=700,
        reserved_until=at + 2 * HOUR_US,
    )
    if old.has("0004"):
        for scope in ("", facts.model):
            old.insert("spending", scope=scope, quarter=at // 900_000_000 * 900_000_000, micros=225)
    old.insert(
        "requests",
        prediction_id="call-1",
        model=facts.model,
        created_at=at + 5_000_000,
        started_at=at + 6_000_000,
        completed_at=at + 7_000_000,
        gap_s=None,
        wait_s=1.0,
        run_s=1.0,
        verdict="cold",
        status="succeeded",
    )
    old.insert(
        "requests",
        prediction_id="call-2",
        model=facts.model,
        created_at=at + 8_000_000,
        verdict="unsure",
        status="starting",
    )
    old.insert("ticks", model=facts.model, hour=at // HOUR_US * HOUR_US, reason="idle", count=7)
    if old.has("0003"):
        old.insert("imports", started_at=at, since=at - HOUR_US, scope="all", cursor="a")
    if old.has("0006"):
        old.insert(
            "floors",
            deployment="acme/up",
            number=1,
            revision=2,
            model="up",
            found=0,
            held=1,
            wanted=1,
            begun_at=at,
            asked_at=at,
        )


def check(ledger: Ledger, facts: Any, old: Old) -> None:
    first, second = ledger.beats()
    assert (first.prediction_id, second.prediction_id) == ("beat-1", "beat-2")
    assert (first.created_at, first.completed_at) == (facts.at(60.25), facts.at(61.5))
    assert (first.gap_s, first.wait_s, first.run_s, first.verdict) == (61.5, 0.25, 1.0, Verdict.WARM)
    assert (first.cost_usd, second.cost_usd) == (Decimal("0.000225"), None)
    assert first.cost_is_estimated is False
    assert first.first_token_s == (0.375 if old.has("0013") else None)
    assert first.boot_s == (2.5 if old.has("0014") else None)
    assert first.version == ("f00" if old.has("0002") else None)
    (out,) = ledger.open_beats()
    assert (out.key, out.claimed_at, out.request) == (facts.key(3), facts.at(3600), facts.claim(price=None).request)
    running, ended = sorted(ledger.requests(), key=lambda call: call.prediction_id, reverse=True)
    assert (ended.created_at, ended.wait_s, ended.verdict) == (facts.at(5), 1.0, Verdict.COLD)
    assert (running.created_at, running.status.is_open) == (facts.at(8), True)
    assert ledger.ticks(facts.start) == {(facts.model, Reason.IDLE): 7}
    assert [one.cursor for one in ledger.unfinished_imports()] == (["a"] if old.has("0003") else [])
    raised = Floor(
        deployment="acme/up", number=1, revision=2, model="up", found=0, held=1, wanted=1,
        begun_at=facts.start, asked_at=facts.start,
    )  # fmt: skip
    assert ledger.floor("acme/up") == (raised if old.has("0006") else None)
    caps = [Cap(model=model, period=Period.MONTHLY, usd=Decimal(9)) for model in (None, facts.model)]
    spent = ledger.spendings(limits(caps, facts.start, ZoneInfo("UTC")), facts.at(3601))
    reserved = Decimal("0.0007") if old.has("0004") else 0
    assert [(one.settled_usd, one.reserved_usd) for one in spent] == [(Decimal("0.000225"), reserved)] * 2
    history = ledger.history(facts.model)
    assert (history.slots, history.last_activity) == (3, facts.at(121.5))


@pytest.mark.parametrize("revision", REVISIONS)
def test_nothing_of_an_older_ledger_is_lost(
    old_at: Callable[[str], Old], address: str, facts: Any, revision: str
) -> None:
    old = old_at(revision)
    fill(old, facts)
    ledger = open_ledger(address)
    check(ledger, facts, old)

    assert ledger.finish(facts.key(3), facts.observation("beat-3", created=3600, started=3600, completed=3601))
    assert ledger.claim(facts.claim(4, at=4000))
    ledger.close()
    again = open_ledger(address)
    assert again.history(facts.model).slots == 4
    again.close()


def test_every_revision_is_tried_here() -> None:
    script = ScriptDirectory.from_config(config())
    assert sorted(one.revision for one in script.walk_revisions()) == REVISIONS


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(
    old_at: Callable[[str], Old], address: str, facts: Any
) -> None:
    old = old_at("0005")
    fill(old, facts)
    with old.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE floors (id integer)")  # in the way of the next revision
    with pytest.raises(LedgerError, match=r"floors.* Its tables are not as warmer made them"):
        open_ledger(address)
    with old.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "0005"
        assert connection.exec_driver_sql("SELECT count(*) FROM beats").scalar_one() == 3
        connection.exec_driver_sql("DROP TABLE floors")
        connection.commit()
    ledger = open_ledger(address)
    check(ledger, facts, old)
    ledger.close()

"""The tables: made by migration as the code sees them, and found by index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from harness.postgres import Server

from warmer.core.beat import Reason
from warmer.core.budget import Cap, Limit, Period, limits
from warmer.ledger import SqlLedger, open_ledger
from warmer.ledger.opening import HEAD
from warmer.ledger.tables import metadata


def budget(facts: Any) -> tuple[Limit, ...]:
    caps = [Cap(model=model, period=Period.MONTHLY, usd=Decimal(9)) for model in (None, facts.model)]
    return limits(caps, facts.start, ZoneInfo("UTC"))


HOUR = timedelta(hours=1)
GROWING = re.compile(r"SCAN (beats|requests|hourly_beats|hourly_calls)\b(?! USING INDEX beats_open\b)")


def schema_of(path: Path) -> dict[str, Any]:
    """Columns with type, nullability and place in the key, and indexes as they were written."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name != "alembic_version"
        ]
        return {
            table: {
                "columns": sorted(row[1:] for row in connection.execute(f"PRAGMA table_info({table})")),
                "unique": sorted(
                    tuple(name for _, _, name in connection.execute(f"PRAGMA index_info({index})"))
                    for _, index, unique, *_ in connection.execute(f"PRAGMA index_list({table})").fetchall()
                    if unique
                ),
                "indexes": sorted(
                    " ".join(sql.split())
                    for (sql,) in connection.execute(
                        "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
                        [table],
                    )
                ),
            }
            for table in tables
        }


def test_a_migrated_ledger_has_the_tables_that_the_code_sees(tmp_path: Path, open_at: Callable[..., Any]) -> None:
    open_at(tmp_path / "migrated.db")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'seen.db'}")
    metadata.create_all(engine)
    engine.dispose()

    migrated = schema_of(tmp_path / "migrated.db")
    assert set(migrated) == {
        "beats",
        "floor_spells",
        "floors",
        "hourly_beats",
        "hourly_calls",
        "imports",
        "kept",
        "notes",
        "requests",
        "salts",
        "spending",
        "ticks",
        "touched",
    }
    assert migrated == schema_of(tmp_path / "seen.db")


def test_in_postgresql_too(postgres: Server) -> None:
    migrated, seen = postgres.database(), postgres.database()
    open_ledger(migrated).close()
    engine = sa.create_engine(seen.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)
    metadata.create_all(engine)

    def shape(url: str) -> tuple[list[Any], ...]:
        with psycopg.connect(url) as connection:
            return tuple(
                connection.execute(query).fetchall()
                for query in (
                    "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
                    "WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2",
                    "SELECT tablename, indexname, indexdef FROM pg_indexes "
                    "WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2",
                )
            )

    assert shape(migrated) == shape(seen)
    for url in (migrated, seen):
        postgres.drop(url)


def test_the_newest_migration_is_the_one_the_code_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", "warmer.ledger:migrations")
    script = ScriptDirectory.from_config(config)

    assert script.get_heads() == [HEAD]
    assert len(script.get_bases()) == 1
    revisions = sorted(revision.revision for revision in script.walk_revisions())
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]  # compared as text: newer is larger


@pytest.fixture
def plan_of(tmp_path: Path, open_at: Callable[..., Any]) -> Iterator[Callable[..., str]]:
    """What SQLite says of how it would carry out everything that one use of a ledger executes."""
    path = tmp_path / "ledger.db"
    ledger = open_at(path)
    executed: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        executed.append((statement, parameters[0] if many else parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)

    def plan(use: Callable[[SqlLedger], object]) -> str:
        executed.clear()
        use(ledger)
        with closing(sqlite3.connect(path)) as connection:
            explained = [
                row[3].replace(" TABLE ", " ")  # as versions before 3.36 put it
                for statement, parameters in executed
                for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
        assert executed
        return "\n".join(explained)

    yield plan
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "use",
    [
        lambda ledger, facts: ledger.claim(facts.claim(1)),
        lambda ledger, facts: ledger.spendings(budget(facts), facts.start),
        lambda ledger, facts: ledger.claim(replace(facts.claim(2), reserve_usd=Decimal(1), limits=budget(facts))),
        lambda ledger, facts: ledger.sent(facts.key(1), facts.prediction()),
        lambda ledger, facts: ledger.finish(facts.key(1), facts.observation()),
        lambda ledger, facts: ledger.open_beats(),
        lambda ledger, facts: ledger.history(facts.model),
        lambda ledger, facts: ledger.known_beats(["a", "b"]),
        lambda ledger, facts: ledger.add_requests([facts.call()]),
        lambda ledger, facts: ledger.keep_import(facts.import_(), [facts.call()]),
        lambda ledger, facts: ledger.unfinished_imports(),
        lambda ledger, facts: ledger.imported_at(),
        lambda ledger, facts: ledger.settle([facts.call()]),
        lambda ledger, facts: ledger.open_requests(facts.start),
        lambda ledger, facts: ledger.newest_request_at(facts.start),
        lambda ledger, facts: ledger.uses(facts.model, facts.start, facts.start),
        lambda ledger, facts: ledger.before(facts.model, facts.start, HOUR),
        lambda ledger, facts: ledger.glance(facts.model, finds_since=facts.start, finds=9, calls_after=facts.start),
        lambda ledger, facts: ledger.floor("acme/upscaler"),
        lambda ledger, facts: ledger.count_tick(facts.model, Reason.IDLE, facts.start),
        lambda ledger, facts: ledger.beat_sums(facts.at(1), ZoneInfo("UTC")),
        lambda ledger, facts: ledger.beat_sums(facts.at(1), ZoneInfo("UTC"), model=facts.model),
        lambda ledger, facts: ledger.call_sums(facts.at(1), ZoneInfo("UTC")),
        lambda ledger, facts: ledger.add_up(facts.at(9e5), ZoneInfo("UTC")),
        lambda ledger, facts: ledger.let_go(facts.model, facts.at(9e5), beats=HOUR, calls=HOUR),
        lambda ledger, facts: list(ledger.beats(since=facts.start)),
        lambda ledger, facts: list(ledger.beats(model=facts.model)),
        lambda ledger, facts: list(ledger.beats(since=facts.start, model=facts.model)),
        lambda ledger, facts: list(ledger.requests(since=facts.start)),
        lambda ledger, facts: list(ledger.requests(model=facts.model)),
        lambda ledger, facts: list(ledger.requests(since=facts.start, model=facts.model)),
    ],
)
def test_nothing_but_a_whole_export_goes_through_the_whole_record(
    plan_of: Callable[..., str], facts: Any, use: Callable[[SqlLedger, Any], object]
) -> None:
    assert not GROWING.search(plan_of(lambda ledger: use(ledger, facts)))


def test_one_tick_does_not_go_through_all_beats_or_calls_of_its_model(plan_of: Callable[..., str], facts: Any) -> None:
    plan = plan_of(lambda ledger: ledger.history(facts.model))

    assert "SEARCH beats USING INDEX beats_open (model=?)" in plan  # the one that is out
    assert "SEARCH requests USING INDEX requests_by_end (model=? AND completed_at=?)" in plan  # those that have no end


def test_what_a_model_costs_does_not_go_through_the_beats_of_others(plan_of: Callable[..., str], facts: Any) -> None:
    own, of_all = (
        plan_of(lambda ledger, limit=limit: ledger.spendings([limit], facts.start))
        for limit in sorted(budget(facts), key=lambda limit: limit.cap.model is None)
    )

    assert "SEARCH beats USING INDEX beats_uncosted_of (model=? AND claimed_at>? AND claimed_at<?)" in own
    assert "SEARCH beats USING INDEX beats_uncosted (claimed_at>? AND claimed_at<?)" in of_all


def test_a_whole_export_is_read_in_order_and_not_sorted_first(plan_of: Callable[..., str]) -> None:
    # What came in one and the same microsecond is put in order by itself.
    for use, table in ((SqlLedger.beats, "beats"), (SqlLedger.requests, "requests")):
        scan, sort = plan_of(lambda ledger, use=use: list(use(ledger))).splitlines()
        assert scan == f"SCAN {table} USING INDEX {table}_in_order"
        assert re.fullmatch(r"USE TEMP B-TREE FOR (LAST 2 TERMS|RIGHT PART) OF ORDER BY", sort)

"""The server that a PostgreSQL ledger lives in: away, refusing, somebody else's, and left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from harness.postgres import GUARDED, PASSWORD, Server, server
from psycopg import _queries as driver  # it tells nobody its limits

from warmer.errors import LedgerError
from warmer.ledger import open_ledger
from warmer.ledger.opening import HEAD
from warmer.ledger.postgres import LOCK


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    """Of an empty database."""
    made = postgres.database()
    yield made
    postgres.drop(made)


def refusal(url: str, **options: Any) -> str:
    with pytest.raises(LedgerError) as refused:
        open_ledger(url, **options)
    message = str(refused.value)
    assert message.startswith(f"ledger {url}: ")
    assert "\n" not in message
    assert refused.value.exit_code == 1
    return message


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def everything_in(url: str) -> list[Any]:
    """All objects of the database that a program made, and the rows of its tables."""
    with connected(url) as connection:
        found = connection.execute(
            "SELECT relname, relkind, relnatts FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
        ).fetchall()
        tables = [name for name, kind, _ in found if kind == "r"]
        return found + [connection.execute(f"TABLE {name}").fetchall() for name in tables]


def test_what_is_asked_for_each_beat_is_read_by_the_driver_once(url: str, facts: Any) -> None:
    """A longer text, or one of more values, it would go through each time: that takes longer than to run it."""
    asked = list[tuple[str, int]]()

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, len(parameters)))

    with closing(open_ledger(url)) as ledger:
        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            ledger.glance(facts.model, finds_since=facts.start, finds=9, calls_after=facts.start, and_one_before=True)
            ledger.claim(facts.claim())
            ledger.sent(facts.key(), facts.prediction())
            ledger.before(facts.model, facts.start)
            ledger.finish(facts.key(), facts.observation())
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert len(asked) > 6
    for statement, values in asked:
        assert len(statement) <= driver.MAX_CACHED_STATEMENT_LENGTH, statement
        assert values <= driver.MAX_CACHED_STATEMENT_PARAMS, statement


def test_a_server_that_is_away_is_said() -> None:
    for url in (
        "postgresql://warmer@127.0.0.1:1/warmer",
        "postgresql:///warmer?host=/nowhere",
        "postgres://warmer@127.0.0.1:1,127.0.0.1:2/warmer",
        "postgresql://warmer@no-such-host.invalid/warmer",
    ):
        assert "whether the server runs and lets this machine in" in refusal(url)


def test_an_address_that_libpq_does_not_understand_is_refused() -> None:
    for url in ("postgresql://warmer@host/warmer?sslmod=require", "postgresql://[::1/warmer"):
        assert refusal(url).endswith("Write postgresql://user@host/database")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://warmer:{PASSWORD}@host/warmer",
        f"postgres://warmer@host/warmer?password={PASSWORD}",
        "postgresql://warmer:pw_Canary@",
        "postgresql:///warmer?host=/run&sslpassword=pw_Canary",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(LedgerError, match="`ledger_password: env:WARMER_LEDGER_PASSWORD`") as refused:
        open_ledger(url)
    assert "Canary" not in str(refused.value)


def test_a_wrong_password_is_said_and_not_repeated(postgres: Server) -> None:
    url = postgres.url(user=GUARDED)
    for password in (None, "pw_Wrong-Canary"):
        message = refusal(url, password=password)
        assert "its password under `ledger_password`" in message
        assert "Canary" not in message


def test_a_user_or_database_that_is_not_there_is_said(postgres: Server) -> None:
    assert "Create it, with `createdb`" in refusal(postgres.url("nowhere"))
    assert "Check the user in `ledger`" in refusal(postgres.url(user="nobody_here"))


def test_a_user_who_may_make_no_tables_is_told_what_to_grant(postgres: Server, url: str) -> None:
    name = url.partition("@/")[2].partition("?")[0]
    message = refusal(postgres.url(name, user=GUARDED), password=PASSWORD)
    assert "permission denied for schema public" in message
    assert "GRANT ALL ON SCHEMA" in message
    assert everything_in(url) == []


def test_a_schema_that_is_not_there_is_said_and_one_that_is_keeps_the_ledger_apart(url: str) -> None:
    own = f"{url}&options=-csearch_path%3Dwarmer"
    assert "Create that schema" in refusal(own)
    with connected(url) as connection:
        connection.execute("CREATE TABLE customers (id int); CREATE SCHEMA warmer")
    assert "another program's database: name another database under `ledger`, or a schema of its own" in refusal(url)
    before = everything_in(url)
    open_ledger(own).close()
    assert everything_in(url) == before


def test_the_queue_beside_the_ledger_is_no_other_program(url: str) -> None:
    with connected(url) as connection:
        connection.execute("CREATE TABLE procrastinate_jobs (id int)")
    open_ledger(url).close()
    open_ledger(url).close()


@pytest.mark.parametrize("tables", [("customers",), ("requests", "alembic_version"), ("alembic_version",)])
def test_another_programs_database_is_left_as_it_is(url: str, tables: tuple[str, ...]) -> None:
    with connected(url) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (version_num text)")
    before = everything_in(url)
    assert "another program's database" in refusal(url)
    assert everything_in(url) == before


@pytest.mark.parametrize(
    ("revision", "words"),
    [(f"{int(HEAD) + 1:04}", "Upgrade warmer, or name another database"), ("0000", "name another database")],
)
def test_a_schema_that_is_newer_or_unknown_is_refused_and_left_as_it_is(
    url: str, revision: str, words: str, facts: Any
) -> None:
    ledger = open_ledger(url)
    ledger.claim(facts.claim())
    ledger.close()
    with connected(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
    before = everything_in(url)
    assert words in refusal(url)
    assert everything_in(url) == before


def test_a_server_that_takes_no_writes_can_be_read_and_says_so(url: str, facts: Any) -> None:
    name = url.partition("@/")[2].partition("?")[0]
    read_only = f"ALTER DATABASE {name} SET default_transaction_read_only ="
    with connected(url) as connection:
        connection.execute(f"{read_only} on")
        assert "Name a server under `ledger` that takes writes" in refusal(url)
        assert everything_in(url) == []
        connection.execute(f"SET default_transaction_read_only = off; {read_only} off")
        open_ledger(url).close()
        connection.execute(f"{read_only} on")
    ledger = open_ledger(url)
    assert ledger.history(facts.model).slots == 0
    with pytest.raises(LedgerError, match="Name a server under `ledger` that takes writes"):
        ledger.claim(facts.claim())
    ledger.close()


def test_a_lock_that_another_process_holds_for_too_long_is_given_up(url: str, facts: Any) -> None:
    ledger = open_ledger(url, busy_s=0.1)
    with connected(url) as holder, holder.transaction():
        holder.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        with pytest.raises(LedgerError, match="Another process holds it: stop that one, or wait"):
            ledger.claim(facts.claim())
        assert ledger.history(facts.model).slots == 0  # reading goes on
    assert ledger.claim(facts.claim())
    ledger.close()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("53100", "Free some space on the server's disk"),
        ("53300", "max_connections"),
        ("57P03", "wait, or start it"),
        ("58030", "Look into the server's log"),
        ("XX001", "put a backup in its place"),
        ("08006", "whether the server runs"),
        ("40P01", "Look into the server's log"),
    ],
)
def test_what_the_server_refuses_in_the_middle_is_said_and_leaves_nothing_behind(
    url: str, facts: Any, state: str, words: str
) -> None:
    ledger = open_ledger(url)
    with connected(url) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$;"
            "CREATE TRIGGER refuse AFTER INSERT ON beats EXECUTE FUNCTION refuse()"
        )
        with pytest.raises(LedgerError, match=words):
            ledger.claim(facts.claim())
        connection.execute("DROP TRIGGER refuse ON beats")
    assert ledger.open_beats() == ()
    assert ledger.claim(facts.claim())
    ledger.close()


def test_connections_that_a_restart_has_cut_are_made_anew(facts: Any) -> None:
    with server() as own:
        ledger = open_ledger(own.database())
        facts.record(ledger, 1, created=1)
        own.stop()
        with pytest.raises(LedgerError):
            ledger.claim(facts.claim(2))
        own.start()
        assert ledger.claim(facts.claim(2))
        assert ledger.history(facts.model).slots == 2
        ledger.close()


def test_a_server_that_crashes_forgets_no_claim_and_what_else_it_forgets_can_be_written_again(facts: Any) -> None:
    with server("fsync = off\nwal_writer_delay = 10s\n") as own:
        ledger = open_ledger(own.database())
        for slot in range(1, 6):
            assert ledger.claim(facts.claim(slot))
            assert ledger.sent(facts.key(slot), facts.prediction(f"beat-{slot}"))
            ledger.change_note("pace", lambda text, now: (f"{text}.", None))
            own.crash()
            own.start()
            history = ledger.history(facts.model)
            assert history.slots == slot
            assert history.open_beat is not None
            assert history.open_beat.key == facts.key(slot)
            assert ledger.sent(facts.key(slot), facts.prediction(f"beat-{slot}"))
            assert ledger.finish(facts.key(slot), facts.observation(f"beat-{slot}"))
        ledger.claim(facts.claim(6))  # with it, whatever was written before it is on the disk
        own.crash()
        own.start()
        assert len(list(ledger.beats())) == 5
        ledger.close()


def test_a_connection_that_is_cut_in_the_middle_of_a_reading_harms_that_reading_alone(url: str, facts: Any) -> None:
    ledger = open_ledger(url)
    for slot in range(1, 4):
        facts.record(ledger, slot, created=slot)
    reading = ledger.beats()
    next(reading)
    with connected(url) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'warmer'")
    assert len(list(ledger.beats())) == 3
    with pytest.raises(LedgerError, match="wait, or start it"):
        list(reading)
    ledger.close()


def test_a_process_that_is_stopped_in_its_transaction_does_not_hold_the_others_for_ever(url: str, facts: Any) -> None:
    ledger = open_ledger(url)
    with connected(url) as watcher:
        with ledger._write() as connection:
            (limit,) = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalars()
        assert limit == "10s"
        ((after,),) = watcher.execute("SHOW idle_in_transaction_session_timeout").fetchall()
    assert after == "0"
    ledger.close()


def test_without_its_driver_it_is_said_what_to_install(spawn: Any, tmp_path: Path) -> None:
    program = """
import sys
sys.modules["psycopg"] = None
from warmer.errors import UsageError
from warmer.ledger import open_ledger
open_ledger(f"sqlite:///{sys.argv[1]}").close()
try:
    open_ledger("postgresql://warmer@host/warmer")
except UsageError as exc:
    print(exc.exit_code, exc)
"""
    said = spawn(program, str(tmp_path / "ledger.db")).communicate(timeout=60)[0]
    assert said == "2 a ledger in PostgreSQL needs psycopg: install it with `pip install 'warmer[postgres]'`\n"

"""How large a ledger becomes, and how quickly it is read: `python benchmarks/ledger.py [--rows 10000000] [--days 365]`.

First so many beats one by one in a file of SQLite, none of them gone, and what commands and a page ask of that. Then a
year in virtual time: 50 models every 60 s with customers, hours added up and old rows let go as the daemon does, and
the same questions. Times are of the processor in all that is asked of the ledger, rows made into values and all; the
median of five, after one that warms up. What a command makes of it, its start and its imports are not in them: the
whole of a command, but for the start, stands beside. What was learned is on record as a daemon notes it.

Exits with 1 where a goal is missed. All it writes is in a temporary folder: some 7 GB for ten million beats.
"""

from __future__ import annotations

import argparse
import io
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from lab import Goal, show

from warmer import config
from warmer.cli import wiring
from warmer.cli.report import report
from warmer.cli.status import status
from warmer.core.spec import Spec
from warmer.engine.learning import Learning
from warmer.ledger import SqlLedger, open_ledger

AT_MOST_MB = 300.0
"""After a year of 50 models every 60 s."""
QUERY_S = 0.2
EVERY_S = 60
CALLS_A_DAY = 20
"""Of each model's customers."""
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MB = 1e6
INDEXED = ("beats", "requests")
TOLD_EVERY = 10
"""Days: a year takes some 20 minutes of a processor, and what is stopped on the way has told something."""

FILE = """
timezone: Europe/Berlin
ledger: sqlite:///{path}
budget: {{daily: 100, monthly: 2000}}
models:
{models}
"""
BEATS = """
INSERT INTO beats (model, slot, instance, policy, reason, claimed_at, prediction_id, created_at, started_at,
    completed_at, gap_s, wait_s, run_s, verdict, status, cost_micros, cost_is_estimated, price, billing, version,
    reserved_micros, reserved_until)
SELECT model, ?2 + n, 0, 'aware', 'idle', at, lower(substr(hex(randomblob(13)), 1, 26)), at + 210000, at + 330000,
    at + 1430000, 57.93 + (n % 97) / 50.0, CASE WHEN n % 211 THEN 0.1 + (n % 13) / 100.0 ELSE 11.0 + n % 7 END, 1.1,
    CASE WHEN n % 211 THEN 'warm' ELSE 'cold' END, 'succeeded', 248, 0, '0.000225/s gpu-t4@2026-11-18', 'public',
    ?4, 135225, at + 600000000
FROM (SELECT name AS model, n, ?1 + n * ?3 + number * 1171000 AS at FROM fleet, numbers WHERE n < ?5)
"""
CALLS = """
INSERT INTO requests (prediction_id, model, created_at, started_at, completed_at, gap_s, wait_s, run_s, verdict, status,
    version, input_hash)
SELECT lower(substr(hex(randomblob(13)), 1, 26)), model, at, at + 200000, at + 3200000, 31.5,
    0.2 + (n % 17) / 10.0, 3.0, CASE WHEN n % 31 THEN 'warm' ELSE 'cold' END, 'succeeded', ?2, hex(randomblob(16))
FROM (SELECT name AS model, n, ?1 + (n * 2654435761 + number * 40503) % 86400 * 1000000 AS at FROM fleet, numbers
    WHERE n < ?3)
"""
TICKS = """
INSERT INTO ticks SELECT name, ?1 + n * 3600000000, reason, count
FROM fleet, numbers, (SELECT 'idle' AS reason, 60 AS count UNION ALL SELECT 'recent_activity', 9) WHERE n < 24
"""
SPENT = """
INSERT INTO spending (scope, quarter, micros) SELECT name, ?1 + n * 900000000, 3720 FROM fleet, numbers WHERE n < 96
UNION ALL SELECT '', ?1 + n * 900000000, 3720 * (SELECT count(*) FROM fleet) FROM numbers WHERE n < 96
"""
MARKS = """
INSERT OR IGNORE INTO touched SELECT ?1, ?2 + n * 3600000000, name FROM fleet, numbers WHERE n <= ?3
"""


class Timed:
    """A ledger, and for how long it was at work: seconds of the processor."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger, self.took_s = ledger, 0.0

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._ledger, name)

        def ask(*given: Any, **more: Any) -> Any:
            begun = time.process_time()
            found = asked(*given, **more)
            if isinstance(found, Iterator):
                found = iter(list(found))
            self.took_s += time.process_time() - begun
            return found

        return ask


@dataclass(frozen=True, slots=True)
class Bench:
    """A file of so many models, and its ledger."""

    folder: Path
    models: int

    @property
    def path(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def file(self) -> Path:
        return self.folder / "warmer.yaml"

    @property
    def spec(self) -> Spec:
        return config.load(self.file)

    def make(self) -> None:
        self.path.unlink(missing_ok=True)
        entry = "  - {{model: acme/model-for-customers-{0}, every: {1}s, hardware: gpu-t4}}"
        entries = "\n".join(entry.format(number, EVERY_S) for number in range(self.models))
        self.file.write_text(FILE.format(path=self.path, models=entries))
        self.open().close()

    def open(self) -> SqlLedger:
        """It need not outlive a power cut: to wait for the disk is no work of the processor."""
        ledger = open_ledger(f"sqlite:///{self.path}")
        connection = ledger._engine.raw_connection()
        connection.execute("PRAGMA synchronous = OFF")
        connection.close()
        return ledger

    def rows(self) -> sqlite3.Connection:
        """The file, beside which are the models and so many numbers as a statement may need."""
        database = sqlite3.connect(self.path)
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -400000")
        database.execute("CREATE TEMP TABLE fleet (number INTEGER, name TEXT)")
        database.executemany("INSERT INTO fleet VALUES (?, ?)", [(i, m.name) for i, m in enumerate(self.spec.models)])
        database.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
        most = 86_400 // EVERY_S
        database.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(max(most, 1500))])
        return database


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def day_of(database: sqlite3.Connection, begin: datetime, number: int, *, marks: bool = True) -> int:
    """What one day leaves behind; the beats of it."""
    at, version, beats = micros(begin + number * DAY), "5c7d" * 16, 86_400 // EVERY_S
    with database:
        count = database.execute(BEATS, (at, number * beats + 1, EVERY_S * 1_000_000, version, beats)).rowcount
        database.execute(CALLS, (at, version, CALLS_A_DAY))
        database.execute(TICKS, (at,))
        database.execute(SPENT, (at,))
        for kind in INDEXED if marks else ():
            database.execute(MARKS, (kind, at, 24))
    return count


def add_up(ledger: SqlLedger, spec: Spec, now: datetime) -> None:
    while ledger.add_up(now, spec.zone):
        pass


def let_go(ledger: SqlLedger, spec: Spec, now: datetime) -> None:
    for model in spec.models:
        while ledger.let_go(model.name, now, beats=spec.retention.beats, calls=spec.retention.requests):
            pass
    while ledger.condense(now):
        pass


def learn(ledger: SqlLedger, spec: Spec, now: datetime) -> None:
    """The notes that a daemon keeps of what it has learned."""
    learning = Learning(lambda: spec.models, tells=True)
    for entry in spec.models:
        known = -1
        while (found := learning.knowledge(ledger, entry, now).learned) and found.idle_timeout.gaps > known:
            known = found.idle_timeout.gaps


def questions(bench: Bench, ledger: Any, now: datetime) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is asked, and how."""
    spec = bench.spec
    model = spec.models[len(spec.models) // 2].name
    midnight = now.astimezone(spec.zone).replace(hour=0, minute=0, second=0, microsecond=0)

    def overview() -> object:
        """Of each model its last beat, what was spent today, the cold share and the sparkline of seven days."""
        last = [ledger.latest_beat(entry.name) for entry in spec.models]
        return last, ledger.beat_sums(midnight, spec.zone), ledger.call_sums(now - 7 * DAY, spec.zone)

    def view() -> object:
        """Of one model 90 days and its beats of the last hour."""
        newest = list(ledger.beats(since=now - HOUR, model=model))
        since = now - 90 * DAY
        return (
            newest,
            ledger.beat_sums(since, spec.zone, model=model),
            ledger.call_sums(since, spec.zone, model=model),
        )

    yield "report (7 days)", lambda: report(config=bench.file, as_json=True)
    yield "status", lambda: status(config=bench.file, as_json=True)
    yield "page: all models", overview
    yield "page: a model, 90 days", view


def asked(bench: Bench, now: datetime, of: str) -> Iterator[Goal]:
    opened = bench.open()
    ledger = Timed(opened)
    wiring.ledger_of = lambda _: ledger  # what a command opens
    for what, ask in questions(bench, ledger, now):
        times = []
        for _ in range(6):
            begun, ledger.took_s = time.process_time(), 0.0
            with redirect_stdout(io.StringIO()):
                ask()
            times.append((ledger.took_s, time.process_time() - begun))
        ledger_s, whole_s = (median(one) for one in zip(*times[1:], strict=True))
        yield Goal(
            name=f"{what}, {of}",
            bound=f"< {QUERY_S * 1000:.0f} ms",
            measured=f"{ledger_s * 1000:.0f} ms (whole: {whole_s * 1000:.0f} ms)",
            holds=ledger_s < QUERY_S,
        )
    opened.close()


def size_mb(bench: Bench) -> float:
    with closing(sqlite3.connect(bench.path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return bench.path.stat().st_size / MB


def many_rows(bench: Bench, rows: int) -> Iterator[Goal]:
    """All of them there, and up to now."""
    bench.make()
    days = max(1, round(rows / (bench.models * 86_400 / EVERY_S)))
    now = datetime.now(UTC)
    begin = now.replace(minute=0, second=0, microsecond=0) - days * DAY
    begun = time.perf_counter()
    with closing(bench.rows()) as database:
        indexes = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (?, ?)",
            INDEXED,
        ).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        count = sum(day_of(database, begin, number) for number in range(days))
        for _, sql in indexes:
            database.execute(sql)
    filled_s = time.perf_counter() - begun
    ledger, spec = bench.open(), bench.spec
    begun = time.process_time()
    add_up(ledger, spec, now)
    added_s = time.process_time() - begun
    learn(ledger, spec, now)
    ledger.close()
    size = size_mb(bench)
    yield Goal(name=f"{count:,} beats, filled in s", bound="-", measured=f"{filled_s:.0f}", holds=True)
    yield Goal(name="bytes a beat", bound="-", measured=f"{size * MB / count:.0f}", holds=True)
    yield Goal(name="adding up a beat, µs of CPU", bound="-", measured=f"{added_s / count * 1e6:.1f}", holds=True)
    yield from asked(bench, now, f"{count / 1e6:g} M beats")


def a_year(bench: Bench, days: int) -> Iterator[Goal]:
    """Day by day, with what the daemon does about it."""
    bench.make()
    spec, ledger = bench.spec, bench.open()
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    begin, largest, longest_s = now - days * DAY, 0.0, 0.0
    with closing(bench.rows()) as database:
        for number in range(days):
            day_of(database, begin, number)
            evening = begin + (number + 1) * DAY
            begun = time.process_time()
            add_up(ledger, spec, evening)
            let_go(ledger, spec, evening)
            took_s = time.process_time() - begun
            longest_s = max(longest_s, took_s)
            largest = max(largest, bench.path.stat().st_size / MB)
            if not number % TOLD_EVERY:
                told = f"day {number + 1} of {days}: {largest:.0f} MB, {took_s:.1f} s of housekeeping"
                print(told, file=sys.stderr, flush=True)
    learn(ledger, spec, now)
    ledger.close()
    size = size_mb(bench)
    of = f"{days} days of {bench.models} models"
    yield Goal(name=f"size, {of}", bound=f"< {AT_MOST_MB:.0f} MB", measured=f"{size:.0f} MB", holds=size < AT_MOST_MB)
    yield Goal(name="largest on the way", bound="-", measured=f"{max(largest, size):.0f} MB", holds=True)
    yield Goal(name="housekeeping, CPU of the longest day", bound="-", measured=f"{longest_s:.1f} s", holds=True)
    with closing(sqlite3.connect(bench.path)) as database:
        for table in ("beats", "requests", "hourly_beats", "hourly_calls", "ticks", "spending"):
            (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
            yield Goal(name=f"rows of {table}", bound="-", measured=f"{count:,}", holds=True)
    yield from asked(bench, now, of)


def main() -> int:
    parser = argparse.ArgumentParser(description="How large a ledger becomes, and how quickly it is read.")
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--rows", type=int, default=1_000_000, help="beats one by one; 0 for none of that")
    parser.add_argument("--days", type=int, default=30, help="in virtual time; 0 for none of that")
    options = parser.parse_args()
    found: list[Goal] = []
    with tempfile.TemporaryDirectory(prefix="warmer-ledger-") as name:
        bench = Bench(Path(name), options.models)
        if options.rows:
            found += many_rows(bench, options.rows)
        if options.days:
            found += a_year(bench, options.days)
    print(f"\n{os.cpu_count()} cores, load average {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n")
    show(("what", "goal", "measured", "holds"), [(one.name, one.bound, one.measured, one.verdict) for one in found])
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The page over 90 days of a thousand models, while they beat: `python benchmarks/page.py [--postgres]`.

A ledger as the default `retention` leaves it: 3 days of beats every 60 s one by one, 90 days of calls, the hours of
all, and what was learned. Then `warmer sandbox` and `warmer run` are processes of their own, and every view is asked
for, over and over, in the order in which people go through it, while advice is worked out. With `--chromium PATH`
(needs playwright) the page is opened there too, on the same processors, and the first paint is what the browser says:
one browser, which keeps styles and scripts, is no more important than anything else, and looks at each view for a
while. The first paint of the first view is that of an empty cache.

Exits with 1 where a goal is missed. With a thousand models: some 5 GB in a temporary folder, and ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from lab import Goal, show
from ledger import add_up, learn
from soak import WEB, Load, get, hosted, lags, quantile, running

from warmer import config
from warmer.ledger import SqlLedger, open_ledger

BEATS_DAYS, DAYS = 3, 90
CALLS_A_DAY = 20
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PAINT_S = 1.0
LOOKED_AT_S = 5.0
"""How long each view is before somebody's eyes."""
LAG_P99_S = 0.25
SETTLED_S = 75.0
"""Each model has been resolved and beaten once by then."""
BEATS = """
INSERT INTO beats (model, slot, instance, policy, reason, claimed_at, prediction_id, created_at, started_at,
    completed_at, gap_s, wait_s, run_s, verdict, status, cost_micros, cost_is_estimated, price, billing, version,
    reserved_micros, reserved_until)
SELECT name, :first + n, 0, 'fixed', 'idle', at, 'b' || number || 'x' || (:first + n), at + 210000, at + 330000,
    at + 1430000, 57.93 + (n % 97) / 50.0, CASE WHEN n % 211 > 0 THEN 0.1 + (n % 13) / 100.0 ELSE 11.0 + n % 7 END, 1.1,
    CASE WHEN n % 211 > 0 THEN 'warm' ELSE 'cold' END, 'succeeded', 248, false, '0.000225/s gpu-t4@2026-11-18',
    'public', :version, 135225, at + 600000000
FROM (SELECT name, number, n, :at + n * 60000000 + number * 59000 AS at FROM fleet, numbers WHERE n < 1440) AS made
"""
CALLS = """
INSERT INTO requests (prediction_id, model, created_at, started_at, completed_at, gap_s, wait_s, run_s, verdict, status,
    version, input_hash)
SELECT 'c' || number || 'x' || (:first + n), name, at, at + 200000, at + 3200000, 31.5,
    0.2 + (n % 17) / 10.0, 3.0, CASE WHEN n % 31 > 0 THEN 'warm' ELSE 'cold' END, 'succeeded', :version, 'a' || n
FROM (
    SELECT name, number, n, :at + (28800 + (n * 4001 + number * 40503 + :first * 977) % 14400) * 1000000 AS at
    FROM fleet, numbers WHERE n < :calls
) AS made
"""
HOURS = """
INSERT INTO hourly_beats (model, begins, policy, reason, first_at, ends, beats, cold, unsure, failed, known_micros,
    unknown, estimated)
SELECT name, at, 'fixed', 'idle', at + 210000, at + 3541430000, 60, 0, 0, 0, 14880, 0, 0
FROM (SELECT name, :at + n * 3600000000 AS at FROM fleet, numbers WHERE n < 24) AS made
"""
MARKS = """
INSERT INTO touched (kind, hour, model)
SELECT :kind, :at + n * 3600000000, name FROM fleet, numbers WHERE n < :hours
"""
SPENT = """
INSERT INTO spending (scope, quarter, micros) SELECT name, :at + n * 900000000, 3720 FROM fleet, numbers WHERE n < 96
UNION ALL SELECT '', :at + n * 900000000, 3720 * :models FROM numbers WHERE n < 96
"""
INDEXES = """
SELECT name, sql FROM sqlite_master
WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('beats', 'requests') ORDER BY rowid
"""
TAUGHT = """
INSERT INTO notes (name, value) SELECT replace(name, :first, :other), replace(value, :first, :other) FROM notes
WHERE name LIKE '%' || :first
"""
KEPT = "INSERT INTO kept (kind, model, since) SELECT 'beats', name, :at FROM fleet"


def fill(ledger: SqlLedger, slugs: Sequence[str], now: datetime) -> None:
    """All of it up to today's midnight, UTC."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begun = time.monotonic()
    with ledger._engine.connect() as connection:
        indexes = list[tuple[str, str]]()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA cache_size = -400000")
            # In their order: where several would do, SQLite goes by it.
            indexes = [(name, made) for name, made in connection.exec_driver_sql(INDEXES)]
        for name, _ in indexes:
            connection.exec_driver_sql(f"DROP INDEX {name}")

        def do(statement: str, **given: Any) -> None:
            connection.execute(sa.text(statement), given)

        do("CREATE TEMP TABLE fleet (number BIGINT, name TEXT)")
        connection.execute(
            sa.text("INSERT INTO fleet VALUES (:number, :name)"),
            [{"number": number, "name": slug} for number, slug in enumerate(slugs)],
        )
        do("CREATE TEMP TABLE numbers (n BIGINT)")
        connection.execute(sa.text("INSERT INTO numbers VALUES (:n)"), [{"n": n} for n in range(1440)])
        for back in range(DAYS, 0, -1):
            at = int((today - back * DAY).timestamp()) * 1_000_000
            more: dict[str, Any] = {"at": at, "version": "5c7d" * 16}
            do(CALLS, first=(DAYS - back) * CALLS_A_DAY, calls=CALLS_A_DAY, **more)
            do(MARKS, kind="requests", at=at + 8 * 3_600_000_000, hours=4)
            do(SPENT, at=at, models=len(slugs))
            if back <= BEATS_DAYS:
                do(BEATS, first=(BEATS_DAYS - back) * 1440 + 1, **more)
                do(MARKS, kind="beats", at=at, hours=24)
            else:
                do(HOURS, at=at)
            connection.commit()
        do(KEPT, at=int((today - BEATS_DAYS * DAY).timestamp()) * 1_000_000)
        for _, made in indexes:
            connection.exec_driver_sql(made)
        connection.commit()
    print(f"filled in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


def views(slugs: Sequence[str]) -> dict[str, list[str]]:
    """The addresses of each view. Of models, others each time: each is worked out anew."""
    models = [quote(slug) for slug in slugs[7 :: max(1, len(slugs) // 20)]]
    return {
        "overview": ["/"],
        "overview, its last page": ["/?page=10"],
        "overview, found": ["/?find=model-0001"],
        "model": [f"/models/{slug}" for slug in models],
        "money": ["/money"],
        "events": ["/events"],
        "warmth of two": [f"/api/v1/warmth?model={models[0]}&model={models[1]}"],
    }


def asked(web: str, slugs: Sequence[str], seconds: float) -> dict[str, list[float]]:
    """How long each reply took, the first one first."""
    took = defaultdict[str, list[float]](list)
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for view, paths in views(slugs).items():
            begun = time.monotonic()
            get(web + paths[turn % len(paths)])
            took[view].append(time.monotonic() - begun)
        turn += 1
        time.sleep(2.5)  # so that nothing is answered from what was kept
    return took


def unimportant(chromium: str, folder: Path) -> Path:
    """The same browser, which as root's would take the processors before all else."""
    plain = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"] if os.getuid() == 0 else []
    command = folder / "chromium"
    command.write_text(f'#!/bin/sh\nexec {shlex.join([*plain, chromium])} "$@"\n')
    command.chmod(0o700)
    return command


async def painted(web: str, slugs: Sequence[str], chromium: Path) -> dict[str, list[float]]:
    """First contentful paint, in seconds since the page was asked for."""
    from playwright.async_api import async_playwright

    took = defaultdict[str, list[float]](list)
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        person = await browser.new_context()
        for turn in range(5):
            for view, paths in views(slugs).items():
                if not paths[0].startswith("/api"):
                    page = await person.new_page()
                    await page.goto(web + paths[(turn * 3) % len(paths)], wait_until="load")
                    paint = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
                    await page.wait_for_function(paint)
                    took[view].append(await page.evaluate(paint) / 1000)
                    await asyncio.sleep(LOOKED_AT_S)
                    await page.close()
        await browser.close()
    return took


def goals(took: dict[str, list[float]], what: str) -> Iterator[Goal]:
    for view, times in took.items():
        of_model = view.startswith(("overview", "model"))
        yield Goal(
            name=f"{view}: {what}, s (first, median, longest of {len(times)})",
            bound=f"< {PAINT_S:g}" if of_model else "-",
            measured=f"{times[0]:.2f}, {median(times):.2f}, {max(times):.2f}",
            holds=max(times) < PAINT_S or not of_model,
        )


def bench(load: Load, folder: Path, address: str | None, chromium: str | None) -> list[Goal]:
    with hosted(load, folder) as (_, file):
        if address is not None:
            text = file.read_text().replace(f"sqlite:///{folder}/ledger.db", f"'{address}'")
            file.write_text(text)
        spec, now = config.load(file), datetime.now(UTC)
        ledger = open_ledger(spec.ledger)
        fill(ledger, load.slugs, now)
        begun = time.monotonic()
        add_up(ledger, spec, now)
        learn(ledger, replace(spec, models=spec.models[:1]), now)
        with ledger._engine.begin() as connection:  # the others have lived through the same
            first, *others = load.slugs
            for slug in others:
                connection.execute(sa.text(TAUGHT), {"first": first, "other": slug})
        ledger.close()
        print(f"added up and learned in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        with running(folder, "run", "--config", str(file)) as daemon:
            web = daemon.wait_for(WEB)
            started = asked(web, load.slugs, 1.0)  # each view once, while every model is resolved
            time.sleep(SETTLED_S)
            early = lags(get(f"{web}/metrics").decode())
            took = asked(web, load.slugs, load.minutes * 60)
            paints = asyncio.run(painted(web, load.slugs, unimportant(chromium, folder))) if chromium else {}
            late = lags(get(f"{web}/metrics").decode())
    late = {bound: count - early.get(bound, 0.0) for bound, count in late.items()}
    p99 = quantile(0.99, late)
    at_start = ", ".join(f"{view} {times[0]:.2f}" for view, times in started.items())
    return [
        Goal(name="in the first seconds of the daemon", bound="-", measured=at_start, holds=True),
        *goals(took, "whole reply"),
        *goals(paints, "first paint"),
        Goal(
            name=f"schedule lag p99 meanwhile, s, of {max(late.values()):.0f} ticks",
            bound=f"< {LAG_P99_S}",
            measured=f"{p99:.3f}",
            holds=p99 < LAG_P99_S,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="The page over much history, while all models beat.")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=3.0, help="for how long views are asked for")
    parser.add_argument("--postgres", action="store_true", help="the ledger is on a PostgreSQL, from the package index")
    parser.add_argument("--chromium", help="a browser to open the page in")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    load = Load(minutes=options.minutes, models=options.models, every=60, policy="fixed")
    with tempfile.TemporaryDirectory(prefix="warmer-page-") as name, ExitStack() as stack:
        address = None
        if options.postgres:
            sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
            from harness.postgres import server

            address = stack.enter_context(server()).database()
        found = bench(load, Path(name), address, options.chromium)
    print(f"\n{os.cpu_count()} cores, load average {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n")
    show(("what", "goal", "measured", "holds"), [(one.name, one.bound, one.measured, one.verdict) for one in found])
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

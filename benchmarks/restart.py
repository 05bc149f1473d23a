"""A start with a long record: `python benchmarks/restart.py [--models 1000] [--finds 2000] [--every 60]`.

The ledger has that many finds of each model. The daemon starts twice on it: without notes of what was learned, as after
an upgrade or an import of the past, and with them, as always else. What is looked at is the time until it is ready, and
whether any model has to wait for its first beat, or the ticks for each other, while the record is read.

Exits with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab import Goal, show
from soak import LAG_P99_S, WEB, Load, get, hosted, lags, quantile, running

from warmer import config
from warmer.core.beat import BeatKey, BeatRequest, Claim, Observation, Prediction, Reason, Status, Verdict
from warmer.core.price import Billing
from warmer.core.spec import ModelSpec
from warmer.engine.learning import Learning
from warmer.ledger import open_ledger

READY_S = 5.0
FIRST_S = 5.0
"""Past the interval: the pace of the first creates is found out, and first ticks are spread over the interval."""


def fill(load: Load, finds: int, folder: Path, first: ModelSpec) -> None:
    """The record of one model, beat by beat, and the same again for each of the others."""
    path = folder / "ledger.db"
    ledger, begin = open_ledger(f"sqlite:///{path}"), datetime.now(UTC) - timedelta(seconds=(finds + 60) * load.every)
    request = BeatRequest(
        target=first.target, version=None, billing=Billing.PUBLIC, input=first.input or {}, deadline=first.deadline
    )
    for slot in range(1, finds + 1):
        key, at = BeatKey(model=first.name, slot=slot), begin + timedelta(seconds=slot * load.every)
        prediction = Prediction(id=f"past{slot}", status=Status.STARTING, created_at=at)
        ledger.claim(Claim(key=key, at=at, policy=load.policy, reason=Reason.IDLE, request=request))
        ledger.sent(key, prediction)
        ledger.finish(key, warm(first.name, prediction, gap_s=load.every - 0.1))
    ledger.close()
    copy(path, "beats", load, "model = ?1", model="other", prediction_id="prediction_id || '-' || n")


def warm(model: str, prediction: Prediction, *, gap_s: float) -> Observation:
    return Observation(
        model=model,
        prediction_id=prediction.id,
        policy="fixed",
        reason=Reason.IDLE,
        created_at=prediction.created_at,
        started_at=prediction.created_at,
        completed_at=prediction.created_at + timedelta(seconds=0.1),
        gap_s=gap_s,
        wait_s=0.0,
        run_s=0.1,
        verdict=Verdict.WARM,
        status=Status.SUCCEEDED,
        error=None,
        cost_usd=None,
        price=None,
        billing=Billing.PUBLIC,
    )


def learn(path: Path, first: ModelSpec, load: Load) -> None:
    """The note of one model, and the same again for each of the others."""
    ledger, now = open_ledger(f"sqlite:///{path}"), datetime.now(UTC)
    learning, known = Learning(lambda: (first,), tells=True), -1
    while (found := learning.knowledge(ledger, first, now).learned) and found.idle_timeout.gaps > known:
        known = found.idle_timeout.gaps
    ledger.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "DELETE FROM notes WHERE name LIKE 'learned of %' AND name <> ?", (f"learned of {first.name}",)
        )
        database.commit()
    copy(
        path,
        "notes",
        load,
        "name = 'learned of ' || ?1",
        name="'learned of ' || other",
        value="replace(value, ?1, other)",
    )


def copy(path: Path, table: str, load: Load, which: str, **changed: str) -> None:
    """The rows `which` are the first model's once more for each of the others."""
    with closing(sqlite3.connect(path)) as database:
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
        database.execute("CREATE TEMP TABLE others (n INTEGER, other TEXT)")
        database.executemany("INSERT INTO others VALUES (?, ?)", list(enumerate(load.slugs))[1:])
        database.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM others, {table} t WHERE {which}",
            (load.slugs[0],),
        )
        database.commit()


def start(load: Load, folder: Path, file: Path, url: str, what: str) -> Iterator[Goal]:
    """Two intervals of a daemon's life."""
    begin = datetime.fromisoformat(json.loads(get(f"{url}/sandbox/totals"))["now"])
    with running(folder, "run", "--config", str(file)) as daemon:
        web = daemon.wait_for(WEB)
        daemon.wait_for(r"(daemon\.ready)")
        ready_s = daemon.sample().at_s
        while daemon.sample().at_s < 2 * load.every:
            time.sleep(1.0)
        late, sample = lags(get(f"{web}/metrics").decode()), daemon.sample()
    firsts: dict[str, float] = {}
    for call in json.loads(get(f"{url}/sandbox/journal"))["predictions"]:
        at_s = (datetime.fromisoformat(call["created_at"]) - begin).total_seconds()
        if at_s >= 0:
            firsts[call["model"]] = min(at_s, firsts.get(call["model"], at_s))
    last_s = max(firsts.values()) if len(firsts) == load.models else float("inf")
    p99 = quantile(0.99, late)
    yield Goal(name=f"ready {what}, s", bound=f"< {READY_S:g}", measured=f"{ready_s:.1f}", holds=ready_s < READY_S)
    bound = load.every + FIRST_S
    yield Goal(
        name=f"last model's first beat {what}, s", bound=f"< {bound:g}", measured=f"{last_s:.1f}", holds=last_s < bound
    )
    yield Goal(
        name=f"schedule lag p99 {what}, s", bound=f"< {LAG_P99_S:g}", measured=f"{p99:.3f}", holds=p99 < LAG_P99_S
    )
    yield Goal(name=f"CPU of two intervals {what}, s", bound="-", measured=f"{sample.cpu_s:.1f}", holds=True)
    yield Goal(name=f"resident {what}, MB", bound="-", measured=f"{sample.resident_mb:.1f}", holds=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="A start with a long record.")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--finds", type=int, default=2000, help="of each model, on record")
    parser.add_argument("--every", type=int, default=60, help="seconds between two beats of a model")
    parser.add_argument("--policy", choices=("fixed", "aware"), default="fixed")
    options = parser.parse_args()
    load = Load(minutes=0.0, models=options.models, every=options.every, policy=options.policy)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    with tempfile.TemporaryDirectory(prefix="warmer-restart-") as name:
        folder = Path(name)
        with hosted(load, folder) as (url, file):
            first = config.load(file).models[0]
            fill(load, options.finds, folder, first)
            found = list(start(load, folder, file, url, "without notes"))
            learn(folder / "ledger.db", first, load)
            found += start(load, folder, file, url, "with notes")
    print(
        f"\n{load.models} models every {load.every} s ({load.policy}), {options.finds} finds of each on record; "
        f"{os.cpu_count()} cores, load average {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n"
    )
    show(("what", "goal", "measured", "holds"), [(one.name, one.bound, one.measured, one.verdict) for one in found])
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

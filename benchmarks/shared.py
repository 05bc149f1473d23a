"""Load on workers that divide the beats: `python benchmarks/shared.py [--minutes 3] [--models 1000] [--workers 2]`.

The workers (`warmer run` under `engine: shared`), `warmer sandbox` and PostgreSQL, with fsync, are processes of their
own on this machine. What is counted begins five intervals after the last worker has joined: until then creates set out
slowly, as a new account's do, and each worker asks once what each model is. The rate is looked at from the start. A
beat is late by what it comes after its interval, by the sandbox's own record.

With `--creates-per-minute` below what the load asks for, the rate is what is tried: beats are late then, and counted.

Exits with 1 where a goal is missed. Ends two minutes after its time at the latest, and all that it started with it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from lab import Goal, show
from soak import JIFFIES, MODEL, WORLD, Process, get, lags, quantile, running

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from harness.postgres import Server, server

LATE_P99_S = 1.0
MISCOUNT = 0.02
"""Of the beats that the interval asks for: a beat is a moment late, and the next is counted from it."""
READS_PER_MINUTE = 3000
"""As an account has them."""
SETTLED = 5
"""Intervals from the last worker's joining until all beats have fallen into their rhythm."""
WINDOWS_S = (1, 10, 60)
DURABLE = "max_connections = 60\n"
FILE = """
ledger: {ledger}
engine: shared
listen: 127.0.0.1:0
replicate: {{token: env:SOAK_TOKEN, base_url: "{url}/v1", creates_per_minute: {rate}, reads_per_minute: {reads}}}
defaults: {{policy: {policy}, every: {every}s, input: {{text: hi}}}}
models:
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked of the workers."""

    minutes: float
    models: int
    every: int  # s
    workers: int
    policy: str
    rate: int  # creates a minute that the account allows

    @property
    def fits(self) -> bool:
        """Whether the rate, less the share that is left to customers, allows for all beats."""
        return self.models * 60 / self.every <= 0.9 * self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Processor time so far, in seconds."""

    at: float  # monotonic
    workers: float
    postgres: float
    sandbox: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the sandbox has, and what it took."""

    calls: Mapping[str, Sequence[tuple[float, float]]]  # by model, in order: seconds since the first, and the end's
    since: float  # what is counted begins, on that scale
    until: float
    begin: Spent
    end: Spent
    replies: Mapping[str, Mapping[str, int]]  # while it was counted
    resident_mb: tuple[float, ...]  # of each worker, at the most
    postgres_mb: float
    late: Mapping[float, float]  # ticks of all workers by how late they began
    stolen: float  # processors that were another machine's, of one host, for a second at the most


def load_on(load: Load, folder: Path) -> Seen:
    """Run the load, and look at what came of it."""
    slugs = [f"soak/model-{number:05}" for number in range(load.models)]
    world, file = folder / "world.toml", folder / "warmer.yaml"
    limits = {"rate": load.rate, "reads": READS_PER_MINUTE}
    world.write_text(WORLD.format(models="".join(MODEL.format(slug=slug) for slug in slugs), **limits))
    with ExitStack() as stack:
        postgres = stack.enter_context(server(settings=DURABLE))
        sandbox = stack.enter_context(running(folder, "sandbox", "--world", str(world)))
        url = sandbox.wait_for(r"listening (\S+)")
        top = FILE.format(ledger=postgres.database(), url=url, policy=load.policy, every=load.every, **limits)
        file.write_text(top + "".join(f"  - model: {slug}\n" for slug in slugs))
        workers = list[Process]()
        for number in range(load.workers):
            own = folder / f"worker-{number}"
            own.mkdir()
            workers.append(stack.enter_context(running(own, "run", "--config", str(file))))
        web = [worker.wait_for(r'web\.opened.*"url": *"([^"]+)"') for worker in workers]
        for worker in workers:
            worker.wait_for(r"(worker\.joined)")
        time.sleep(SETTLED * load.every)
        begin, replies = spent(workers, postgres, sandbox), replies_of(url)
        since = datetime.fromisoformat(json.loads(get(f"{url}/sandbox/clock"))["now"])
        most, end_s = [0.0] * load.workers, time.monotonic() + load.minutes * 60
        stolen, known = 0.0, stolen_s()
        while (left := end_s - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            most = [max(so_far, worker.sample().resident_mb) for so_far, worker in zip(most, workers, strict=True)]
            stolen, known = max(stolen, (now := stolen_s()) - known), now
        end, after = spent(workers, postgres, sandbox), replies_of(url)
        until = datetime.fromisoformat(json.loads(get(f"{url}/sandbox/clock"))["now"])
        late: dict[float, float] = {}
        for address in web:
            for bound, count in lags(get(f"{address}/metrics").decode()).items():
                late[bound] = late.get(bound, 0.0) + count
        postgres_mb = sum(map(proportional_mb, family(postgres)))
        journal = json.loads(get(f"{url}/sandbox/journal"))["predictions"]
    first = min(datetime.fromisoformat(call["created_at"]) for call in journal)
    return Seen(
        calls=calls_of(journal, first),
        since=(since - first).total_seconds(),
        until=(until - first).total_seconds(),
        begin=begin,
        end=end,
        replies={
            name: {status: count - replies.get(name, {}).get(status, 0) for status, count in tally.items()}
            for name, tally in after.items()
        },
        resident_mb=tuple(most),
        postgres_mb=postgres_mb,
        late=late,
        stolen=stolen,
    )


def calls_of(journal: Sequence[Mapping[str, Any]], first: datetime) -> dict[str, list[tuple[float, float]]]:
    calls: dict[str, list[tuple[float, float]]] = {}
    for call in journal:
        at, ended = (
            (datetime.fromisoformat(call[key] or call["created_at"]) - first).total_seconds()
            for key in ("created_at", "completed_at")
        )
        calls.setdefault(call["model"], []).append((at, ended))
    return calls


def replies_of(url: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(get(f"{url}/sandbox/totals"))["replies"]
    return found


def spent(workers: Sequence[Process], postgres: Server, sandbox: Process) -> Spent:
    return Spent(
        at=time.monotonic(),
        workers=sum(worker.sample().cpu_s for worker in workers),
        postgres=sum(map(cpu_s, family(postgres))),
        sandbox=sandbox.sample().cpu_s,
    )


def family(postgres: Server) -> list[Path]:
    """The server's processes; what those that have ended used is in the first one's account."""
    parent = (postgres.folder / "postmaster.pid").read_text().split()[0]
    folders = [Path("/proc") / parent]
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            if fields_of(status)[1] == parent:
                folders.append(status.parent)
        except OSError:
            continue
    return folders


def fields_of(status: Path) -> list[str]:
    return status.read_text().rpartition(")")[2].split()


def cpu_s(folder: Path) -> float:
    try:
        return sum(map(int, fields_of(folder / "stat")[11:15])) / JIFFIES
    except OSError:
        return 0.0


def stolen_s() -> float:
    """Processor time so far that this machine was ready to use, and its host gave to others."""
    return int(Path("/proc/stat").read_text().split()[8]) / JIFFIES


def proportional_mb(folder: Path) -> float:
    """What it has for itself, and its part of what it shares."""
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def of_beats(load: Load, seen: Seen) -> Iterator[Goal]:
    late = sorted(
        later[0] - earlier[0] - load.every
        for one in seen.calls.values()
        for earlier, later in pairwise(one)
        if later[0] >= seen.since
    )
    counted = [at for one in seen.calls.values() for at, _ in one if seen.since <= at < seen.until]
    expected = load.models * (seen.until - seen.since) / load.every
    yield Goal(
        name=f"beats sent, of {expected:.0f} expected",
        bound=f"+-{MISCOUNT:.0%}" if load.fits else "-",
        measured=f"{len(counted)}",
        holds=not load.fits or abs(len(counted) - expected) <= MISCOUNT * expected,
    )
    doubled = sum(
        later[0] - earlier[0] < load.every / 2 for one in seen.calls.values() for earlier, later in pairwise(one)
    )
    yield Goal(name="beats doubled", bound="0", measured=f"{doubled}", holds=not doubled)
    yield Goal(
        name="models never called",
        bound="0",
        measured=f"{load.models - len(seen.calls)}",
        holds=len(seen.calls) == load.models,
    )
    p50, p99, most = (late[int(share * (len(late) - 1))] for share in (0.5, 0.99, 1.0))
    yield Goal(name="late p50, s", bound="-", measured=f"{p50:.3f}", holds=True)
    yield Goal(
        name="late p99, s",
        bound=f"< {LATE_P99_S:g}" if load.fits else "-",
        measured=f"{p99:.3f}",
        holds=not load.fits or p99 < LATE_P99_S,
    )
    yield Goal(name="late at the most, s", bound="-", measured=f"{most:.3f}", holds=True)
    lag = quantile(0.99, seen.late)
    yield Goal(name="schedule lag of the workers p99, s", bound="-", measured=f"{lag:.3f}", holds=True)


def of_rate(load: Load, seen: Seen) -> Iterator[Goal]:
    """In any so many seconds since the start: a second's worth may go at once, and then no more than the limit."""
    times = sorted(at for one in seen.calls.values() for at, _ in one)
    for window in WINDOWS_S:
        allowed = int(load.rate / 60 * min(window + 1, 60))
        most = begin = 0
        for index, at in enumerate(times):
            while times[begin] <= at - window:
                begin += 1
            most = max(most, index - begin + 1)
        yield Goal(
            name=f"creates in any {window} s, of all workers",
            bound=f"<= {allowed}",
            measured=f"{most}",
            holds=most <= allowed,
        )
    refused = sum(count for tally in seen.replies.values() for status, count in tally.items() if status >= "400")
    yield Goal(name="calls refused", bound="0", measured=f"{refused}", holds=not refused)


def of_costs(seen: Seen) -> Iterator[Goal]:
    passed_s = seen.end.at - seen.begin.at
    beats = max(1, sum(seen.replies.get("create", {}).values()))
    parts = {name: getattr(seen.end, name) - getattr(seen.begin, name) for name in ("workers", "postgres", "sandbox")}
    for name, took_s in (("all", sum(parts.values())), *parts.items()):
        yield Goal(
            name=f"processor time a beat, {name}, ms", bound="-", measured=f"{took_s / beats * 1000:.1f}", holds=True
        )
    cores = sum(parts.values()) / passed_s
    yield Goal(name=f"processors in use, of {os.cpu_count()}", bound="-", measured=f"{cores:.2f}", holds=True)
    yield Goal(
        name="processors taken by others, at the most in 1 s", bound="-", measured=f"{seen.stolen:.2f}", holds=True
    )
    reads = {name: sum(tally.values()) for name, tally in seen.replies.items() if name != "create"}
    told = ", ".join(f"{name} {count / beats:.2f}" for name, count in sorted(reads.items()) if count)
    yield Goal(name="reads a beat", bound="-", measured=told, holds=True)
    a_minute = sum(reads.values()) / passed_s * 60
    yield Goal(
        name="reads a minute",
        bound=f"<= {READS_PER_MINUTE}",
        measured=f"{a_minute:.0f}",
        holds=a_minute <= READS_PER_MINUTE,
    )
    resident = ", ".join(f"{one:.0f}" for one in seen.resident_mb)
    yield Goal(name="resident, at the most, each worker, MB", bound="-", measured=resident, holds=True)
    yield Goal(name="PostgreSQL, MB", bound="-", measured=f"{seen.postgres_mb:.0f}", holds=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Load on workers that divide the beats, with figures.")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long it is counted")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--every", type=int, default=30, help="seconds between two beats of a model")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--policy", choices=("fixed", "aware"), default="fixed")
    parser.add_argument("--creates-per-minute", type=int, help="default: room for half as many again")
    options = parser.parse_args()
    load = Load(
        minutes=options.minutes,
        models=options.models,
        every=options.every,
        workers=options.workers,
        policy=options.policy,
        rate=options.creates_per_minute or max(600, round(options.models / options.every * 90)),
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    begun = datetime.now().astimezone()
    with tempfile.TemporaryDirectory(prefix="warmer-shared-") as name:
        seen = load_on(load, Path(name))
    found = [*of_beats(load, seen), *of_rate(load, seen), *of_costs(seen)]
    print(
        f"\n{load.models} models every {load.every} s ({load.policy}), {load.workers} workers, {load.minutes:g} min "
        f"from {begun:%H:%M}; {os.cpu_count()} cores, load {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n"
    )
    show(("what", "goal", "measured", "holds"), [(one.name, one.bound, one.measured, one.verdict) for one in found])
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Pods of a CronJob that meet: `python benchmarks/pods.py [--pairs 100] [--database both]`.

`warmer once` as real processes, in pairs that begin within a second, on ledgers in SQLite and in PostgreSQL, before a
`warmer sandbox`, whose own record of creates is what counts. Between two pairs the ledger is aged by a minute; each
tenth time by three hours, at whose beginning the provider was out of reach.

Then pods that live for a while and overlap, passes beside a daemon, the pods of an Indexed Job, two of each, and pods
that find an empty ledger each time. Exits with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from lab import Goal, show
from soak import running

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from harness.pods import Pods, fast_world
from harness.postgres import Server, server
from harness.processes import Sandbox

MODELS = 3
LANES = 3
"""CronJobs at once on each database: a pass waits for most of its time."""
MINUTE, OUTAGE = timedelta(minutes=1), timedelta(hours=3)
OUTAGE_EACH = 10
"""One pair in so many comes after an outage."""
SHORT_S = 2.0
"""The interval of what is played in real time."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of pairs. A beat is one of a model in one pair."""

    pairs: int = 0
    sent: int = 0
    doubled: int = 0
    missed: int = 0
    met: int = 0  # pairs in which both wanted the same beat, and one of them was kept from it
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        self.pairs += other.pairs
        self.sent += other.sent
        self.doubled += other.doubled
        self.missed += other.missed
        self.met += other.met
        self.reasons += other.reasons


def pair(pods: Pods, apart_s: float) -> Tally:
    """One pair, and what it sent."""
    before = pods.creates()
    both = pods.together(2, apart_s=apart_s)
    sent = pods.creates() - before
    reasons = Counter(line["reason"] for pod in both for line in pod.events("beat.skipped"))
    return Tally(
        pairs=1,
        sent=sent.total(),
        doubled=sum(count - 1 for count in sent.values() if count > 1),
        missed=sum(model not in sent for model in pods.models),
        met=int(bool(reasons["claimed_elsewhere"] + reasons["in_flight"])),
        reasons=reasons,
    )


def lane(pods: Pods, pairs: int, seed: int) -> tuple[Tally, Tally]:
    """So many pairs one after another, and those of them that came after an outage."""
    chance, usual, late = Random(seed), Tally(), Tally()
    for number in range(pairs):
        after_outage = number % OUTAGE_EACH == OUTAGE_EACH - 1
        if after_outage:
            pods.later(MINUTE)
            pods.cut_off()
        pods.later(OUTAGE if after_outage else MINUTE)
        found = pair(pods, chance.choice([0.0, chance.uniform(0, 0.3), chance.uniform(0, 0.9)]))
        (late if after_outage else usual).add(found)
    return usual, late


def meeting(name: str, lanes: Sequence[Pods], pairs: int) -> Iterator[Goal]:
    """Pairs of pods on one kind of database."""
    usual, late = Tally(), Tally()
    share = [pairs // len(lanes) + (number < pairs % len(lanes)) for number in range(len(lanes))]
    with ThreadPoolExecutor(len(lanes)) as threads:
        for one, other in threads.map(lane, lanes, share, range(len(lanes))):
            usual.add(one)
            late.add(other)
    for told, found in (("pairs a minute apart", usual), ("pairs after 3 h without the provider", late)):
        if found.pairs:
            what = f"{name}, {found.pairs} {told}"
            yield Goal(name=f"{what}: doubled beats", bound="0", measured=str(found.doubled), holds=not found.doubled)
            wanted = found.pairs * MODELS
            yield Goal(
                name=f"{what}: beats of {wanted}",
                bound=str(wanted),
                measured=str(found.sent),
                holds=found.sent == wanted,
            )
            yield Goal(name=f"{what}: where both wanted one beat", bound="-", measured=str(found.met), holds=True)


def of_gaps(what: str, pods: Pods, least: int) -> Iterator[Goal]:
    """What was played in real time."""
    doubled, sent = pods.doubled(), pods.creates().total()
    yield Goal(name=f"{what}: doubled beats", bound="0", measured=str(doubled), holds=not doubled)
    yield Goal(name=f"{what}: beats", bound=f">= {least}", measured=str(sent), holds=sent >= least)


def overlapping(name: str, pods: Pods) -> Iterator[Goal]:
    """Pods that live longer than the time to their successor."""
    begun = []
    for _ in range(5):
        begun.append(pods.begin("--for", "6s"))
        time.sleep(4.0)
    pods.ended(begun)
    # Less than a beat each interval: the first pod takes a while to begin.
    yield from of_gaps(f"{name}, once --for 6s each 4 s", pods, round(0.7 * 20 / SHORT_S * MODELS))
    longest = max(gap for gaps in pods.gaps_s().values() for gap in gaps)
    yield Goal(name=f"{name}, once --for 6s each 4 s: longest gap, s", bound="-", measured=f"{longest:.1f}", holds=True)


def beside_a_daemon(name: str, pods: Pods) -> Iterator[Goal]:
    """Pairs while `warmer run` looks after the same models."""
    daemon = pods.desk.start("run", "-c", pods.file)
    daemon.wait_for("beat.done", MODELS)
    for _ in range(5):
        pods.together(2)
    assert daemon.stop() == 0
    yield from of_gaps(f"{name}, 5 pairs beside a daemon", pods, 2 * MODELS)


def sharded(name: str, pods: Pods, rounds: int) -> Iterator[Goal]:
    """Both pods of each index of an Indexed Job."""
    count = 3
    doubled = missed = 0
    for _ in range(rounds):
        pods.later(MINUTE)
        before = pods.creates()
        pods.ended(
            [
                pods.begin("--shard", f"auto/{count}", JOB_COMPLETION_INDEX=str(index))
                for index in range(count)
                for _ in range(2)
            ]
        )
        sent = pods.creates() - before
        doubled += sum(number - 1 for number in sent.values())
        missed += len(pods.models) - len(sent)
    what = f"{name}, {rounds} x both pods of {count} shards"
    yield Goal(name=f"{what}: doubled beats", bound="0", measured=str(doubled), holds=not doubled)
    yield Goal(name=f"{what}: missed beats", bound="0", measured=str(missed), holds=not missed)


def without_a_volume(pods: Pods, passes: int) -> Iterator[Goal]:
    """One pod after another, each with an empty ledger: it has the account's list alone to go by."""
    begun = time.monotonic()
    for _ in range(passes):
        pods.forget()
        pods.together(1)
    lasted_s = time.monotonic() - begun
    yield from of_gaps(f"{passes} pods, each with an empty ledger", pods, int(lasted_s / pods.every_s / 2) * MODELS)


def start_up(name: str, pods: Pods, times: int = 5) -> Iterator[Goal]:
    """A pass that finds nothing due."""
    pods.together(1)
    took = []
    before = _children_s()
    for _ in range(times):
        begun = time.monotonic()
        pods.together(1)
        took.append(time.monotonic() - begun)
    cpu_s = (_children_s() - before) / times
    yield Goal(name=f"{name}, once with nothing due: processor time, s", bound="-", measured=f"{cpu_s:.2f}", holds=True)
    wall_s = statistics.median(took)
    yield Goal(
        name=f"{name}, once with nothing due: from start to end, s", bound="-", measured=f"{wall_s:.2f}", holds=True
    )


def _children_s() -> float:
    """Processor time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def stage(folder: Path, databases: Sequence[str]) -> Iterator[tuple[Sandbox, dict[str, Server | None]]]:
    """A sandbox with all models, and a server where one is asked for."""
    with ExitStack() as stack:
        servers: dict[str, Server | None] = {
            name: stack.enter_context(server()) if name == "postgres" else None for name in databases
        }
        world = fast_world(folder, [slug for name in databases for plot in PLOTS for slug in slugs(name, plot)])
        sandbox = stack.enter_context(running(folder, "sandbox", "--world", str(world)))
        yield Sandbox(sandbox.wait_for(r"listening (\S+)")), servers


PLOTS = (*(f"pairs-{number}" for number in range(LANES)), "for", "run", "shard", "empty", "idle")


def slugs(database: str, plot: str) -> list[str]:
    return [f"{database}/{plot}-{number}" for number in range(MODELS)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Pods of a CronJob that meet, with figures.")
    parser.add_argument("--pairs", type=int, default=100, help="on each database")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    options = parser.parse_args()
    databases = ("sqlite", "postgres") if options.database == "both" else (options.database,)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    begun = datetime.now().astimezone()
    with tempfile.TemporaryDirectory(prefix="warmer-pods-") as name, stage(Path(name), databases) as (sandbox, servers):
        found = list[Goal]()
        for database, postgres in servers.items():

            def pods(plot: str, database: str = database, postgres: Server | None = postgres, **how: Any) -> Pods:
                folder = Path(name) / f"{database}-{plot}"
                return Pods(folder, sandbox, slugs(database, plot), postgres=postgres, **how)

            found += start_up(database, pods("idle"))
            lanes = [pods(f"pairs-{number}") for number in range(LANES)]
            found += meeting(database, lanes, options.pairs)
            found += overlapping(database, pods("for", every_s=SHORT_S))
            found += beside_a_daemon(database, pods("run", every_s=SHORT_S))
            found += sharded(database, pods("shard"), max(2, options.pairs // 20))
            if database == "sqlite":
                found += without_a_volume(pods("empty", every_s=8.0, policy="aware"), 12)
            print(f"{database} after {(datetime.now().astimezone() - begun).total_seconds():.0f} s", flush=True)
    print(f"\n{options.pairs} pairs on each, from {begun:%H:%M}; {os.cpu_count()} cores\n")
    show(("what", "goal", "measured", "holds"), [(one.name, one.bound, one.measured, one.verdict) for one in found])
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

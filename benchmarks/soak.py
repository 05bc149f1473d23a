"""Load on a real daemon against the sandbox: `python benchmarks/soak.py [--minutes 5] [--models 1000] [--every 60]`.

`warmer sandbox` and `warmer run` are processes of their own, with a ledger in a temporary folder. The daemon is the
second on that ledger: the first, which makes it, takes some 9 MB more. /metrics is read once a minute, as a Prometheus
would. The lag leaves out the first minute, in which models are resolved and boot; memory and beats do not.

With `--virtual` it is one process in virtual time: 8 ms of CPU a beat, whatever the interval.

Exits with 1 where a goal is missed. Ends two minutes after its time at the latest, and all that it started with it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from lab import Goal, show
from virtual import virtual

LAG_P99_S = 0.25
MEMORY_MB = 120.0
"""Resident, the most that was seen from the fifth minute on."""
GROWTH = 0.02
"""Of the memory, from the fifth minute to the end."""
SETTLED_S = 300.0
PEAK = 2.0
"""Creates in the busiest second, of the mean: a start, or a pause, must be no burst for the provider."""
MISCOUNT = 0.02
"""Of the beats that the interval asks for: a beat is a moment late, and the next is counted from it."""
SCRAPED_EVERY_S = 60.0
PATIENCE_S = 60.0
MB = 1024.0 * 1024.0
PAGE = os.sysconf("SC_PAGE_SIZE")
JIFFIES = os.sysconf("SC_CLK_TCK")

WORLD = """
catalogue = false
account = {{creates_per_minute = {rate}, reads_per_minute = {reads}}}
{models}
"""
WEB = r'web\.opened.*"url": *"([^"]+)"'
MODEL = """
[models."{slug}"]
kind = "greeting"
boot_s = 2.0
run_s = 0.05
idle_timeout_s = 3600
"""
FILE = """
ledger: sqlite:///{folder}/ledger.db
listen: 127.0.0.1:0
replicate: {{token: env:SOAK_TOKEN, base_url: "{url}/v1", creates_per_minute: {rate}, reads_per_minute: {reads}}}
defaults: {{policy: {policy}, every: {every}s, input: {{text: hi}}}}
models:
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked of the daemon."""

    minutes: float
    models: int
    every: int  # s
    policy: str

    @property
    def slugs(self) -> list[str]:
        return [f"soak/model-{number:05}" for number in range(self.models)]

    @property
    def creates_per_s(self) -> float:
        return self.models / self.every

    @property
    def creates_per_minute(self) -> int:
        """The account's limit: room for half as many again."""
        return max(600, round(self.creates_per_s * 90))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The daemon at one moment."""

    at_s: float  # since its start
    resident_mb: float
    cpu_s: float


class Process:
    """A `warmer` process and what it writes."""

    def __init__(self, folder: Path, command: str, *args: str) -> None:
        self.out = folder / f"{command}.log"
        with self.out.open("w") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "warmer", command, *args],
                cwd=folder,
                env=os.environ | {"SOAK_TOKEN": "r8_soak_of_a_thousand_models", "HOME": str(folder)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._began = time.monotonic()

    def wait_for(self, pattern: str) -> str:
        """The first group of the first match in what it writes."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self._process.poll() is None:
            if found := re.search(pattern, self.out.read_text()):
                return found[1]
            time.sleep(0.05)
        raise RuntimeError(f"no {pattern} in\n{self.out.read_text()[-2000:]}")

    def sample(self) -> Sample:
        if self._process.poll() is not None:
            raise RuntimeError(f"it has ended:\n{self.out.read_text()[-2000:]}")
        folder = Path(f"/proc/{self._process.pid}")
        times = (folder / "stat").read_text().rpartition(")")[2].split()
        return Sample(
            at_s=time.monotonic() - self._began,
            resident_mb=int((folder / "statm").read_text().split()[1]) * PAGE / MB,
            cpu_s=(int(times[11]) + int(times[12])) / JIFFIES,
        )

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S / 2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(folder: Path, command: str, *args: str) -> Iterator[Process]:
    process = Process(folder, command, *args)
    try:
        yield process
    finally:
        process.stop()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as reply:
        body: bytes = reply.read()
        return body


def lags(text: str) -> dict[float, float]:
    """How many ticks were late by no more than each bound, in seconds."""
    found = re.findall(r'^warmer_schedule_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.MULTILINE)
    return {float(bound): float(count) for bound, count in found}


def quantile(share: float, counts: Mapping[float, float]) -> float:
    """As `histogram_quantile` of Prometheus: in a straight line within the bucket."""
    bounds = sorted(counts)
    wanted = share * counts[bounds[-1]]
    low, below = 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= wanted:
            inside = counts[bound] - below
            return low if bound == float("inf") or not inside else low + (bound - low) * (wanted - below) / inside
        low, below = bound, counts[bound]
    return low


@contextmanager
def hosted(load: Load, folder: Path) -> Iterator[tuple[str, Path]]:
    """A sandbox that has the models: its address, and a file for them."""
    limits = {"rate": load.creates_per_minute, "reads": load.creates_per_minute * 5}
    slugs = load.slugs
    world, file = folder / "world.toml", folder / "warmer.yaml"
    world.write_text(WORLD.format(models="".join(MODEL.format(slug=slug) for slug in slugs), **limits))
    with running(folder, "sandbox", "--world", str(world)) as sandbox:
        url = sandbox.wait_for(r"listening (\S+)")
        entries = "".join(f"  - model: {slug}\n" for slug in slugs)
        file.write_text(FILE.format(folder=folder, url=url, policy=load.policy, every=load.every, **limits) + entries)
        yield url, file


def soak(load: Load, folder: Path) -> list[Goal]:
    """Run the load, and look at what came of it."""
    with hosted(load, folder) as (url, file):
        # The first makes the ledger, which is done once in its life.
        with running(folder, "run", "--config", str(file)) as daemon:
            daemon.wait_for(r"(daemon\.ready)")
        with running(folder, "run", "--config", str(file)) as daemon:
            web = daemon.wait_for(WEB)
            lateness, samples = watch(load, daemon, web)
            journal = json.loads(get(f"{url}/sandbox/journal"))
            replies = json.loads(get(f"{url}/sandbox/totals"))["replies"]
    return [*of_lag(lateness), *of_memory(samples), *of_beats(load, journal), *of_replies(replies)]


def watch(load: Load, daemon: Process, web: str) -> tuple[dict[float, float], list[Sample]]:
    """How late the ticks were after the first interval, and a sample a second."""
    samples = [daemon.sample()]
    early: dict[float, float] = {}
    scraped_s = 0.0
    while samples[-1].at_s < load.minutes * 60:
        time.sleep(1.0)
        samples.append(daemon.sample())
        now = samples[-1]
        if now.at_s - scraped_s >= SCRAPED_EVERY_S:
            scraped_s, found = now.at_s, lags(get(f"{web}/metrics").decode())
            early = early or found
            load_1m = os.getloadavg()[0]
            print(
                f"{now.at_s:6.0f} s  {now.resident_mb:6.1f} MB  CPU {now.cpu_s:6.1f} s  load {load_1m:4.1f}", flush=True
            )
    late = lags(get(f"{web}/metrics").decode())
    return {bound: count - early.get(bound, 0.0) for bound, count in late.items()}, samples


def of_lag(late: Mapping[float, float]) -> Iterator[Goal]:
    yield Goal(name="schedule lag p50, s", bound="-", measured=f"{quantile(0.5, late):.3f}", holds=True)
    p99 = quantile(0.99, late)
    yield Goal(name="schedule lag p99, s", bound=f"< {LAG_P99_S}", measured=f"{p99:.3f}", holds=p99 < LAG_P99_S)


def of_memory(samples: Sequence[Sample]) -> Iterator[Goal]:
    end_s = samples[-1].at_s
    settled = [one for one in samples if one.at_s >= min(SETTLED_S, end_s / 2)]
    begin_s = settled[0].at_s
    first, last = (fmean(one.resident_mb for one in part) for part in (settled[:60], settled[-60:]))
    most = max(one.resident_mb for one in samples)
    cpu = (samples[-1].cpu_s - settled[0].cpu_s) / (end_s - begin_s)
    yield Goal(
        name="resident, at the most, MB", bound=f"< {MEMORY_MB:g}", measured=f"{most:.1f}", holds=most < MEMORY_MB
    )
    yield Goal(name=f"resident after {begin_s / 60:.0f} min, MB", bound="-", measured=f"{first:.1f}", holds=True)
    yield Goal(name=f"resident after {end_s / 60:.0f} min, MB", bound="-", measured=f"{last:.1f}", holds=True)
    yield Goal(
        name="growth in between",
        bound=f"<= {GROWTH:.0%}",
        measured=f"{last / first - 1:+.1%}",
        holds=last <= first * (1 + GROWTH),
    )
    yield Goal(name="CPU of the daemon, of one core", bound="-", measured=f"{cpu:.0%}", holds=True)


def of_beats(load: Load, journal: Mapping[str, Any]) -> Iterator[Goal]:
    """By the sandbox's own record."""
    until = datetime.fromisoformat(journal["now"])
    times: dict[str, list[float]] = {}  # seconds before the end, latest last
    for call in journal["predictions"]:
        left = (until - datetime.fromisoformat(call["created_at"])).total_seconds()
        times.setdefault(call["model"], []).append(left)
    begin = max(map(max, times.values()))
    for name, skipped in (("from the start", 0.0), ("after the first interval", float(load.every))):
        whole = int(begin - skipped)
        seconds = Counter(
            int(begin - skipped - left) for one in times.values() for left in one if left <= begin - skipped
        )
        mean = sum(seconds[second] for second in range(whole)) / whole
        peak = max(seconds[second] for second in range(whole))
        yield Goal(
            name=f"creates per second {name}: mean, peak",
            bound=f"peak < {PEAK:g} x mean",
            measured=f"{mean:.1f}, {peak}",
            holds=peak < PEAK * mean,
        )
    expected = sum(1 + int(one[0] / load.every) for one in times.values())
    sent = sum(map(len, times.values()))
    doubled = sum(earlier - later < load.every / 2 for one in times.values() for earlier, later in pairwise(one))
    yield Goal(
        name=f"beats sent, of {expected} expected",
        bound=f"+-{MISCOUNT:.0%}",
        measured=f"{sent}",
        holds=abs(sent - expected) <= MISCOUNT * expected,
    )
    yield Goal(
        name="models never called", bound="0", measured=f"{load.models - len(times)}", holds=len(times) == load.models
    )
    yield Goal(name="beats doubled", bound="0", measured=f"{doubled}", holds=not doubled)


def of_replies(replies: Mapping[str, Mapping[str, int]]) -> Iterator[Goal]:
    refused = sum(count for tally in replies.values() for status, count in tally.items() if status >= "400")
    calls = sum(sum(tally.values()) for tally in replies.values())
    yield Goal(name=f"calls refused, of {calls}", bound="0", measured=f"{refused}", holds=not refused)


def main() -> int:
    parser = argparse.ArgumentParser(description="Load on a real daemon, with figures.")
    parser.add_argument("--minutes", type=float, default=5.0, help="run time; the goal of growth needs 30")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--every", type=int, default=60, help="seconds between two beats of a model")
    parser.add_argument("--policy", choices=("fixed", "aware"), default="fixed")
    parser.add_argument("--virtual", action="store_true", help="in virtual time: beats and their times alone")
    options = parser.parse_args()
    load = Load(minutes=options.minutes, models=options.models, every=options.every, policy=options.policy)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    begun = datetime.now().astimezone()
    with tempfile.TemporaryDirectory(prefix="warmer-soak-") as name:
        folder = Path(name)
        found = list(virtual(load.models, load.every, load.minutes, folder)) if options.virtual else soak(load, folder)
    print(
        f"\n{load.models} models every {load.every} s ({load.policy}), {load.minutes:g} min from {begun:%H:%M}; "
        f"{os.cpu_count()} cores, load average {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n"
    )
    show(("what", "goal", "measured", "holds"), [(one.name, one.bound, one.measured, one.verdict) for one in found])
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
